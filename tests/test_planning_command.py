"""`jaxq plan` with a run of its own, the files it reads, and those that it refuses."""

import io
import json
import os
import pickle
import subprocess
import sys
import zipfile

import jax
import numpy as np
import pytest

import jaxq
from jaxq import cli
from jaxq.cli import planning


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    directory = tmp_path_factory.mktemp("runs") / "grid"
    config = jaxq.configure("Cliff-grid", "q_learning", agents=2, steps=40_000)
    jaxq.Experiment(config, directory).run()
    return directory


@pytest.fixture(scope="module")
def vectors(tmp_path_factory, small):
    directory = tmp_path_factory.mktemp("runs") / "vectors"
    config = jaxq.configure("CartPole-v1", "dqn", agents=2, steps=200, keywords=small())
    jaxq.Experiment(config, directory).run()
    return directory


def planned(capsys, *words):
    code = cli.main(["plan", *map(str, words)])
    output = capsys.readouterr()
    assert code == 0, output.err
    return output.out


def refused(capsys, *words):
    assert cli.main(["plan", *map(str, words)]) == 2
    output = capsys.readouterr()
    assert output.out == ""
    (line,) = output.err.splitlines()
    assert line.startswith("jaxq: error: ")
    return line


def test_the_command_itself(run):
    result = subprocess.run(
        [sys.executable, "-m", "jaxq.cli", "plan", str(run), "--horizon", "15", "--json"],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
        env={**os.environ, "XDG_CACHE_HOME": str(run.parent / "cache")},
    )
    assert result.returncode == 0, result.stderr
    plan = json.loads(result.stdout)
    best = plan["actions"][0]
    assert best["name"] == "up"
    assert best["outlook"]["horizon"] == 15
    assert plan["confidence_kind"] == "visits"
    # Falling off the cliff on the way costs 100.
    assert plan["actions"][-1]["name"] == "right"


def test_it_prints_a_table_and_what_to_expect(run, capsys):
    text = planned(capsys, run, "--horizon", 3, "--samples", 4, "--agent", 1, "--rollouts", "all")
    assert "advantage" in text
    assert "probability of recovery: " in text
    assert text.count("100%") >= 3


def test_an_observation_is_read_from_json_npz_and_standard_input(
    run, vectors, tmp_path, capsys, monkeypatch
):
    agent = jaxq.load(run)
    wanted = agent.plan(24).to_dict()
    for number, text in enumerate(["24", '{"observation": 24}']):
        path = tmp_path / f"{number}.json"
        path.write_text(text)
        assert json.loads(planned(capsys, run, "--observation", path, "--json")) == wanted
    np.savez(tmp_path / "one.npz", np.int32(24))
    assert json.loads(planned(capsys, run, "--observation", tmp_path / "one.npz", "--json")) == wanted
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"24")))
    assert json.loads(planned(capsys, run, "--observation", "-", "--json")) == wanted
    seen, legal = np.zeros(4, np.float32), np.array([False, True])
    np.savez(tmp_path / "two.npz", observation=seen, legal_actions=legal)
    plan = json.loads(planned(capsys, vectors, "--observation", tmp_path / "two.npz", "--json"))
    assert [action["legal"] for action in plan["actions"]] == [True, False]
    assert [action["action"] for action in plan["actions"]] == [1, 0]


@pytest.mark.parametrize(
    ("text", "message"),
    {
        "[1, 2": "cannot be read",
        "": "cannot be read",
        "[0, 0, 0, NaN]": "it holds NaN",
        "[0, 0, 0, Infinity]": "it holds Infinity",
        "[0, 0, 0, 1e400]": "finite",
        "[0, 0, 0]": "shape",
        "[[0, 0, 0, 0]]": "one observation",
        "[[0], [0, 0]]": "cannot be read",
        '["a", 0, 0, 0]': "no numbers",
        "[0, 0, 0, null]": "no numbers",
        "{}": "it holds nothing",
        '{"observations": [0, 0, 0, 0]}': "it holds observations",
        '{"observation": [0, 0, 0, 0], "legal_actions": [1, 2]}': "legal_actions must be bool",
        '{"observation": [0, 0, 0, 0], "legal_actions": [0, 0]}': "no action is legal",
        "[" * 100_000: "cannot be read",
    }.items(),
    ids=lambda text: text[:20],
)
def test_observations_that_cannot_be_used(text, message, vectors, tmp_path, capsys):
    path = tmp_path / "seen.json"
    path.write_text(text)
    assert message in refused(capsys, vectors, "--observation", path)


