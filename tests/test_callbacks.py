"""Callbacks: what they see of a run, and what becomes of it when they stop it or fail."""

import json

import jax
import numpy as np
import pytest

import jaxq
from jaxq.experiment.evaluating import evaluate_directory

STEPS = 600


def config(**fields):
    fields = {"agents": 3, "steps": STEPS, "segments": 6, "evaluation_episodes": 2} | fields
    return jaxq.configure("FrozenLake-v1", "q_learning", **fields)


class Told(jaxq.Callback):
    """Writes down what it is told."""

    def __init__(self, name="", calls=None, at=None, action=None):
        self.name, self.calls = name, [] if calls is None else calls
        self.at, self.action = at, action

    def on_start(self, run):
        self.calls.append((self.name, "start", run.steps))
        return self._act("start", run)

    def on_segment(self, run, progress):
        self.calls.append((self.name, "segment", progress.steps))
        return self._act(progress.steps, run)

    def on_end(self, run):
        self.calls.append((self.name, "end", None if run.returns is None else run.returns.shape))
        self._act("end", run)

    def _act(self, at, run):
        return self.action(run) if at == self.at else None


def fail(run):
    raise RuntimeError("mine")


def lines(directory):
    return [json.loads(line)["steps"] for line in (directory / "metrics.jsonl").read_text().splitlines()]


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    return jaxq.Experiment(config(), tmp_path_factory.mktemp("runs") / "run").run()


def test_every_segment_is_told_in_order(tmp_path, uninterrupted):
    calls = []
    callbacks = [Told("a", calls), Told("b", calls)]
    experiment = jaxq.Experiment(config(), tmp_path / "run", callbacks=callbacks)
    np.testing.assert_array_equal(experiment.run(), uninterrupted)
    assert experiment.stopped is None
    assert calls[:2] == [("a", "start", 0), ("b", "start", 0)]
    assert calls[2:-2] == [(name, "segment", at) for at in range(100, 601, 100) for name in "ab"]
    # Those that started last end first, as what they use may be another one's.
    assert calls[-2:] == [("b", "end", (3, 2)), ("a", "end", (3, 2))]


def test_a_callback_sees_the_run(tmp_path):
    seen = {}

    class Looks(jaxq.Callback):
        def on_segment(self, run, progress):
            seen.update(run=run, progress=progress, steps=run.steps, written=lines(run.directory))
            seen["returns"] = run.population.evaluate(run.state, jax.random.key(0), num_episodes=2)

    what = config(steps=200, segments=2)
    jaxq.Experiment(what, tmp_path / "run", callbacks=[Looks()]).run()
    run, progress = seen["run"], seen["progress"]
    assert (run.config, run.directory) == (what, tmp_path / "run")
    assert seen["steps"] == progress.steps == 200
    assert seen["written"] == [100, 200]
    assert progress.returns.shape == progress.metrics.loss.shape == (3,)
    assert seen["returns"].shape == (3, 2)


@pytest.mark.parametrize(
    "stop", [lambda run: True, lambda run: np.True_, lambda run: run.stop("enough")]
)
def test_a_run_that_is_stopped_is_saved_evaluated_and_resumed(tmp_path, uninterrupted, stop):
    calls = []
    callbacks = [Told("a", calls, at=300, action=stop), Told("b", calls)]
    experiment = jaxq.Experiment(config(), tmp_path / "run", callbacks=callbacks)
    assert experiment.run().shape == (3, 2)
    assert experiment.stopped in ("enough", "Told.on_segment returned True")
    # All callbacks hear of the segment, and of the end.
    assert calls[-3:] == [("b", "segment", 300), ("b", "end", (3, 2)), ("a", "end", (3, 2))]
    assert lines(tmp_path / "run") == [100, 200, 300]
    assert evaluate_directory(tmp_path / "run", 2).checkpoint == 300
    told = Told()
    resumed = jaxq.Experiment.resume(tmp_path / "run", callbacks=[told])
    np.testing.assert_array_equal(resumed.run(), uninterrupted)
    assert [call[1:] for call in told.calls[:2]] == [("start", 300), ("segment", 400)]
    assert resumed.stopped is None


def test_why_it_stopped_is_shown(tmp_path, capsys):
    from rich.console import Console

    told = Told(at=200, action=lambda run: run.stop("it is good enough"))
    jaxq.Experiment(config(), tmp_path / "run", callbacks=[told]).run(Console(width=500))
    assert "stopped after 200 steps: it is good enough; go on with" in capsys.readouterr().out


def test_a_run_may_be_stopped_before_its_first_segment(tmp_path, uninterrupted):
    told = Told(at="start", action=lambda run: run.stop("not today"))
    experiment = jaxq.Experiment(config(), tmp_path / "run", callbacks=[told])
    experiment.run()
    assert experiment.stopped == "not today"
    assert [call[1] for call in told.calls] == ["start", "end"]
    np.testing.assert_array_equal(jaxq.Experiment.resume(tmp_path / "run").run(), uninterrupted)


def test_what_a_callback_raises_is_raised_and_nothing_is_lost(tmp_path, uninterrupted):
    told, other = Told(at=300, action=fail), Told()
    experiment = jaxq.Experiment(config(), tmp_path / "run", callbacks=[other, told])
    with pytest.raises(RuntimeError, match="mine"):
        experiment.run()
    assert told.calls[-1] == other.calls[-1] == ("", "end", None)
    assert evaluate_directory(tmp_path / "run", 2).checkpoint == 300
    np.testing.assert_array_equal(jaxq.Experiment.resume(tmp_path / "run").run(), uninterrupted)


@pytest.mark.parametrize("at", ["start", "end"])
def test_failing_at_the_start_or_the_end_leaves_a_run_that_goes_on(tmp_path, uninterrupted, at):
    other, failing, never = Told(), Told(at=at, action=fail), Told()
    callbacks = [other, failing, never] if at == "start" else [other, failing]
    with pytest.raises(RuntimeError, match="mine"):
        jaxq.Experiment(config(), tmp_path / "run", callbacks=callbacks).run()
    # Whatever started, ends; and what never started does not.
    assert other.calls[-1][1] == "end"
    assert never.calls == []
    np.testing.assert_array_equal(jaxq.Experiment.resume(tmp_path / "run").run(), uninterrupted)


def test_what_is_no_callback_is_refused_before_the_directory_is_made(tmp_path):
    for callbacks, message in (
        (Told(), "sequence"), ("Told", "sequence"), ([Told], "the class Told"), ([print], "on_segment"),
    ):  # fmt: skip
        with pytest.raises(jaxq.InputError, match=message):
            jaxq.Experiment(config(), tmp_path / "run", callbacks=callbacks)
    assert not (tmp_path / "run").exists()


def test_what_on_segment_returns_is_checked(tmp_path):
    told = Told(at=100, action=lambda run: "yes")
    with pytest.raises(jaxq.InputError, match="must return None, True or False, got 'yes'"):
        jaxq.Experiment(config(), tmp_path / "run", callbacks=[told]).run()


def test_an_object_with_the_methods_is_a_callback(tmp_path):
    class Plain:
        on_start = on_end = staticmethod(lambda run: None)
        on_segment = staticmethod(lambda run, progress: progress.steps >= 200)

    experiment = jaxq.Experiment(config(), tmp_path / "run", callbacks=[Plain()])
    experiment.run()
    assert lines(tmp_path / "run") == [100, 200]
