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
