"""Returns over several steps, on one trajectory; callers vmap."""

from typing import NamedTuple

import chex
import jax
import jax.numpy as jnp


class NStepReturn(NamedTuple):
    """The first part of a return, and what is left of it.

    Attributes:
        r_t: Discounted sum of the rewards inside the window, `[]`.
        discount_t: What the value at the window's end counts for, `[]`.
        last: Number of the window's last step, int32 `[]`, in [0, n - 1].
    """

    r_t: jax.Array
    discount_t: jax.Array
    last: jax.Array


def n_step_return(
    reward: jax.Array, terminated: jax.Array, truncated: jax.Array, discount: jax.Array
) -> NStepReturn:
    """Sum the rewards of up to n steps, no further than the episode goes.

    With m the first step that terminated or was truncated, or the last one if there is none,
    `r_t = sum_{k <= m} discount^k reward[k]` and
    `discount_t = discount^(m + 1) * (1 - terminated[m])`.
    A truncated episode is still worth its last state's value, so only termination ends the return.

    Args:
        reward: Rewards of n consecutive steps, `[n]`.
        terminated: Whether each step ended in a terminal state, bool `[n]`.
        truncated: Whether each step was the last one before the episode was cut off, bool `[n]`.
        discount: gamma, `[]`, in [0, 1].

    Returns:
        The window's return, the discount of the value at its end, and the step where it ended.

    References:
        Sutton and Barto, Reinforcement Learning, 2nd edition, 2018, equation 7.1.
        Pardo et al., Time Limits in Reinforcement Learning, 2018, section 3 (truncation).

    Example:
        >>> import jax.numpy as jnp
        >>> flags = jnp.array([False, False])
        >>> float(n_step_return(jnp.array([1.0, 1.0]), flags, flags, 0.5).r_t)
        1.5
    """
    chex.assert_rank([reward, terminated, truncated], 1)
    chex.assert_equal_shape([reward, terminated, truncated])
    n = reward.shape[0]
    ended = terminated | truncated
    last = jnp.where(ended.any(), jnp.argmax(ended), n - 1).astype(jnp.int32)
    step = jnp.arange(n)
    weight = jnp.where(step <= last, discount ** step.astype(reward.dtype), 0)
    is_last = step == last
    bootstrap = jnp.where(is_last & ~terminated, discount ** (step + 1).astype(reward.dtype), 0)
    return NStepReturn(jnp.sum(weight * reward), jnp.sum(bootstrap), last)


def n_step_sums(values: jax.Array, last: jax.Array, discount: jax.Array) -> jax.Array:
    """Sum what came of several things beside reward, such as costs, over the window of a return.

    `sum_{k <= last} discount^k values[k]`

    Args:
        values: What each of n consecutive steps brought, `[n, K]`.
        last: Number of the window's last step, int32 `[]`, as `n_step_return` gives it.
        discount: gamma, `[]`, in [0, 1].

    Returns:
        The sums, `[K]`.

    Example:
        >>> import jax.numpy as jnp
        >>> n_step_sums(jnp.array([[1.0, 0.0], [2.0, 4.0], [8.0, 8.0]]), 1, 0.5).tolist()
        [2.0, 2.0]
    """
    chex.assert_rank([values, last], [2, 0])
    step = jnp.arange(values.shape[0])
    weight = jnp.where(step <= last, discount ** step.astype(values.dtype), 0)
    return jnp.sum(weight[:, None] * values, axis=0)


def lambda_returns(
    reward: jax.Array,
    terminated: jax.Array,
    truncated: jax.Array,
    discount: jax.Array,
    trace_decay: jax.Array,
    v_t: jax.Array,
) -> jax.Array:
    """Average the returns of all lengths, each one step longer counting lambda times as much.

    `G[t] = reward[t] + discount * (1 - terminated[t]) * next[t]`, where `next[t]` is `v_t[t]` if step
    t was truncated or is the last one, and otherwise
    `(1 - trace_decay) * v_t[t] + trace_decay * G[t + 1]`.

    With lambda 0 these are one-step targets, with lambda 1 the whole rest of the trajectory. With
    `v_t[t] = max_a q(s_t, a)` they are Peng's Q(lambda).

    Args:
        reward: Rewards of T consecutive steps, `[T]`.
        terminated: Whether each step ended in a terminal state, bool `[T]`.
        truncated: Whether each step was the last one before the episode was cut off, bool `[T]`.
        discount: gamma, `[]`, in [0, 1].
        trace_decay: lambda, `[]`, in [0, 1].
        v_t: Value of the observation in which each step really ended, `[T]`, finite; never that of
            the observation after a reset. Where a step terminated it does not count.

    Returns:
        The return from each step on, `[T]`, through which no gradient flows.

    References:
        Peng and Williams, Incremental Multi-Step Q-Learning, 1996.
        Gallici et al., Simplifying Deep Temporal Difference Learning, 2024 (PQN).
        Sutton and Barto, Reinforcement Learning, 2nd edition, 2018, equation 12.18.

    Example:
        >>> import jax.numpy as jnp
        >>> flags = jnp.array([False, False])
        >>> print(lambda_returns(jnp.ones(2), flags, flags, 0.5, 0.5, jnp.array([4.0, 8.0])))
        [3.25 5.  ]
    """
    chex.assert_rank([reward, terminated, truncated, v_t], 1)
    chex.assert_equal_shape([reward, terminated, truncated, v_t])
    is_last = jnp.arange(reward.shape[0]) == reward.shape[0] - 1
    decay = jnp.where(truncated | is_last, 0, trace_decay).astype(reward.dtype)
    # G[t] = known[t] + weight[t] * G[t + 1]; unrolling the scan made it slower on CPU.
    discount_t = discount * (1 - terminated.astype(reward.dtype))
    known = reward + discount_t * (1 - decay) * v_t
    weight = discount_t * decay

    def extend(following: jax.Array, step: tuple) -> tuple[jax.Array, jax.Array]:
        value = step[0] + step[1] * following
        return value, value

    _, returns = jax.lax.scan(extend, jnp.zeros((), known.dtype), (known, weight), reverse=True)
    return jax.lax.stop_gradient(returns)
