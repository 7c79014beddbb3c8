"""Input errors that state what was expected, what was got, and the corrected call.

Everything a user can get wrong is reported through the two exceptions below, before anything is
traced, so that no mistake surfaces as a traceback from inside JAX. The command line turns them into
one line and exit code 2; any other exception is a defect of jaxq and keeps its traceback.
"""

import contextlib
import difflib
import math
import numbers
from collections.abc import Iterable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

# Longer messages hold a value that nobody wants to see whole.
_LONGEST_MESSAGE = 2_000


def shortened(text: str) -> str:
    """Leave out the middle of a long text, and keep its end, where an error says what is right."""
    if len(text) <= _LONGEST_MESSAGE:
        return text
    half = _LONGEST_MESSAGE // 2
    return f"{text[:half]} ... ({len(text) - 2 * half:,} characters left out) ... {text[-half:]}"


class InputError(Exception):
    """A mistake in what the user passed; the base of the two exceptions that jaxq raises.

    Attributes:
        keywords: Arguments that are wrong, or do not fit together.
        parts: The mistakes that it tells of at once; itself if it is one.
    """

    def __init__(self, message: str = "", *, keywords: Iterable[str] = ()) -> None:
        super().__init__(shortened(message))
        self.keywords = tuple(keywords)
        self.parts: list[InputError] = [self]


class InputValueError(InputError, ValueError):
    """An argument of the right type with a value that cannot be used."""


class InputTypeError(InputError, TypeError):
    """An argument of the wrong type, or a keyword that does not exist."""


class ErrorCollector:
    """Collects input errors, so that a user hears of all of them at once.

    Attributes:
        found: The errors so far.

    Example:
        >>> errors = ErrorCollector()
        >>> with errors.collect():
        ...     _ = whole_number("agents", 0)
        >>> with errors.collect():
        ...     _ = whole_number("steps", -1)
        >>> errors.report()  # doctest: +ELLIPSIS
        Traceback (most recent call last):
        jaxq.checks.InputValueError: 2 mistakes: agents must be ... | steps must be ...
    """

    def __init__(self) -> None:
        self.found: list[InputError] = []

    @contextlib.contextmanager
    def collect(self) -> Iterator[None]:
        """Go on behind a block of code that raises an input error."""
        try:
            yield
        except InputError as error:
            self.add(error)

    def add(self, error: InputError) -> None:
        """Collect an error, each of its parts once."""
        self.found += [part for part in error.parts if str(part) not in map(str, self.found)]

    @property
    def keywords(self) -> set[str]:
        """The arguments that the errors so far are about."""
        return {keyword for error in self.found for keyword in error.keywords}

    def report(self) -> None:
        """Raise what was found, if anything was: one error as it is, several as one."""
        if len(self.found) == 1:
            raise self.found[0]
        if self.found:
            error = InputValueError()
            error.args = (f"{len(self.found)} mistakes: " + " | ".join(map(str, self.found)),)
            error.parts = self.found
            raise error


INT32_MAX = 2**31 - 1
"""The largest whole number that fits the 32-bit integers that sizes and steps are counted in."""


def is_concrete(value: Any) -> bool:
    """Tell whether a value can be looked at now, or is a tracer of a surrounding transformation."""
    return not any(isinstance(leaf, jax.core.Tracer) for leaf in jax.tree.leaves(value))


def whole_number(name: str, value: Any, minimum: int = 1) -> int:
    """Return `value` as an `int` of at least `minimum` that fits 32 bits.

    Raises:
        InputTypeError: If the value is not a whole number.
        InputValueError: If it is below the minimum or does not fit.
    """
    value = _plain_number(value)
    whole = isinstance(value, numbers.Integral | np.floating | float) and value % 1 == 0
    if isinstance(value, bool) or not whole:
        raise InputTypeError(
            f"{name} must be a whole number of at least {minimum}, got {value!r}; "
            f"for example {name}={max(minimum, 1)}",
            keywords=[name],
        )
    if value < minimum:
        raise InputValueError(
            f"{name} must be at least {minimum}, got {value}; for example {name}={max(minimum, 1)}",
            keywords=[name],
        )
    if value > INT32_MAX:
        raise InputValueError(
            f"{name} must be at most {INT32_MAX}, got more; for example {name}={INT32_MAX}",
            keywords=[name],
        )
    return int(value)


