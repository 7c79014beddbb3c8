"""The ring that replays share: the last rows of E environments, written in place, read by number."""

from typing import Any

import jax
import jax.numpy as jnp

from jaxq import checks
from jaxq.learning.returns import n_step_return
from jaxq.types import ObservationSpec, PyTree, Sample, Transition


def check_sizes(replay: Any, span: str) -> None:
    """Make the sizes of a frozen dataclass `int`s, and check that the ring holds what a draw spans.

    Args:
        replay: A dataclass whose fields are all sizes, `num_rows` among them.
        span: Name of the field that says how many rows one draw spans.

    Raises:
        InputTypeError: If a size is not a whole number.
        InputValueError: If a size is not positive, or a draw spans more rows than there are.
    """
    for name in replay.__dataclass_fields__:
        object.__setattr__(replay, name, checks.whole_number(name, getattr(replay, name)))
    length = getattr(replay, span)
    if length > replay.num_rows:
        raise checks.InputValueError(
            f"num_rows must be at least {span} = {length}, got {replay.num_rows}; "
            f"for example num_rows={length}"
        )


def empty(num_rows: int, num_envs: int, spec: ObservationSpec, extras: PyTree = ()) -> Transition:
    """Make an empty ring, every leaf `[R, E, ...]` in the type it is stored in.

    Args:
        num_rows: Rows R of the ring.
        num_envs: Environments E that write side by side.
        spec: What one observation looks like.
        extras: What one environment's extras look like, arrays or their shapes.
    """
    rows = (num_rows, num_envs)
    return Transition(
        observation=jnp.zeros(rows + spec.shape, spec.dtype),
        action=jnp.zeros(rows, jnp.int32),
        reward=jnp.zeros(rows, jnp.float32),
        terminated=jnp.zeros(rows, bool),
        truncated=jnp.zeros(rows, bool),
        next_observation=jnp.zeros(rows + spec.shape, spec.dtype),
        extras=jax.tree.map(lambda leaf: jnp.zeros(rows + leaf.shape, leaf.dtype), extras),
    )


def write(ring: Transition, rows: Transition, rows_written: jax.Array) -> Transition:
    """Write T rows over the oldest ones.

    Args:
        ring: The ring, leaves `[R, E, ...]`.
        rows: What the environments did, leaves `[T, E, ...]`, where T divides R.
        rows_written: Rows written before, int32 `[]`, a multiple of T.

    Returns:
        The ring with the new rows.

    Raises:
        InputValueError: If T does not divide R.
    """
    num_rows, length = ring.reward.shape[0], rows.reward.shape[0]
    if num_rows % length:
        raise checks.InputValueError(
            f"the rows written at once must divide num_rows, so that none wraps around, got {length} "
            f"into {num_rows}; for example num_rows={-(-num_rows // length) * length}"
        )
    position = rows_written % num_rows
    return jax.tree.map(
        lambda old, new: jax.lax.dynamic_update_slice_in_dim(old, new, position, axis=0), ring, rows
    )


def uniform_starts(
    key: jax.Array, batch_size: int, rows_written: jax.Array, ring: Transition, span: int
) -> tuple[jax.Array, jax.Array]:
    """Draw where B windows of `span` rows begin, uniformly and with replacement.

    Every stored transition with `span - 1` later ones of its environment behind it is equally likely,
    so no window reaches over the write head, from the newest row into the oldest.

    Args:
        key: PRNG key.
        batch_size: Number of windows B.
        rows_written: Rows written so far, int32 `[]`, at least `span`.
        ring: The ring, leaves `[R, E, ...]`.
        span: Rows of a window, in [1, R].

    Returns:
        Row, in [0, R), and environment, in [0, E), of each window's start, int32 `[B]` both.
    """
    num_rows, num_envs = ring.reward.shape
    stored = jnp.minimum(rows_written, num_rows)
    draw = jax.random.randint(key, (batch_size,), 0, (stored - span + 1) * num_envs)
    age, env = jnp.divmod(draw, num_envs)
    return (rows_written - stored + age) % num_rows, env


def windows(row: jax.Array, num_rows: int, span: int) -> jax.Array:
    """List the rows of windows that begin at `row` `[B]`, around the ring's end, int32 `[B, span]`."""
    return (row[:, None] + jnp.arange(span)[None]) % num_rows


def n_step_sample(
    ring: Transition, row: jax.Array, env: jax.Array, n_step: int, discount: jax.Array
) -> Sample:
    """Read transitions of up to n steps, none of which reaches over the end of its episode.

    Args:
        ring: The ring, leaves `[R, E, ...]`.
        row: Row of each one's first step, int32 `[B]`, with n - 1 later ones behind it.
        env: Its environment, int32 `[B]`.
        n_step: Steps n that a transition spans at most.
        discount: gamma, `[]`, in [0, 1].

    Returns:
        The sample, leaves `[B, ...]`, with weights of one.
    """
    num_rows, num_envs = ring.reward.shape
    steps = windows(row, num_rows, n_step), env[:, None]
    result = jax.vmap(n_step_return, in_axes=(0, 0, 0, None))(
        ring.reward[steps], ring.terminated[steps], ring.truncated[steps], discount
    )
    last = (row + result.last) % num_rows
    return Sample(
        s_tm1=ring.observation[row, env],
        a_tm1=ring.action[row, env],
        r_t=result.r_t,
        discount_t=result.discount_t,
        s_t=ring.next_observation[last, env],
        weight=jnp.ones(row.shape),
        index=row * num_envs + env,
    )
