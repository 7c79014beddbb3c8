"""Groups: a sweep over what shapes the program, as one configuration for each of its programs."""

import itertools
import math
import re
from collections.abc import Callable
from typing import Any, TypeVar

from jaxq import checks
from jaxq.agents import is_leaf_name
from jaxq.configuration.config import Config
from jaxq.configuration.configuring import check_apart, check_multiple, configure
from jaxq.configuration.objects import WHATS

T = TypeVar("T")

ALL = "all"
"""The name of the only group where nothing static is swept."""

MOST_GROUPS = 1_000
_NOT_SAFE = re.compile(r"[^\w.=,+-]", re.ASCII)
_SAFE = re.compile(r"\w[\w.=,+-]*", re.ASCII)
_LONGEST_NAME = 120


def configure_sweep(
    environment: str | None = None,
    algorithm: str | None = None,
    agents: int | None = None,
    sweep: dict[str, list[Any]] | None = None,
    **others: Any,
) -> dict[str, Config]:
    """Fill in what the user left open, and check it, where a sweep may also be over static settings.

    Leaves of the hyperparameters vary between the agents of one program. What shapes the program, be
    it a setting, "algorithm" or "environment", varies between groups: one program, one population and
    one run for each combination of such values.

    Args:
        environment: A gymnax id, unless it is swept.
        algorithm: Name of a recipe, by default "dqn".
        agents: Agents in all, a multiple of the combinations in the sweep; eight for each if not given.
        sweep: Values of each leaf and of each static setting that varies.
        **others: Further arguments of `configure`.

    Returns:
        The configuration of each group by the group's name, for `Sweep`.

    Raises:
        InputTypeError: If a name does not exist or a value has the wrong type.
        InputValueError: If a value is out of range; if there is more than one mistake, all of them.

    Example:
        >>> import jaxq
        >>> sweep = {"batch_size": [32, 64], "learning_rate": [1e-3, 1e-4]}
        >>> groups = jaxq.configure_sweep("CartPole-v1", agents=8, sweep=sweep)
        >>> {name: config.agents for name, config in groups.items()}
        {'batch_size=32': 4, 'batch_size=64': 4}
    """
    if environment is None and "environment" not in static(sweep):
        raise checks.InputValueError("environment must be given or swept, for example 'CartPole-v1'")
    given = {"environment": environment, "algorithm": algorithm, "agents": agents, "sweep": sweep}
    return split({**given, **others})


def split(fields: dict[str, Any], make: Callable[..., Config] = configure) -> dict[str, Config]:
    """Make the configuration of each group.

    Args:
        fields: What `make` takes, with the sweep over static settings; `None` for what is not given.
        make: Makes a configuration, and checks it.

    Returns:
        The configurations by the groups' names; of a sweep over leaves only, the one of all agents.

    Raises:
        InputTypeError: If a name does not exist or a value has the wrong type.
        InputValueError: If a value is out of range; if there is more than one mistake, all of them.
    """
    fields = {name: value for name, value in fields.items() if value is not None}
    varied, keywords = static(fields.get("sweep")), fields.get("keywords", {})
    if not varied or not isinstance(keywords, dict):
        return {ALL: make(**fields)}
    numbers = {name: len(values) for name, values in fields["sweep"].items()}
    leaves = {name: values for name, values in fields["sweep"].items() if name not in varied}
    errors = checks.ErrorCollector()
    _check_varied(varied, [*keywords, *(name for name in WHATS if name in fields)], errors)
    group = {**fields, "sweep": leaves}
    if "agents" in fields:
        del group["agents"]
        with errors.collect():
            agents = checks.whole_number("agents", fields["agents"])
            check_multiple(agents, math.prod(numbers.values()))
            group["agents"] = agents // math.prod(numbers[name] for name in varied)
    groups = {name: _with(group, chosen) for name, chosen in _named(varied).items()}
    with errors.collect():
        configs = each(groups, lambda _, group: make(**group))
    errors.report()
    return configs


