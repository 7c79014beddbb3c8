import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from jaxq import checks
from jaxq.learning import (
    epsilon_ladder,
    exponential_schedule,
    learning_rate_schedule,
    linear_schedule,
)


@pytest.mark.parametrize(("step", "value"), [(0, 1.0), (25, 0.775), (50, 0.55), (100, 0.1), (999, 0.1)])
def test_linear_schedule(step, value):
    assert_allclose(linear_schedule(jnp.int32(step), 1.0, 0.1, 100.0), value, rtol=1e-6)


def test_a_learning_rate_falls_to_zero_behind_the_last_of_its_updates():
    rate = jax.vmap(learning_rate_schedule, in_axes=(0, None, None))
    assert_allclose(rate(jnp.arange(0, 60, 10), 2.0, 40.0), [2.0, 1.5, 1.0, 0.5, 0.0, 0.0])
    assert_array_equal(rate(jnp.array([0, 10**9]), 2.0, 0.0), [2.0, 2.0])
    # Of a hundred million steps in iterations of ten, the last one still has a rate.
    assert rate(jnp.array([10**8 - 10]), 1e-3, 1e8) > 0


@pytest.mark.parametrize(
    ("step", "value"),
    # 100^(-step / 100): the square root of 1/100 half way, its fourth root after a quarter.
    [(0, 1.0), (25, 0.31622777), (50, 0.1), (75, 0.031622777), (100, 0.01), (999, 0.01)],
)
def test_exponential_schedule(step, value):
    assert_allclose(exponential_schedule(jnp.int32(step), 1.0, 0.01, 100.0), value, rtol=1e-5)
    upwards = exponential_schedule(jnp.int32(step), 0.02, 2.0, 100.0)
    assert_allclose(upwards, 0.02 / value, rtol=1e-5)


@pytest.mark.parametrize("schedule", [linear_schedule, exponential_schedule])
def test_a_schedule_of_no_steps_is_its_end(schedule):
    assert schedule(jnp.int32(0), 1.0, 0.25, 0.0) == 0.25


def test_an_exponential_schedule_to_zero_falls_by_eight_orders_of_magnitude_and_arrives():
    steps = jnp.array([0, 25, 50, 99, 100, 101])
    values = jax.vmap(exponential_schedule, in_axes=(0, None, None, None))(steps, 2.0, 0.0, 100.0)
    # 2 * 10^(-8 step / 100)
    assert_allclose(values[:4], [2.0, 2e-2, 2e-4, 2 * 10**-7.92], rtol=1e-5)
    assert_array_equal(values[4:], 0.0)


def test_an_exponential_schedule_from_zero_is_defined():
    values = jax.vmap(exponential_schedule, in_axes=(0, None, None, None))(
        jnp.array([0, 50, 100]), 0.0, 1.0, 100.0
    )
    assert_allclose(values, [1e-8, 1e-4, 1.0], rtol=1e-5)
    assert 0 <= exponential_schedule(jnp.int32(50), 0.0, 0.0, 100.0) < 1e-30


def test_epsilon_ladder_goes_by_equal_factors():
    assert_allclose(epsilon_ladder(1.0, 0.25, 3), [1.0, 0.5, 0.25], rtol=1e-6)
    assert_allclose(epsilon_ladder(0.3, 0.3, 4), 0.3, rtol=1e-6)


def test_epsilon_ladder_is_the_one_of_ape_x():
    # epsilon^(1 + alpha i / (N - 1)) with epsilon 0.4, alpha 7 and N = 8 is 0.4^(1 + i).
    ladder = epsilon_ladder(0.4, 0.4**8, 8)
    assert_allclose(ladder, 0.4 ** np.arange(1, 9), rtol=1e-5)


def test_epsilon_ladder_at_its_edges():
    assert_array_equal(epsilon_ladder(0.4, 0.1, 1), np.float32([0.4]))
    assert_array_equal(epsilon_ladder(1.0, 0.0, 3), [1.0, 0.0, 0.0])
    assert_array_equal(epsilon_ladder(0.0, 0.0, 2), [0.0, 0.0])
    with pytest.raises(checks.InputValueError, match="num_envs must be at least 1"):
        epsilon_ladder(1.0, 0.1, 0)


def test_the_ends_of_a_ladder_may_differ_between_agents():
    ladders = jax.vmap(lambda end: epsilon_ladder(1.0, end, 3))(jnp.array([0.25, 0.01]))
    assert_allclose(ladders, [[1.0, 0.5, 0.25], [1.0, 0.1, 0.01]], rtol=1e-5)
