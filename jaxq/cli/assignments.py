"""Reading what is typed as `name=value`: settings, distributions, budgets, and sweeps `name=v1,v2`."""

import ast
import re
from typing import Any

from jaxq.checks import INT32_MAX, InputValueError

# Widths of layers where commas part values: 64x64, but not the hexadecimal 0x40.
_WIDTHS = re.compile(r"[1-9]\d{0,9}(x[1-9]\d{0,9})+", re.ASCII)
# Not inside brackets.
_COMMA = re.compile(r",(?![^(\[{]*[)\]}])")
_EXAMPLES = {"--sample": "learning_rate=loguniform:1e-4:1e-2", "--budget": "availability=3"}


def parse_values(option: str, words: list[str]) -> dict[str, Any]:
    """Read values by name: numbers, tuples of numbers, true or false, and any other text as it is.

    Args:
        option: The option that they stand behind.
        words: What is typed behind it.

    Raises:
        InputValueError: If one is not of the form `name=value`, or a name comes twice.
    """
    return {name: _value(text) for name, text in parse_texts(option, words).items()}


def parse_lists(option: str, words: list[str]) -> dict[str, list[Any]]:
    """Read several values for each name, parted by commas; takes and raises what `parse_values` does."""
    texts = parse_texts(option, words)
    return {name: [_value(part) for part in _COMMA.split(text)] for name, text in texts.items()}


def parse_texts(option: str, words: list[str]) -> dict[str, str]:
    """Read texts by name; takes and raises what `parse_values` does."""
    parsed: dict[str, str] = {}
    for word in words:
        name, equals, text = word.partition("=")
        if not (name and equals and text):
            example = _EXAMPLES.get(option, "learning_rate=0.001")
            raise InputValueError(
                f"{option} takes name=value, got {word!r}; for example {option} {example}"
            )
        if name in parsed:
            raise InputValueError(f"{option} has {name!r} twice; give it once")
        parsed[name] = text
    return parsed


def agent_named(text: str) -> str | int:
    """Read which agent of a run is meant: a number, or any other text as it is."""
    is_number = text.isdecimal() and len(text) < len(str(INT32_MAX))
    return int(text) if is_number else text


def _value(text: str) -> Any:
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
