"""gymnasium's toy-text environments: their tables, and the ids that have one."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from jaxq import checks

_ENVIRONMENTS = ("FrozenLakeEnv", "CliffWalkingEnv", "TaxiEnv")


class Defaults(NamedTuple):
    """What a gymnasium environment knows beside its table: first states, time limit, name and map."""

    initial: Any
    max_steps: int | None
    name: str
    drawing: np.ndarray | None


def read(env: Any) -> tuple[Mapping, Defaults]:
    """Take the table out of a gymnasium environment object.

    Raises:
        InputTypeError: If it has none.
        InputValueError: If its table does not tell the whole of its dynamics.
    """
    base = env.unwrapped
    table = getattr(base, "P", None)
    if not isinstance(table, Mapping):
        raise checks.InputTypeError(
            f"{env} has no table: env.unwrapped.P must be a dictionary P[s][a] = [(probability, "
            "next_state, reward, terminated), ...]"
        )
    if getattr(base, "fickle_passenger", False):
        raise checks.InputValueError(
            f"{env}: its table says nothing of passengers who change their minds; "
            "leave out fickle_passenger=True"
        )
    spec = getattr(env, "spec", None)
    name = getattr(spec, "id", None) or type(base).__name__
    max_steps = getattr(spec, "max_episode_steps", None)
    initial = getattr(base, "initial_state_distrib", None)
    return table, Defaults(initial, max_steps, name, _drawing(base, len(table)))


def _drawing(base: Any, num_states: int) -> np.ndarray | None:
    """Return the map of an environment whose states are its cells; Taxi's are more than that."""
    drawing = np.asarray(getattr(base, "desc", None))
    if drawing.ndim != 2 or drawing.size != num_states or drawing.dtype.kind != "S":
        return None
    return drawing.astype(str)


def ids() -> list[str]:
    """List the ids of the installed gymnasium that have a table."""
    import gymnasium  # here, as making a table of one's own has no need of it

    return [
        id
        for id, spec in gymnasium.registry.items()
        if str(spec.entry_point).startswith("gymnasium.envs.toy_text")
        and str(spec.entry_point).endswith(_ENVIRONMENTS)
    ]


def make(id: str, **kwargs: Any) -> Any:
    """Make the gymnasium environment of an id, not yet a table."""
    import gymnasium

    return gymnasium.make(id, disable_env_checker=True, **kwargs)
