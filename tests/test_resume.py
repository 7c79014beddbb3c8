"""Going on: what was interrupted ends as if it had not been."""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import jax
import numpy as np
import pytest
from numpy.testing import assert_allclose
from test_checkpoints import edit, flip
from test_contract import same

import jaxq
from jaxq import cli
from jaxq.configuration.config_file import config_of
from jaxq.configuration.configuring import extended
from jaxq.experiment.checkpoints import Checkpoints
from jaxq.experiment.directory import RunDirectory
from jaxq.experiment.plan import describe, prepare
from jaxq.progress import Progress
from jaxq.storage.stored_arrays import DamagedError, read_manifest

KILLS = 10
WORDS = (
    "train CartPole-v1 --agents 2 --steps 4000 --segments 100 --checkpoint-segments 1 "
    "--set hidden_sizes=8 num_envs=4 learning_starts=200 train_interval=4 batch_size=8"
)


def start(*words, cache):
    return subprocess.Popen(
        [sys.executable, "-m", "jaxq.cli", *map(str, words)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "XDG_CACHE_HOME": str(cache)},
    )


def rows(directory):
    """Read metrics, but for a last line that was cut off."""
    lines = (directory / "metrics.jsonl").read_text().split("\n")[:-1]
    return [(row["steps"], str(row["agents"])) for row in map(json.loads, lines)]


def final_state(directory):
    plan = prepare(config_of(RunDirectory.open(directory).read_config()))
    return Checkpoints(directory / "checkpoints").restore(plan.population.template).state


def returns(directory):
    return json.loads((directory / "report" / "evaluation.json").read_text())["returns"]


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def whole(tmp_path_factory, cache):
    """A run that nobody interrupted."""
    directory = tmp_path_factory.mktemp("runs") / "whole"
    process = start(*WORDS.split(), "--out", directory, cache=cache)
    _, error = process.communicate(timeout=300)
    assert process.returncode == 0, error
    return directory


def wait_for(condition, process, seconds=120):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return True
        if process.poll() is not None:
            return False
        time.sleep(0.005)
    raise AssertionError("nothing happened")


def killed(words, directory, cache, rng, number):
    """Start a process, and kill it some time after it began to train; tell whether it lived so long."""
    metrics, unfinished = directory / "metrics.jsonl", directory / "checkpoints" / ".unfinished"
    before = metrics.stat().st_size if metrics.exists() else 0
    process = start(*words, cache=cache)
    trains = wait_for(lambda: metrics.exists() and metrics.stat().st_size > before, process)
    if trains and number % 2:
        # Every other one in the middle of a checkpoint.
        trains = wait_for(unfinished.exists, process)
    time.sleep(rng.uniform(0, 0.1))
    process.kill()
    process.communicate()
    return trains and process.returncode == -signal.SIGKILL


@pytest.mark.optimized
def test_a_run_that_is_killed_again_and_again_ends_as_if_it_had_not_been(tmp_path, cache, whole):
    directory, rng = tmp_path / "run", random.Random(0)
    words = [*WORDS.split(), "--out", directory]
    survived = 0
    while survived < KILLS:
        assert killed(words, directory, cache, rng, survived), f"ended after {survived} kills"
        words = ["resume", directory]
        survived += 1
    process = start(*words, cache=cache)
    _, error = process.communicate(timeout=300)
    assert process.returncode == 0, error
    same(final_state(directory), final_state(whole))
    assert returns(directory) == returns(whole)
    assert rows(directory) == rows(whole)


