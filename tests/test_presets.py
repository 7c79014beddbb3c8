import pytest

import jaxq
from jaxq.algorithms import ALGORITHMS

ENVIRONMENTS = ("CartPole-v1", "MountainCar-v0", "DeepSea-bsuite", "Breakout-MinAtar", "Pong-misc")


@pytest.mark.parametrize("environment", ENVIRONMENTS)
@pytest.mark.parametrize("name", ALGORITHMS)
def test_every_recipe_takes_its_preset(name, environment):
    steps, keywords = jaxq.preset(environment, algorithm=name)
    algorithm = getattr(jaxq, name)(**keywords)
    assert steps > 0
    assert algorithm.name == name


def test_a_recipes_own_settings_outlive_those_of_the_environment():
    assert "n_step" not in jaxq.preset("Acrobot-v1", algorithm="munchausen_dqn").keywords
    assert jaxq.preset("Acrobot-v1", algorithm="r2d2").keywords["train_interval"] == 20
    assert jaxq.preset("MountainCar-v0", algorithm="iqn").keywords["train_interval"] == 6
    assert jaxq.preset("CartPole-v1", algorithm="munchausen_dqn").keywords["target_rate"] == 0.02


def test_the_learning_rate_falls_until_the_steps_asked_for():
    assert jaxq.preset("CartPole-v1", 7_000).keywords["learning_rate_steps"] == 7_000


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
