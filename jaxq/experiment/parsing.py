"""Reading what the command line gives as text: `name=value` and `name=v1,v2,...`."""

import ast
from typing import Any

from jaxq import checks


def parse_settings(texts: list[str]) -> dict[str, Any]:
    """Read `name=value` texts as keywords of a recipe.

    Raises:
        InputValueError: If one is not of that form, or a name comes twice.
    """
    return {name: _value(text) for name, text in _assignments("--set", texts).items()}


def parse_sweep(texts: list[str]) -> dict[str, list[Any]]:
    """Read `name=v1,v2,...` texts as the values that leaves take over a population.

    Raises:
        InputValueError: If one is not of that form, or a name comes twice.
    """
    assigned = _assignments("--sweep", texts)
    return {name: [_value(part) for part in text.split(",")] for name, text in assigned.items()}


def _assignments(option: str, texts: list[str]) -> dict[str, str]:
    parsed: dict[str, str] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not (name and equals and value):
            raise checks.InputValueError(
                f"{option} takes name=value, got {text!r}; for example {option} learning_rate=0.001"
            )
        if name in parsed:
            raise checks.InputValueError(f"{option} has {name!r} twice; give it once")
        parsed[name] = value
    return parsed


def _value(text: str) -> Any:
    """Read a number, a tuple of numbers, `true` or `false`; anything else stays text."""
    if text.lower() in ("true", "false"):
        return text.lower() == "true"
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return text