def test_files_that_cannot_be_used(vectors, tmp_path, capsys, monkeypatch):
    assert "No such file" in refused(capsys, vectors, "--observation", tmp_path / "none.json")
    assert "cannot be read" in refused(capsys, vectors, "--observation", tmp_path)
    (tmp_path / "text.npz").write_text("no archive")
    assert "cannot be read" in refused(capsys, vectors, "--observation", tmp_path / "text.npz")
    (tmp_path / "bytes.json").write_bytes(b"\xff\xfe")
    assert "cannot be read" in refused(capsys, vectors, "--observation", tmp_path / "bytes.json")
    np.savez(tmp_path / "nan.npz", np.array([0, 0, 0, np.nan]))
    assert "finite" in refused(capsys, vectors, "--observation", tmp_path / "nan.npz")
    with zipfile.ZipFile(tmp_path / "pickle.npz", "w") as archive:
        archive.writestr("observation.npy", pickle.dumps([0, 0, 0, 0]))
    assert "no numbers" in refused(capsys, vectors, "--observation", tmp_path / "pickle.npz")
    monkeypatch.setattr(planning, "_MOST_BYTES", 2**20)
    (tmp_path / "large.json").write_text(" " * (2**20 + 1))
    assert "larger than 1 MiB" in refused(capsys, vectors, "--observation", tmp_path / "large.json")
    np.savez_compressed(tmp_path / "bomb.npz", np.zeros(2**20))
    assert "larger than 1 MiB" in refused(capsys, vectors, "--observation", tmp_path / "bomb.npz")


@pytest.mark.parametrize(
    ("words", "message"),
    {
        "--agent 2": "below the 2 agents",
        "--agent worst": '"best", "iqm" or a number',
        f"--agent {'9' * 5_000}": "which must be",
        "--horizon 0": "horizon must be at least 1",
        "--horizon 3 --samples 1": "samples must be at least 2",
        "--horizon 3 --rollouts some": "unknown rollouts",
        "--horizon 3 --budget money": "name=value",
        "--horizon 3 --budget money=1": "has none",
        "--horizon 3 --observation -": "leave out --horizon",
        "--seed -1": "seed must be at least 0",
    }.items(),
    ids=lambda words: words[:30],
)
def test_words_that_cannot_be_used(words, message, run, capsys, monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"24")))
    assert message in refused(capsys, run, *words.split())


def test_a_loaded_recurrent_agent_plans_by_its_carry(tmp_path, small):
    keywords = small(recurrent_size=8, sequence_length=8, burn_in=2)
    keywords = {name: value for name, value in keywords.items() if name in jaxq.r2d2().settings}
    config = jaxq.configure("CartPole-v1", "r2d2", agents=1, steps=200, keywords=keywords)
    jaxq.Experiment(config, tmp_path / "run").run()
    agent = jaxq.load(tmp_path / "run", which=0)
    state, seen = agent.env.reset(jax.random.key(1), agent.env_params)
    action, carry = agent.act(seen)
    state, timestep = agent.env.step(jax.random.key(2), state, action, agent.env_params)
    told = {"carry": carry, "reward": timestep.reward}
    plan = agent.plan(timestep.observation, **told, env_state=state, horizon=3, samples=4)
    q = agent.q_values(timestep.observation, **told)
    np.testing.assert_allclose([a.q_value for a in plan.actions], np.sort(q)[::-1], rtol=1e-5)
    assert plan.best.action == int(agent.act(timestep.observation, **told)[0])
    with pytest.raises(jaxq.InputError, match="one observation"):
        agent.plan(np.zeros((2, 4)))