@pytest.mark.optimized
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_run_that_is_asked_to_stop_says_how_to_go_on(tmp_path, cache, whole, number):
    directory = tmp_path / "a run"
    process = start(*WORDS.split(), "--out", directory, cache=cache)
    metrics = directory / "metrics.jsonl"
    assert wait_for(lambda: metrics.exists() and metrics.stat().st_size, process)
    process.send_signal(number)
    _, error = process.communicate(timeout=120)
    assert process.returncode == 128 + number
    assert f"go on with: jaxq resume '{directory}'" in error
    assert error.count("\n") == 1
    stopped_at = rows(directory)[-1][0]
    assert int(final_state(directory).steps) == stopped_at < 4_000
    if number == signal.SIGTERM:
        process = start("resume", directory, cache=cache)
        process.communicate(timeout=300)
        assert process.returncode == 0
        same(final_state(directory), final_state(whole))
        assert rows(directory) == rows(whole)


@pytest.fixture(scope="module")
def short(tmp_path_factory):
    """A run of a table in this process, and its configuration."""
    directory = tmp_path_factory.mktemp("short") / "run"
    config = jaxq.configure(
        "FrozenLake-v1", "q_learning", agents=4, steps=2_000, segments=10, checkpoint_segments=4
    )
    return config, directory, jaxq.Experiment(config, directory).run()


@pytest.fixture
def copied(short, tmp_path):
    return shutil.copytree(short[1], tmp_path / "copy")


def test_resuming_a_run_that_ended_changes_nothing(short, copied):
    again = jaxq.Experiment.resume(copied).run()
    np.testing.assert_array_equal(again, short[2])
    assert rows(copied) == rows(short[1])


def test_a_metrics_line_cut_in_the_middle_is_written_anew(short, copied):
    metrics = copied / "metrics.jsonl"
    shutil.rmtree(copied / "checkpoints" / "0000002000")
    metrics.write_text(metrics.read_text()[:-40])
    jaxq.Experiment.resume(copied).run()
    assert rows(copied) == rows(short[1])
    same(final_state(copied), final_state(short[1]))


def test_before_the_first_checkpoint_a_run_begins_anew(short, copied, capsys):
    shutil.rmtree(copied / "checkpoints")
    assert cli.main(["resume", str(copied)]) == 0
    assert "begins anew" in capsys.readouterr().out
    assert rows(copied) == rows(short[1])
    assert returns(copied) == returns(short[1])


def test_a_damaged_checkpoint_is_named_and_the_one_before_is_used(short, copied, capsys):
    newest = copied / "checkpoints" / "0000002000"
    largest = max(newest.rglob("*"), key=lambda path: path.stat().st_size)
    largest.write_bytes(largest.read_bytes()[:-1])
    assert cli.main(["resume", str(copied)]) == 0
    error = capsys.readouterr().err
    assert f"{largest.relative_to(newest)}' is not what was written" in error
    assert error.count("\n") == 1
    same(final_state(copied), final_state(short[1]))


def test_a_manifest_that_does_not_say_all_is_damage(short, copied, capsys):
    plan, newest = prepare(short[0]), copied / "checkpoints" / "0000002000"
    whole = read_manifest(newest)
    Progress.restored(plan.config.agents, whole)
    for name, value in [
        ("returns", [1.0]),
        ("returns", ["1", 1.0, 1.0, 1.0]),
        ("returns", [float("inf"), 1.0, 1.0, 1.0]),
        ("seconds", None),
        ("seconds", 10**400),
        ("diverged", [4]),
        ("stopped", [True]),
    ]:
        with pytest.raises(DamagedError):
            Progress.restored(plan.config.agents, whole | {name: value})
    edit(newest, lambda described: described.pop("returns"))
    assert cli.main(["resume", str(copied)]) == 0
    assert (
        "0000002000 cannot be used: manifest.json: returns must be a list of 4 numbers"
        in capsys.readouterr().err
    )
    same(final_state(copied), final_state(short[1]))


