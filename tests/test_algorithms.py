import flax.linen as nn
import jax
import jax.numpy as jnp
import pytest

import jaxq
from jaxq import agents
from jaxq.agents.protocol import first_input


class Mine(nn.Module):
    width: int = 2

    @nn.compact
    def __call__(self, observation):
        return nn.Dense(self.width)(nn.tanh(nn.Dense(8)(observation)))


def test_a_network_of_the_users_own(cartpole, small):
    keywords = small()
    del keywords["hidden_sizes"]
    trainer = jaxq.Trainer(cartpole, jaxq.dqn(network=Mine(), **keywords))
    state, metrics = trainer.run(trainer.init(jax.random.key(0)), 100)
    assert state.learner.params["params"]["Dense_1"]["kernel"].shape == (4, 8)
    assert jnp.isfinite(metrics.loss)


@pytest.mark.parametrize(
    ("keywords", "error", "message"),
    [
        ({"batchsize": 3}, TypeError, "did you mean batch_size"),
        ({"learning_rate": 0}, ValueError, "above 0"),
        ({"learning_rate": float("nan")}, ValueError, "got nan"),
        ({"learning_rate": "fast"}, TypeError, "finite float32 above 0"),
        ({"learning_rate": None}, TypeError, "got None"),
        ({"learning_rate": True}, TypeError, "got True"),
        ({"learning_rate": 10**400}, TypeError, "finite float32"),
        ({"learning_rate": 1e39}, ValueError, "got inf"),
        ({"learning_rate": 1e-50}, ValueError, "above 0"),
        ({"buffer_size": 10**400}, ValueError, "at most"),
        ({"target_interval": 1e10}, ValueError, "at most"),
        ({"learning_rate": [1e-3, 1e-4]}, ValueError, r"jaxq.grid\(trainer.hparams, learning_rate="),
        ({"discount": 1.01}, ValueError, r"in \[0, 1\]"),
        ({"discount": -0.1}, ValueError, r"in \[0, 1\]"),
        ({"epsilon_end": 2}, ValueError, r"in \[0, 1\]"),
        ({"target_rate": 0}, ValueError, r"in \(0, 1\]"),
        ({"batch_size": 0}, ValueError, "at least 1"),
        ({"batch_size": 2.5}, TypeError, "whole number"),
        ({"num_envs": True}, TypeError, "whole number"),
        ({"batch_size": 300, "buffer_size": 200}, ValueError, "buffer_size=300"),
        ({"n_step": 100, "num_envs": 10, "buffer_size": 500}, ValueError, "buffer_size=1000"),
        ({"value": "quantiles"}, ValueError, "did you mean quantile"),
        ({"exploration": "greedy"}, ValueError, "epsilon_greedy"),
        ({"temperature_end": 0.1}, TypeError, "belongs to exploration='boltzmann'"),
        ({"priority_exponent": 0.1}, TypeError, "belongs to prioritized=True"),
        ({"value": "categorical", "value_min": 1, "value_max": 1}, ValueError, "less than value_max"),
        ({"value": "categorical", "initial_value": 1.0}, TypeError, "no keyword 'initial_value'"),
        ({"value": "categorical", "num_atoms": 1}, ValueError, "at least 2"),
        ({"value": "quantile", "network": Mine()}, ValueError, "leave out one of the two"),
        ({"munchausen": True, "double": True}, ValueError, "leave them out"),
        ({"munchausen": True, "n_step": 3}, ValueError, "leave them out"),
        ({"memory": "window", "prioritized": True}, ValueError, "nothing to prioritize"),
        ({"memory": "window", "n_step": 3}, ValueError, "lambda_"),
        ({"memory": "window", "value": "quantile"}, ValueError, "need memory='replay'"),
        ({"memory": "window", "buffer_size": 1000}, ValueError, "must divide buffer_size"),
        ({"memory": "window", "train_interval": 7, "buffer_size": 1280}, ValueError, "whole epochs"),
        ({"memory": "window", "target_interval": 9}, ValueError, "target networks, which a window has"),
        ({"memory": "window", "double": True}, ValueError, "leave out double"),
        ({"bootstrap": 3}, TypeError, "bootstrap must be a function of any of hparams"),
        ({"bootstrap": lambda q: q}, TypeError, "got <lambda> of q"),
        ({"auxiliary": [lambda q_t: q_t]}, TypeError, "auxiliary must be a function of any of"),
        ({"auxiliary": Mine}, TypeError, "list of losses"),
        ({"replay": 3}, TypeError, "must be a class of replays"),
        ({"torso": Mine(), "network": Mine()}, ValueError, "leave out one of the two"),
        ({"torso": Mine(), "hidden_sizes": (8,)}, ValueError, "leave out torso"),
        ({"exploration": object()}, TypeError, "exploration must have"),
        ({"target": object()}, TypeError, "target must have"),
        ({"value": object()}, TypeError, "value must have make_value, networks, is_number"),
        ({"recurrent_size": 8, "n_step": 20}, ValueError, "fit into the sequence"),
        ({"exploration": "ucb", "count_bits": 40}, ValueError, "at most 20"),
        ({"exploration": "ensemble", "prior_scale": -1}, ValueError, "at least 0"),
        ({"hidden_sizes": (64, 0)}, ValueError, "at least 1"),
        ({"hidden_sizes": "64"}, TypeError, r"hidden_sizes=\(64, 64\)"),
        ({"loss": "hubert"}, ValueError, "did you mean huber"),
        ({"double": 1}, TypeError, "True or False"),
        ({"network": Mine}, TypeError, "flax.linen module"),
        ({"network": Mine(), "dueling": True}, ValueError, "DuelingHead"),
        ({"learning_starts": -1}, ValueError, "at least 0"),
    ],
)
def test_mistakes_are_refused(keywords, error, message):
    with pytest.raises(error, match=message) as caught:
        jaxq.dqn(**keywords)
    assert isinstance(caught.value, jaxq.InputError)


