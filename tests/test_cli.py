import json
import os
import subprocess
import sys
from pathlib import Path

import jax
import pytest

from jaxq import cli
from jaxq.storage.machine_cache import enable_compilation_cache


def run(*arguments, cache):
    return subprocess.run(
        [sys.executable, "-m", "jaxq.cli", *arguments],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
        env={**os.environ, "XDG_CACHE_HOME": str(cache)},
    )


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    runs = tmp_path_factory.mktemp("runs")
    out = runs / "new" / "run"
    arguments = "--agents 4 --steps 4000 --seed 3 --set hidden_sizes=16 dueling=true --set loss=huber"
    sweep = "--sweep learning_rate=1e-3,1e-2"
    result = run(
        "train",
        "CartPole-v1",
        *arguments.split(),
        *sweep.split(),
        "--out",
        str(out),
        cache=runs / "cache",
    )
    return result, out


def test_train_prints_where_it_writes_and_how_it_went(trained):
    result, out = trained
    assert result.returncode == 0, result.stderr
    assert str(out) in result.stdout
    assert "steps/s" in result.stdout
    assert "IQM" in result.stdout
    assert "learning_rate" in result.stdout
    assert "memory: " in result.stdout


def test_compiled_programs_are_kept_for_the_next_run(trained):
    _, out = trained
    assert list((out.parents[1] / "cache" / "jaxq" / "programs").glob("*/*run*"))


