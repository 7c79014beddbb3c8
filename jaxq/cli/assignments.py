"""Reading what the command line gives as text: `name=value` and `name=v1,v2,...`."""

import ast
import re
from typing import Any

from jaxq import checks

# Widths of layers where commas part values: 64x64, but not the hexadecimal 0x40.
_WIDTHS = re.compile(r"[1-9]\d{0,9}(x[1-9]\d{0,9})+", re.ASCII)
_COMMA = re.compile(r",(?![^(\[{]*[)\]}])")


def parse_settings(texts: list[str]) -> dict[str, Any]:
    """Read `name=value` texts as keywords of a recipe.

    Raises:
        InputValueError: If one is not of that form, or a name comes twice.
    """
    return {name: _value(text) for name, text in _assignments("--set", texts).items()}


def parse_sweep(texts: list[str]) -> dict[str, list[Any]]:
    """Read `name=v1,v2,...` texts as values to vary; commas inside brackets do not part them.

    Raises:
        InputValueError: If one is not of that form, or a name comes twice.
    """
    assigned = _assignments("--sweep", texts)
    return {name: [_value(part) for part in _COMMA.split(text)] for name, text in assigned.items()}


def parse_sample(texts: list[str]) -> dict[str, str]:
    """Read `name=distribution` texts.

    Raises:
        InputValueError: If one is not of that form, or a name comes twice.
    """
    return _assignments("--sample", texts)


def _assignments(option: str, texts: list[str]) -> dict[str, str]:
    parsed: dict[str, str] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not (name and equals and value):
            raise checks.InputValueError(
                f"{option} takes name=value, got {text!r}; for example {option} learning_rate="
                + ("loguniform:1e-4:1e-2" if option == "--sample" else "0.001")
            )
        if name in parsed:
            raise checks.InputValueError(f"{option} has {name!r} twice; give it once")
        parsed[name] = value
    return parsed


def _value(text: str) -> Any:
    """Read a number, a tuple of numbers such as `64,64` or `64x64`, `true` or `false`, or else text."""
    if _WIDTHS.fullmatch(text):
        return tuple(map(int, text.split("x")))
    if text.lower() in ("true", "false"):
        return text.lower() == "true"
    if text.lower().lstrip("+-") in ("nan", "inf"):
        return float(text)
    try:
        return ast.literal_eval(text)
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        return text
