"""The ring that replays share: the last rows of E environments, written in place.

What a step led to is what the next step of its environment begins from, so it is stored once. The
exceptions are the newest row, which has no next one yet, and episodes that were cut off: the row after
belongs to a new episode. Both have places of their own, in `Ring.final_observations`.
"""

import dataclasses
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxq import checks
from jaxq.replay.packing import pack, pack_masks, stored_spec
from jaxq.types import ObservationSpec, PyTree, Transition

BLOCK = 16
"""Rows of an environment that share one place for the end of an episode that was cut off among them."""

# How a step ended. Of two episodes cut off in one block, where the later one ended is lost; it takes a
# time limit of less than a block, and then every block still has one.
RUNNING, TERMINATED, TRUNCATED, LOST = range(4)


class Ring(NamedTuple):
    """The last R rows of E environments.

    Attributes:
        observation: Observations acted on, as stored, `[R, E, ...]`.
        final_observations: Observations that are not in the following row, `[F + 1, E, ...]`: where an
            episode was cut off, one for each block of rows; at the end what the newest row led to.
        slot_used: Whether the newest block's place is used, bool `[E]`.
        action: int32 `[R, E]`.
        reward: float32 `[R, E]`.
        ending: `RUNNING`, `TERMINATED`, `TRUNCATED` or `LOST`, uint8 `[R, E]`.
        extras: What else the agent keeps, leaves `[R, E, ...]`.
        legal_actions: Actions that could be taken, as bits, uint8 `[R, E, ceil(A / 8)]`; or `()`.
        final_legal_actions: Those of `final_observations`, uint8 `[F + 1, E, ceil(A / 8)]`; or `()`.
        cost: float32 `[R, E, K]`, or `()`.
    """

    observation: jax.Array
    final_observations: jax.Array
    slot_used: jax.Array
    action: jax.Array
    reward: jax.Array
    ending: jax.Array
    extras: PyTree
    legal_actions: PyTree
    final_legal_actions: PyTree
    cost: PyTree


def check_sizes(replay: Any, span: str) -> None:
    """Make the sizes of a frozen dataclass `int`s, and check that the ring holds what a draw spans.

    Args:
        replay: A dataclass whose fields are all sizes, `num_rows` among them, but for `spec`.
        span: Name of the field that says how many rows one draw spans.

    Raises:
        InputTypeError: If a size is not a whole number.
        InputValueError: If a size is not positive, or a draw spans more rows than there are.
    """
    for name in {field.name for field in dataclasses.fields(replay)} - {"spec"}:
        object.__setattr__(replay, name, checks.whole_number(name, getattr(replay, name)))
    length = getattr(replay, span)
    if length > replay.num_rows:
        raise checks.InputValueError(
            f"num_rows must be at least {span} = {length}, got {replay.num_rows}; "
            f"for example num_rows={length}"
        )


