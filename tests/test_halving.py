"""Successive halving: who stops, and that the others do not notice."""

import dataclasses
import json
import shutil
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from rich.console import Console
from test_contract import same
from test_resume import final_state

import jaxq
from jaxq import cli
from jaxq.callbacks import Run
from jaxq.configuration import read_config
from jaxq.experiment.halving import ActiveSubset, Halving, check_rungs, halved, num_active, steps_left
from jaxq.experiment.impossible_values import DivergenceMonitor
from jaxq.experiment.plan import prepare
from jaxq.experiment.runner import begin, train
from jaxq.progress import Progress
from jaxq.reports import read_run

DEEP = {
    "hidden_sizes": (8,),
    "num_envs": 4,
    "learning_starts": 200,
    "train_interval": 4,
    "batch_size": 8,
}


def configured(environment="FrozenLake-v1", algorithm="q_learning", **others):
    given = {"agents": 7, "steps": 2_000, "segments": 8, "checkpoint_segments": 1, "keep_checkpoints": 9}
    if not {"sample", "sweep"} & {*others}:
        given["sample"] = {"learning_rate": "loguniform:1e-2:1"}
    return jaxq.configure(environment, algorithm, **(given | others))


def rows(directory):
    return [json.loads(line) for line in (directory / "metrics.jsonl").read_text().splitlines()]


def numbers(directory):
    return [(row["steps"], row["stopped"], str(row["agents"])) for row in rows(directory)]


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """A run whose agents are halved twice, and the same one without."""
    parent = tmp_path_factory.mktemp("runs")
    for name, halvings in ("halved", 2), ("whole", 0):
        with (parent / f"{name}.txt").open("w") as shown:
            jaxq.Experiment(configured(halvings=halvings), parent / name).run(Console(file=shown))
    return parent / "halved", parent / "whole"


def test_the_better_half_trains_on_at_each_rung(runs):
    lines = rows(runs[0])
    assert [row["steps"] for row in lines] == [250, 500, 750, 1000, 1250, 1500, 1750, 2000]
    assert [7 - len(row["stopped"]) for row in lines] == [7, 4, 4, 2, 2, 2, 2, 2]
    returns = np.full(7, np.nan)
    for before, row in zip([None, *lines], lines, strict=False):
        now = np.array(row["agents"]["episode_return"], float)
        returns = np.where(np.isnan(now), returns, now)
        newly = {*row["stopped"]} - {*(before["stopped"] if before else [])}
        if newly:
            assert max(returns[[*newly]]) <= min(np.delete(returns, row["stopped"]))
    assert not {*lines[1]["stopped"]} - {*lines[-1]["stopped"]}


class Lines(jaxq.Callback):
    def __init__(self, lines):
        self.lines = lines

    def on_segment(self, run, progress):
        self.lines.append(progress)


@pytest.mark.optimized
def test_those_that_train_on_do_not_notice():
    """With all optimizations, to the last bit, signs of zeros included."""
    ends, lines = [], []
    for halvings in 2, 0:
        plan = prepare(configured("CartPole-v1", "dqn", keywords=DEEP, halvings=halvings))
        ends.append(Run(plan.config, Path(), plan.population, begin(plan)))
        train(ends[-1], [DivergenceMonitor(plan.population), Halving(), Lines(lines)])
    # 200 steps of warm-up, then segments of 228: the first ends behind 500 and 1,000 are these.
    assert [progress.steps for progress in lines][1:4] == [656, 884, 1112]
    assert [len(progress.stopped) for progress in lines] == [0, 3, 3, 5, 5, 5, 5, 5] + [0] * 8
    going = ~ends[0].progress.mask(ends[0].progress.stopped)
    states = [jax.tree.leaves(jax.device_get(_plain(end.state))) for end in ends]
    for one, other in zip(*states, strict=True):
        assert np.ndim(one) == 0 or one[going].tobytes() == other[going].tobytes()
    assert ends[0].progress.returns[going].tobytes() == ends[1].progress.returns[going].tobytes()


def _plain(state):
    return state._replace(key=jax.random.key_data(state.key))


def _evaluation(directory):
    return json.loads((directory / "report" / "evaluation.json").read_text())


def test_rows_of_those_that_stopped_are_empty(runs):
    for before, row in zip(rows(runs[0]), rows(runs[0])[1:], strict=False):
        for agent in range(7):
            stopped = agent in before["stopped"]
            assert (row["agents"]["loss"][agent] is None) == stopped
            assert (row["agents"]["episodes"][agent] == 0) or not stopped
        speed = (row["steps"] - before["steps"]) * (7 - len(before["stopped"]))
        seconds = row["seconds"] - before["seconds"]
        assert speed / row["steps_per_second"] == pytest.approx(seconds, abs=2e-3)
    for row in rows(runs[1]):
        assert row["stopped"] == []


