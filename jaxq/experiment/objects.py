"""Environments and algorithms, which a configuration holds by name or as objects of the user's own."""

from typing import Any

from jaxq import agents, checks, envs
from jaxq.agents import Agent, Algorithm
from jaxq.types import Environment


def name_of(what: Any) -> str:
    """Return the name of an environment or an algorithm."""
    return what if isinstance(what, str) else str(getattr(what, "name", type(what).__name__))


def make_environment(environment: str | Environment) -> Environment:
    """Return an environment, made if it is given by name."""
    return envs.make(environment) if isinstance(environment, str) else environment


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


def is_environment(value: Any) -> bool:
    """Tell whether a value is an environment, and not the name of one."""
    return hasattr(value, "observation_spec") and not isinstance(value, type)


def is_algorithm(value: Any) -> bool:
    """Tell whether a value is a recipe's result or an agent, and not the name of a recipe."""
    return hasattr(value, "bind") and not isinstance(value, type)


def check_environment(name: str, value: Any) -> None:
    """Check that a value is an environment, or the name of one.

    Raises:
        InputTypeError: If it is something else.
        InputValueError: If there is no such name.
    """
    if not is_environment(value):
        checks.one_of(name, value, envs.ids())


def check_algorithm(name: str, value: Any) -> None:
    """Check that a value is an algorithm, or the name of one.

    Raises:
        InputTypeError: If it is something else.
        InputValueError: If there is no such name.
    """
    if not is_algorithm(value):
        checks.one_of(name, value, agents.ALGORITHMS)
