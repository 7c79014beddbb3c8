"""What can be wrong with logged data, found all at once and told by column and row."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from jaxq import checks

NEEDED = ("observation", "action", "reward", "terminated", "truncated")
OPTIONAL = (
    "next_observation",
    "cost",
    "legal_actions",
    "next_legal_actions",
    "behaviour_probability",
    "episode",
)
_ABOUT = ("num_actions", "cost_names")
# Axes of a column; observations have as many as they like.
_AXES = {"cost": 2, "legal_actions": 2, "next_legal_actions": 2}
_AXES |= {"observation": None, "next_observation": None}
_FLAGS = ("terminated", "truncated", "legal_actions", "next_legal_actions")
_WHOLE = ("action", "episode")
_MOST_ROWS_NAMED = 5


def checked_columns(columns: Mapping[str, Any], num_actions: int | None) -> dict[str, Any]:
    """Check columns, and return what `jaxq.dataset.Dataset` is made of.

    Raises:
        InputValueError: With every mistake that was found.
    """
    errors = checks.ErrorCollector()
    missing = [name for name in NEEDED if name not in columns]
    unknown = [name for name in columns if name not in (*NEEDED, *OPTIONAL, *_ABOUT)]
    with errors.collect():
        _refuse(missing, f"missing columns {', '.join(missing)}; needed are {', '.join(NEEDED)}")
    for name in unknown:
        with errors.collect():
            nearest = checks.nearest(name, (*NEEDED, *OPTIONAL))
            raise checks.InputValueError(f"unknown column {name!r}; {nearest}")
    found: dict[str, np.ndarray] = {}
    for name in (*NEEDED, *OPTIONAL):
        if columns.get(name) is not None:
            with errors.collect():
                found[name] = _column(name, columns[name])
    with errors.collect():
        _same_length(found)
    # What follows compares columns row by row.
    errors.report()
    for name, column in found.items():
        with errors.collect():
            _check_rows(name, column)
    errors.report()
    return _assembled(found, columns, num_actions, errors)


def _assembled(
    found: dict[str, np.ndarray],
    columns: Mapping[str, Any],
    num_actions: int | None,
    errors: checks.ErrorCollector,
) -> dict[str, Any]:
    """Check what columns say of each other, and give them their types."""
    if num_actions is None:
        num_actions = columns.get("num_actions")
    if num_actions is None:
        legal = found.get("legal_actions")
        num_actions = int(found["action"].max()) + 1 if legal is None else legal.shape[1]
    num_actions = checks.whole_number("num_actions", num_actions)
    names = tuple(str(name) for name in columns.get("cost_names", ()))
    types = {"action": np.int32, "reward": np.float32, "cost": np.float32, "episode": np.int64}
    types |= dict.fromkeys(_FLAGS, bool) | {"behaviour_probability": np.float32}
    typed = {name: part.astype(types.get(name, part.dtype)) for name, part in found.items()}
    for check in (_check_actions, _check_shapes, _check_costs):
        with errors.collect():
            check(typed, num_actions, names)
    with errors.collect():
        typed["episode"] = _episodes(typed)
    errors.report()
    if "cost" in typed and not names:
        names = tuple(f"cost {k}" for k in range(typed["cost"].shape[1]))
    return {**typed, "num_actions": num_actions, "cost_names": names if "cost" in typed else ()}


def _column(name: str, values: Any) -> np.ndarray:
    """Turn a column into an array of numbers."""
    try:
        array = np.asarray(values)
    except ValueError:
        array = np.empty(0, object)
    if array.dtype == object or array.dtype.kind not in "buif":
        raise checks.InputValueError(
            f"{name} must be numbers, in every row of one shape{_first_odd(values)}"
        )
    axes = _AXES.get(name, 1)
    if array.ndim != axes and (axes is not None or array.ndim < 1):
        raise checks.InputValueError(
            f"{name} must have {axes or 'at least 1'} axes, rows first, got shape {list(array.shape)}"
        )
    return array


def _first_odd(values: Any) -> str:
    """Say which row is the first that is not like row 0."""
    try:
        shapes = [np.shape(value) for value in values]
        odd = next(row for row, shape in enumerate(shapes) if shape != shapes[0])
    except (StopIteration, TypeError, ValueError):
        return ""
    return f", got shape {list(shapes[odd])} in row {odd} after {list(shapes[0])}"


def _same_length(found: dict[str, np.ndarray]) -> None:
    lengths = {name: len(column) for name, column in found.items()}
    _refuse(
        len(set(lengths.values())) > 1 or 0 in lengths.values(),
        f"columns must have as many rows as each other, at least one, got {lengths}",
    )


def _check_rows(name: str, column: np.ndarray) -> None:
    """Check the numbers of one column by themselves."""
    flat = column.reshape(len(column), -1)
    with np.errstate(invalid="ignore"):
        if name in _FLAGS:
            good, expected = np.isin(flat, (0, 1)), "true or false"
        elif name in _WHOLE:
            good, expected = flat == np.rint(flat), "a whole number"
        elif name == "behaviour_probability":
            good, expected = (flat > 0) & (flat <= 1), "in (0, 1]"
        else:
            good, expected = np.isfinite(flat.astype(np.float32)), "finite"
    bad = np.flatnonzero(~good.all(axis=1))
    if bad.size:
        got = flat[bad[0]][~good[bad[0]]][0]
        raise checks.InputValueError(f"{name} must be {expected}, got {got:g} in {_rows(bad)}")


def _check_actions(typed: dict[str, np.ndarray], num_actions: int, names: tuple[str, ...]) -> None:
    action = typed["action"]
    bad = np.flatnonzero((action < 0) | (action >= num_actions))
    if bad.size:
        raise checks.InputValueError(
            f"action must be from 0 to {num_actions - 1}, got {action[bad[0]]} in {_rows(bad)}"
        )
    for name in ("legal_actions", "next_legal_actions"):
        if name in typed:
            _check_legal(name, typed[name], num_actions)
    _refuse(
        "next_legal_actions" in typed and "legal_actions" not in typed,
        "next_legal_actions come with legal_actions, which are missing",
    )
    if "legal_actions" in typed:
        taken = np.take_along_axis(typed["legal_actions"], action[:, None], axis=1)[:, 0]
        illegal = np.flatnonzero(~taken)
        _refuse(
            illegal.size, f"action must be one of legal_actions, got another one in {_rows(illegal)}"
        )


def _check_legal(name: str, legal: np.ndarray, num_actions: int) -> None:
    _refuse(
        legal.shape[1] != num_actions,
        f"{name} must have {num_actions} columns, one for each action, got {legal.shape[1]}",
    )
    none = np.flatnonzero(~legal.any(axis=1))
    _refuse(none.size, f"{name} must allow an action, got none in {_rows(none)}")


def _check_shapes(typed: dict[str, np.ndarray], num_actions: int, names: tuple[str, ...]) -> None:
    following = typed.get("next_observation", typed["observation"])
    _refuse(
        following.shape != typed["observation"].shape,
        f"next_observation must have the shape of observation, {list(typed['observation'].shape)}, got "
        f"{list(following.shape)}",
    )
    both = np.flatnonzero(typed["terminated"] & typed["truncated"])
    _refuse(
        both.size,
        f"a step is terminated or truncated, got both in {_rows(both)}; the task's end is the first",
    )


def _check_costs(typed: dict[str, np.ndarray], num_actions: int, names: tuple[str, ...]) -> None:
    width = typed["cost"].shape[1] if "cost" in typed else len(names)
    _refuse(
        names and len(names) != width,
        f"cost_names must have a name for each of the {width} costs, got {list(names)}",
    )


def _episodes(typed: dict[str, np.ndarray]) -> np.ndarray:
    """Number the episodes from 0 on, and check that each is in one piece and ends where it says."""
    ends = typed["terminated"] | typed["truncated"]
    last = np.zeros(len(ends), bool)
    if "episode" not in typed:
        last[:] = ends
    else:
        ids = typed["episode"]
        last[:-1] = ids[1:] != ids[:-1]
        begins = np.flatnonzero(np.append(True, last[:-1]))
        _, first = np.unique(ids[begins], return_index=True)
        again = np.delete(begins, first)
        _refuse(
            again.size, f"an episode must be in one piece, got an earlier one again in {_rows(again)}"
        )
        early = np.flatnonzero(ends & ~np.append(last[:-1], True))
        _refuse(early.size, f"an episode must not go on behind its end, got {_rows(early)}")
    open_ = np.flatnonzero(np.append(last[:-1], True) & ~ends)
    _refuse(
        open_.size,
        f"the last step of an episode must be terminated or truncated, got neither in {_rows(open_)}; "
        "one that was cut off is truncated",
    )
    return np.append(0, np.cumsum(last[:-1])).astype(np.int32)


def _refuse(wrong: Any, message: str) -> None:
    if wrong:
        raise checks.InputValueError(message)


def _rows(rows: np.ndarray) -> str:
    """Name rows: the first few, and how many more."""
    named = ", ".join(map(str, rows[:_MOST_ROWS_NAMED]))
    more = len(rows) - _MOST_ROWS_NAMED
    return f"row{'s' if len(rows) > 1 else ''} {named}{f' and {more:,} more' if more > 0 else ''}"