@pytest.mark.parametrize("steps", [250, 500, 1000])
def test_a_run_that_goes_on_from_before_or_behind_a_rung_ends_the_same(runs, tmp_path, steps):
    copy = shutil.copytree(runs[0], tmp_path / "copy")
    for path in (copy / "checkpoints").iterdir():
        if int(path.name) > steps:
            shutil.rmtree(path)
    jaxq.Experiment.resume(copy).run()
    assert numbers(copy) == numbers(runs[0])
    same(final_state(copy), final_state(runs[0]))
    assert _evaluation(copy)["returns"] == _evaluation(runs[0])["returns"]


def test_to_more_steps_those_that_are_left_train_on(runs, tmp_path):
    copy = shutil.copytree(runs[0], tmp_path / "copy")
    jaxq.Experiment.resume(copy, steps=4_000).run()
    assert rows(copy)[-1]["steps"] == 4_000
    assert rows(copy)[-1]["stopped"] == rows(runs[0])[-1]["stopped"]


def test_what_is_said_of_those_that_stopped(runs, tmp_path, capsys):
    stopped = rows(runs[0])[-1]["stopped"]
    assert _evaluation(runs[0])["stopped"] == stopped
    assert "stopped" not in _evaluation(runs[1])
    assert cli.main(["evaluate", str(runs[0]), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["stopped"] == stopped
    copy = shutil.copytree(runs[0], tmp_path / "copy")
    assert read_run(copy).stopped == stopped
    assert read_run(copy).diverged == []
    assert cli.main(["report", str(copy), "--no-watch"]) == 0
    assert "The worse 5 of 7 agents" in capsys.readouterr().out
    assert "5 of 7 agents, as others had" in (copy / "report" / "index.html").read_text()


def test_the_console_tells_who_stops_and_when(runs):
    shown = runs[0].with_suffix(".txt").read_text()
    first, second = (rows(runs[0])[row]["stopped"] for row in (1, 3))
    rest = [agent for agent in second if agent not in first]
    for steps, of, agents, left in (500, 7, first, 4), ("1,000", 4, rest, 2):
        named = ", ".join(map(str, agents))
        assert f"{steps} steps: the worse {len(agents)} of {of} agents stop ({named}); {left}" in shown
    assert "stopped" in shown.split("Greedy evaluation")[1]
    shown = runs[1].with_suffix(".txt").read_text()
    assert "stop" not in shown


def test_a_run_from_before_there_were_halvings_can_be_read(runs, tmp_path):
    copy = shutil.copytree(runs[1], tmp_path / "copy")
    lines = [{name: row[name] for name in row if name != "stopped"} for row in rows(copy)]
    (copy / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in lines))
    config = json.loads((copy / "config.json").read_text())
    del config["halvings"]
    (copy / "config.json").write_text(json.dumps(config))
    shutil.rmtree(copy / "checkpoints" / "0000002000")
    jaxq.Experiment.resume(copy).run()
    assert rows(copy)[-1]["agents"] == rows(runs[1])[-1]["agents"]
    assert rows(copy)[-1]["stopped"] == []
    assert read_run(copy).stopped == []


@pytest.mark.parametrize("on_divergence", ["freeze", "restart"])
def test_agents_that_diverge_stop_first(tmp_path, on_divergence):
    # What is thought to be worth 1 and is not: the first step is much too long.
    config = configured(
        agents=4,
        halvings=1,
        on_divergence=on_divergence,
        keywords={"initial_value": 1.0},
        sweep={"learning_rate": [1e30, 0.1]},
    )
    returns = jaxq.Experiment(config, tmp_path / "run").run()
    last = rows(tmp_path / "run")[-1]
    assert last["stopped"] == [0, 1]
    assert last["diverged"] == [0, 1]
    assert np.isfinite(returns).all()


def test_who_stops():
    config = configured(agents=8, halvings=1)
    returns = np.array([1.0, np.nan, 5.0, 5.0, 5.0, 9.0, 5.0, -1.0])
    diverged, none = np.arange(8) == 5, np.zeros(8, bool)
    stopped = halved(config, 1_000, returns, diverged, none)
    assert np.flatnonzero(stopped).tolist() == [0, 1, 5, 7]
    assert halved(config, 1_000, returns, diverged, none).tolist() == stopped.tolist()
    # Nothing is decided twice, nor before it is time.
    assert halved(config, 1_100, -returns, none, stopped).tolist() == stopped.tolist()
    assert not halved(config, 999, returns, diverged, none).any()


def test_of_equal_agents_the_seed_decides():
    none, chosen = np.zeros(8, bool), []
    for seed in range(40):
        config = configured(agents=8, halvings=1, seed=seed)
        for returns in np.full(8, 5.0), np.full(8, np.nan):
            stopped = halved(config, 1_000, returns, none, none)
            assert np.count_nonzero(stopped) == 4
        chosen.append(stopped)
    # None of them is preferred for its place.
    assert (np.mean(chosen, axis=0) > 0.2).all()
    assert (np.mean(chosen, axis=0) < 0.8).all()


def test_what_a_run_with_halvings_costs():
    config = configured(agents=256, steps=6_400, halvings=3)
    assert [num_active(config, steps) for steps in (0, 799, 800, 1600, 3200, 6400)] == [
        256, 256, 128, 64, 32, 32,
    ]  # fmt: skip
    # 1/8 by all, 1/8 by a half, 1/4 by a quarter and 1/2 by an eighth: 5/16.
    assert steps_left(config, 0) == 256 * 6_400 * 5 // 16
    assert steps_left(config, 3_200) == 32 * 3_200
    assert steps_left(configured(agents=7), 500) == 7 * 1_500
    odd = configured(agents=7, halvings=2)
    assert [num_active(odd, steps) for steps in (0, 500, 1_000)] == [7, 4, 2]


def test_a_subset_keeps_every_bit():
    """A negative zero among them, in arrays that are spread over devices."""
    population = prepare(configured(agents=32)).population
    state = population.init(jax.random.key(0))

    def negated(leaf):
        return -jnp.zeros_like(leaf) if jnp.issubdtype(leaf.dtype, jnp.floating) else leaf

    state = state._replace(learner=jax.tree.map(negated, state.learner))
    stopped = np.arange(32) % 2 == 0
    after, metrics = ActiveSubset(population).run(state, 1, stopped)
    whole, expected = population.run(state, 1)
    for one, old, new in zip(
        *(
            jax.device_get(jax.tree.leaves(_plain(each)._replace(steps=None)))
            for each in (after, state, whole)
        ),
        strict=True,
    ):
        assert one[stopped].tobytes() == old[stopped].tobytes()
        assert one[~stopped].tobytes() == new[~stopped].tobytes()
    assert int(after.steps) == int(whole.steps)
    np.testing.assert_array_equal(metrics.epsilon[~stopped], expected.epsilon[~stopped])
    assert np.isnan(metrics.epsilon[stopped]).all()


def test_a_checkpoint_keeps_who_has_stopped():
    facts = {"returns": [None, 1.0], "seconds": 1.0, "diverged": [], "stopped": [1]}
    progress = Progress.restored(2, {"steps": 100, **facts})
    assert progress.facts() == facts
    assert progress.mask(progress.stopped).tolist() == [False, True]


@pytest.mark.parametrize(
    ("others", "words"),
    [
        ({"halvings": 3}, "halvings=2"),
        ({"halvings": 2, "segments": 3}, "halvings=1"),
        ({"halvings": 2_000_000_000}, "halvings=2"),
        ({"halvings": 1, "agents": 1}, "halvings=0"),
        ({"halvings": -1}, "halvings must be at least 0"),
        ({"halvings": 0.5}, "halvings must be a whole number"),
        ({"halvings": 3, "on_divergence": "panic"}, "2 mistakes"),
    ],
)
def test_more_halvings_than_there_is_to_halve_are_refused(others, words):
    with pytest.raises(jaxq.InputError, match=words):
        configured(**others)


def test_each_halving_has_a_segment_end_of_its_own():
    config = configured(steps=2_000, halvings=2)
    check_rungs(config, 200, 225)
    with pytest.raises(jaxq.InputError, match="for example halvings=1"):
        check_rungs(config, 1_000, 20)
    with pytest.raises(jaxq.InputError, match="for example halvings=0"):
        check_rungs(config, 1_000, 1_000)


def test_halvings_from_toml(tmp_path):
    (tmp_path / "run.toml").write_text('environment = "CartPole-v1"\nagents = 8\nhalvings = 3\n')
    assert read_config(tmp_path / "run.toml", {}).halvings == 3
    assert read_config(tmp_path / "run.toml", {"halvings": 1}).halvings == 1


def test_what_halving_takes_beside_the_population_must_fit(monkeypatch):
    config = configured(agents=8, halvings=1, evaluation_episodes=1)
    use = prepare(dataclasses.replace(config, halvings=0)).population.memory()
    for name in ("jaxq.engine.population", "jaxq.experiment.halving"):
        monkeypatch.setattr(f"{name}.memory_limit", lambda mesh: int(1.05 * use.total))
    prepare(dataclasses.replace(config, halvings=0))
    with pytest.raises(jaxq.InputError, match="agents take"):
        prepare(config)
    monkeypatch.setattr("jaxq.experiment.halving.memory_limit", lambda mesh: 2 * use.total)
    population = prepare(config).population
    # Those that train on never need more than was checked.
    assert ActiveSubset(population)._subset(4)[0].memory().total <= use.total