def _plain_number(value: Any) -> Any:
    """Return a number that is an array of no axes as a number of Python's, and all else as it is."""
    single = isinstance(value, jax.Array | np.ndarray) and value.shape == () and is_concrete(value)
    return value.item() if single and jnp.issubdtype(value.dtype, jnp.number) else value


def true_or_false(name: str, value: Any) -> None:
    """Check that a value is a `bool`.

    Raises:
        InputTypeError: If it is something else.
    """
    if not isinstance(value, bool):
        raise InputTypeError(f"{name} must be True or False, got {value!r}", keywords=[name])


def in_range(name: str, value: Any, low: float, high: float, *, open_low: bool = False) -> None:
    """Check that every element of a number or array, as float32, is inside `[low, high]`.

    Args:
        name: What the value is called in the call to correct.
        value: A number or an array of numbers; tracers are passed over, they have no value yet.
        low: Smallest allowed value.
        high: Largest allowed value; with `inf` every finite one.
        open_low: Whether `low` itself is excluded.

    Raises:
        InputTypeError: If the value is not numeric.
        InputValueError: If an element is not finite or lies outside.
    """
    if not is_concrete(value):
        return
    try:
        # In the type that it will be used in, where 1e-50 is zero and 1e39 infinite.
        numeric = value is not None and np.asarray(value).dtype.kind not in "USbcmM"
        with np.errstate(over="ignore"):
            array = np.asarray(value, dtype=np.float64).astype(np.float32) if numeric else None
    except (TypeError, ValueError, OverflowError):
        array = None
    if array is None:
        expected = _interval(low, high, open_low)
        raise InputTypeError(f"{name} must be {expected}, got {value!r}", keywords=[name])
    inside = np.isfinite(array) & ((array > low) if open_low else (array >= low)) & (array <= high)
    if not inside.all():
        got = array[~inside].flat[0]
        expected = _interval(low, high, open_low)
        raise InputValueError(f"{name} must be {expected}, got {got:g}", keywords=[name])


def one_number(name: str, value: Any, low: float, high: float, *, open_low: bool = False) -> None:
    """Check that a value is one number inside `[low, high]`; see `in_range`.

    Raises:
        InputTypeError: If it is no number, or several.
        InputValueError: If it is not finite or lies outside.
    """
    in_range(name, value, low, high, open_low=open_low)
    if np.ndim(value):
        raise InputTypeError(f"{name} must be one number, got {value!r}", keywords=[name])


def one_of(kind: str, name: Any, choices: Iterable[str]) -> str:
    """Return `name` if it is among the choices, and name the nearest ones if it is not.

    Raises:
        InputTypeError: If the name is not text.
        InputValueError: If it is not among the choices.
    """
    choices = list(choices)
    if not isinstance(name, str):
        message = f"{kind} must be a name, got {name!r}; for example {choices[0]!r}"
        raise InputTypeError(message, keywords=[kind])
    if name in choices:
        return name
    raise InputValueError(f"unknown {kind} {name!r}; {nearest(name, choices)}", keywords=[kind])


def nearest(name: str, choices: Iterable[str]) -> str:
    """Say which of the choices come nearest to a name that is not one of them."""
    choices = list(choices)
    folded = {choice.lower(): choice for choice in choices}
    matches = difflib.get_close_matches(name.lower(), folded, n=3, cutoff=0.5)
    if matches:
        return "did you mean " + " or ".join(folded[match] for match in matches) + "?"
    return "choose from " + ", ".join(choices)


def _interval(low: float, high: float, open_low: bool) -> str:
    if math.isinf(low):
        return "a finite float32" + ("" if math.isinf(high) else f" of at most {high:g}")
    if math.isinf(high):
        return f"a finite float32 {'above' if open_low else 'of at least'} {low:g}"
    return f"a number in {'(' if open_low else '['}{low:g}, {high:g}]"
