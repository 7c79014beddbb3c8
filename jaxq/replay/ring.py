"""The ring that replays share: the last rows of E environments, written in place, read by number.

What a step led to is what the next step of its environment begins from, so it is stored once. The
exceptions are the newest row, which has no next one yet, and episodes that were cut off: the row after
belongs to a new episode. Both have places of their own, in `Ring.elsewhere`.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxq import checks
from jaxq.kernels.random_index import draw_below
from jaxq.learning.returns import n_step_return
from jaxq.replay.packing import pack, stored_spec, unpack
from jaxq.types import ObservationSpec, PyTree, Sample, Transition

BLOCK = 16
"""Rows of an environment that share one place for the end of an episode that was cut off among them."""

# How a step ended. Of two episodes cut off in one block, where the later one ended is lost; it takes a
# time limit of less than a block, and then every block still has one.
RUNNING, TERMINATED, TRUNCATED, LOST = range(4)


class Ring(NamedTuple):
    """The last R rows of E environments.

    Attributes:
        observation: Observations acted on, as stored, `[R, E, ...]`.
        elsewhere: Observations that are not in the following row, `[F + 1, E, ...]`: where an episode
            was cut off, one for each block of rows; at the end what the newest row led to.
        taken: Whether the newest block's place is taken, bool `[E]`.
        action: int32 `[R, E]`.
        reward: float32 `[R, E]`.
        ending: `RUNNING`, `TERMINATED`, `TRUNCATED` or `LOST`, uint8 `[R, E]`.
        extras: What else the agent keeps, leaves `[R, E, ...]`.
    """

    observation: jax.Array
    elsewhere: jax.Array
    taken: jax.Array
    action: jax.Array
    reward: jax.Array
    ending: jax.Array
    extras: PyTree


class Steps(NamedTuple):
    """Steps read from a ring: what they led to, and whether that is known.

    Attributes:
        transition: The steps, without extras.
        known: Whether `next_observation` is what the step really led to, bool.
        weight: Importance weight of each window that the steps are of; `()` where all are alike.
        index: Where in the ring each window begins, `row * E + env`; `()` where nobody asks.
    """

    transition: Transition
    known: jax.Array
    weight: PyTree = ()
    index: PyTree = ()


def check_sizes(replay: Any, span: str) -> None:
    """Make the sizes of a frozen dataclass `int`s, and check that the ring holds what a draw spans.

    Args:
        replay: A dataclass whose fields are all sizes, `num_rows` among them, but for `spec`.
        span: Name of the field that says how many rows one draw spans.

    Raises:
        InputTypeError: If a size is not a whole number.
        InputValueError: If a size is not positive, or a draw spans more rows than there are.
    """
    for name in set(replay.__dataclass_fields__) - {"spec"}:
        object.__setattr__(replay, name, checks.whole_number(name, getattr(replay, name)))
    length = getattr(replay, span)
    if length > replay.num_rows:
        raise checks.InputValueError(
            f"num_rows must be at least {span} = {length}, got {replay.num_rows}; "
            f"for example num_rows={length}"
        )


def empty(spec: ObservationSpec, num_rows: int, num_envs: int, extras: PyTree = ()) -> Ring:
    """Make an empty ring.

    Args:
        spec: What one observation looks like.
        num_rows: Rows R of the ring.
        num_envs: Environments E that write side by side.
        extras: What one environment's extras look like, arrays or their shapes.
    """
    stored, rows = stored_spec(spec), (num_rows, num_envs)
    return Ring(
        observation=jnp.zeros(rows + stored.shape, stored.dtype),
        elsewhere=jnp.zeros((_places(num_rows) + 1, num_envs, *stored.shape), stored.dtype),
        taken=jnp.zeros(num_envs, bool),
        action=jnp.zeros(rows, jnp.int32),
        reward=jnp.zeros(rows, jnp.float32),
        ending=jnp.zeros(rows, jnp.uint8),
        extras=jax.tree.map(lambda leaf: jnp.zeros(rows + leaf.shape, leaf.dtype), extras),
    )


def write(spec: ObservationSpec, ring: Ring, rows: Transition, rows_written: jax.Array) -> Ring:
    """Write T rows over the oldest ones.

    Args:
        spec: What one observation looks like.
        ring: The ring.
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
    following = pack(spec, rows.next_observation)
    elsewhere, taken, ending = _cut_off(ring, rows, following, rows_written)
    elsewhere = jax.lax.dynamic_update_slice_in_dim(
        elsewhere, following[-1:], elsewhere.shape[0] - 1, axis=0
    )
    position = rows_written % num_rows

    def over(old: jax.Array, new: jax.Array) -> jax.Array:
        return jax.lax.dynamic_update_slice_in_dim(old, new, position, axis=0)

    return Ring(
        observation=over(ring.observation, pack(spec, rows.observation)),
        elsewhere=elsewhere,
        taken=taken,
        action=over(ring.action, rows.action),
        reward=over(ring.reward, rows.reward),
        ending=over(ring.ending, ending),
        extras=jax.tree.map(over, ring.extras, rows.extras),
    )


