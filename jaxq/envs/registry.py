"""Environments by name: gymnax's, gymnasium's that have a table, the grids, and the incidents."""

from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar
from urllib.error import URLError

import gymnax
from gymnax.environments import spaces

from jaxq import checks
from jaxq.envs import grids, toy_text
from jaxq.envs.adapter import GymnaxEnvironment, from_gymnax
from jaxq.envs.catalogue import KNOWN
from jaxq.envs.incident import environment as incident
from jaxq.envs.incident.table import incident_table
from jaxq.envs.table import TableEnvironment, from_table
from jaxq.envs.time_limits import OTHERWISE, TERMINATES, TIME_LIMITS
from jaxq.precision import in_32_bits

Made = TypeVar("Made")

# These give boards of zeros and ones as float32; as bool they take a quarter of the memory.
_BINARY = "-MinAtar"
# Building it downloads a data set, so it is not built only to be listed.
_NEEDS_DOWNLOAD = "MNISTBandit-bsuite"
_INCIDENT = "Incident-v0"
_TABLES: dict[str, Callable[..., TableEnvironment]] = {
    **grids.BUILDERS,
    "Incident-table": lambda **kwargs: incident_table(**kwargs).env,
}


class EnvironmentInfo(NamedTuple):
    """One line of the list of environments.

    Attributes:
        id: What `make` takes.
        actions: Number of actions, or `None` where they are continuous or unknown.
        observation: Shape and type of an observation, in words.
        note: Why it cannot be used or learned, or what it needs; empty where there is nothing to say.
        about: What there is to do.
        random: Mean return of random legal actions, where it was measured.
        best: The largest mean return that there can be, where it is known.
    """

    id: str
    actions: int | None
    observation: str
    note: str
    about: str = ""
    random: float | None = None
    best: float | None = None


def make(
    id: str, *, time_limit: str | None = None, **kwargs: Any
) -> GymnaxEnvironment | TableEnvironment:
    """Make a registered environment.

    Args:
        id: Any id in `gymnax.registered_envs`, for example "CartPole-v1"; a toy-text id of gymnasium,
            "FrozenLake-v1", "Taxi-v4" or "CliffWalking-v1", which is run as a table; one of the
            grids "Cliff-grid", "FourRooms-grid" and "WindyGrid-grid"; or "Incident-v0", and a small one
            as a table, "Incident-table".
        time_limit: Whether a gymnax environment's time limit "truncates" or "terminates", for those who
            disagree with `jaxq.envs.TIME_LIMITS`.
        **kwargs: Passed to the environment, for example `map_name="8x8"` to "FrozenLake-v1",
            `slip=0.1` to "Cliff-grid", or `services=5` to "Incident-v0".

    Returns:
        The environment as `jaxq.Trainer` takes it.

    Raises:
        InputTypeError: If the environment does not take one of the keywords.
        InputValueError: If there is no such id (the nearest ones are named), if its actions are
            continuous (those that work are listed), or if it cannot be built.

    Example:
        >>> import jaxq
        >>> jaxq.envs.make("CartPole-v1").num_actions
        2
        >>> jaxq.envs.make("FrozenLake-v1", map_name="8x8")
        FrozenLake-v1(4 actions, 64 states)
    """
    checks.one_of("environment", id, ids())
    if _is_table(id):
        if time_limit is not None:
            raise checks.InputTypeError(f"{id} is a table and has no time limit; leave out time_limit")
        return _attempt(id, lambda: _table(id, kwargs))
    env, params = _attempt(id, lambda: _functions(id, kwargs))
    if not _is_discrete(env, params):
        working = ", ".join(info.id for info in listing() if info.actions)
        raise checks.InputValueError(
            f"{id} has continuous actions, and Q-learning compares a finite number of actions; "
            f"these environments work: {working}"
        )
    return _adapt(id, env, params, time_limit)


def listing() -> list[EnvironmentInfo]:
    """Describe every registered environment, those that cannot be used with the reason."""
    return [_with_what_is_known(_describe(id)) for id in ids()]


def ids() -> list[str]:
    """List every name that `make` knows."""
    # What gymnax has registered under a name is what the name stands for.
    return list(dict.fromkeys([*gymnax.registered_envs, *toy_text.ids(), *_TABLES, _INCIDENT]))


def _with_what_is_known(info: EnvironmentInfo) -> EnvironmentInfo:
    known = KNOWN.get(info.id)
    if known is None:
        return info
    note = "; ".join(text for text in (info.note, known.hopeless) if text)
    return info._replace(note=note, about=known.about, random=known.random, best=known.best)


@in_32_bits()
def _describe(id: str) -> EnvironmentInfo:
    if id == _NEEDS_DOWNLOAD:
        return EnvironmentInfo(id, 10, "float32[28, 28]", "downloads MNIST when it is made")
    if _is_table(id):
        made = _table(id, {})
    else:
        env, params = _functions(id, {})
        if not _is_discrete(env, params):
            return EnvironmentInfo(id, None, "", "continuous actions: not for Q-learning")
        made = _adapt(id, env, params)
    spec = made.observation_spec
    words = f"{spec.dtype.name}{list(spec.shape)}"
    if spec.num_categories is not None:
        words += f", {spec.num_categories} states"
    ends = getattr(made, "time_limit", None) == TERMINATES
    return EnvironmentInfo(id, made.num_actions, words, "its time limit terminates" if ends else "")


def _is_table(id: str) -> bool:
    return id not in gymnax.registered_envs and id != _INCIDENT


def _functions(id: str, kwargs: dict[str, Any]) -> tuple[Any, Any]:
    """Make an environment that steps by functions, and its parameters."""
    if id in gymnax.registered_envs:
        return gymnax.make(id, **kwargs)
    return incident.make(**kwargs)


def _table(id: str, kwargs: dict[str, Any]) -> TableEnvironment:
    if id in _TABLES:
        return _TABLES[id](**kwargs)
    return from_table(toy_text.make(id, **kwargs), name=id)


@in_32_bits()
def _attempt(id: str, build: Callable[[], Made]) -> Made:
    """Build an environment, turning what it objects to into an input error."""
    try:
        return build()
    except checks.InputError:
        raise
    except TypeError as error:
        raise checks.InputTypeError(f"{id} does not take these keywords: {error}") from None
    except (ValueError, AssertionError, LookupError) as error:
        raise checks.InputValueError(f"{id} cannot be made with these values: {error}") from None
    except URLError as error:
        raise checks.InputValueError(f"{id} needs a download that failed: {error.reason}") from None


def _adapt(id: str, env: Any, params: Any, time_limit: str | None = None) -> GymnaxEnvironment:
    dtype = bool if id.endswith(_BINARY) else None
    limit = TIME_LIMITS.get(id, OTHERWISE).kind if time_limit is None else time_limit
    return from_gymnax(env, params, name=id, observation_dtype=dtype, time_limit=limit)


def _is_discrete(env: Any, params: Any) -> bool:
    return isinstance(env.action_space(params), spaces.Discrete)
