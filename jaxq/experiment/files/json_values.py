"""Values out of JSON that anything may have written: what is expected, or one clear line.

All functions are told where a value stands, and raise `InputValueError` that names the place.
"""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from jaxq import checks
from jaxq.experiment.files.access import read_text

DEEPEST = 32
"""Levels of lists and objects in each other; what a run writes has fewer than ten."""

LONGEST = 60
"""Letters of a name or a value that are shown."""


def object_of(file: Path) -> dict[str, Any]:
    """Read a file that holds one JSON object."""
    return mapping(file, json_of(file, read_text(file)))


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
    """Return names with values, if that is what they are."""
    if not isinstance(value, dict):
        raise checks.InputValueError(f"{where}: expected names with values, got {brief(value)}")
    return value


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


def names_of(where: Path, name: str, values: Any) -> list[str]:
    """Return a list of names."""
    if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
        raise checks.InputValueError(f"{where}: {name} must be a list of names, got {brief(values)}")
    return values


def brief(value: Any) -> str:
    """Write a value for a message, cut short."""
    try:
        text = printable(repr(value))
    except (ValueError, RecursionError):
        text = type(value).__name__
    return text if len(text) <= LONGEST else text[:LONGEST] + "..."


def printable(text: str) -> str:
    """Replace what cannot be written, or would break a line."""
    return "".join(letter if letter.isprintable() else "?" for letter in text)
