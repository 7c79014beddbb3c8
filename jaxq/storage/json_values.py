"""JSON: what is read is not trusted, and is the expected value or one clear line.

All that read are told where a value stands, and raise `InputValueError` that names the place.
"""

import json
import math
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from jaxq import checks
from jaxq.storage.access import read_text, replace

DEEPEST = 32
"""Deepest nesting that is read; what a run writes has fewer than ten levels."""

LONGEST = 60
"""Characters of a name or a value that messages show."""


def object_of(file: Path) -> dict[str, Any]:
    """Read a file that holds one JSON object."""
    return mapping(file, json_of(file, read_text(file)))


def write_json(file: Path, value: dict[str, Any]) -> None:
    """Write a file atomically, with null for what is not finite."""
    replace(file, json.dumps(finite(value), indent=2) + "\n")


def finite(value: Any) -> Any:
    """Replace NaN and infinity, which JSON lacks, by null."""
    if isinstance(value, dict):
        return {key: finite(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [finite(part) for part in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def json_of(where: Path, text: str | bytes) -> Any:
    """Read JSON, whatever it holds, if it is not nested deeper than `DEEPEST`."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        raise checks.InputValueError(f"{where}: no JSON") from None
    level = [value]
    for _ in range(DEEPEST):
        level = [part for outer in level for part in _parts(outer) if isinstance(part, dict | list)]
        if not level:
            return value
    raise checks.InputValueError(f"{where}: nested deeper than {DEEPEST} levels, which no run wrote")


def _parts(value: Any) -> Iterable[Any]:
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list) else ()


def mapping(where: Path, value: Any) -> dict[str, Any]:
    """Return a JSON object."""
    if not isinstance(value, dict):
        raise checks.InputValueError(f"{where}: expected names with values, got {brief(value)}")
    return value


def check_format(file: Path, content: dict[str, Any], known: int) -> None:
    """Check that what a file holds is of the format that this version reads."""
    if content.get("format") != known:
        raise checks.InputValueError(
            f"{file} has format {brief(content.get('format'))}, and this version of jaxq reads {known}"
        )


def numbers_of(where: Path, name: str, values: Any, length: int | None = None) -> np.ndarray:
    """Return a list of finite numbers as float64, with NaN for null."""
    count = "numbers" if length is None else f"{length} numbers"
    problem = f"{where}: {printable(name)} must be a list of {count}, got {brief(values)}"
    if not isinstance(values, list) or (length is not None and len(values) != length):
        raise checks.InputValueError(problem)
    if not all(value is None or type(value) in (int, float) for value in values):
        raise checks.InputValueError(problem)
    try:
        numbers = np.array(values, dtype=np.float64)
    except OverflowError:
        raise checks.InputValueError(problem) from None
    if np.isinf(numbers).any():
        raise checks.InputValueError(f"{problem}, of which some are infinite")
    return numbers


def rows_of(where: Path, name: str, rows: Any, num_rows: int, length: int | None = None) -> np.ndarray:
    """Return lists of finite numbers, all of one length, as float64 `[num_rows, length]`."""
    if not isinstance(rows, list) or len(rows) != num_rows:
        raise checks.InputValueError(f"{where}: {name} must have one list for each of the agents")
    if length is None:
        length = len(rows[0]) if isinstance(rows[0], list) else 0
    if not length:
        raise checks.InputValueError(f"{where}: {name} must have at least one number of each agent")
    return np.stack([numbers_of(where, name, row, length) for row in rows])


def steps_of(where: Path, record: dict[str, Any]) -> int:
    """Return the env steps of a record."""
    try:
        return checks.whole_number("steps", record.get("steps"), minimum=0)
    except checks.InputError:
        steps = brief(record.get("steps"))
        raise checks.InputValueError(
            f"{where}: steps must be a whole number from 0 to {checks.INT32_MAX}, got {steps}"
        ) from None


def agents_of(where: Path, record: dict[str, Any], name: str, num_agents: int) -> list[int]:
    """Return a record's list of agents, such as `diverged`."""
    listed = record.get(name)
    numbers = numbers_of(where, name, [] if listed is None else listed)
    if not np.isin(numbers, np.arange(num_agents)).all():
        raise checks.InputValueError(f"{where}: {name} must list numbers of agents")
    return sorted({*numbers.astype(int).tolist()})


def names_of(where: Path, name: str, values: Any) -> list[str]:
    """Return a list of names."""
    if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
        raise checks.InputValueError(f"{where}: {name} must be a list of names, got {brief(values)}")
    return values


def brief(value: Any) -> str:
    """A value for a message, truncated."""
    try:
        text = printable(repr(value))
    except (ValueError, RecursionError):
        text = type(value).__name__
    return text if len(text) <= LONGEST else text[:LONGEST] + "..."


def printable(text: str) -> str:
    """Replace unprintable characters."""
    return "".join(letter if letter.isprintable() else "?" for letter in text)
