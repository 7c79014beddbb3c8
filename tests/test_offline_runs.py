"""Runs that learn from logged data: what they write, how they go on, and what is refused."""

import json

import jax
import numpy as np
import pytest
from test_contract import same

import jaxq
from jaxq import cli
from jaxq.configuration import read_config
from jaxq.view import run_data

SMALL = {"hidden_sizes": (16,), "batch_size": 16}


@pytest.fixture(scope="module")
def log(tmp_path_factory):
    """Random actions on the frozen lake."""
    env, steps = jaxq.envs.make("FrozenLake-v1"), 4_000

    def step(game, key):
        env_state, observation = game
        action = jax.random.randint(key, (), 0, env.num_actions)
        env_state, timestep = env.step(key, env_state, action, env.params)
        row = {
            "observation": observation,
            "action": action,
            "reward": timestep.reward,
            "terminated": timestep.terminated,
            "truncated": timestep.truncated,
            "next_observation": timestep.final_observation,
        }
        return (env_state, timestep.observation), row

    game = env.reset(jax.random.key(0), env.params)
    columns = jax.device_get(jax.lax.scan(step, game, jax.random.split(jax.random.key(1), steps))[1])
    columns["truncated"] = columns["truncated"] | (np.arange(steps) == steps - 1)
    path = tmp_path_factory.mktemp("log") / "log.npz"
    np.savez(path, num_actions=env.num_actions, **columns)
    return path


def configured(log, environment="FrozenLake-v1", algorithm="dqn", **others):
    settings = {"agents": 2, "steps": 1_000, "segments": 2, "keywords": SMALL, "offline": log}
    return jaxq.configure(environment, algorithm, **(settings | others))


def test_random_logs_teach_a_good_policy(log, tmp_path):
    config = configured(log, steps=30_000, keywords={"hidden_sizes": (32,)})
    returns = jaxq.Experiment(config, tmp_path / "run").run()
    # Random actions reach the goal in 1.4% of the episodes, the best policy in 74%.
    assert returns.mean() > 0.4


def test_a_run_notes_its_data_and_goes_on_from_it(log, tmp_path):
    whole = jaxq.Experiment(configured(log), tmp_path / "whole")
    whole.run()
    written = json.loads((tmp_path / "whole" / "config.json").read_text())
    assert written["offline"] == str(log)
    assert written["offline_share"] == 1
    assert len(written["offline_digest"]) == 64
    again = jaxq.Experiment.resume(tmp_path / "whole", steps=1_400)
    again.run()
    assert jaxq.load(tmp_path / "whole", which=0).origin.steps == 1_400


def test_a_repeated_run_is_the_same(log, tmp_path):
    for name in ("first", "second"):
        jaxq.Experiment(configured(log), tmp_path / name).run()
    first, second = (jaxq.load(tmp_path / name, which=0).learner for name in ("first", "second"))
    same(first, second)


def test_changed_data_is_refused(log, tmp_path):
    own = tmp_path / "own.npz"
    own.write_bytes(log.read_bytes())
    jaxq.Experiment(configured(own), tmp_path / "run").run()
    columns = dict(np.load(own))
    columns["reward"] = columns["reward"] + 1
    np.savez(own, **columns)
    with pytest.raises(jaxq.InputError, match="not what this run learned from"):
        jaxq.Experiment.resume(tmp_path / "run", steps=2_000)
    own.unlink()
    with pytest.raises(jaxq.InputError, match="no file"):
        jaxq.load(tmp_path / "run")


def test_a_log_alone_is_learned_from_and_not_played(log, tmp_path, capsys):
    out = tmp_path / "run"
    arguments = ["train", "--offline", str(log), "--agents", "2", "--steps", "600", "--segments", "2"]
    settings = ["--set", "hidden_sizes=8", "batch_size=8", "--out", str(out)]
    assert cli.main([*arguments, *settings]) == 0
    assert "a log cannot be played" in capsys.readouterr().out
    assert jaxq.load(out, which=0).q_values([0, 1]).shape == (2, 4)
    assert cli.main(["evaluate", str(out)]) == 2
    assert "jaxq ope" in capsys.readouterr().err
    data = run_data(out)
    assert data["agents"] == {}
    assert any("log alone" in note for note in data["notes"])


