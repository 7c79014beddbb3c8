"""Environments by name: every id that gymnax has registered."""

from typing import Any, NamedTuple
from urllib.error import URLError

import gymnax
from gymnax.environments import spaces

from jaxq import checks
from jaxq.envs.adapter import GymnaxEnvironment, from_gymnax

# These give boards of zeros and ones as float32; as bool they take a quarter of the memory.
_BINARY = "-MinAtar"
# Building it downloads a data set, so it is not built only to be listed.
_NEEDS_DOWNLOAD = "MNISTBandit-bsuite"


class EnvironmentInfo(NamedTuple):
    """One line of the list of environments.

    Attributes:
        id: What `make` takes.
        actions: Number of actions, or `None` where they are continuous or unknown.
        observation: Shape and type of an observation, in words.
        note: Why it cannot be used, or what it needs; empty where there is nothing to say.
    """

    id: str
    actions: int | None
    observation: str
    note: str


def make(id: str, **kwargs: Any) -> GymnaxEnvironment:
    """Make a registered environment.

    Args:
        id: Any id in `gymnax.registered_envs`, for example "CartPole-v1".
        **kwargs: Passed to the environment, for example `map_name="8x8"` to "FrozenLake-misc".

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
    """
    checks.known("environment", id, gymnax.registered_envs)
    env, params = _build(id, kwargs)
    if not _is_discrete(env, params):
        working = ", ".join(info.id for info in listing() if info.actions)
        raise checks.InputValueError(
            f"{id} has continuous actions, and Q-learning compares a finite number of actions; "
            f"these environments work: {working}"
        )
    return _adapt(id, env, params)


def listing() -> list[EnvironmentInfo]:
    """Describe every registered environment, those that cannot be used with the reason."""
    return [_describe(id) for id in gymnax.registered_envs]


def _describe(id: str) -> EnvironmentInfo:
    if id == _NEEDS_DOWNLOAD:
        return EnvironmentInfo(id, 10, "float32[28, 28]", "downloads MNIST when it is made")
    env, params = _build(id, {})
    if not _is_discrete(env, params):
        return EnvironmentInfo(id, None, "", "continuous actions: not for Q-learning")
    made = _adapt(id, env, params)
    spec = made.observation_spec
    return EnvironmentInfo(id, made.num_actions, f"{spec.dtype.name}{list(spec.shape)}", "")


def _build(id: str, kwargs: dict[str, Any]) -> tuple[Any, Any]:
    """Build a gymnax environment, turning what it objects to into an input error."""
    try:
        return gymnax.make(id, **kwargs)
    except TypeError as error:
        raise checks.InputTypeError(f"{id} does not take these keywords: {error}") from None
    except (ValueError, AssertionError) as error:
        raise checks.InputValueError(f"{id} cannot be made with these values: {error}") from None
    except URLError as error:
        raise checks.InputValueError(f"{id} needs a download that failed: {error.reason}") from None


def _adapt(id: str, env: Any, params: Any) -> GymnaxEnvironment:
    dtype = bool if id.endswith(_BINARY) else None
    return from_gymnax(env, params, name=id, observation_dtype=dtype)


def _is_discrete(env: Any, params: Any) -> bool:
    return isinstance(env.action_space(params), spaces.Discrete)
