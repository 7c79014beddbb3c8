"""Experiments with an environment and an algorithm that are objects of the user's own."""

import dataclasses
import json

import gymnax
import jax
import numpy as np
import pytest

import jaxq
from jaxq import cli
from jaxq.configuration.groups import split

KEY = jax.random.key(0)
# Two states; the second action pays, and ends the episode in the second state.
TABLE = {
    0: {0: [(1.0, 0, 0.0, False)], 1: [(1.0, 1, 1.0, False)]},
    1: {0: [(1.0, 0, 0.0, True)], 1: [(1.0, 0, 1.0, True)]},
}


def objects():
    env = jaxq.envs.from_table(TABLE, name="two-states")
    return env, jaxq.q_learning(num_envs=2, epsilon_steps=200)


def configured(**fields):
    fields = {"agents": 2, "steps": 400, "segments": 4, "evaluation_episodes": 2} | fields
    return jaxq.configure(*objects(), **fields)


class Halfway(jaxq.Callback):
    def on_segment(self, run, progress):
        return progress.steps >= 200


def test_what_is_trained_is_the_object(tmp_path):
    env, algorithm = objects()
    config = configured(sweep={"learning_rate": [0.1, 0.5]})
    returns = jaxq.Experiment(config, tmp_path / "run").run()
    hparams = jaxq.grid(jaxq.Trainer(env, algorithm).hparams, learning_rate=[0.1, 0.5])
    population = jaxq.Population(jaxq.Trainer(env, algorithm), 2)
    state, _ = population.run(population.init(jax.random.key(0), hparams), 400)
    agent = jaxq.load(tmp_path / "run", which=1, environment=env, algorithm=algorithm)
    expected = population.agent(state, 1).learner
    for one, other in zip(*map(jax.tree.leaves, (agent.learner, expected)), strict=True):
        np.testing.assert_array_equal(one, other)
    assert returns.shape == (2, 2)
    described = json.loads((tmp_path / "run" / "config.json").read_text())
    assert (described["environment"], described["algorithm"]) == ("two-states", "q_learning")
    assert {*described["only_in_python"]} == {"environment", "algorithm"}
    assert described["hparams"]["epsilon_steps"] == 200


def test_it_is_asked_for_where_it_is_needed(tmp_path):
    env, algorithm = objects()
    whole = jaxq.Experiment(configured(), tmp_path / "whole").run()
    run = tmp_path / "run"
    jaxq.Experiment(configured(), run, callbacks=[Halfway()]).run()
    call = r"resume\(directory, environment=environment, algorithm=algorithm\)"
    for given in ({}, {"environment": env}, {"algorithm": algorithm}):
        with pytest.raises(jaxq.InputError, match=call):
            jaxq.Experiment.resume(run, **given)
    with pytest.raises(jaxq.InputError, match=call.replace("resume", "load")):
        jaxq.load(run)
    other = jaxq.envs.from_table(TABLE, name="another")
    with pytest.raises(jaxq.InputError, match="called 'two-states', got 'another'"):
        jaxq.Experiment.resume(run, environment=other, algorithm=algorithm)
    resumed = jaxq.Experiment.resume(run, environment=env, algorithm=algorithm)
    np.testing.assert_array_equal(resumed.run(), whole)
    path = jaxq.load(run, environment=env, algorithm=algorithm).save(tmp_path / "agent")
    assert jaxq.load(path, environment=env, algorithm=algorithm).q_values(0).shape == (2,)


class Counting(jaxq.Agent):
    """An algorithm from scratch: it takes the second action, and counts at a rate that is a leaf."""

    name, num_envs, iteration_steps = "counting", 2, 4
    hparams = jaxq.Hparams.of(rate=jaxq.Hyperparameter(1.0, low=0, high=10))

    def init(self, key, hparams):
        return {"count": jax.numpy.float32(0)}, ()

    def act(self, key, learner, hparams, inputs):
        return self.policy(learner, inputs)

    def policy(self, learner, inputs):
        return jaxq.PolicyOutput(jax.numpy.ones(inputs.first.shape, jax.numpy.int32))

    def learn(self, key, learner, replay, hparams, newest, steps):
        count = learner["count"] + hparams.rate
        return {"count": count}, replay, jaxq.LearningStatistics(loss=count)