def empty(
    spec: ObservationSpec,
    num_rows: int,
    num_envs: int,
    extras: PyTree = (),
    legal_actions: PyTree = (),
    cost: PyTree = (),
) -> Ring:
    """Make an empty ring.

    Args:
        spec: What one observation looks like.
        num_rows: Rows R of the ring.
        num_envs: Environments E that write side by side.
        extras: What one environment's extras look like, arrays or their shapes.
        legal_actions: What its legal actions look like, bool `[A]`, or `()`.
        cost: What its costs look like, `[K]`, or `()`.
    """
    stored, rows = stored_spec(spec), (num_rows, num_envs)
    bits = jax.tree.map(lambda leaf: -(-leaf.shape[0] // 8), legal_actions)
    places = places_of(num_rows) + 1
    return Ring(
        observation=jnp.zeros(rows + stored.shape, stored.dtype),
        final_observations=jnp.zeros((places, num_envs, *stored.shape), stored.dtype),
        slot_used=jnp.zeros(num_envs, bool),
        action=jnp.zeros(rows, jnp.int32),
        reward=jnp.zeros(rows, jnp.float32),
        ending=jnp.zeros(rows, jnp.uint8),
        extras=jax.tree.map(lambda leaf: jnp.zeros(rows + leaf.shape, leaf.dtype), extras),
        legal_actions=jax.tree.map(lambda size: jnp.zeros((*rows, size), jnp.uint8), bits),
        final_legal_actions=jax.tree.map(
            lambda size: jnp.zeros((places, num_envs, size), jnp.uint8), bits
        ),
        cost=jax.tree.map(lambda leaf: jnp.zeros(rows + leaf.shape, jnp.float32), cost),
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
    following = pack(spec, rows.next_observation), pack_masks(rows.next_legal_actions)
    finals, slot_used, ending = _cut_off(ring, rows, following, rows_written)
    finals = jax.tree.map(
        lambda old, new: jax.lax.dynamic_update_slice_in_dim(old, new[-1:], old.shape[0] - 1, axis=0),
        finals,
        following,
    )
    position = rows_written % num_rows

    def over(old: jax.Array, new: jax.Array) -> jax.Array:
        return jax.lax.dynamic_update_slice_in_dim(old, new, position, axis=0)

    return Ring(
        observation=over(ring.observation, pack(spec, rows.observation)),
        final_observations=finals[0],
        slot_used=slot_used,
        action=over(ring.action, rows.action),
        reward=over(ring.reward, rows.reward),
        ending=over(ring.ending, ending),
        extras=jax.tree.map(over, ring.extras, rows.extras),
        legal_actions=jax.tree.map(over, ring.legal_actions, pack_masks(rows.legal_actions)),
        final_legal_actions=finals[1],
        cost=jax.tree.map(over, ring.cost, rows.cost),
    )


def by_environment(ring: Ring, of_rows: Any, of_environments: Any) -> Ring:
    """Put for each array of a ring what belongs to its axes.

    Args:
        ring: The ring, or what its arrays look like.
        of_rows: For arrays `[R, E, ...]` and `[F + 1, E, ...]`.
        of_environments: For those `[E]`.
    """
    found: Ring = jax.tree.map(lambda _: of_rows, ring)
    return found._replace(slot_used=of_environments)


class Stored(NamedTuple):
    """What lies in the ring of an agent, NumPy arrays `[rows * E]`."""

    action: np.ndarray
    reward: np.ndarray
    terminated: np.ndarray
    truncated: np.ndarray


def stored(rings: Ring, agent: int, num_rows: int) -> Stored:
    """Read what the first rows of one agent's ring hold, without observations.

    Args:
        rings: Those of many agents, leaves `[N, R, E, ...]`.
        agent: Number of the agent.
        num_rows: Rows that have been written, at most R.
    """
    kept = rings.action, rings.reward, rings.ending
    action, reward, ending = (np.ravel(leaf[agent][:num_rows]) for leaf in kept)
    return Stored(action, reward, ending == TERMINATED, ending >= TRUNCATED)


def places_of(num_rows: int) -> int:
    """Return how many blocks may have rows in the ring: all of it, and those of a block half over."""
    return -(-num_rows // BLOCK) + 1


def _cut_off(
    ring: Ring, rows: Transition, following: PyTree, rows_written: jax.Array
) -> tuple[PyTree, jax.Array, jax.Array]:
    """Keep where episodes were cut off: what was seen there, `slot_used`, and how each row ended."""
    places = places_of(ring.reward.shape[0])

    def keep(carry: tuple, row: tuple) -> tuple[tuple, jax.Array]:
        finals, slot_used, number = carry
        terminated, truncated, seen = row
        slot_used = slot_used & (number % BLOCK > 0)
        truncated = truncated & ~terminated
        place = (number // BLOCK) % places

        def kept(finals: jax.Array, seen: jax.Array) -> jax.Array:
            old = jax.lax.dynamic_index_in_dim(finals, place, keepdims=False)
            new = jnp.where(like(truncated & ~slot_used, old), seen, old)
            return jax.lax.dynamic_update_index_in_dim(finals, new, place, axis=0)

        ending = terminated * TERMINATED + truncated * jnp.where(slot_used, LOST, TRUNCATED)
        finals = jax.tree.map(kept, finals, seen)
        return (finals, slot_used | truncated, number + 1), ending.astype(jnp.uint8)

    (finals, slot_used, _), ending = jax.lax.scan(
        keep,
        ((ring.final_observations, ring.final_legal_actions), ring.slot_used, rows_written),
        (rows.terminated, rows.truncated, following),
        unroll=rows.reward.shape[0] == 1,
    )
    return finals, slot_used, ending


def like(condition: jax.Array, leaf: jax.Array) -> jax.Array:
    """Give a condition `[...]` the rank of a leaf `[..., ...]`."""
    return condition.reshape(*condition.shape, *[1] * (leaf.ndim - condition.ndim))
