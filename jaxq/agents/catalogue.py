"""What recipes take: keywords with their ranges, defaults and meanings, as components say them."""

import dataclasses
import inspect
import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from jaxq.agents.algorithm import Algorithm
from jaxq.agents.components import name_of
from jaxq.agents.composition import EXPLORATIONS, MEMORIES, SWITCHES, VALUES
from jaxq.agents.exploration import SCHEDULES
from jaxq.agents.tabular_algorithm import EXPLORATIONS as TABLE_EXPLORATIONS
from jaxq.agents.tabular_algorithm import RULES

_CHOICES: Mapping[str, Any] = {
    "value": VALUES,
    "memory": MEMORIES,
    "rule": RULES,
    "epsilon_schedule": SCHEDULES,
}
_KINDS = {
    int: "whole number",
    bool: "true or false",
    float: "number",
    float | None: "number, or none",
    str: "a name",
    tuple: "whole numbers, such as 64x64",
    dict: "numbers by name",
}
# An entry of a docstring: a name, what it says, and the lines that go on.
_ENTRY = re.compile(r"^    (\w+): (.*(?:\n {8,}.*)*)", re.MULTILINE)


class Keyword(NamedTuple):
    """One keyword of a recipe.

    Attributes:
        name: The keyword.
        default: What it is if it is not given.
        range: What it may be.
        meaning: What it stands for, with its unit.
        is_leaf: Whether it is a hyperparameter, which may vary between the agents of one program.
    """

    name: str
    default: str
    range: str
    meaning: str
    is_leaf: bool


def keywords_of(algorithm: Algorithm) -> list[Keyword]:
    """List the keywords of a recipe as it is set up: first the leaves, then what shapes the program."""
    leaves = [
        Keyword(name, f"{getattr(algorithm.hparams, name):g}", leaf.range, leaf.meaning, True)
        for name, leaf in algorithm.leaves.items()
    ]
    meanings, types = dict(SWITCHES), {}
    for component in _components(algorithm):
        meanings |= _documented(type(component))
        if dataclasses.is_dataclass(component):
            types |= {field.name: field.type for field in dataclasses.fields(component)}
    explorations = EXPLORATIONS if hasattr(algorithm, "network") else TABLE_EXPLORATIONS
    choices = {**_CHOICES, "exploration": explorations}
    settings = [
        Keyword(name, _shown(value), _kind(name, value, types, choices), meanings.get(name, ""), False)
        for name, value in algorithm.settings.items()
    ]
    return leaves + settings


def _kind(name: str, value: Any, types: Mapping[str, Any], choices: Mapping[str, Any]) -> str:
    if name in choices:
        return ", ".join(choices[name])
    if value == () and isinstance(value, tuple):
        return "a list of objects"
    declared = _KINDS.get(types.get(name))
    return declared or _KINDS.get(type(value), "an object")


def _components(algorithm: Algorithm) -> Iterator[Any]:
    """Return who says what keywords mean, those with the last word last."""
    yield algorithm
    yield from getattr(algorithm, "components", (algorithm.exploration,))


def _documented(kind: type) -> dict[str, str]:
    """Return the attributes that a class documents, and those of its bases."""
    found: dict[str, str] = {}
    for base in reversed(kind.__mro__[:-1]):
        _, _, listed = (inspect.cleandoc(base.__doc__ or "")).partition("Attributes:\n")
        found |= {name: " ".join(text.split()) for name, text in _ENTRY.findall(listed.split("\n\n")[0])}
    return found


def _shown(value: Any) -> str:
    if isinstance(value, tuple):
        return "x".join(map(str, value)) or "none"
    if isinstance(value, bool):
        return str(value).lower()
    if value is None or value == {}:
        return "none"
    return str(value) if isinstance(value, int | float | str) else name_of(value)
