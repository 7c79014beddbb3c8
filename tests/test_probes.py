"""Environments whose Q-values are known in closed form, learned to within two or three percent.

A recipe's six agents are one population, each in a world of its own; a table has all worlds side by
side as parts that never meet.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose
from worlds import PROBES, Probes

import jaxq
from jaxq.agents import DEEP
from jaxq.agents.protocol import PolicyInput, first_input

GAMMA = 0.9
ONE_STEP, TWO_STEPS, CUE, DELAYED, ENDLESS, COUNTDOWN = range(len(PROBES))

CASES = {
    # What imitates has no values.
    **{name: (name, {}) for name in DEEP if name != "behaviour_cloning"},
    "dqn with averaged targets": ("dqn", {"target_interval": 4, "target_rate": 0.1}),
    "dqn, a mix": ("dqn", {"dueling": True, "prioritized": True, "n_step": 3, "value": "quantile"}),
    "Munchausen IQN": ("munchausen_dqn", {"value": "implicit_quantile", "num_quantiles": 8}),
    "ensemble of distributions": ("bootstrapped_dqn", {"value": "quantile", "num_quantiles": 8}),
    "recurrent quantiles": ("r2d2", {"value": "quantile", "num_quantiles": 8, "prioritized": True}),
    "recurrent ensemble": ("r2d2", {"ensemble_size": 3, "prior_scale": 0.5, "mask_probability": 1.0}),
    "recurrent PQN": (
        "pqn",
        {"recurrent_size": 16, "sequence_length": 8, "batch_size": 8, "train_interval": 8},
    ),
}
COMMON = {
    "hidden_sizes": (64,),
    "num_envs": 4,
    "discount": GAMMA,
    "learning_rate": 5e-3,
    "learning_rate_steps": 12_000,
    "epsilon_start": 1.0,
    "epsilon_end": 1.0,
}
REPLAY = {
    "buffer_size": 2_000,
    "batch_size": 64,
    "learning_starts": 200,
    "train_interval": 4,
    "target_interval": 40,
}
RECIPES = {
    "c51": {"value_min": -2.0, "value_max": 12.0},
    "rainbow": {"value_min": -2.0, "value_max": 12.0, "batch_size": 32},
    "iqn": {"num_quantiles": 8},
    "munchausen_dqn": {"munchausen_scale": 0.0, "munchausen_temperature": 1e-3},
    "bootstrapped_dqn": {"ensemble_size": 4},
    "conservative_dqn": {"cql_alpha": 1e-3},
    "pqn": {"buffer_size": 128, "batch_size": 64, "train_interval": 4, "layer_norm": False},
    "r2d2": {"recurrent_size": 16, "batch_size": 16, "sequence_length": 6, "burn_in": 2},
}

HEAVY = {
    "c51",
    "qr_dqn",
    "iqn",
    "rainbow",
    "r2d2",
    "bootstrapped_dqn",
    "dqn, a mix",
    "Munchausen IQN",
    "ensemble of distributions",
    "recurrent quantiles",
    "recurrent ensemble",
}
"""Those that run longer with few optimizations than it takes to compile them with all."""

pytestmark = pytest.mark.learning


def case(name):
    return pytest.param(name, marks=[pytest.mark.optimized] if name in HEAVY else [])


@pytest.fixture(scope="module", params=map(case, CASES))
def values(request):
    """Train one agent in each world, and return its values as a function of world and observations."""
    name, keywords = CASES[request.param]
    keywords = {**COMMON, **({} if name == "pqn" else REPLAY), **RECIPES.get(name, {}), **keywords}
    world = Probes()
    env = jaxq.envs.from_gymnax(world)
    trainer = jaxq.Trainer(env, DEEP[name](**keywords))
    population = jaxq.Population(trainer, len(PROBES), chunk=3)
    limits = jnp.full(len(PROBES), 1_000_000).at[ENDLESS].set(5)
    params = env.params.replace(world=jnp.arange(len(PROBES)), max_steps_in_episode=limits)
    state = population.init(jax.random.key(0), env_params=params)
    state, _ = population.run(state, 12_000)
    learners = jax.device_get(state.learner)

    def values(world, observations, action=0, reward=0.0):
        """Values along an episode of one action and reward; of each alone, but to recurrent agents."""
        done = jnp.array([action]), jnp.array([reward])
        learner = jax.tree.map(lambda leaf: leaf[world], learners)
        padded = np.zeros((len(observations), 1, 5), np.float32)
        padded[:, 0, : np.shape(observations)[1]] = observations
        inputs, q = first_input(padded[0], trainer.agent.initial_carry(1)), []
        for observation in padded:
            values, carry = trainer.agent.q_values(learner, inputs._replace(observation=observation))
            inputs = PolicyInput(observation, jnp.zeros(1, bool), *done, carry, inputs.steps)
            q.append(np.asarray(values[0]))
        return np.stack(q)

    yield values
    # The programs of all cases together would fill a small machine's memory.
    jax.clear_caches()


def test_one_step(values):
    assert_allclose(values(ONE_STEP, [[1.0]]), 1.0, rtol=0.02)


def test_two_steps_with_discount(values):
    q = values(TWO_STEPS, [[0.0], [1.0]])
    assert_allclose(q, [[GAMMA, GAMMA], [1.0, 1.0]], rtol=0.02)


def test_reward_that_depends_on_the_action(values):
    for cue, expected in ([0.0], [1.0, -1.0]), ([1.0], [-1.0, 1.0]):
        assert_allclose(values(CUE, [cue])[0], expected, atol=0.02)


def test_delayed_reward(values):
    q = values(DELAYED, [[0, 0], [1, 1], [2, 1], [3, 1]], action=1)
    assert_allclose(q[0], [0.0, GAMMA**3], atol=0.03)
    assert_allclose(q[1:].max(axis=1), [GAMMA**2, GAMMA, 1.0], rtol=0.02)
    assert_allclose(values(DELAYED, [[0, 0], [1, 0], [2, 0]])[2], 0.0, atol=0.02)


def test_truncation_keeps_the_value_of_what_would_have_followed(values):
    q = values(ENDLESS, [[1.0]])
    assert_allclose(q, 1 / (1 - GAMMA), rtol=0.02)  # not the sum of five rewards, 4.1


def test_termination_ends_the_sum(values):
    q = values(COUNTDOWN, np.eye(5), reward=1.0)
    finite_sums = [(1 - GAMMA**left) / (1 - GAMMA) for left in (5, 4, 3, 2, 1)]
    assert_allclose(q.T, np.broadcast_to(finite_sums, (2, 5)), rtol=0.02)
