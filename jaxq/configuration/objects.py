"""Environments, algorithms, components: by name, as objects, or by import path, `module:attribute`.

To import a module is to run it. So nothing is imported but what the user names, or what is named in a
directory that the user says to trust; a run directory that was received from somebody may name anything.
"""

import importlib
import os
import re
import sys
from typing import Any

from jaxq import agents, checks, envs
from jaxq.agents import Agent, Algorithm

_PATH = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*:[^\W\d]\w*(\.[^\W\d]\w*)*")


def is_environment(value: Any) -> bool:
    """Tell whether a value is an environment, and not the name of one."""
    return hasattr(value, "observation_spec") and not isinstance(value, type)


def is_algorithm(value: Any) -> bool:
    """Tell whether a value is a recipe's result or an agent, and not the name of a recipe."""
    return hasattr(value, "bind") and not isinstance(value, type)


WHATS = {
    "environment": (is_environment, "jaxq.envs.from_gymnax(MyEnv())"),
    "algorithm": (is_algorithm, "jaxq.dqn(double=True)"),
}
"""What an object may be beside a keyword of a recipe: how it is known, and an example."""


def check_environment(name: str, value: Any) -> None:
    """Check that a value is an environment, or the name of one.

    Raises:
        InputTypeError: If it is something else.
        InputValueError: If there is no such name.
    """
    if not is_environment(value):
        checks.one_of(name, value, envs.ids())


def check_algorithm(name: str, value: Any) -> None:
    """Check that a value is an algorithm, or the name of one; raises as `check_environment` does."""
    if not is_algorithm(value):
        checks.one_of(name, value, agents.ALGORITHMS)


def make_algorithm(algorithm: str | Algorithm | Agent, keywords: dict[str, Any]) -> Algorithm | Agent:
    """Return an algorithm, made with keywords if it is given by name.

    Raises:
        InputTypeError: If there are keywords for an object.
    """
    if isinstance(algorithm, str):
        return agents.recipe(algorithm)(**keywords)
    if keywords:
        raise checks.InputTypeError(
            f"keywords are for recipes by name, got {', '.join(keywords)} beside the algorithm "
            f"{name_of(algorithm)}; give them where it is made, for example "
            f"jaxq.configure(environment, jaxq.dqn({next(iter(keywords))}=...))",
            keywords=keywords,
        )
    return algorithm


def name_of(what: Any) -> str:
    """Return the name of an environment or an algorithm."""
    return what if isinstance(what, str) else str(getattr(what, "name", type(what).__name__))


def is_plain(value: Any) -> bool:
    """Tell whether JSON can say a value."""
    if isinstance(value, tuple | list):
        return all(map(is_plain, value))
    if isinstance(value, dict):
        return all(isinstance(name, str) for name in value) and all(map(is_plain, value.values()))
    return isinstance(value, bool | int | float | str | None)


def plain(value: Any) -> Any:
    """Return a value as JSON can say it; of what it cannot, the name."""
    if isinstance(value, tuple):
        return list(value)
    return value if is_plain(value) else getattr(value, "__name__", repr(value))


def plain_settings(algorithm: Any) -> dict[str, Any]:
    """Return the settings of a recipe by their names; of any other agent there are none."""
    return {name: plain(value) for name, value in getattr(algorithm, "settings", {}).items()}


def is_import_path(value: Any) -> bool:
    """Tell whether a value is text of the form `module:attribute`."""
    return isinstance(value, str) and _PATH.fullmatch(value) is not None


def check_imports(name: str, paths: Any) -> None:
    """Check that there are import paths by what they are for, as they were read from a file.

    Raises:
        InputValueError: If there are not.
    """
    if not isinstance(paths, dict) or not all(map(is_import_path, paths.values())):
        raise checks.InputValueError(
            f"{name} must hold paths of the form module:attribute by their names", keywords=[name]
        )


def imported(name: str, path: str) -> Any:
    """Import an object; this runs the module.

    Args:
        name: What it is for: "environment", "algorithm", or a keyword of a recipe. The first two may
            also be functions without arguments that make one.
        path: Its import path. Modules in the current directory are found too.

    Raises:
        InputTypeError: If it is something else than what it is for.
        InputValueError: If it cannot be imported.
    """
    module, _, attribute = path.partition(":")
    fits, example = WHATS.get(name, (lambda _: True, ""))
    if os.getcwd() not in sys.path:
        # Behind all others, so that a file here takes no other module's place.
        sys.path.append(os.getcwd())
    try:
        found = importlib.import_module(module)
        for part in attribute.split("."):
            found = getattr(found, part)
        if not fits(found) and callable(found):
            found = found()
    except checks.InputError:
        raise
    except Exception as error:
        reason = " ".join(str(error).split()) or "no reason given"
        raise checks.InputValueError(
            f"{name} {path} cannot be imported: {type(error).__name__}: {reason}; "
            "the form is module:attribute"
        ) from error
    if not fits(found):
        raise checks.InputTypeError(
            f"{name} {path} must be an {name}, or a function without arguments that makes one, "
            f"got {type(found).__name__}; for example {attribute} = {example}"
        )
    return found


def with_imports(fields: dict[str, Any]) -> dict[str, Any]:
    """Put objects in the place of the import paths that the user names.

    Args:
        fields: Fields of a configuration, of which some may not be given.

    Returns:
        The fields, with the paths of what was imported as `imports`.
    """
    keywords = fields.get("keywords", {})
    whats = {name: fields.get(name) for name in WHATS} | keywords
    paths = {name: value for name, value in whats.items() if is_import_path(value)}
    if not paths:
        return fields
    objects = {name: imported(name, path) for name, path in paths.items()}
    fields = {**fields, "imports": paths}
    if keywords:
        fields["keywords"] = {name: objects.get(name, value) for name, value in keywords.items()}
    return fields | {name: objects[name] for name in WHATS.keys() & objects.keys()}