def test_data_is_mixed_into_what_an_agent_does(log, tmp_path):
    keywords = {**SMALL, "learning_starts": 100}
    config = configured(log, offline_share=0.5, keywords=keywords)
    experiment = jaxq.Experiment(config, tmp_path / "run")
    experiment.run()
    lines = (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()
    rows = [json.loads(line) for line in lines]
    assert sum(sum(row["agents"]["episodes"]) for row in rows) > 0


def test_a_repeated_run_may_learn_from_another_log(log, tmp_path):
    run, other = tmp_path / "run", tmp_path / "other.npz"
    jaxq.Experiment(configured(log), run).run()
    with np.load(log) as columns:
        np.savez(other, **{name: columns[name] for name in columns} | {"reward": -columns["reward"]})
    again = read_config(run / "config.json", {"offline": other})
    assert again.offline == str(other)
    assert again.offline_digest == configured(other).offline_digest != configured(log).offline_digest


def test_actions_that_the_behaviour_hardly_takes_are_no_divergence(log, tmp_path):
    keywords = {**SMALL, "bcq_threshold": 1.0}
    jaxq.Experiment(configured(log, algorithm="bcq", keywords=keywords), tmp_path / "run").run()
    assert jaxq.load(tmp_path / "run", which=0).q_values(np.arange(16)).min() < -1e19
    evaluation = json.loads((tmp_path / "run" / "report" / "evaluation.json").read_text())
    assert evaluation["diverged"] == []


def test_leaves_are_swept(log, tmp_path):
    config = configured(log, agents=4, sweep={"learning_rate": [1e-4, 1e-2]})
    jaxq.Experiment(config, tmp_path / "run").run()
    slow, fast = (jaxq.load(tmp_path / "run", which=agent).q_values(14).max() for agent in (0, 2))
    assert slow < fast


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"offline": "none.npz"}, "there is no file none.npz"),
        ({"offline": 3}, "offline must be the path"),
        ({"offline_share": 0.0}, "share"),
        ({"offline_share": 2}, "share"),
        ({"environment": None, "offline_share": 0.5}, "without an environment"),
        ({"environment": None, "offline": None}, "an environment must be given"),
        ({"keywords": {"buffer_size": 100}}, "buffer_size"),
        ({"algorithm": "q_learning", "keywords": {}}, "replay"),
        ({"environment": "CartPole-v1"}, "observation"),
    ],
)
def test_what_cannot_be_is_refused(log, changes, told, tmp_path):
    with pytest.raises(jaxq.InputError, match=told):
        jaxq.Experiment(configured(**({"log": log} | changes)), tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.fixture(scope="module")
def tables(tmp_path_factory):
    path = tmp_path_factory.mktemp("tables") / "run"
    config = jaxq.configure("FrozenLake-v1", "q_learning", agents=2, steps=10_000, segments=2)
    jaxq.Experiment(config, path).run()
    return path


def test_an_agent_is_logged_and_judged_by_its_log(tables, tmp_path, capsys):
    out = tmp_path / "log.npz"
    words = ["--steps", "3000", "--epsilon", "0.3", "--agent", "1"]
    assert cli.main(["collect", str(tables), "--out", str(out), *words]) == 0
    data = jaxq.dataset.load(out)
    assert len(data.action) >= 3_000
    # The agent's own choice has 0.7 + 0.3 / 4, others 0.3 / 4.
    assert {round(float(p), 3) for p in data.behaviour_probability} == {0.075, 0.775}
    capsys.readouterr()
    assert cli.main(["ope", str(tables), "--data", str(out), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["estimator"] == "weighted_importance"
    values = [row["value"] for row in found["agents"]]
    assert values == sorted(values, reverse=True)
    assert all(row["low"] <= row["value"] <= row["high"] for row in found["agents"])
    assert cli.main(["ope", str(tables), "--data", str(out), "--agent", "0"]) == 0
    assert "weighted_importance" in capsys.readouterr().out


def test_agents_of_a_log_alone_are_judged_by_it(log, tmp_path, capsys):
    config = configured(log, environment=None)
    jaxq.Experiment(config, tmp_path / "run").run()
    arguments = ["ope", str(tmp_path / "run"), "--data", str(log), "--json"]
    assert cli.main(arguments) == 0
    found = json.loads(capsys.readouterr().out)
    # The log does not say how likely its actions were.
    assert found["estimator"] == "fitted_q"
    assert cli.main([*arguments, "--estimator", "doubly_robust"]) == 2
    assert cli.main(["collect", str(tmp_path / "run"), "--out", "x.npz", "--agent", "0"]) == 2


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["collect", "{run}", "--out", "{tmp}/x.csv"], ".npz or .parquet"),
        (["collect", "{run}", "--out", "{log}"], "exists already"),
        (["collect", "{run}", "--out", "{tmp}/x.npz", "--epsilon", "2"], "epsilon"),
        (["collect", "{run}", "--out", "{tmp}/x.npz", "--agent", "2"], "below the 2"),
        (["ope", "{run}", "--data", "{tmp}/none.npz"], "there is no file"),
        (["ope", "{run}", "--data", "{log}", "--estimator", "best"], "unknown estimator"),
        (["ope", "{tmp}", "--data", "{log}"], "no run directory"),
    ],
)
def test_bad_input_is_one_line(words, told, tables, log, tmp_path, capsys):
    assert cli.main([word.format(run=tables, log=log, tmp=tmp_path) for word in words]) == 2
    error = capsys.readouterr().err
    assert told in error
    assert error.count("\n") == 1