def test_an_algorithm_from_scratch_is_resumed_loaded_reported_on_and_viewed(tmp_path):
    env, run = objects()[0], tmp_path / "run"
    fields = {"agents": 2, "steps": 400, "segments": 4, "evaluation_episodes": 2}
    config = jaxq.configure(env, Counting(), sweep={"rate": [1.0, 2.0]}, **fields)
    whole = jaxq.Experiment(config, tmp_path / "whole").run()
    jaxq.Experiment(config, run, callbacks=[Halfway()]).run()
    resumed = jaxq.Experiment.resume(run, environment=env, algorithm=Counting()).run()
    np.testing.assert_array_equal(resumed, whole)
    assert (whole >= 1).all()  # a reward for each state
    agent = jaxq.load(run, which=1, environment=env, algorithm=Counting())
    assert agent.learner["count"] == 2 * 400 / 4
    assert agent.act(0)[0] == 1
    assert cli.main(["report", str(run), "--out", str(tmp_path / "report")]) == 0
    assert cli.main(["view", str(run), "--no-open", "--out", str(tmp_path / "view.html")]) == 0
    for written in "report/index.html", "view.html":
        assert "counting" in (tmp_path / written).read_text(encoding="utf-8")


def test_the_schedules_of_an_object_are_its_own(tmp_path):
    env, algorithm = objects()
    jaxq.Experiment(configured(), tmp_path / "run").run()
    longer = jaxq.Experiment.resume(tmp_path / "run", steps=800, environment=env, algorithm=algorithm)
    longer.run()
    agent = jaxq.load(tmp_path / "run", environment=env, algorithm=algorithm)
    assert agent.origin.steps == 800
    assert agent.hparams.epsilon_steps == 200


def test_only_one_of_the_two_may_be_an_object(tmp_path):
    env, algorithm = objects()
    config = jaxq.configure(env, "q_learning", agents=2, steps=400, keywords={"num_envs": 2})
    jaxq.Experiment(config, tmp_path / "run").run()
    with pytest.raises(jaxq.InputError, match=r"jaxq.load\(directory, environment=environment\)"):
        jaxq.load(tmp_path / "run")
    assert jaxq.load(tmp_path / "run", environment=env).q_values([0, 1]).shape == (2, 2)
    assert jaxq.configure("FrozenLake-v1", algorithm, agents=2).keywords == {}


def test_an_environment_of_gymnax_has_the_preset_of_its_name():
    env = jaxq.envs.from_gymnax(*gymnax.make("CartPole-v1"))
    config = jaxq.configure(env)
    by_name = jaxq.configure("CartPole-v1")
    assert dataclasses.replace(config, environment="CartPole-v1") == by_name


def test_what_does_not_fit_is_refused():
    env, algorithm = objects()
    for arguments, fields, message in (
        ((env, algorithm), {"keywords": {"num_envs": 4}}, r"keywords are for recipes by name"),
        ((env, algorithm), {"sweep": {"batch_size": [1, 2]}}, "cannot vary inside one population"),
        ((env, algorithm), {"sweep": {"discount": [2.0]}}, "discount"),
        ((env, jaxq.q_learning), {}, "algorithm"),
        ((type(env), algorithm), {}, "environment"),
    ):
        with pytest.raises(jaxq.InputError, match=message):
            jaxq.configure(*arguments, **fields)


def test_leaves_without_a_range_may_vary():
    env, _ = objects()

    class Undeclared(jaxq.Agent):
        name, num_envs, iteration_steps = "undeclared", 1, 1
        hparams = jaxq.Hparams(temperature=1.0)

    config = jaxq.configure(env, Undeclared(), agents=2, sweep={"temperature": [1.0, 2.0]})
    assert config.varied["temperature"].tolist() == [1.0, 2.0]
    with pytest.raises(jaxq.InputError, match="temperature"):
        jaxq.configure(env, Undeclared(), agents=2, sweep={"temperature": ["hot"]})


def test_a_sweep_may_be_over_objects():
    env, _ = objects()
    algorithms = [jaxq.q_learning(num_envs=2), jaxq.sarsa(num_envs=4)]
    groups = split({"environment": env, "sweep": {"algorithm": algorithms}})
    assert [config.algorithm for config in groups.values()] == algorithms
