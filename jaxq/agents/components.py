"""What the components of an agent have in common: static fields, and leaves that they declare.

A component is a frozen dataclass, or a function, that fills one slot of an agent. It may have

- `leaves`, the hyperparameters that it reads, `jaxq.Hyperparameter`s by name;
- `at_step(hparams, steps)`, which adds what its schedules have come to;
- `check(parts)`, which refuses what it does not go with.
"""

import dataclasses
import inspect
import math
from collections.abc import Iterable, Mapping
from typing import Any

from jaxq import checks
from jaxq.hparams import Hparams, Hyperparameter


def declared_leaves(component: Any) -> dict[str, Hyperparameter]:
    """Return the hyperparameters that a component declares.

    Raises:
        InputTypeError: If they are no `Hyperparameter`s by name, or a name cannot be one.
    """
    leaves = getattr(component, "leaves", {})
    if not isinstance(leaves, Mapping):
        raise _no_leaves(component, leaves)
    for name, leaf in leaves.items():
        if (
            not isinstance(leaf, Hyperparameter)
            or not str(name).isidentifier()
            or hasattr(Hparams, name)
        ):
            raise _no_leaves(component, {name: leaf})
    return dict(leaves)


def _no_leaves(component: Any, leaves: Any) -> checks.InputTypeError:
    return checks.InputTypeError(
        f"leaves of {name_of(component)} must be hyperparameters by name, got {leaves!r}; "
        "for example leaves = {'temperature': jaxq.Hyperparameter(1.0, low=0, open_low=True)}"
    )


def name_of(component: Any) -> str:
    """Return what a component is called."""
    return getattr(component, "__name__", type(component).__name__)


def check_fields(component: Any, **minima: int) -> None:
    """Check the fields of a frozen dataclass by their types, and make numbers plain.

    Args:
        component: The component.
        **minima: The least that a whole number may be, 1 if not given.

    Raises:
        InputTypeError: If a field has the wrong type.
        InputValueError: If a number is out of range.
    """
    for field in dataclasses.fields(component):
        value = getattr(component, field.name)
        if field.type is int:
            value = checks.whole_number(field.name, value, minima.get(field.name, 1))
        elif field.type is bool:
            checks.true_or_false(field.name, value)
        elif field.type is float or (field.type == (float | None) and value is not None):
            checks.one_number(field.name, value, minima.get(field.name, -math.inf), math.inf)
            value = float(value)
        object.__setattr__(component, field.name, value)


def arguments(function: Any, slot: str, known: Iterable[str]) -> tuple[str, ...]:
    """Return the names of the arguments that a rule or a loss asks for.

    Args:
        function: What is called with them.
        slot: The slot that it fills.
        known: What it can ask for.

    Raises:
        InputTypeError: If it cannot be called, or asks for something else.
    """
    known = [*known]
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        parameters = None
    plain = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    needed = [p for p in parameters or () if p.default is p.empty or p.name in known]
    if parameters is None or any(p.kind not in plain or p.name not in known for p in needed):
        got = "something else" if parameters is None else ", ".join(map(str, parameters))
        raise checks.InputTypeError(
            f"{slot} must be a function of any of {', '.join(known)}, got {name_of(function)} of {got}; "
            f"for example def mine({known[-1]}): ...",
            keywords=[slot],
        )
    return tuple(p.name for p in needed)


def require(component: Any, slot: str, names: Iterable[str]) -> None:
    """Check that a component has what its slot asks for.

    Raises:
        InputTypeError: Naming what is missing.
    """
    missing = [name for name in names if not hasattr(component, name)]
    if missing:
        raise checks.InputTypeError(
            f"{slot} must have {', '.join(missing)}, got {name_of(component)} without; "
            f"see the components of jaxq.agents for what fills the slot {slot}",
            keywords=[slot],
        )