class Noisy(Mine):
    @nn.compact
    def __call__(self, observation):
        return nn.Dense(2)(nn.Dropout(0.5, deterministic=False)(observation))


class Normed(Mine):
    @nn.compact
    def __call__(self, observation):
        return nn.Dense(2)(nn.BatchNorm(use_running_average=True)(observation))


@pytest.mark.parametrize("network", [Mine(3), nn.Embed(4, 5), Noisy(), Normed()])
def test_a_network_that_does_not_fit_is_refused(cartpole, network):
    with pytest.raises(ValueError, match=r"must map observations float32\[10, 4\].*float32\[10, 2\]"):
        jaxq.Trainer(cartpole, jaxq.dqn(network=network))


def test_whole_numbers_may_come_as_floats():
    assert jaxq.dqn(buffer_size=2e4).settings["buffer_size"] == 20_000


@pytest.mark.parametrize(
    "keywords",
    [
        {"dueling": True, "prioritized": True, "n_step": 3, "value": "quantile"},
        {"munchausen": True, "value": "implicit_quantile", "prioritized": True},
        {"exploration": "boltzmann", "noisy": True, "value": "categorical"},
        {"exploration": "ucb", "layer_norm": True, "conservative": True},
        {"exploration": "ensemble", "munchausen": True, "prioritized": True, "conservative": True},
        {"memory": "window", "buffer_size": 128, "learning_starts": 0, "noisy": True},
        {
            "memory": "window",
            "buffer_size": 128,
            "batch_size": 4,
            "learning_starts": 0,
            "recurrent_size": 8,
            "sequence_length": 8,
        },
        {"recurrent_size": 8, "value": "quantile", "noisy": True, "prioritized": True},
        {"recurrent_size": 8, "value": "implicit_quantile", "munchausen": True},
        {"exploration": "ensemble", "value": "categorical", "noisy": True},
        {"exploration": "ensemble", "value": "implicit_quantile", "dueling": True},
        {"ensemble_size": 3, "value": "quantile", "exploration": "boltzmann"},
        {"recurrent_size": 8, "dueling": True, "double": True, "layer_norm": True},
        {"recurrent_size": 8, "exploration": "ensemble", "noisy": True, "prioritized": True},
        {"recurrent_size": 8, "ensemble_size": 3, "value": "implicit_quantile", "prior_scale": 0},
        {"epsilon_schedule": "ladder", "network": Mine(), "exploration": "ensemble"},
    ],
)
def test_sensible_mixes_train(cartpole, small, keywords):
    keywords = small(**{"learning_starts": 60, **keywords})
    if keywords.get("memory") == "window":
        del keywords["target_interval"]
    trainer = jaxq.Trainer(cartpole, jaxq.dqn(**keywords))
    state, metrics = trainer.run(trainer.init(jax.random.key(0)), 100)
    assert jnp.isfinite(metrics.loss)
    assert trainer.q_values(state, jnp.ones((3, 4))).shape == (3, 2)


def test_every_recipe_says_in_one_line_what_it_is():
    for name in agents.ALGORITHMS:
        line = agents.summary(name)
        assert 20 < len(line) < 105
        assert line.endswith(".")
        assert "References:" in agents.recipe(name).__doc__


def test_a_target_interval_asks_for_copies_and_a_rate_for_averages():
    assert jaxq.dqn().hparams.target_rate == 0.05
    assert jaxq.dqn(target_interval=500).hparams.target_rate == 1
    assert jaxq.dqn(target_interval=500, target_rate=0.5).hparams.target_rate == 0.5
    assert jaxq.r2d2().hparams.target_rate == 0.05
    assert jaxq.r2d2(target_interval=500).hparams.target_rate == 1
    assert "target_rate" not in jaxq.pqn().hparams


def test_the_ends_of_a_support_come_together():
    with pytest.raises(ValueError, match="come together, got value_min=None and value_max=10"):
        jaxq.c51(value_max=10)


class OwnNoise(nn.Module):
    @nn.compact
    def __call__(self, observation):
        return jaxq.networks.NoisyDense(2, sigma_0=50.0)(observation)


@pytest.mark.parametrize("exploration", ["epsilon_greedy", "ucb", "ensemble"])
def test_noise_of_a_network_of_the_users_own_explores(cartpole, exploration):
    """Of noise so large every other action is another one, where means alone always say the same."""
    keywords = {"epsilon_start": 0.0, "epsilon_end": 0.0, "exploration": exploration}
    if exploration == "ucb":
        keywords["ucb_coefficient"] = 0.0
    trainer = jaxq.Trainer(cartpole, jaxq.dqn(network=OwnNoise(), **keywords))
    agent = trainer.agent

    @jax.jit
    def actions(keys):
        learner, _ = agent.init(jax.random.key(0), trainer.hparams)
        inputs = first_input(jnp.ones((10, 4)), agent.initial_carry(10))
        inputs = inputs._replace(first=jnp.zeros(10, bool))
        return jax.vmap(lambda key: agent.act(key, learner, trainer.hparams, inputs).action)(keys)

    drawn = actions(jax.random.split(jax.random.key(1), 50))
    # One draw serves the environments of a step, which all see the same; the next step has another.
    assert 5 < (drawn[:, 0] == 1).sum() < 45
