"""Snapshots of small tables, which a run keeps while it trains."""

import os
import shutil

import numpy as np
import pytest

import jaxq
from jaxq import checks
from jaxq.experiment.snapshots import MOST_BYTES, NAME, Snapshots, read_snapshots

LAKE = (16, 4)


def configured(**changes):
    settings = {"agents": 6, "steps": 2_000, "segments": 5, "checkpoint_segments": 1, **changes}
    return jaxq.configure("FrozenLake-v1", "q_learning", **settings)


class Stop(jaxq.Callback):
    """Stops after two segments."""

    def on_segment(self, run, progress):
        return progress.steps >= 800


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    path = tmp_path_factory.mktemp("runs") / "whole"
    jaxq.Experiment(configured(), path).run(report=False)
    return path


def snapshots(steps):
    """Two agents of six, in a world of three states and two actions."""
    count = len(steps)
    fields = {
        "steps": np.array(steps),
        "agents": np.array([0, 5]),
        "q": np.arange(count * 12, dtype=np.float32).reshape(count, 2, 3, 2),
        "visits": np.ones((count, 2, 3), np.uint32),
    }
    return Snapshots(**fields)


def test_a_few_agents_are_kept_from_the_first_step_to_the_last(whole):
    found = read_snapshots(whole / NAME, 6, LAKE)
    assert found.steps.tolist() == [0, 400, 800, 1_200, 1_600, 2_000]
    assert found.agents.tolist() == [0, 2, 3, 5]
    assert not found.q[0].any()
    for place, number in enumerate(found.agents):
        agent = jaxq.load(whole, which=int(number))
        np.testing.assert_array_equal(found.q[-1, place], agent.q_values(np.arange(16)))
        visits = np.asarray(agent.learner.visits).sum(axis=(0, 2))
        np.testing.assert_array_equal(found.visits[-1, place], visits)
    assert found.visits[-1].sum(axis=1).tolist() == [2_000] * 4


def test_a_resumed_run_goes_on_with_them(whole, tmp_path):
    path = tmp_path / "run"
    jaxq.Experiment(configured(), path, callbacks=[Stop()]).run(report=False)
    assert read_snapshots(path / NAME, 6, LAKE).steps.tolist() == [0, 400, 800]
    # What was kept behind the checkpoint is dropped.
    shutil.copy(whole / NAME, path / NAME)
    jaxq.Experiment.resume(path).run(report=False)
    for found, expected in zip(
        read_snapshots(path / NAME, 6, LAKE), read_snapshots(whole / NAME, 6, LAKE), strict=True
    ):
        np.testing.assert_array_equal(found, expected)


def test_a_damaged_file_does_not_keep_a_run_from_going_on(tmp_path):
    path = tmp_path / "run"
    jaxq.Experiment(configured(), path, callbacks=[Stop()]).run(report=False)
    (path / NAME).write_bytes(b"nothing")
    jaxq.Experiment.resume(path).run(report=False)
    assert read_snapshots(path / NAME, 6, LAKE).steps.tolist() == [800, 1_200, 1_600, 2_000]


def test_where_nothing_can_be_written_training_goes_on(tmp_path):
    class Blocks(jaxq.Callback):
        def on_start(self, run):
            (run.directory / (NAME + ".new")).mkdir()

    returns = jaxq.Experiment(configured(), tmp_path / "run", callbacks=[Blocks()]).run(report=False)
    assert np.isfinite(returns).all()


def test_many_segments_are_thinned_out_and_stay_small(tmp_path):
    path = tmp_path / "run"
    jaxq.Experiment(configured(agents=1, segments=100), path).run(report=False)
    found = read_snapshots(path / NAME, 1, LAKE)
    assert len(found.steps) == 60
    assert found.steps[[0, -1]].tolist() == [0, 2_000]
    gaps = np.diff(found.steps)
    assert gaps[:10].mean() < gaps[-10:].mean() <= 100


@pytest.mark.parametrize(
    ("states", "actions", "kept"), [(600, 4, True), (601, 4, False), (600, 40, True)]
)
def test_large_tables_have_room_for_fewer(states, actions, kept, tmp_path):
    # Round in a circle.
    ways = {s: [[(1.0, (s + 1) % states, 0.0, False)]] * actions for s in range(states)}
    env = jaxq.envs.from_table(ways)
    path = tmp_path / "run"
    config = jaxq.configure(env, jaxq.q_learning(), agents=4, steps=60, segments=60)
    jaxq.Experiment(config, path).run(report=False)
    found = read_snapshots(path / NAME, 4, (states, actions))
    assert (found is not None) == kept
    if kept:
        assert found.q.nbytes + found.visits.nbytes <= MOST_BYTES
        assert len(found.steps) >= 20