def test_more_steps_are_those_of_a_longer_run(tmp_path):
    """Where segments end differs, and what is learned does not."""
    keywords = {"epsilon_steps": 0}

    def config(steps):
        return jaxq.configure(
            "FrozenLake-v1", "q_learning", agents=2, steps=steps, keywords=keywords, segments=7
        )

    jaxq.Experiment(config(1_000), tmp_path / "run").run()
    jaxq.Experiment.resume(tmp_path / "run", steps=3_000).run()
    jaxq.Experiment(config(3_000), tmp_path / "longer").run()
    same(final_state(tmp_path / "run"), final_state(tmp_path / "longer"))
    assert json.loads((tmp_path / "run" / "config.json").read_text())["steps"] == 3_000


def contents(directory):
    """Return what is in all files of a directory."""
    return {path: path.read_bytes() for path in directory.rglob("*") if path.is_file()}


def test_fewer_steps_than_are_done_are_refused(copied, capsys):
    before = contents(copied)
    assert cli.main(["resume", str(copied), "--steps", "1000"]) == 2
    error = capsys.readouterr().err
    assert "steps must be at least the 2000 that each agent has done, got 1000" in error
    assert error.count("\n") == 1
    # Nor those that somebody has written into the configuration.
    config = copied / "config.json"
    config.write_text(config.read_text().replace('"steps": 2000', '"steps": 1000'))
    assert cli.main(["resume", str(copied)]) == 2
    assert contents(copied) == before | {config: config.read_bytes()}


# A table with two schedules, of which agents have one of their own each.
SCHEDULED = (
    "train FrozenLake-v1 --algorithm q_learning --agents 2 --steps 1500 --segments 5 --set "
    "exploration=boltzmann --sweep epsilon_steps=300,3000 --sample "
    "temperature_steps=uniform:150:600 --out"
)


def test_all_schedules_keep_their_shares_of_a_longer_run(tmp_path, capsys):
    assert cli.main([*SCHEDULED.split(), str(tmp_path / "run")]) == 0
    before = final_state(tmp_path / "run").hparams
    assert cli.main(["resume", str(tmp_path / "run"), "--steps", "2000"]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "stretch with the run to 2,000 steps: epsilon_steps, temperature_steps" in said
    after = final_state(tmp_path / "run").hparams
    assert after.epsilon_steps.tolist() == [400, 4_000]
    assert_allclose(after.temperature_steps, before.temperature_steps * 4 / 3, rtol=1e-6)
    # And the next time from there, by the configuration that was written.
    described = RunDirectory.open(tmp_path / "run").read_config()
    assert (described["steps"], described["sweep"]) == (2_000, {"epsilon_steps": [400, 4_000]})
    assert described["sample"] == {"temperature_steps": "uniform:200.0:800.0"}
    assert_allclose(described["sampled"]["temperature_steps"], after.temperature_steps, rtol=1e-6)


def test_the_schedules_of_a_network_stretch_alike_whoever_set_them():
    keywords = {"prioritized": True, "epsilon_steps": 500}
    config = jaxq.configure("Catch-bsuite", steps=1_500, keywords=keywords)
    assert config.keywords["learning_rate_steps"] == 1_500
    longer = extended(config, 3_000)
    assert longer.steps == 3_000
    lengths = {name: longer.keywords[name] for name in longer.keywords if name.endswith("_steps")}
    expected = {"learning_rate_steps": 3_000, "epsilon_steps": 1_000}
    assert lengths == {**expected, "importance_steps": 3_000}
    assert extended(longer, 3_000) == longer
    # A constant learning rate stays constant.
    constant = jaxq.configure("Catch-bsuite", steps=1_500, keywords={"learning_rate_steps": 0})
    assert extended(constant, 3_000).keywords["learning_rate_steps"] == 0


def test_a_longer_run_that_was_killed_before_its_first_checkpoint_has_its_schedules(tmp_path):
    assert cli.main([*SCHEDULED.split(), str(tmp_path / "run")]) == 0
    # What such a run leaves behind: the new length noted, and the old checkpoint.
    directory = RunDirectory.open(tmp_path / "run")
    longer = extended(config_of(directory.read_config()), 2_000)
    directory.note_resumed(describe(prepare(longer)), 1_500, [])
    assert cli.main(["resume", str(tmp_path / "run")]) == 0
    state = final_state(tmp_path / "run")
    assert (int(state.steps), state.hparams.epsilon_steps.tolist()) == (2_000, [400, 4_000])


def test_a_second_process_in_the_same_directory_is_refused(copied, capsys):
    with RunDirectory.open(copied).locked():
        assert cli.main(["resume", str(copied)]) == 2
    assert "another process is running" in capsys.readouterr().err
    assert cli.main(["resume", str(copied)]) == 0


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "is no run directory"),
        ("{", "config.json: no JSON"),
        ("[]", "config.json: expected names with values"),
        ('{"environment": "CartPole-v1"}', "it has no algorithm"),
    ],
)
def test_what_is_no_run_directory_is_refused(tmp_path, capsys, content, words):
    if content is not None:
        (tmp_path / "config.json").write_text(content)
    assert cli.main(["resume", str(tmp_path)]) == 2
    error = capsys.readouterr().err
    assert words in error
    assert error.count("\n") == 1


