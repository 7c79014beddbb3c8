"""Coordinates of a table's states: checks of where they lie on a grid."""

from typing import Any

import numpy as np

from jaxq import checks

FARTHEST = 1_000_000
"""Largest absolute value of a coordinate."""
_EXAMPLE = "coordinates=[divmod(s, columns) for s in range({})]"


def checked_coordinates(coordinates: Any, num_states: int) -> np.ndarray | None:
    """Return the row and the column of each state, int64 `[S, 2]`, or `None` if none are given.

    Raises:
        InputTypeError: If they are no numbers.
        InputValueError: If the shape is another one, a number is not whole or too large, or two states
            lie in the same cell.
    """
    if coordinates is None:
        return None
    example = _EXAMPLE.format(num_states)
    try:
        given = np.asarray(coordinates)
    except ValueError:
        given = np.asarray(None)
    if given.dtype.kind not in "iuf":
        raise checks.InputTypeError(
            f"coordinates must be whole numbers, a row and a column for each state, "
            f"got {' '.join(repr(coordinates).split())}; for example {example}"
        )
    if given.shape != (num_states, 2):
        raise checks.InputValueError(
            f"coordinates must be a row and a column for each state, shape {[num_states, 2]}, "
            f"got shape {list(given.shape)}; for example {example}"
        )
    wrong = np.argwhere(~((np.abs(given) <= FARTHEST) & (given == np.rint(given))))
    if wrong.size:
        state, axis = wrong[0]
        raise checks.InputValueError(
            f"coordinates must be whole numbers from -{FARTHEST:,} to {FARTHEST:,}, got "
            f"{given[state, axis]:g} as the {('row', 'column')[axis]} of state {state}; "
            f"for example {example}"
        )
    cells = given.astype(np.int64)
    order = np.lexsort(cells.T)
    same = np.flatnonzero((cells[order][1:] == cells[order][:-1]).all(axis=1))
    if same.size:
        first, second = sorted(order[same[0] : same[0] + 2].tolist())
        row, column = cells[first].tolist()
        raise checks.InputValueError(
            f"coordinates must be a cell of its own for each state, got row {row}, column {column} for "
            f"states {first} and {second}; for example {example}"
        )
    return cells