def _places(num_rows: int) -> int:
    """Return how many blocks may have rows in the ring: all of it, and those of a block half over."""
    return -(-num_rows // BLOCK) + 1


def _cut_off(
    ring: Ring, rows: Transition, following: jax.Array, rows_written: jax.Array
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Keep where episodes were cut off: `elsewhere`, `taken`, and how each of the rows ended."""
    places = _places(ring.reward.shape[0])

    def keep(carry: tuple, row: tuple) -> tuple[tuple, jax.Array]:
        elsewhere, taken, number = carry
        terminated, truncated, observation = row
        taken = taken & (number % BLOCK > 0)
        truncated = truncated & ~terminated
        place = (number // BLOCK) % places
        old = jax.lax.dynamic_index_in_dim(elsewhere, place, keepdims=False)
        kept = jnp.where(_like(truncated & ~taken, old), observation, old)
        elsewhere = jax.lax.dynamic_update_index_in_dim(elsewhere, kept, place, axis=0)
        ending = terminated * TERMINATED + truncated * jnp.where(taken, LOST, TRUNCATED)
        return (elsewhere, taken | truncated, number + 1), ending.astype(jnp.uint8)

    (elsewhere, taken, _), ending = jax.lax.scan(
        keep,
        (ring.elsewhere, ring.taken, rows_written),
        (rows.terminated, rows.truncated, following),
        unroll=rows.reward.shape[0] == 1,
    )
    return elsewhere, taken, ending


def read(
    spec: ObservationSpec, ring: Ring, row: jax.Array, env: jax.Array, rows_written: jax.Array
) -> Steps:
    """Read steps by their place.

    Args:
        spec: What one observation looks like.
        ring: The ring.
        row: Rows, int32 `[...]`, in [0, R), that were written.
        env: Environments, int32 of a shape that goes with it, in [0, E).
        rows_written: Rows written so far, int32 `[]`.

    Returns:
        The steps, leaves `[..., ...]`.
    """
    ending = ring.ending[row, env]
    following, known = _following(spec, ring, row, env, rows_written)
    transition = Transition(
        observation=unpack(spec, ring.observation[row, env]),
        action=ring.action[row, env],
        reward=ring.reward[row, env],
        terminated=ending == TERMINATED,
        truncated=ending >= TRUNCATED,
        next_observation=following,
    )
    return Steps(transition, known)


def _following(
    spec: ObservationSpec, ring: Ring, row: jax.Array, env: jax.Array, rows_written: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """Return what steps led to, and whether that is known."""
    num_rows = ring.reward.shape[0]
    places, age = _places(num_rows), (rows_written - 1 - row) % num_rows
    newest = age == 0
    ending = ring.ending[row, env]
    place = jnp.where(newest, places, ((rows_written - 1 - age) // BLOCK) % places)
    inside, outside = ring.observation[(row + 1) % num_rows, env], ring.elsewhere[place, env]
    stored = jnp.where(_like(newest | (ending == TRUNCATED), inside), outside, inside)
    return unpack(spec, stored), newest | (ending != LOST)


def uniform_starts(
    key: jax.Array, batch_size: int, rows_written: jax.Array, ring: Ring, span: int
) -> tuple[jax.Array, jax.Array]:
    """Draw where B windows of `span` rows begin, uniformly and with replacement.

    Every stored transition with `span - 1` later ones of its environment behind it is equally likely,
    so no window reaches over the write head, from the newest row into the oldest.

    Args:
        key: PRNG key.
        batch_size: Number of windows B.
        rows_written: Rows written so far, int32 `[]`, at least `span`.
        ring: The ring.
        span: Rows of a window, in [1, R].

    Returns:
        Row, in [0, R), and environment, in [0, E), of each window's start, int32 `[B]` both.
    """
    num_rows, num_envs = ring.reward.shape
    stored = jnp.minimum(rows_written, num_rows)
    draw = draw_below(key, batch_size, (stored - span + 1) * num_envs)
    age, env = jnp.divmod(draw, num_envs)
    return (rows_written - stored + age) % num_rows, env


def windows(row: jax.Array, num_rows: int, span: int) -> jax.Array:
    """List the rows of windows that begin at `row` `[B]`, around the ring's end, int32 `[B, span]`."""
    return (row[:, None] + jnp.arange(span)[None]) % num_rows


def n_step_sample(
    spec: ObservationSpec,
    ring: Ring,
    row: jax.Array,
    env: jax.Array,
    rows_written: jax.Array,
    n_step: int,
    discount: jax.Array,
) -> Sample:
    """Read transitions of up to n steps, none of which reaches over the end of its episode.

    Args:
        spec: What one observation looks like.
        ring: The ring.
        row: Row of each one's first step, int32 `[B]`, with n - 1 later ones behind it.
        env: Its environment, int32 `[B]`.
        rows_written: Rows written so far, int32 `[]`.
        n_step: Steps n that a transition spans at most.
        discount: gamma, `[]`, in [0, 1].

    Returns:
        The sample, leaves `[B, ...]`, with weights of one, or zero where what it led to is lost.
    """
    num_rows, num_envs = ring.reward.shape
    steps = windows(row, num_rows, n_step), env[:, None]
    ending = ring.ending[steps]
    result = jax.vmap(n_step_return, in_axes=(0, 0, 0, None))(
        ring.reward[steps], ending == TERMINATED, ending >= TRUNCATED, discount
    )
    last = (row + result.last) % num_rows
    s_t, known = _following(spec, ring, last, env, rows_written)
    return Sample(
        s_tm1=unpack(spec, ring.observation[row, env]),
        a_tm1=ring.action[row, env],
        r_t=result.r_t,
        discount_t=result.discount_t,
        s_t=s_t,
        weight=known.astype(jnp.float32),
        index=row * num_envs + env,
    )


def _like(condition: jax.Array, leaf: jax.Array) -> jax.Array:
    """Give a condition `[...]` the rank of a leaf `[..., ...]`."""
    return condition.reshape(*condition.shape, *[1] * (leaf.ndim - condition.ndim))