def test_evaluating_again_gives_the_run_s_own_returns(short, capsys):
    assert cli.main(["evaluate", str(short[1]), "--json"]) == 0
    output = capsys.readouterr()
    evaluated = json.loads(output.out)
    assert evaluated["returns"] == returns(short[1])
    assert set(evaluated) == {"returns", "iqm", "interval", "warnings", "checkpoint", "skipped"}
    assert (evaluated["checkpoint"], evaluated["skipped"]) == (2_000, [])
    (warning,) = evaluated["warnings"]
    assert "The 95% interval of 4 agents covers the true IQM less often than it says" in warning
    assert output.err == f"jaxq: warning: {warning}\n"
    assert cli.main(["evaluate", str(short[1]), "--strict"]) == 0
    assert capsys.readouterr().err == output.err
    assert cli.main(["evaluate", str(short[1]), "--episodes", "3", "--seed", "5", "--json"]) == 0
    assert np.shape(json.loads(capsys.readouterr().out)["returns"]) == (4, 3)
    assert cli.main(["evaluate", str(short[1]), "--episodes", "0"]) == 2
    capsys.readouterr()
    assert cli.main(["evaluate", str(short[1]), "--episodes", "1000000000"]) == 2
    assert "what would fit" in capsys.readouterr().err


def broken(newest):
    flip(newest / "manifest.json")
    return "manifest.json is not what was written"


def linked(newest):
    newest.rename(newest.parent.parent / "elsewhere")
    newest.symlink_to(newest.parent.parent / "elsewhere")
    return "is a link"


def gone(newest):
    shutil.rmtree(newest)
    return "is missing"


@pytest.mark.parametrize("damage", [broken, linked, gone])
def test_evaluating_an_older_checkpoint_is_said_and_may_be_refused(short, copied, capsys, damage):
    words = damage(copied / "checkpoints" / "0000002000")
    assert cli.main(["evaluate", str(copied), "--strict"]) == 1
    out, error = capsys.readouterr()
    assert (out, error.count("\n")) == ("", 1)
    assert words in error
    assert cli.main(["evaluate", str(copied), "--json"]) == 0
    out, error = capsys.readouterr()
    assert error.count("\n") == 2  # and that four agents are few
    assert words in error
    assert "the one after 1600 steps is used" in error
    evaluated = json.loads(out)
    assert evaluated["checkpoint"] == 1_600
    assert len(evaluated["skipped"]) == 1
    assert words in evaluated["skipped"][0]


@pytest.fixture
def small_disk(tmp_path):
    """A file system of its own that fills up soon."""
    path = tmp_path / "disk"
    path.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(path)]
    if shutil.which("mount") is None or subprocess.run(mount, check=False).returncode:
        pytest.skip("needs the right to mount a small file system")
    yield path
    subprocess.run(["umount", str(path)], check=True)


