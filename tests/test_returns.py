"""Returns over several steps: golden numbers worked out by hand, and the definition they stand for."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from jaxq.learning import lambda_returns, n_step_return

REWARDS = jnp.array([1.0, 2.0, 4.0])
VALUES = jnp.array([8.0, 16.0, 32.0])
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


@pytest.mark.parametrize(
    ("terminated", "truncated", "trace_decay", "returns"),
    [
        # The last step always bootstraps: 4 + 32 / 2 = 20. One step: 2 + 16 / 2 and 1 + 8 / 2.
        ((NO, NO, NO), (NO, NO, NO), 0.0, (5.0, 10.0, 20.0)),
        # 2 + 20 / 2 and 1 + 12 / 2
        ((NO, NO, NO), (NO, NO, NO), 1.0, (7.0, 12.0, 20.0)),
        # 2 + (16 / 2 + 20 / 2) / 2 and 1 + (8 / 2 + 11 / 2) / 2
        ((NO, NO, NO), (NO, NO, NO), 0.5, (5.75, 11.0, 20.0)),
        # 2 + (16 * 3/4 + 20 / 4) / 2 and 1 + (8 * 3/4 + 10.5 / 4) / 2
        ((NO, NO, NO), (NO, NO, NO), 0.25, (5.3125, 10.5, 20.0)),
        # Terminated in the middle: 2, and 1 + (8 / 2 + 2 / 2) / 2, or 1 + 2 / 2.
        ((NO, YES, NO), (NO, NO, NO), 0.0, (5.0, 2.0, 20.0)),
        ((NO, YES, NO), (NO, NO, NO), 0.5, (3.5, 2.0, 20.0)),
        ((NO, YES, NO), (NO, NO, NO), 1.0, (2.0, 2.0, 20.0)),
        # Truncated in the middle: 2 + 16 / 2 whatever lambda; 1 + (8 / 2 + 10 / 2) / 2, or 1 + 10 / 2.
        ((NO, NO, NO), (NO, YES, NO), 0.0, (5.0, 10.0, 20.0)),
        ((NO, NO, NO), (NO, YES, NO), 0.5, (5.5, 10.0, 20.0)),
        ((NO, NO, NO), (NO, YES, NO), 1.0, (6.0, 10.0, 20.0)),
        # Both at once is a termination.
        ((NO, YES, NO), (NO, YES, NO), 0.5, (3.5, 2.0, 20.0)),
        # At the last step: 4; 2 + (16 / 2 + 4 / 2) / 2; 1 + (8 / 2 + 7 / 2) / 2. A truncation there
        # changes nothing.
        ((NO, NO, YES), (NO, NO, NO), 0.5, (4.75, 7.0, 4.0)),
        ((NO, NO, NO), (NO, NO, YES), 0.5, (5.75, 11.0, 20.0)),
        # At the first step.
        ((YES, NO, NO), (NO, NO, NO), 0.5, (1.0, 11.0, 20.0)),
        ((NO, NO, NO), (YES, NO, NO), 1.0, (5.0, 12.0, 20.0)),
    ],
)
def test_lambda_returns(terminated, truncated, trace_decay, returns):
    result = lambda_returns(
        REWARDS,
        jnp.array(terminated),
        jnp.array(truncated),
        jnp.float32(0.5),
        jnp.float32(trace_decay),
        VALUES,
    )
    assert_allclose(result, returns)


def random_trajectory(seed, length=8):
    generator = np.random.default_rng(seed)
    numbers = generator.normal(size=(2, length)).astype(np.float32)
    ended = generator.uniform(size=(2, length)) < 0.2
    return jnp.array(numbers[0]), jnp.array(ended[0]), jnp.array(ended[1]), jnp.array(numbers[1])


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("trace_decay", [0.0, 0.3, 0.9, 1.0])
def test_lambda_returns_are_the_average_of_the_n_step_returns(seed, trace_decay):
    reward, terminated, truncated, v_t = random_trajectory(seed)
    discount, length = 0.9, len(reward)
    average = []
    for t in range(length):
        returns = []
        for end in range(t + 1, length + 1):
            window = slice(t, end)
            part = n_step_return(reward[window], terminated[window], truncated[window], discount)
            returns.append(part.r_t + part.discount_t * v_t[t + part.last])
        # (1 - lambda) lambda^(n - 1) for each but the longest, and the rest for that one.
        weight = trace_decay ** np.arange(len(returns))
        weight[:-1] *= 1 - trace_decay
        average.append(np.dot(weight, returns))
    result = lambda_returns(reward, terminated, truncated, discount, trace_decay, v_t)
    assert_allclose(result, average, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("ending", ["terminated", "truncated"])
def test_nothing_crosses_the_end_of_an_episode(ending):
    ends = {"terminated": jnp.zeros(6, bool), "truncated": jnp.zeros(6, bool)}
    ends[ending] = ends[ending].at[2].set(True)

    def returns(reward, v_t):
        return lambda_returns(reward, ends["terminated"], ends["truncated"], 0.9, 0.8, v_t)

    ones = jnp.ones(6)
    changed = returns(ones.at[3:].set(50.0), ones.at[3:].set(70.0))
    assert_array_equal(changed[:3], returns(ones, ones)[:3])
    assert (changed[3:] > 50).all()


def test_true_values_are_a_fixed_point_of_every_lambda():
    """Reward 1 for ever is worth 1 / (1 - gamma), wherever the trajectory is cut."""
    flags, v_t = jnp.zeros(8, bool), jnp.full(8, 5.0)
    for trace_decay in (0.0, 0.5, 1.0):
        for truncated in (flags, flags.at[3].set(True)):
            result = lambda_returns(jnp.ones(8), flags, truncated, 0.8, trace_decay, v_t)
            assert_allclose(result, 5.0, rtol=1e-6)


def test_lambda_returns_vmap_over_environments_and_hyperparameters():
    batch = [
        jnp.stack(leaf) for leaf in zip(*(random_trajectory(seed) for seed in range(3)), strict=True)
    ]
    decays = jnp.array([0.0, 0.5, 1.0])
    mapped = jax.vmap(lambda_returns, in_axes=(0, 0, 0, None, 0, 0))(*batch[:3], 0.9, decays, batch[3])
    for i in range(3):
        reward, terminated, truncated, v_t = random_trajectory(i)
        alone = lambda_returns(reward, terminated, truncated, 0.9, decays[i], v_t)
        assert_allclose(mapped[i], alone, rtol=1e-6)


def test_no_gradient_flows_through_lambda_returns():
    flags = jnp.zeros(3, bool)
    gradient = jax.grad(lambda v: lambda_returns(REWARDS, flags, flags, 0.5, 0.5, v).sum())(VALUES)
    assert_array_equal(gradient, 0)


def test_shapes_are_checked_when_tracing():
    flags = jnp.zeros(2, bool)
    with pytest.raises(AssertionError):
        n_step_return(jnp.zeros((2, 2)), flags, flags, 0.9)
    with pytest.raises(AssertionError):
        lambda_returns(jnp.zeros(2), flags, flags, 0.9, 0.5, jnp.zeros(3))