def test_what_is_no_table_keeps_none(tmp_path):
    keywords = {"hidden_sizes": (8,), "batch_size": 8, "learning_starts": 64, "buffer_size": 500}
    config = jaxq.configure("CartPole-v1", "dqn", agents=1, steps=400, keywords=keywords)
    jaxq.Experiment(config, tmp_path / "run").run(report=False)
    assert not (tmp_path / "run" / NAME).exists()


def test_a_network_in_a_small_table_is_kept_too(tmp_path):
    keywords = {"hidden_sizes": (8,), "batch_size": 8, "learning_starts": 64, "buffer_size": 500}
    config = jaxq.configure("FrozenLake-v1", "dqn", agents=2, steps=400, segments=2, keywords=keywords)
    jaxq.Experiment(config, tmp_path / "run").run(report=False)
    found = read_snapshots(tmp_path / "run" / NAME, 2, LAKE)
    q = jaxq.load(tmp_path / "run", which=1).q_values(np.arange(16))
    np.testing.assert_allclose(found.q[-1, 1], q, rtol=1e-5)
    assert not found.visits.any()


def test_thinned_out_they_are_even_but_for_the_beginning():
    found = snapshots(range(0, 1_000, 10)).thinned(10)
    assert len(found.steps) == 10
    assert found.steps[[0, -1]].tolist() == [0, 990]
    # Nothing is moved: each still has its own values.
    np.testing.assert_array_equal(found.q[:, 0, 0, 0], found.steps / 10 * 12)
    assert (np.diff(found.steps**0.4) < 3 * np.diff(found.steps**0.4).min()).all()


@pytest.mark.parametrize(
    "changes",
    [
        {"agents": np.array([0, 6])},
        {"agents": np.array([5, 0])},
        {"steps": np.array([0, 0])},
        {"q": np.zeros((2, 2, 3, 3), np.float32)},
        {"q": np.zeros((2, 2, 3, 2), "<U3")},
        {"q": np.array([{}], object)},
        {"visits": np.zeros((2, 2, 3))},
        {"steps": np.zeros(0, int)},
        {"steps": np.int64(3)},
    ],
)
def test_what_is_not_a_runs_own_is_refused(changes, tmp_path):
    file = tmp_path / NAME
    file.write_bytes(snapshots([0, 10]).packed())
    assert read_snapshots(file, 6, (3, 2)).steps.tolist() == [0, 10]
    file.write_bytes(snapshots([0, 10])._replace(**changes).packed())
    with pytest.raises(checks.InputValueError, match="holds no snapshots of this run"):
        read_snapshots(file, 6, (3, 2))


def test_bytes_that_are_cut_off_or_changed_are_refused(tmp_path):
    file, content = tmp_path / NAME, snapshots([0, 10]).packed()
    for wrong in (b"", content[:100], content[:-30], content[:40] + b"!" * 40 + content[80:]):
        file.write_bytes(wrong)
        with pytest.raises(checks.InputValueError, match="holds no snapshots of this run"):
            read_snapshots(file, 6, (3, 2))


def test_a_file_that_would_unfold_to_much_is_refused(tmp_path):
    file = tmp_path / NAME
    np.savez_compressed(file, **(snapshots([0, 10])._asdict() | {"q": np.zeros(3_000_000)}))
    assert file.stat().st_size < 100_000
    with pytest.raises(checks.InputValueError, match="holds no snapshots of this run"):
        read_snapshots(file, 6, (3, 2))


def test_links_and_pipes_are_refused_by_name(tmp_path):
    (tmp_path / "other").write_bytes(snapshots([0]).packed())
    (tmp_path / NAME).symlink_to(tmp_path / "other")
    with pytest.raises(checks.InputValueError, match="is a link"):
        read_snapshots(tmp_path / NAME, 6, (3, 2))
    (tmp_path / NAME).unlink()
    os.mkfifo(tmp_path / NAME)
    with pytest.raises(checks.InputValueError, match="is no plain file"):
        read_snapshots(tmp_path / NAME, 6, (3, 2))


def test_no_file_is_no_snapshots(tmp_path):
    assert read_snapshots(tmp_path / NAME, 6, (3, 2)) is None