def test_on_a_full_disk_the_last_good_checkpoint_stays(tmp_path, cache, small_disk):
    directory = small_disk / "run"
    process = start(*WORDS.split(), "--out", directory, cache=cache)
    assert wait_for(lambda: list(directory.glob("checkpoints/0*")), process)
    with (small_disk / "somebody else's").open("wb", buffering=0) as file:
        while process.poll() is None:
            try:
                file.write(bytes(4096))
            except OSError:
                time.sleep(0.01)
    out, error = process.communicate(timeout=300)
    assert process.returncode == 1, out
    # Where the disk fills up in the middle of a checkpoint, orbax has its say before.
    assert "No space left on device" in error.splitlines()[-1]
    assert Checkpoints(directory / "checkpoints").restore(_template(directory)).facts["steps"] > 200
    # Where there is space again, it goes on.
    moved = shutil.copytree(directory, tmp_path / "moved")
    reached = rows(moved)[-1][0] + 200
    process = start("resume", moved, "--steps", reached, cache=cache)
    _, error = process.communicate(timeout=300)
    assert process.returncode == 0, error


def _template(directory):
    return prepare(config_of(RunDirectory.open(directory).read_config())).population.template


def test_an_experiment_with_a_network_of_ones_own_resumes_from_python(tmp_path):
    network = jaxq.networks.QNetwork(
        jaxq.networks.Torso(jaxq.envs.make("Catch-bsuite").observation_spec, (8,)),
        jaxq.networks.LinearHead(3),
    )
    config = jaxq.configure("Catch-bsuite", agents=1, steps=1_500, keywords={"network": network})
    jaxq.Experiment(config, tmp_path / "run").run()
    with pytest.raises(jaxq.InputError, match="network was given in Python"):
        jaxq.Experiment.resume(tmp_path / "run")
    again = jaxq.Experiment.resume(tmp_path / "run", config=config).run()
    assert json.loads(json.dumps(again.astype(float).tolist())) == returns(tmp_path / "run")


def test_a_sweep_with_a_network_of_ones_own_resumes_from_python(tmp_path):
    spec = jaxq.envs.make("Catch-bsuite").observation_spec
    network = jaxq.networks.QNetwork(jaxq.networks.Torso(spec, (4,)), jaxq.networks.LinearHead(3))
    groups = jaxq.configure_sweep("Catch-bsuite", agents=1, steps=1_200, sweep={"network": [network]})
    sweep = jaxq.Sweep(groups, tmp_path / "sweep")
    with pytest.raises(jaxq.InputError, match="network was given in Python"):
        jaxq.Sweep.resume(tmp_path / "sweep")
    with pytest.raises(jaxq.InputError, match="groups must be those of the sweep"):
        jaxq.Sweep.resume(tmp_path / "sweep", groups={"other": groups["network=QNetwork"]})
    first = sweep.run()
    (tmp_path / "sweep" / "network=QNetwork" / "report" / "evaluation.json").unlink()
    again = jaxq.Sweep.resume(tmp_path / "sweep", groups=groups).run()
    np.testing.assert_array_equal(first["network=QNetwork"], again["network=QNetwork"])


@pytest.mark.optimized
def test_a_population_may_go_on_on_another_number_of_devices(short, copied):
    plan = prepare(config_of(RunDirectory.open(copied).read_config()))
    one = jaxq.Population(
        plan.population.trainer,
        4,
        chunk=plan.population.chunk,
        mesh=jax.make_mesh((1,), ("agents",), devices=jax.devices()[:1]),
    )
    saved = Checkpoints(copied / "checkpoints").restore(one.template)
    same(one.run(saved.state, 50)[0], plan.population.run(final_state(copied), 50)[0])


def test_the_directory_may_be_a_path_or_text(short):
    assert jaxq.Experiment.resume(str(short[1])).directory.path == Path(short[1])
