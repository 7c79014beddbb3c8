"""Off-policy evaluation: by hand, and whether intervals cover what a table says is true."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose

import jaxq
from jaxq.dynamic_programming import policy_evaluation
from jaxq.envs import from_table
from jaxq.learning import (
    Episodes,
    bootstrap_estimate,
    doubly_robust,
    fitted_q_evaluation,
    fitted_q_value,
    importance_ratios,
    per_decision_importance,
    weighted_importance,
)

# Two episodes in states 0 and 1: one of two steps, one of a single step; the behaviour is a coin.
HAND = Episodes(
    s_tm1=jnp.array([[0, 1], [0, 0]]),
    a_tm1=jnp.array([[1, 0], [0, 0]]),
    r_t=jnp.array([[1.0, 4.0], [2.0, 99.0]]),
    s_t=jnp.array([[1, 1], [1, 0]]),
    terminated=jnp.array([[False, True], [True, False]]),
    behaviour=jnp.full((2, 2), 0.5),
    mask=jnp.array([[True, True], [True, False]]),
)
POLICY = jnp.array([[0.25, 0.75], [1.0, 0.0]])
ONES = jnp.ones(2)


def test_ratios_and_importance_by_hand():
    # 0.75 / 0.5 and then 1 / 0.5; 0.25 / 0.5, and nothing more behind the end.
    assert_allclose(importance_ratios(HAND, POLICY), [[1.5, 3.0], [0.5, 0.5]])
    # (1.5 * 1 + 0.5 * 3 * 4 + 0.5 * 2) / 2 with discount 0.5.
    assert_allclose(per_decision_importance(HAND, POLICY, 0.5, ONES), (1.5 + 6 + 1) / 2)
    # First step (1.5 * 1 + 0.5 * 2) / 2, second 0.5 * 3 * 4 / 3.5.
    assert_allclose(weighted_importance(HAND, POLICY, 0.5, ONES), 2.5 / 2 + 6 / 3.5, rtol=1e-6)
    # The first episode twice and the second not at all.
    twice = jnp.array([2.0, 0.0])
    assert_allclose(per_decision_importance(HAND, POLICY, 0.5, twice), 7.5)
    assert_allclose(weighted_importance(HAND, POLICY, 0.5, twice), 1 + 0.5 * 4)


def test_fitted_values_and_doubly_robust_by_hand():
    # q[1, 0] = 4; q[0, 1] = 1 + 0.5 * 4; q[0, 0] = 2.
    assert_allclose(fitted_q_evaluation(HAND, POLICY, 0.5, ONES), [[2, 3], [4, 0]], rtol=1e-6)
    assert_allclose(fitted_q_value(HAND, POLICY, 0.5, ONES), 0.25 * 2 + 0.75 * 3, rtol=1e-6)
    # Here the values explain every step, and there is nothing to correct.
    assert_allclose(doubly_robust(HAND, POLICY, 0.5, ONES), 2.75, rtol=1e-6)


# A repair that may fail: trying (1) costs 1 and succeeds in 0.6 of cases, for 4; waiting (0) costs 0.3,
# and in 0.1 of cases things get worse, where trying costs 2 and succeeds in 0.4.
TABLE = {
    0: {
        0: [(0.9, 0, -0.3, False), (0.1, 1, -0.3, False)],
        1: [(0.6, 2, 3.0, True), (0.4, 1, -1.0, False)],
    },
    1: {0: [(1.0, 1, -0.5, False)], 1: [(0.4, 2, 2.0, True), (0.6, 1, -2.0, False)]},
    2: {0: [(1.0, 2, 0.0, True)], 1: [(1.0, 2, 0.0, True)]},
}
BEHAVIOUR = np.array([[0.5, 0.5], [0.4, 0.6], [0.5, 0.5]])
TARGET = np.array([[0.2, 0.8], [0.3, 0.7], [0.5, 0.5]])
DISCOUNT, LENGTH = 0.9, 30


def episodes_of(env, key, num, length=LENGTH):
    """Play the behaviour; behind so many steps there is nothing worth counting."""

    def step(carry, key):
        state, running = carry
        action_key, step_key = jax.random.split(key)
        probabilities = jnp.asarray(BEHAVIOUR, jnp.float32)[state.number]
        action = jax.random.choice(action_key, 2, p=probabilities)
        after, timestep = env.step(step_key, state, action, env.params)
        row = (
            state.number,
            action,
            timestep.reward,
            timestep.final_observation,
            timestep.terminated,
            probabilities[action],
            running,
        )
        return (after, running & ~timestep.terminated), row

    def episode(key):
        state, _ = env.reset(key, env.params)
        return jax.lax.scan(step, (state, jnp.bool_(True)), jax.random.split(key, length))[1]

    return Episodes(*jax.vmap(episode)(jax.random.split(key, num)))


def covered(estimator, num_resamples):
    """How many of 100 data sets have an interval that covers the true value, and the mean estimate."""
    env = from_table(TABLE, initial=0, max_steps=1_000)
    target = jnp.asarray(TARGET, jnp.float32)

    def one(key):
        data_key, key = jax.random.split(key)
        data = episodes_of(env, data_key, 150)
        return bootstrap_estimate(key, estimator, data, target, DISCOUNT, num_resamples=num_resamples)

    estimates = jax.jit(lambda keys: jax.lax.map(one, keys))(jax.random.split(jax.random.key(5), 100))
    true = (TARGET * policy_evaluation(env, TARGET, DISCOUNT)).sum(axis=1)[0]
    inside = (np.asarray(estimates.low) <= true) & (true <= np.asarray(estimates.high))
    return int(inside.sum()), np.asarray(estimates.value), true


@pytest.mark.parametrize(
    ("estimator", "num_resamples"),
    [
        (per_decision_importance, 300),
        (weighted_importance, 300),
        (fitted_q_value, 100),
        (doubly_robust, 100),
    ],
)
def test_intervals_cover_the_true_value(estimator, num_resamples):
    number, values, true = covered(estimator, num_resamples)
    print(estimator.__name__, number)
    assert number >= 90
    assert abs(values.mean() - true) < 4 * values.std() / np.sqrt(100) + 0.01


def test_a_policy_evaluated_on_its_own_data_is_its_mean_return():
    env = from_table(TABLE, initial=0, max_steps=1_000)
    data = episodes_of(env, jax.random.key(0), 50)
    behaviour = jnp.asarray(BEHAVIOUR, jnp.float32)
    discounted = DISCOUNT ** np.arange(LENGTH) * np.where(data.mask, data.r_t, 0)
    estimate = bootstrap_estimate(jax.random.key(1), per_decision_importance, data, behaviour, DISCOUNT)
    assert_allclose(estimate.value, discounted.sum(axis=1).mean(), rtol=1e-5)
    assert estimate.low < estimate.value < estimate.high
    assert jaxq.learning.Estimate._fields == ("value", "low", "high")
