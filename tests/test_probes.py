"""Environments whose Q-values are known in closed form, learned to within two percent."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose
from worlds import Countdown, Cue, Delayed, Endless, OneStep, TwoSteps

import jaxq
from jaxq.algorithms import ALGORITHMS

GAMMA = 0.9
VARIANTS = {
    "plain": {},
    "double": {"double": True},
    "dueling": {"dueling": True},
    "three steps": {"n_step": 3},
    "huber": {"loss": "huber"},
    "Polyak": {"target_interval": 4, "target_rate": 0.1},
}
CASES = [(name, variant) for name in ALGORITHMS for variant in VARIANTS]

pytestmark = [
    pytest.mark.learning,
    pytest.mark.parametrize(("name", "variant"), CASES, ids=[" ".join(case) for case in CASES]),
]


def learned_values(name, variant, world, observations, **params):
    keywords = {
        "hidden_sizes": (32,),
        "num_envs": 4,
        "buffer_size": 2_000,
        "batch_size": 64,
        "learning_starts": 200,
        "train_interval": 4,
        "target_interval": 40,
        "loss": "squared",
        "discount": GAMMA,
        "learning_rate": 5e-3,
        "learning_rate_steps": 12_000,
        "epsilon_start": 1.0,
        "epsilon_end": 1.0,
        **VARIANTS[variant],
    }
    env = jaxq.envs.from_gymnax(world, world.default_params.replace(**params))
    trainer = jaxq.Trainer(env, ALGORITHMS[name](**keywords))
    state, _ = trainer.run(trainer.init(jax.random.key(0)), 12_000)
    return np.asarray(trainer.q_values(state, jnp.array(observations, jnp.float32)))


def test_one_step(name, variant):
    assert_allclose(learned_values(name, variant, OneStep(), [1.0]), 1.0, rtol=0.02)


def test_two_steps_with_discount(name, variant):
    q = learned_values(name, variant, TwoSteps(), [[0.0], [1.0]])
    assert_allclose(q, [[GAMMA, GAMMA], [1.0, 1.0]], rtol=0.02)


def test_reward_that_depends_on_the_action(name, variant):
    q = learned_values(name, variant, Cue(), [[0.0], [1.0]])
    assert_allclose(q, [[1.0, -1.0], [-1.0, 1.0]], atol=0.02)


def test_delayed_reward(name, variant):
    q = learned_values(name, variant, Delayed(), [[0, 0], [1, 1], [2, 1], [3, 1], [2, 0]])
    assert_allclose(q[0], [0.0, GAMMA**3], atol=0.02)
    assert_allclose(q[1:4].max(axis=1), [GAMMA**2, GAMMA, 1.0], rtol=0.02)
    assert_allclose(q[4], 0.0, atol=0.02)


def test_truncation_keeps_the_value_of_what_would_have_followed(name, variant):
    q = learned_values(name, variant, Endless(), [1.0], max_steps_in_episode=5)
    assert_allclose(q, 1 / (1 - GAMMA), rtol=0.02)  # not the sum of five rewards, 4.1


def test_termination_ends_the_sum(name, variant):
    q = learned_values(name, variant, Countdown(), np.eye(5))
    finite_sums = [(1 - GAMMA**left) / (1 - GAMMA) for left in (5, 4, 3, 2, 1)]
    assert_allclose(q[:, 0], finite_sums, rtol=0.02)
