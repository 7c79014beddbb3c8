"""Values out of files that anything may have written: what is expected, or one clear line.

All functions are told where a value stands, and raise `InputValueError` that names the place.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np

from jaxq import checks

LONGEST = 60
"""Letters of a name or a value that are shown."""


def text_of(file: Path) -> str:
    """Read a file as text."""
    try:
        return file.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise checks.InputValueError(f"{file} is no text") from None


def json_of(where: Path, text: str) -> Any:
    """Read JSON, whatever it holds."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        raise checks.InputValueError(f"{where}: no JSON") from None


def mapping(where: Path, value: Any) -> dict[str, Any]:
    """Return names with values, if that is what they are."""
    if not isinstance(value, dict):
        raise checks.InputValueError(f"{where}: expected names with values, got {brief(value)}")
    return value


def numbers_of(where: Path, name: str, values: Any, length: int | None = None) -> np.ndarray:
    """Return a list of numbers as float64, with NaN for null."""
    count = "numbers" if length is None else f"{length} numbers"
    problem = f"{where}: {printable(name)} must be a list of {count}, got {brief(values)}"
    if not isinstance(values, list) or (length is not None and len(values) != length):
        raise checks.InputValueError(problem)
    if not all(value is None or type(value) in (int, float) for value in values):
        raise checks.InputValueError(problem)
    try:
        return np.array(values, dtype=np.float64)
    except OverflowError:
        raise checks.InputValueError(problem) from None


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
