"""State numbers for gymnax environments whose states can be counted, as a table needs them.

Each is exact: observations that differ have numbers that differ. Only what the observation tells is
used, so an environment whose observation does not tell its state has none.
"""

from typing import Any

import chex
import jax
import jax.numpy as jnp
import numpy as np
from gymnax.environments.bsuite.catch import Catch
from gymnax.environments.bsuite.deep_sea import DeepSea
from gymnax.environments.misc.rooms import FourRooms

from jaxq.types import ObservationSpec, PyTree, StateNumbers


def state_numbers(env: Any, params: PyTree, spec: ObservationSpec) -> StateNumbers | None:
    """Number the states of an environment.

    Args:
        env: A gymnax environment object.
        params: Its parameters. Numbers stay right with others, except where those hide from the
            observation what these do not: DeepSea's `sample_action_map`, and FourRooms'
            `resample_goal_pos` with visual observations.
        spec: What one observation looks like.

    Returns:
        The numbers, or `None` where the states are too many, or not told by one observation.
    """
    if spec.num_categories is not None:
        return _discrete(spec)
    # By class and not by what it inherits from: a subclass or a wrapper may show something else.
    number = _BY_CLASS.get(type(env))
    return None if number is None else number(env, params, spec)


def _discrete(spec: ObservationSpec) -> StateNumbers | None:
    if spec.shape != () or not _holds(spec.dtype, spec.num_categories - 1):
        return None
    return StateNumbers(spec.num_categories, lambda observation: observation.astype(jnp.int32))


def _catch(env: Catch, params: PyTree, spec: ObservationSpec) -> StateNumbers | None:
    """`ball * columns + paddle`, with the ball's cell and the paddle's column.

    The paddle is in the last row. When the ball has come down to it there is no telling the two
    apart, and the left one is called the ball.
    """
    del params
    if env.rows < 2:
        return None

    def number(observation: jax.Array) -> jax.Array:
        first, last = _ends_of_ones(observation, spec)
        return first * env.columns + last % env.columns

    return StateNumbers(env.rows * env.columns**2, number)


def _deep_sea(env: DeepSea, params: PyTree, spec: ObservationSpec) -> StateNumbers | None:
    """The cell of the one; the empty board below the last row comes last."""
    if params.sample_action_map:
        return None

    def number(observation: jax.Array) -> jax.Array:
        return jnp.where((observation != 0).any(), _ends_of_ones(observation, spec)[0], env.size**2)

    return StateNumbers(env.size**2 + 1, number)


def _four_rooms(env: FourRooms, params: PyTree, spec: ObservationSpec) -> StateNumbers | None:
    """`position * G + goal`, each among the cells that it can be in; a picture has the position only."""
    is_open = np.asarray(env.env_map)
    position, goal = is_open.copy(), is_open.copy()
    for cells, fixed in ((position, env.pos_fixed), (goal, env.goal_fixed)):
        row, column = np.asarray(fixed)
        if not (0 <= row < cells.shape[0] and 0 <= column < cells.shape[1]):
            return None
        cells[row, column] = True
    if env.use_visual_obs:
        return None if params.resample_goal_pos else _four_rooms_seen(position, spec)
    if not _holds(spec.dtype, max(is_open.shape)):
        return None
    positions, goals = _numbered(position), _numbered(goal)
    num_goals = int(goal.sum())

    def number(observation: jax.Array) -> jax.Array:
        chex.assert_shape(observation, (4,))
        row, column, goal_row, goal_column = observation.astype(jnp.int32)
        return (
            jnp.asarray(positions)[row, column] * num_goals + jnp.asarray(goals)[goal_row, goal_column]
        )

    return StateNumbers(int(position.sum()) * num_goals, number)


def _four_rooms_seen(position: np.ndarray, spec: ObservationSpec) -> StateNumbers:
    # The picture has the axes the other way round.
    positions = _numbered(position).T.ravel()

    def number(observation: jax.Array) -> jax.Array:
        chex.assert_shape(observation, spec.shape)
        agent = observation[..., 1]
        plane = ObservationSpec(spec.shape[:2], spec.dtype)
        return jnp.asarray(positions)[_ends_of_ones(agent, plane)[0]]

    return StateNumbers(int(position.sum()), number)


_BY_CLASS = {Catch: _catch, DeepSea: _deep_sea, FourRooms: _four_rooms}


def _ends_of_ones(board: jax.Array, spec: ObservationSpec) -> tuple[jax.Array, jax.Array]:
    """Return the places of the first and of the last one on a flattened board, int32 `[]` each."""
    chex.assert_shape(board, spec.shape)
    board = board.ravel() != 0
    places = jnp.arange(board.size, dtype=jnp.int32)
    # Two reductions of one number each: on CPU argmax, which carries two, takes longer.
    first = jnp.min(jnp.where(board, places, board.size - 1))
    return first, jnp.max(jnp.where(board, places, 0))


def _numbered(cells: np.ndarray) -> np.ndarray:
    """Number the cells that are true from 0 on, row by row."""
    return np.where(cells, np.cumsum(cells).reshape(cells.shape) - 1, 0).astype(np.int32)


def _holds(dtype: Any, largest: int) -> bool:
    """Tell whether whole numbers up to `largest` survive being stored as this type."""
    top = np.array([max(largest - 1, 0), largest])
    return bool((top.astype(dtype) == top).all())
