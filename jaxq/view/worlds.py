"""Grids: worlds whose states lie in rows and columns, as the page draws them."""

from typing import Any

import numpy as np

from jaxq.envs.table import TableEnvironment
from jaxq.envs.words import words_of
from jaxq.view.numbers import number

MOST_CELLS = 2_500
"""Cells of a grid, most of which may be empty, up to which it is drawn."""
_DIRECTIONS = {(-1, 0): "up", (0, 1): "right", (1, 0): "down", (0, -1): "left"}
# Holes of the frozen lake end an episode as a cliff does.
_TILES = {"#": "#", "G": "G", "C": "C", "H": "C", "S": "S"}
_NOWHERE, _FREE, _END = " ", ".", "E"


def world_of(env: TableEnvironment) -> dict[str, Any] | None:
    """Describe a world whose states lie on a grid.

    Args:
        env: The environment, with a drawing or with coordinates.

    Returns:
        Its cells row by row, what its actions are called, and where four of them point, if they point
        four ways; of coordinates also the cell of each state, and the row and the column that the grid
        begins with. `None` where there is nothing to draw.
    """
    if why_not_drawn(env) is not None:
        return None
    places = _places(env)
    first = places.min(axis=0)
    rows, columns = (np.ptp(places, axis=0) + 1).tolist()
    arrows = _arrows(env, places)
    world = {
        "rows": rows,
        "columns": columns,
        "actions": [arrow["name"] for arrow in arrows] if arrows else [*words_of(env).action_names],
        "arrows": arrows,
        "start": int(np.argmax(env.initial)),
        "entering": _entering(env),
    }
    if env.coordinates is None:
        cells = [[_TILES.get(str(tile), _FREE) for tile in row] for row in env.drawing]
        return world | {"cells": ["".join(row) for row in cells]}
    at = (places - first) @ [columns, 1]
    tiles = np.full(rows * columns, _NOWHERE)
    tiles[at] = np.where(_ends(env), _END, _FREE)
    cells = ["".join(row) for row in tiles.reshape(rows, columns)]
    return world | {"cells": cells, "at": at.tolist(), "origin": first.tolist()}


def why_not_drawn(env: TableEnvironment) -> str | None:
    """Say why there is no grid of a table; `None` where there is one."""
    if env.coordinates is None:
        return "No grid to draw" if env.drawing is None else None
    rows, columns = (np.ptp(env.coordinates, axis=0) + 1).tolist()
    if rows * columns > MOST_CELLS:
        return f"Coordinates span {rows:,} by {columns:,} cells, more than {MOST_CELLS:,} are not drawn"
    return None


def _places(env: TableEnvironment) -> np.ndarray:
    """Return row and column of each state, `[S, 2]`."""
    if env.coordinates is not None:
        return env.coordinates
    return np.stack(np.divmod(np.arange(env.num_states), env.drawing.shape[1]), axis=1)


def _arrows(env: TableEnvironment, places: np.ndarray) -> list[dict[str, Any]] | None:
    """Say for up, right, down and left which action goes there on average, from the model itself."""
    if env.num_actions != len(_DIRECTIONS):
        return None
    # A fall back to the start goes far, and counts no more than a step. What slips to both sides
    # cancels; what is left is where the action points.
    moved = np.sign(places[env.outcomes.next_state] - places[:, None, None])
    towards = (env.outcomes.probability[..., None] * moved).sum(axis=(0, 2))
    names = {}
    for action in range(env.num_actions):
        reach = {name: np.array(way) @ towards[action] for way, name in _DIRECTIONS.items()}
        names[max(reach, key=reach.__getitem__)] = action
    if set(names) != set(_DIRECTIONS.values()):
        return None
    return [{"name": name, "column": names[name]} for name in _DIRECTIONS.values()]


def _coming(env: TableEnvironment, ending: bool) -> np.ndarray:
    """Tell which outcomes come to another state and end the episode there, or go on, `[S, A, K]`."""
    outcomes = env.outcomes
    elsewhere = outcomes.next_state != np.arange(env.num_states)[:, None, None]
    return (outcomes.probability > 0) & elsewhere & (outcomes.terminated == ending)


def _ends(env: TableEnvironment) -> np.ndarray:
    """Tell in which states an episode always ends, `[S]`."""
    reached = env.outcomes.next_state
    ends, goes_on = (np.isin(np.arange(env.num_states), reached[_coming(env, end)]) for end in (1, 0))
    return ends & ~goes_on & (env.initial == 0)


def _entering(env: TableEnvironment) -> dict[str, float | None]:
    """Return the mean reward of coming to each state that ends the episode, by its number."""
    comes = _coming(env, ending=True)
    reached, reward = env.outcomes.next_state[comes], env.outcomes.reward[comes]
    count = np.bincount(reached, minlength=env.num_states)
    total = np.bincount(reached, reward, env.num_states)
    return {str(s): number(total[s] / count[s]) for s in np.flatnonzero(count).tolist()}
