"""Golden numbers, worked out by hand."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose

from jaxq.learning import (
    epsilon_greedy,
    greedy_probabilities,
    linear_schedule,
    n_step_return,
    td_target,
    value_of_action,
)

REWARDS = jnp.array([1.0, 2.0, 4.0])
NO, YES = False, True


@pytest.mark.parametrize(
    ("terminated", "truncated", "r_t", "discount_t", "last"),
    [
        # 1 + 2 / 2 + 4 / 4, and what follows counts for 1 / 8.
        ((NO, NO, NO), (NO, NO, NO), 3.0, 0.125, 2),
        # 1 + 2 / 2, and nothing follows.
        ((NO, YES, NO), (NO, NO, NO), 2.0, 0.0, 1),
        # 1 + 2 / 2, and what would have followed counts for 1 / 4.
        ((NO, NO, NO), (NO, YES, NO), 2.0, 0.25, 1),
        # Only the first ending counts, what comes behind it is another episode's.
        ((NO, YES, NO), (YES, NO, NO), 1.0, 0.5, 0),
        ((YES, NO, NO), (NO, YES, NO), 1.0, 0.0, 0),
        ((NO, NO, YES), (NO, NO, NO), 3.0, 0.0, 2),
        ((NO, NO, NO), (NO, NO, YES), 3.0, 0.125, 2),
    ],
)
def test_n_step_return(terminated, truncated, r_t, discount_t, last):
    result = n_step_return(REWARDS, jnp.array(terminated), jnp.array(truncated), jnp.float32(0.5))
    assert_allclose(result.r_t, r_t)
    assert_allclose(result.discount_t, discount_t)
    assert result.last == last


@pytest.mark.parametrize("discount", [0.0, 1.0])
def test_n_step_return_at_the_ends_of_the_discount(discount):
    flags = jnp.zeros(3, bool)
    result = n_step_return(REWARDS, flags, flags, jnp.float32(discount))
    assert_allclose(result.r_t, 1.0 if discount == 0 else 7.0)
    assert_allclose(result.discount_t, discount)


def test_dqn_and_double_dqn_targets():
    q_online_t, q_target_t = jnp.array([1.0, 3.0, 2.0]), jnp.array([5.0, 1.0, 0.0])
    r_t, discount_t = jnp.float32(10.0), jnp.float32(0.5)
    dqn = td_target(r_t, discount_t, greedy_probabilities(q_target_t), q_target_t)
    assert_allclose(dqn, 12.5)  # 10 + 0.5 * max(5, 1, 0)
    double = td_target(r_t, discount_t, greedy_probabilities(q_online_t), q_target_t)
    assert_allclose(double, 10.5)  # 10 + 0.5 * q_target[argmax q_online = 1]
    sarsa = td_target(r_t, discount_t, jnp.array([0.2, 0.3, 0.5]), q_target_t)
    assert_allclose(sarsa, 10.65)  # 10 + 0.5 * (0.2 * 5 + 0.3 * 1)


def test_ties_go_to_the_first_action():
    assert_allclose(greedy_probabilities(jnp.array([1.0, 1.0])), [1.0, 0.0])


def test_no_gradient_flows_through_a_target():
    gradient = jax.grad(lambda q: td_target(0.0, 1.0, greedy_probabilities(q), q))
    assert_allclose(gradient(jnp.array([1.0, 2.0])), 0.0)


def test_value_of_action_and_its_gradient():
    q = jnp.array([1.0, 2.0, 3.0])
    assert value_of_action(q, jnp.int32(1)) == 2.0
    assert_allclose(jax.grad(value_of_action)(q, jnp.int32(1)), [0.0, 1.0, 0.0])


@pytest.mark.parametrize(("step", "value"), [(0, 1.0), (25, 0.775), (50, 0.55), (100, 0.1), (999, 0.1)])
def test_linear_schedule(step, value):
    assert_allclose(linear_schedule(jnp.int32(step), 1.0, 0.1, 100.0), value, rtol=1e-6)


def test_a_schedule_of_no_steps_is_its_end():
    assert_allclose(linear_schedule(jnp.int32(0), 1.0, 0.25, 0.0), 0.25)


@pytest.mark.parametrize("epsilon", [0.0, 0.3, 1.0])
def test_epsilon_greedy_has_its_probabilities(epsilon):
    q = jnp.array([0.0, 2.0, 1.0])
    keys = jax.random.split(jax.random.key(0), 30_000)
    actions = jax.vmap(epsilon_greedy, in_axes=(0, None, None))(keys, q, jnp.float32(epsilon))
    frequency = np.bincount(actions, minlength=3) / len(actions)
    expected = epsilon / 3 + (1 - epsilon) * np.array([0, 1, 0])
    assert_allclose(frequency, expected, atol=0.01)  # three standard deviations are 0.0087


def test_shapes_are_checked_when_tracing():
    with pytest.raises(AssertionError):
        n_step_return(jnp.zeros((2, 2)), jnp.zeros(2, bool), jnp.zeros(2, bool), 0.9)
    with pytest.raises(AssertionError):
        greedy_probabilities(jnp.zeros((2, 2)))
