from typing import ClassVar

import flax.linen as nn
import pytest

import jaxq
from jaxq.agents import ALGORITHMS
from jaxq.agents.bootstraps import Double
from jaxq.agents.exploration import EpsilonGreedy
from jaxq.agents.target_params import OnlineTarget
from jaxq.replay import PrioritizedReplay

ENVIRONMENTS = ("CartPole-v1", "MountainCar-v0", "DeepSea-bsuite", "Breakout-MinAtar", "Pong-misc")


@pytest.mark.parametrize("environment", ENVIRONMENTS)
@pytest.mark.parametrize("name", ALGORITHMS)
def test_every_recipe_takes_its_preset(name, environment):
    steps, keywords = jaxq.preset(environment, algorithm=name)
    algorithm = getattr(jaxq, name)(**keywords)
    assert steps > 0
    assert algorithm.name == name


@pytest.mark.parametrize("environment", ENVIRONMENTS)
@pytest.mark.parametrize("name", ALGORITHMS)
def test_a_preset_never_makes_another_algorithm_of_a_recipe(name, environment):
    plain, with_preset = (
        ALGORITHMS[name](**keywords).settings
        for keywords in ({}, jaxq.preset(environment, algorithm=name).keywords)
    )
    for trait in ("n_step", "double", "dueling", "value", "exploration", "noisy", "munchausen", "rule"):
        assert with_preset.get(trait) == plain.get(trait)


def found(environment="CartPole-v1", steps=None, algorithm="dqn", **keywords):
    return jaxq.preset(environment, steps, algorithm, keywords).keywords


@pytest.mark.parametrize(
    ("keywords", "recipe"),
    [
        ({"value": "categorical"}, "c51"),
        ({"value": "quantile"}, "qr_dqn"),
        ({"value": "implicit_quantile"}, "iqn"),
        ({"munchausen": True}, "munchausen_dqn"),
        ({"noisy": True}, "noisy_dqn"),
        ({"exploration": "ensemble"}, "bootstrapped_dqn"),
        ({"prioritized": True, "double": True}, "prioritized_dqn"),
        ({"memory": "window"}, "pqn"),
    ],
)
@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_a_preset_follows_what_is_trained_not_the_name(environment, keywords, recipe):
    assert found(environment, **keywords) == found(environment, algorithm=recipe)
    jaxq.dqn(**{**found(environment, **keywords), **keywords})


def test_what_explores_by_itself_takes_no_random_actions():
    for keywords in ({"noisy": True}, *({"exploration": x} for x in ("ensemble", "ucb", "boltzmann"))):
        made = jaxq.dqn(**{**found(**keywords), **keywords})
        assert made.hparams.epsilon_start == made.hparams.epsilon_end == 0
    assert found("FrozenLake-v1", algorithm="q_learning", exploration="ucb")["epsilon_end"] == 0


@pytest.mark.parametrize("keywords", [{}, {"prioritized": True}, {"exploration": "boltzmann"}])
@pytest.mark.parametrize("environment", ["CartPole-v1", "Breakout-MinAtar"])
def test_schedules_are_shares_of_the_run(environment, keywords):
    short, long = (found(environment, steps, **keywords) for steps in (7_000, 70_000))
    schedules = [name for name in short if name.endswith("_steps") and short[name]]
    assert len(schedules) == 2 + bool(keywords) - (environment == "Breakout-MinAtar")
    for name in schedules:
        assert long[name] == pytest.approx(10 * short[name])


def test_the_learning_rate_falls_until_the_steps_asked_for():
    assert found(steps=7_000)["learning_rate_steps"] == 7_000
    assert found("Breakout-MinAtar")["learning_rate_steps"] == 0  # constant, as in the paper
    assert found("Breakout-MinAtar")["train_interval"] == 1


def test_what_the_user_sets_is_left_out_and_mistakes_are_for_the_recipe_to_find():
    assert "hidden_sizes" not in found(hidden_sizes=(8,))
    assert "hidden_sizes" not in found(network=object())
    assert found(value="categoricle") == found()


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ((3,), TypeError, "must be an id"),
        (("CartPole-v1", 0), ValueError, "steps must be"),
        (("CartPole-v1", 2.5), TypeError, "steps must be a whole number"),
        (("CartPole-v1", None, "dqm"), ValueError, "did you mean dqn"),
    ],
)
def test_what_a_preset_refuses(arguments, error, message):
    with pytest.raises(error, match=message):
        jaxq.preset(*arguments)


def test_an_interval_of_the_users_own_means_whole_copies():
    assert "target_rate" in found()
    assert "target_rate" not in found(target_interval=500)
    for environment in ENVIRONMENTS:
        made = jaxq.dqn(**found(environment, target_interval=500), target_interval=500)
        assert made.hparams.target_rate == 1
    assert found(target_interval=500, target_rate=0.5) == found(target_interval=500)


class MyTorso(nn.Module):
    @nn.compact
    def __call__(self, observation):
        return nn.relu(nn.Dense(8)(observation))


class Uniform(EpsilonGreedy):
    leaves: ClassVar = {}


@pytest.mark.parametrize(
    "keywords",
    [
        {"torso": MyTorso(), "value": "quantile", "dueling": True},
        {"exploration": EpsilonGreedy()},
        {"exploration": Uniform()},
        {"target": OnlineTarget()},
        {"memory": "window", "recurrent_size": 8},
        {"replay": PrioritizedReplay, "bootstrap": Double()},
    ],
)
def test_components_go_with_presets(keywords):
    jaxq.dqn(**jaxq.preset("CartPole-v1", keywords=keywords).keywords, **keywords)
