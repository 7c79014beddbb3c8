"""Schedules: numbers that change with time, or differ between the environments of one agent.

All of them go by the env steps that an agent has done: what comes after `t` of them has the value at
`t`, and the end is reached when `num_steps` are done. Updates have the value of the steps that were done
before their iteration began; so a learning rate that falls to zero over K updates is
`start * (1 - k / K)` at update `k = 0 ... K - 1`, and no update runs at zero.
"""

import jax
import jax.numpy as jnp

from jaxq import checks

SMALLEST_RATIO = 1e-8
"""How far apart the ends of a geometric curve may be; an end that is zero is moved up to this."""


def linear_schedule(
    step: jax.Array, start: jax.Array, end: jax.Array, num_steps: jax.Array
) -> jax.Array:
    """Go from `start` to `end` in a straight line over `num_steps`, and stay there.

    `start + min(step / num_steps, 1) * (end - start)`; with `num_steps = 0` it is `end` throughout.

    Args:
        step: Env steps of the agent so far, `[]`.
        start: Value at step 0, `[]`.
        end: Value from `num_steps` on, `[]`.
        num_steps: Length of the schedule in env steps, `[]`, >= 0.

    Returns:
        The value at `step`, `[]`.

    Example:
        >>> float(linear_schedule(50, 1.0, 0.5, 100))
        0.75
    """
    return start + _fraction(step, num_steps) * (end - start)


def learning_rate_schedule(step: jax.Array, start: jax.Array, num_steps: jax.Array) -> jax.Array:
    """Fall from `start` to zero in a straight line over `num_steps`, and stay there.

    `start * (1 - min(step / num_steps, 1))`; with `num_steps = 0` it is `start` throughout.

    Args:
        step: Env steps of the agent before the iteration whose updates have this step size, `[]`.
        start: Step size at step 0, `[]`.
        num_steps: Length of the schedule in env steps, `[]`, >= 0.

    Returns:
        The step size, `[]`; above zero as long as `step` is below `num_steps`.

    Example:
        >>> float(learning_rate_schedule(75, 1.0, 100))
        0.25
    """
    return start * (1 - jnp.where(num_steps > 0, _fraction(step, num_steps), 0.0))


def exponential_schedule(
    step: jax.Array, start: jax.Array, end: jax.Array, num_steps: jax.Array
) -> jax.Array:
    """Go from `start` to `end` by the same factor at every step over `num_steps`, and stay there.

    `start * (end / start)^min(step / num_steps, 1)`; with `num_steps = 0` it is `end` throughout.

    No factor leads to zero or away from it. So on the way each of the two numbers counts as at least
    `SMALLEST_RATIO` (1e-8) times the larger one: with `end = 0` the value falls by eight orders of
    magnitude, and it is exactly zero from `num_steps` on.

    Args:
        step: Env steps of the agent so far, `[]`.
        start: Value at step 0, `[]`, >= 0.
        end: Value from `num_steps` on, `[]`, >= 0.
        num_steps: Length of the schedule in env steps, `[]`, >= 0.

    Returns:
        The value at `step`, `[]`.

    Example:
        >>> print(round(float(exponential_schedule(50, 1.0, 0.01, 100)), 6))
        0.1
    """
    step, num_steps = _steps(step, num_steps)
    # The smallest normal number keeps the quotient defined where both ends are zero.
    floor = jnp.maximum(SMALLEST_RATIO * jnp.maximum(start, end), jnp.finfo(jnp.float32).tiny)
    low, high = jnp.maximum(start, floor), jnp.maximum(end, floor)
    curve = low * (high / low) ** _fraction(step, num_steps)
    return jnp.where(step < num_steps, curve, end)


def epsilon_ladder(start: jax.Array, end: jax.Array, num_envs: int) -> jax.Array:
    """Give each environment an epsilon of its own, from `start` to `end` by equal factors.

    `epsilon[i] = start^(1 - f) * end^f` with `f = i / (E - 1)`

    Ape-X writes `epsilon^(1 + alpha i / (E - 1))` for actor i. That is
    `epsilon^(1 - f) * (epsilon^(1 + alpha))^f`, so it is this ladder with `start = epsilon` and
    `end = epsilon^(1 + alpha)`; its epsilon = 0.4 and alpha = 7 end at 0.4^8 = 0.00066.

    Args:
        start: Epsilon of the first environment, and of the only one if E = 1, `[]`, in [0, 1].
        end: Epsilon of the last environment, `[]`, in [0, 1]; zero makes all but the first zero.
        num_envs: Number of environments E, static, >= 1.

    Returns:
        One epsilon per environment, `[E]`.

    Raises:
        InputTypeError: If `num_envs` is not a whole number.
        InputValueError: If `num_envs` is below 1.

    References:
        Horgan et al., Distributed Prioritized Experience Replay, 2018, section 4.1.

    Example:
        >>> print(epsilon_ladder(1.0, 0.25, 3))
        [1.   0.5  0.25]
    """
    num_envs = checks.whole_number("num_envs", num_envs)
    fraction = jnp.arange(num_envs, dtype=jnp.float32) / max(num_envs - 1, 1)
    return start ** (1 - fraction) * end**fraction


def _fraction(step: jax.Array, num_steps: jax.Array) -> jax.Array:
    step, num_steps = _steps(step, num_steps)
    return jnp.where(step < num_steps, step / jnp.maximum(num_steps, 1), 1.0)


def _steps(*steps: jax.Array) -> list[jax.Array]:
    """Make counts of steps float32, of whatever types they are."""
    return [jnp.asarray(number, jnp.float32) for number in steps]
