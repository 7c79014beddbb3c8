"""Numbers as a page has them: few digits, and no more of them than can be seen."""

from typing import Any

import numpy as np


def number(value: Any) -> float | None:
    """Return a number in five digits; what is not finite is null in JSON."""
    return float(f"{value:.5g}") if np.isfinite(value) else None


def numbers(values: Any) -> list[float | None]:
    """Return numbers of any shape in one row, in five digits."""
    return [number(value) for value in np.ravel(np.asarray(values, np.float64))]


def evenly(length: int, most: int) -> np.ndarray:
    """Return the places of at most so many of `length` things, the first and the last included."""
    return np.unique(np.linspace(0, max(length - 1, 0), most).astype(int))[:length]