def test_a_cache_that_cannot_be_written_is_done_without(monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", "/dev/null")
    before = jax.config.jax_compilation_cache_dir
    jax.config.update("jax_compilation_cache_dir", None)
    try:
        enable_compilation_cache()
        assert jax.config.jax_compilation_cache_dir is None
    finally:
        jax.config.update("jax_compilation_cache_dir", before)


def test_the_run_directory(trained):
    _, out = trained
    config = json.loads((out / "config.json").read_text())
    assert config["agents"] == 4
    assert config["settings"]["hidden_sizes"] == [16]
    assert config["settings"]["dueling"] is True
    assert config["settings"]["loss"] == "huber"
    assert config["sweep"] == {"learning_rate": [1e-3, 1e-2]}
    assert config["versions"]["gymnax"].startswith("1.")
    rows = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    assert rows[-1]["steps"] == 4000
    assert [row["steps"] for row in rows] == sorted({row["steps"] for row in rows})
    for name in ("episode_return", "episode_length", "episodes", "loss", "td_error", "q_value"):
        assert len(rows[-1]["agents"][name]) == 4
    assert list((out / "tensorboard").glob("events.out.tfevents.*"))
    assert (out / "report" / "learning_curves.svg").read_text().startswith("<svg")
    evaluation = json.loads((out / "report" / "evaluation.json").read_text())
    assert [len(row) for row in evaluation["returns"]] == [32] * 4


@pytest.mark.optimized
def test_the_same_seed_gives_the_same_numbers(trained, tmp_path):
    """In another process too: the first was one of its own."""
    _, first = trained
    command = json.loads((first / "config.json").read_text())["command"][1:-1]
    assert cli.main([*command, str(tmp_path / "again")]) == 0
    evaluations = [
        json.loads((out / "report" / "evaluation.json").read_text())["returns"]
        for out in (first, tmp_path / "again")
    ]
    assert evaluations[0] == evaluations[1]


def test_without_out_it_writes_below_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    words = "train FrozenLake-v1 --algorithm q_learning --agents 1 --steps 200"
    assert cli.main(words.split()) == 0
    (directory,) = (tmp_path / "runs").iterdir()
    assert directory.name.startswith("FrozenLake-v1-q_learning-")
    assert (directory / "metrics.jsonl").exists()


def test_a_table_is_trained_in_the_same_way(tmp_path):
    arguments = "train FrozenLake-v1 --algorithm sarsa --agents 4 --steps 2000 --sweep discount=0.9,0.99"
    assert cli.main([*arguments.split(), "--out", str(tmp_path / "run")]) == 0
    config = json.loads((tmp_path / "run" / "config.json").read_text())
    assert config["settings"]["rule"] == "sampled"
    assert config["sweep"] == {"discount": [0.9, 0.99]}


def test_leaves_of_a_setting_can_be_swept_with_it(tmp_path):
    arguments = (
        "train FrozenLake-v1 --algorithm q_learning --agents 4 --steps 200 "
        "--set exploration=boltzmann --sweep temperature_end=0.01,0.1"
    )
    assert cli.main([*arguments.split(), "--out", str(tmp_path / "run")]) == 0


def test_the_shortest_run_that_learns(tmp_path):
    words = "train CartPole-v1 --agents 1 --steps 1005 --set hidden_sizes=8 --out"
    assert cli.main([*words.split(), str(tmp_path / "run")]) == 0
    assert len((tmp_path / "run" / "metrics.jsonl").read_text().splitlines()) == 1


@pytest.mark.parametrize(
    ("words", "shown"),
    {
        "": "usage",
        "--help": "usage",
        "train --help": "usage",
        "envs --help": "usage",
        "envs": "CartPole-v1",
        "algorithms": "dqn",
        "--version": "jaxq ",
    }.items(),
)
def test_lists_and_help(words, shown, capsys):
    assert cli.main(words.split()) == 0
    assert shown in capsys.readouterr().out


MISTAKES = {
    "": "jaxq train CartPole-v1",
    "CartPole-v1 --agents 0 --steps 0 --set discount=2 learning_rate=-1": "4 mistakes",
    "CartPole-v1 --set discount=2 --set bath_size=3 --sweep epsilon_end=7": "3 mistakes",
    "CartPole-v1 --segments 0": "segments must be at least 1",
    "CartPole-v1 --checkpoint-segments 0": "checkpoint_segments",
    "CartPole-v1 --checkpoint-minutes nan": "checkpoint_minutes",
    "CartPole-v1 --on-divergence panic": "on_divergence",
    "--config /dev/null/x.toml": "cannot be read",
    "--config /dev/null": "names no environment",
    "CartPole-v2": "did you mean CartPole-v1",
    "Pendulum-v1": "continuous actions",
    "CartPole-v1 --algorithm dqnn": "did you mean dqn",
    "CartPole-v1 --agent 3": "--agent",
    "CartPole-v1 --agents 0": "agents must be at least 1",
    "CartPole-v1 --agents -2": "agents must be at least 1",
    "CartPole-v1 --agents many": "--agents",
    "CartPole-v1 --agents 1000000000": "what would fit",
    "CartPole-v1 --steps 0": "steps must be at least 1",
    "CartPole-v1 --steps -5": "steps must be at least 1",
    "CartPole-v1 --steps 10": "more than",
    "CartPole-v1 --steps 99999999999": "at most",
    "CartPole-v1 --set discount=0.9 --sweep discount=0.8,0.9": "both set and swept",
    "CartPole-v1 --set learning_rate=0.1,0.2": "--sweep learning_rate",
    "CartPole-v1 --set target_interval=1e10": "at most",
    f"CartPole-v1 --agents {10**400}": "at most",
    "CartPole-v1 --seed -1": "seed",
    "CartPole-v1 --seed 4294967296": "seed",
    "CartPole-v1 --set learning_rate=nan": "got nan",
    "CartPole-v1 --set learning_rate=inf": "got inf",
    "CartPole-v1 --set learning_rate": "name=value",
    "CartPole-v1 --set learning_rate=": "name=value",
    "CartPole-v1 --set learning_rat=1": "did you mean learning_rate",
    "CartPole-v1 --set discount=1.5": "[0, 1]",
    "CartPole-v1 --set discount=0.9 discount=0.8": "twice",
    "CartPole-v1 --set batch_size=20000 --set buffer_size=10000": "buffer_size",
    "CartPole-v1 --set hidden_sizes=64,x": "hidden_sizes",
    "CartPole-v1 --set double=maybe": "True or False",
    "CartPole-v1 --set optimizer=adam": "optimizer",
    "CartPole-v1 --set network=mlp": "network",
    "CartPole-v1 --sweep temperature_end=1,2": "These may vary",
    "CartPole-v1 --sweep batch_size=32,64 --agents 3": "--agents 4",
    "CartPole-v1 --sweep batch_size=0,32": "batch_size=0: batch_size must be at least 1",
    "CartPole-v1 --sweep hidden_sizes=64x64,64x0": "hidden_sizes",
    "CartPole-v1 --sweep algorithm=dqn,c52": "did you mean c51",
    "CartPole-v1 --sweep environment=Acrobot-v1": "both set and swept",
    "CartPole-v1 --sweep batch_size=32,64 --out /dev": "exists already",
    "CartPole-v1 --sweep learning_rate=1e-3,": "learning_rate",
    "CartPole-v1 --sweep learning_rate=1e-3,2e-3 --agents 3": "--agents 4",
    "CartPole-v1 --sample learning_rate": "loguniform:1e-4:1e-2",
    "CartPole-v1 --sample learning_rate=1e-4:1e-2": "unknown distribution",
    "CartPole-v1 --sample batch_size=uniform:1:2 discount=uniform:0:2": "2 mistakes",
    "CartPole-v1 --agents 8 --halvings 4": "--halvings 3",
    "CartPole-v1 --steps 2000 --halvings 2": "--halvings 1",
    "CartPole-v1 --out /dev/null/run": "cannot be written",
    "CartPole-v1 --out /dev": "exists already",
    "CartPole-v1 --track wandbb": "did you mean wandb",
}


@pytest.mark.parametrize("words", MISTAKES)
def test_a_mistake_is_one_line_and_exit_code_2(words, capsys):
    assert cli.main(["train", *words.split()]) == 2
    output = capsys.readouterr()
    assert output.out == ""
    (line,) = output.err.splitlines()
    assert MISTAKES[words] in line


def test_an_unknown_command_is_one_line_and_exit_code_2(capsys):
    assert cli.main(["fly"]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_a_mistake_leaves_no_directory_behind(tmp_path):
    out = tmp_path / "run"
    assert cli.main(["train", "CartPole-v1", "--set", "discount=2", "--out", str(out)]) == 2
    assert not out.exists()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_an_unwritable_directory_is_refused(tmp_path):
    tmp_path.chmod(0o500)
    assert cli.main(["train", "CartPole-v1", "--out", str(tmp_path / "run")]) == 2
    assert not Path(tmp_path / "run").exists()
