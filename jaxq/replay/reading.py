"""Reading a ring: where runs of steps begin, and what they were."""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxq.kernels.random_index import random_index
from jaxq.learning.returns import n_step_return, n_step_sums
from jaxq.replay.packing import unpack, unpack_masks
from jaxq.replay.ring import BLOCK, LOST, TERMINATED, TRUNCATED, Ring, like, places_of
from jaxq.types import ObservationSpec, PyTree, Trajectory


class _Following(NamedTuple):
    """What steps led to, and whether that is known."""

    observation: jax.Array
    legal_actions: PyTree
    known: jax.Array


def _following(
    spec: ObservationSpec, ring: Ring, row: jax.Array, env: jax.Array, rows_written: jax.Array
) -> _Following:
    num_rows = ring.reward.shape[0]
    places, age = places_of(num_rows), (rows_written - 1 - row) % num_rows
    newest = age == 0
    ending = ring.ending[row, env]
    place = jnp.where(newest, places, ((rows_written - 1 - age) // BLOCK) % places)

    def led_to(stored: jax.Array, finals: jax.Array) -> jax.Array:
        inside, outside = stored[(row + 1) % num_rows, env], finals[place, env]
        return jnp.where(like(newest | (ending == TRUNCATED), inside), outside, inside)

    return _Following(
        unpack(spec, led_to(ring.observation, ring.final_observations)),
        unpack_masks(jax.tree.map(led_to, ring.legal_actions, ring.final_legal_actions)),
        newest | (ending != LOST),
    )


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
    draw = random_index(key, batch_size, (stored - span + 1) * num_envs)
    age, env = jnp.divmod(draw, num_envs)
    return (rows_written - stored + age) % num_rows, env


def windows(row: jax.Array, num_rows: int, span: int) -> jax.Array:
    """List the rows of windows that begin at `row` `[B]`, around the ring's end, int32 `[B, span]`."""
    return (row[:, None] + jnp.arange(span)[None]) % num_rows


def n_step_steps(
    spec: ObservationSpec,
    ring: Ring,
    row: jax.Array,
    env: jax.Array,
    rows_written: jax.Array,
    n_step: int,
    discount: jax.Array,
) -> Trajectory:
    """Read steps that span up to n of the environment's, none over the end of its episode.

    Args:
        spec: What one observation looks like.
        ring: The ring.
        row: Row of each one's first step, int32 `[B]`, with n - 1 later ones behind it.
        env: Its environment, int32 `[B]`.
        rows_written: Rows written so far, int32 `[]`.
        n_step: Steps n that a transition spans at most.
        discount: gamma, `[]`, in [0, 1].

    Returns:
        Runs of one step, leaves `[B, 1, ...]`, with weights of one.
    """
    num_rows = ring.reward.shape[0]
    steps = windows(row, num_rows, n_step), env[:, None]
    ending = ring.ending[steps]
    result = jax.vmap(n_step_return, in_axes=(0, 0, 0, None))(
        ring.reward[steps], ending == TERMINATED, ending >= TRUNCATED, discount
    )
    cost = jax.tree.map(
        lambda leaf: jax.vmap(n_step_sums, in_axes=(0, 0, None))(leaf[steps], result.last, discount),
        ring.cost,
    )
    last = (row + result.last) % num_rows
    following = _following(spec, ring, last, env, rows_written)
    steps = Trajectory(
        observation=unpack(spec, ring.observation[row, env]),
        action=ring.action[row, env],
        reward=result.r_t,
        discount=result.discount_t,
        terminated=ring.ending[last, env] == TERMINATED,
        truncated=ring.ending[last, env] >= TRUNCATED,
        next_observation=following.observation,
        mask=following.known,
        extras=(),
        weight=(),
        legal_tm1=unpack_masks(jax.tree.map(lambda leaf: leaf[row, env], ring.legal_actions)),
        legal_t=following.legal_actions,
        cost=cost,
    )
    steps = jax.tree.map(lambda leaf: leaf[:, None], steps)
    return _placed(steps, ring, row, env)


def run_steps(
    spec: ObservationSpec,
    ring: Ring,
    row: jax.Array,
    env: jax.Array,
    rows_written: jax.Array,
    length: int,
    discount: jax.Array,
) -> Trajectory:
    """Read runs of consecutive steps of one environment, over the ends of episodes.

    Args:
        spec: What one observation looks like.
        ring: The ring.
        row: Row of each run's first step, int32 `[B]`, with T - 1 later ones behind it.
        env: Its environment, int32 `[B]`.
        rows_written: Rows written so far, int32 `[]`.
        length: Steps T of a run.
        discount: gamma, `[]`, in [0, 1].

    Returns:
        The runs, leaves `[B, T, ...]`, with weights of one.
    """
    rows = windows(row, ring.reward.shape[0], length)
    place = rows, env[:, None]
    ending = ring.ending[place]
    following = _following(spec, ring, *place, rows_written)
    steps = Trajectory(
        observation=unpack(spec, ring.observation[place]),
        action=ring.action[place],
        reward=ring.reward[place],
        discount=discount * (1.0 - (ending == TERMINATED)),
        terminated=ending == TERMINATED,
        truncated=ending >= TRUNCATED,
        next_observation=following.observation,
        mask=following.known,
        extras=(),
        weight=(),
        legal_tm1=unpack_masks(jax.tree.map(lambda leaf: leaf[place], ring.legal_actions)),
        legal_t=following.legal_actions,
        cost=jax.tree.map(lambda leaf: leaf[place], ring.cost),
    )
    return _placed(steps, ring, row, env)


def _placed(steps: Trajectory, ring: Ring, row: jax.Array, env: jax.Array) -> Trajectory:
    """Add what the agent kept beside the first step of each run, and where the run begins."""
    return steps._replace(
        extras=jax.tree.map(lambda leaf: leaf[row, env], ring.extras),
        weight=jnp.ones(row.shape),
        index=row * ring.reward.shape[1] + env,
    )
