"""Sweeps over what shapes the program: one run for each program, queued and gone on with."""

import json
import shutil
import signal

import jax
import numpy as np
import pytest
from test_resume import contents, rows, start, wait_for
from test_resume import returns as evaluated

import jaxq
from jaxq import cli
from jaxq.configuration import read_config, read_groups
from jaxq.experiment.directory import RunDirectory

TABLES = (
    "train FrozenLake-v1 --agents 8 --steps 2000 --segments 20 --checkpoint-segments 2 "
    "--sweep algorithm=q_learning,sarsa discount=0.9,0.99"
)
NAMES = ["algorithm=q_learning", "algorithm=sarsa"]

pytestmark = pytest.mark.optimized  # Numbers of other processes are compared with those of this one.


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A sweep over a static setting and a leaf that nobody interrupted."""
    directory = tmp_path_factory.mktemp("sweeps") / "whole"
    assert cli.main([*TABLES.split(), "--out", str(directory)]) == 0
    return directory


@pytest.fixture
def copied(whole, tmp_path):
    return shutil.copytree(whole, tmp_path / "copy")


def same_runs(directory, other):
    for name in NAMES:
        assert evaluated(directory / name) == evaluated(other / name)
        assert rows(directory / name) == rows(other / name)


def test_the_directory(whole):
    assert sorted(path.name for path in whole.iterdir() if path.is_dir()) == [*NAMES, "report"]
    assert [*json.loads((whole / "sweep.json").read_text())["groups"]] == NAMES
    for name in NAMES:
        config = RunDirectory.open(whole / name).read_config()
        assert (config["agents"], config["sweep"]) == (4, {"discount": [0.9, 0.99]})
        assert config["algorithm"] == name.partition("=")[2]


def test_a_group_is_an_ordinary_run(whole, tmp_path):
    words = "train FrozenLake-v1 --agents 4 --steps 2000 --algorithm sarsa"
    sweep = ["--sweep", "discount=0.9,0.99", "--out", str(tmp_path / "run")]
    assert cli.main([*words.split(), *sweep]) == 0
    assert evaluated(tmp_path / "run") == evaluated(whole / NAMES[1])


def test_what_the_terminal_shows_in_the_end(copied, capsys):
    assert cli.main(["resume", str(copied)]) == 0
    out = capsys.readouterr().out
    table, _, _ = out[out.index("All groups") :].partition("drawing the report")
    *rows, said = table.splitlines()
    table = "\n".join(rows)
    scores = np.array([evaluated(copied / name) for name in NAMES]).mean(axis=-1).reshape(4, 2)
    best = ["0.9", "0.99", "0.9", "0.99"][scores.mean(axis=1).argmax()]
    (line,) = [line.split() for line in table.splitlines() if line.strip().startswith("best ")]
    assert line[2] == best
    assert all(table.count(name) == 2 for name in NAMES)
    assert said.startswith(f"{line[1]}, discount {best} scored best: ")


def test_fewer_steps_than_are_done_in_a_group_are_refused(copied, capsys):
    shutil.rmtree(copied / NAMES[0])
    before = contents(copied)
    assert cli.main(["resume", str(copied), "--steps", "1000"]) == 2
    error = capsys.readouterr().err
    assert f"{NAMES[1]}: steps must be at least the 2000" in error
    assert error.count("\n") == 1
    assert contents(copied) == before


def test_groups_that_ended_are_passed_over(whole, copied, capsys):
    shutil.rmtree(copied / NAMES[1])
    before = (copied / NAMES[0] / "config.json").read_bytes()
    assert cli.main(["resume", str(copied)]) == 0
    assert capsys.readouterr().out.count("compiling") == 1
    assert (copied / NAMES[0] / "config.json").read_bytes() == before
    same_runs(copied, whole)


def test_a_group_that_was_killed_before_it_wrote_anything_begins_anew(whole, copied):
    shutil.rmtree(copied / NAMES[1])
    (copied / NAMES[1] / "report").mkdir(parents=True)
    assert cli.main(["resume", str(copied)]) == 0
    same_runs(copied, whole)


def test_more_steps_are_for_every_group(copied):
    shutil.rmtree(copied / NAMES[1])
    assert cli.main(["resume", str(copied), "--steps", "3000"]) == 0
    assert [rows(copied / name)[-1][0] for name in NAMES] == [3_000, 3_000]
    # It is written down, for whoever goes on without saying so again.
    again = jaxq.Sweep.resume(copied)
    assert [config.steps for config in again.groups.values()] == [3_000, 3_000]


def test_a_group_that_fails_does_not_stop_the_others(tmp_path, capsys):
    groups = jaxq.configure_sweep(
        "FrozenLake-v1",
        agents=2,
        steps=500,
        keywords={"initial_value": 1.0},
        sweep={"learning_rate": [1e30], "algorithm": ["q_learning", "sarsa"]},
        on_divergence="stop",
    )
    groups[NAMES[1]].sweep["learning_rate"] = [0.5]
    with pytest.raises(jaxq.SweepError, match=f"^1 of 2 groups failed: {NAMES[0]}: ") as error:
        jaxq.Sweep(groups, tmp_path / "sweep").run()
    assert [*error.value.failed] == [NAMES[0]]
    assert error.value.returns[NAMES[1]].shape == (1, 32)
    # It fails again where it is gone on with, and the other one is passed over.
    assert cli.main(["resume", str(tmp_path / "sweep")]) == 1
    captured = capsys.readouterr()
    assert "failed" in captured.out
    assert captured.out.count("compiling") == 1
    assert captured.err.count("\n") == 1
    assert f"{NAMES[0]}: agents [0] have diverged" in captured.err


class Watching:
    """Notes how much memory arrays and programs take where a group begins."""

    def __init__(self):
        self.began = []

    def start(self, *_):
        programs = jax.devices()[0].client.live_executables()
        self.began.append((sum(array.nbytes for array in jax.live_arrays()), len(programs)))

    def segment(self, _):
        pass

    def finish(self, *_):
        pass

    def close(self):
        pass


def test_a_group_that_ended_takes_no_memory(tmp_path):
    watching = Watching()
    groups = {
        name: jaxq.configure("FrozenLake-v1", "q_learning", agents=2, steps=500, segments=2)
        for name in ("first", "second")
    }
    jax.clear_caches()
    jaxq.Sweep(groups, tmp_path / "sweep", track=[watching]).run()
    first, second = np.array(watching.began)
    assert (second <= first).all()


def test_trackers_may_be_others_when_a_sweep_goes_on(copied):
    shutil.rmtree(copied / NAMES[1])
    watching = Watching()
    jaxq.Sweep.resume(copied, track=[watching]).run()
    # The group that had ended is passed over.
    assert len(watching.began) == 1


def test_a_second_process_is_refused(copied, capsys):
    before = (copied / "sweep.json").read_bytes()
    with RunDirectory(copied).locked():
        assert cli.main(["resume", str(copied), "--steps", "4000"]) == 2
    assert "another process is running" in capsys.readouterr().err
    assert (copied / "sweep.json").read_bytes() == before


def test_reports_and_comparisons_are_of_the_groups(copied, capsys):
    shutil.rmtree(copied / NAMES[1])
    assert cli.main(["report", str(copied), "--no-watch"]) == 0
    assert "1 have no results yet: algorithm=sarsa" in capsys.readouterr().out
    assert "algorithm=q_learning" in (copied / "report" / "index.html").read_text()
    assert cli.main(["compare", str(copied)]) == 2


def test_groups_are_compared_in_the_order_of_the_queue(whole, capsys):
    assert cli.main(["compare", str(whole), "--json"]) == 0
    compared = json.loads(capsys.readouterr().out)
    assert [run["path"] for run in compared["runs"]] == [str(whole / name) for name in NAMES]


def test_evaluating_names_the_runs(whole, capsys):
    assert cli.main(["evaluate", str(whole)]) == 2
    error = capsys.readouterr().err
    assert all(str(whole / name) in error for name in NAMES)
    assert error.count("\n") == 1


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_queue_that_was_ended_in_the_middle_ends_as_if_it_had_not_been(whole, tmp_path, number):
    directory, cache = tmp_path / "a sweep", tmp_path / "cache"
    process = start(*TABLES.split(), "--out", directory, cache=cache)
    # In the second group, and in the first.
    group = NAMES[number == signal.SIGKILL]
    assert wait_for(lambda: [*(directory / group / "checkpoints").glob("0*")], process)
    process.send_signal(number)
    _, error = process.communicate(timeout=300)
    assert not (directory / group / "report" / "evaluation.json").exists()
    if number == signal.SIGKILL:
        assert process.returncode == -number
    else:
        assert process.returncode == 128 + number
        assert f"steps of {group}; go on with: jaxq resume '{directory}'" in error
        assert error.count("\n") == 1
        assert not (directory / NAMES[1]).exists()
    assert cli.main(["resume", str(directory)]) == 0
    same_runs(directory, whole)


TOML = """
environment = "CartPole-v1"
agents = 8
[sweep]
hidden_sizes = [[64, 64], [32]]
learning_rate = [0.001, 0.01]
"""


def test_sweeps_in_files(tmp_path):
    (tmp_path / "sweep.toml").write_text(TOML)
    groups = read_groups(tmp_path / "sweep.toml", {})
    assert {name: config.agents for name, config in groups.items()} == {
        "hidden_sizes=64x64": 4,
        "hidden_sizes=32": 4,
    }
    with pytest.raises(jaxq.InputError, match="read_groups"):
        read_config(tmp_path / "sweep.toml", {})


def test_a_static_sweep_around_a_run_that_was(whole):
    file = whole / NAMES[0] / "config.json"
    groups = read_groups(file, {"sweep": {"num_envs": [1, 2], "discount": [0.5]}})
    assert [*groups] == ["num_envs=1", "num_envs=2"]
    assert {config.agents for config in groups.values()} == {2}
    assert {config.keywords["epsilon_steps"] for config in groups.values()} == {2_000}


def test_algorithms_and_environments_bring_their_own_presets():
    sweep = {"environment": ["CartPole-v1", "Catch-bsuite"], "algorithm": ["dqn", "c51"]}
    groups = jaxq.configure_sweep(sweep=sweep)
    assert [config.agents for config in groups.values()] == [8] * 4
    config = groups["environment=Catch-bsuite,algorithm=c51"]
    assert config == jaxq.configure("Catch-bsuite", "c51")


def test_names_are_safe_and_differ():
    sweep = {"optimizer": [lambda hparams: hparams, lambda _: None], "n_step": [1]}
    groups = jaxq.configure_sweep("CartPole-v1", sweep=sweep)
    assert [*groups] == ["optimizer=_lambda_,n_step=1", "optimizer=_lambda_,n_step=1-2"]


@pytest.mark.parametrize("name", ["../out", "/tmp/out", "", ".", "report", "a b", "x" * 200, 3])
def test_a_name_never_leaves_the_directory(tmp_path, name):
    config = jaxq.configure("FrozenLake-v1", "q_learning", agents=1, steps=100)
    with pytest.raises(jaxq.InputError, match="name must be"):
        jaxq.Sweep({name: config}, tmp_path / "sweep")
    assert not [*tmp_path.iterdir()]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("{", "sweep.json: no JSON"),
        ("[]", "sweep.json: expected names with values"),
        ('{"format": 1, "track": {}, "groups": {}}', "not what a sweep wrote"),
        ('{"format": 9, "track": {}, "groups": {"a": {}}}', "format 9"),
        ('{"format": 1, "track": {}, "groups": {"../a": {}}}', "name must be"),
        ('{"format": 1, "track": {}, "groups": {"a": 1}}', "sweep.json: a: expected names with values"),
        ('{"format": 1, "track": {}, "groups": {"a": {}}}', "it has no environment"),
    ],
)
def test_a_damaged_queue_is_one_line(tmp_path, capsys, content, words):
    (tmp_path / "sweep.json").write_text(content)
    assert cli.main(["resume", str(tmp_path)]) == 2
    error = capsys.readouterr().err
    assert words in error
    assert error.count("\n") == 1


def test_all_mistakes_of_all_groups_are_told_at_once():
    with pytest.raises(jaxq.InputError) as caught:
        jaxq.configure_sweep(
            "CartPole-v1",
            agents=3,
            keywords={"double": True, "n_step": 0},
            sweep={"double": [True], "batch_size": [0, 64], "learning_rate": [-1.0, 1e-3]},
        )
    message = str(caught.value)
    assert message.startswith("5 mistakes: ")
    for words in (
        "double is both set and swept",
        "for example agents=4",
        "double=true,batch_size=0: batch_size must be at least 1",
        "| n_step must be at least 1",
        "| learning_rate must be",
    ):
        assert words in message


@pytest.mark.parametrize(
    ("sweep", "words"),
    [
        ({"batch_size": [32, 32]}, "batch_size=32 twice"),
        ({"bath_size": [32, 64]}, "did you mean batch_size"),
        ({"batch_size": 32}, "list of at least one value"),
        ({"batch_size": [*range(1_001)]}, "at most 1000"),
        ({"learning_starts": [100, 10**6]}, "learning_starts=1000000: steps must be more than"),
    ],
)
def test_what_is_refused(tmp_path, sweep, words):
    with pytest.raises(jaxq.InputError, match=words):
        jaxq.Sweep(jaxq.configure_sweep("CartPole-v1", sweep=sweep), tmp_path / "sweep")
    assert not [*tmp_path.iterdir()]


def test_one_population_says_how_to_sweep_over_what_shapes_it():
    with pytest.raises(jaxq.InputError, match=r"jaxq\.Sweep\(jaxq\.configure_sweep"):
        jaxq.configure("CartPole-v1", sweep={"batch_size": [32, 64]})