def static(sweep: Any) -> dict[str, list[Any]]:
    """Return what a sweep varies besides leaves; nothing of what is no sweep at all."""
    lists = isinstance(sweep, dict) and all(
        isinstance(name, str) and isinstance(values, list | tuple) and values
        for name, values in sweep.items()
    )
    return {name: [*values] for name, values in sweep.items() if not is_leaf_name(name)} if lists else {}


def each(groups: dict[str, Any], function: Callable[[str, Any], T]) -> dict[str, T]:
    """Do one thing with every group, and tell of all that is wrong in any of them at once.

    Args:
        groups: What there is of each group, by name.
        function: Takes a name and what there is.

    Raises:
        InputError: If it raises one for a group: each mistake once, with the groups that have it.
    """
    done, found = {}, {}
    for name, group in groups.items():
        try:
            done[name] = function(name, group)
        except checks.InputError as error:
            for part in error.parts:
                found.setdefault((type(part), str(part)), []).append(name)
    errors = checks.ErrorCollector()
    for (kind, text), names in found.items():
        more = f" and {len(names) - 1} more" if len(names) > 1 else ""
        errors.add(kind(text if len(names) == len(groups) else f"{names[0]}{more}: {text}"))
    errors.report()
    return done


def check_name(name: Any) -> None:
    """Check that a group's name can be that of its directory, inside that of the sweep.

    Raises:
        InputValueError: If it cannot.
    """
    fits = isinstance(name, str) and len(name) <= _LONGEST_NAME and _SAFE.fullmatch(name)
    if not fits or name in ("report", "sweep.json", "sweep.json.new"):
        raise checks.InputValueError(
            f"a group's name must be made of letters, digits and _ . = , + -, begin with one of the "
            f"first three and have at most {_LONGEST_NAME}, got {name!r}; for example 'batch_size=32'"
        )


def _check_varied(varied: dict[str, list[Any]], given: list[str], errors: checks.ErrorCollector) -> None:
    number = math.prod(len(values) for values in varied.values())
    if number > MOST_GROUPS:
        raise checks.InputValueError(
            f"the sweep over {', '.join(varied)} makes {number} groups, each of which is compiled for "
            f"itself; at most {MOST_GROUPS} are possible"
        )
    check_apart(errors, "set", given, "swept", varied)
    for name, values in varied.items():
        same = [_comparable(value) for value in values]
        twice = [value for value, key in zip(values, same, strict=True) if same.count(key) > 1]
        if twice:
            errors.add(checks.InputValueError(f"the sweep has {name}={twice[0]!r} twice; give it once"))


def _comparable(value: Any) -> Any:
    """Make equal what stands for one setting: 32 and 32.0, and widths as a list and as a tuple."""
    if isinstance(value, list | tuple):
        return [_comparable(part) for part in value]
    # True is 1 to Python.
    return (type(value), value) if isinstance(value, bool) else value


def _named(varied: dict[str, list[Any]]) -> dict[str, dict[str, Any]]:
    """Return every combination of values by a readable name, each name once."""
    named: dict[str, dict[str, Any]] = {}
    for values in itertools.product(*varied.values()):
        chosen = dict(zip(varied, values, strict=True))
        text = ",".join(f"{name}={label(value)}" for name, value in chosen.items())
        text = _NOT_SAFE.sub("_", text)[: _LONGEST_NAME - 5]
        others = (f"{text}-{number}" for number in itertools.count(2))
        named[next(name for name in itertools.chain([text], others) if name not in named)] = chosen
    return named


def _with(group: dict[str, Any], chosen: dict[str, Any]) -> dict[str, Any]:
    """Put a combination of values where each of them belongs."""
    own = {name: value for name, value in chosen.items() if name in WHATS}
    settings = {name: value for name, value in chosen.items() if name not in own}
    keywords = {**group.get("keywords", {}), **settings}
    return {**group, **own, "keywords": keywords, "sweep": {**group["sweep"]}}


def label(value: Any) -> str:
    """Write a value as `--set` takes it; of what that cannot say, the name."""
    if isinstance(value, list | tuple):
        return "x".join(map(label, value))
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float | str):
        return f"{value:g}" if isinstance(value, float) else str(value)
    return getattr(value, "__name__", type(value).__name__)
