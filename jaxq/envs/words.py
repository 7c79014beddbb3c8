"""What an environment may say of itself beside the protocol, for people: all of it optional.

An environment of jaxq's, or the gymnax environment inside it, may have

- `action_names`, a name for each of its A actions;
- `no_op`, the number of the action that does nothing, such as waiting;
- `observed_legal_actions(observation)`, the legal ones as far as an observation tells, bool `[A]`;
- `illegal_reason(observation, action)`, why an action is not legal there, or `None`;
- `recovered(timestep)`, whether the step ended an episode well, bool `[]`.

What is set on the object itself counts first: `env.action_names = ("left", "right")`.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

from jaxq import checks
from jaxq.types import Environment, TimeStep

NAMES = ("action_names", "no_op", "observed_legal_actions", "illegal_reason", "recovered")
"""The names of what an environment may say."""


class Words(NamedTuple):
    """What an environment says of itself; `None` for what it does not say.

    Attributes:
        action_names: A name for each action, `action 0` and so on where the environment has none.
        no_op: The action that does nothing.
        observed_legal_actions: Legal actions, bool `[A]`, out of an observation.
        illegal_reason: Why an action is not legal, out of an observation and the action's number.
        recovered: Whether a step ended an episode well, bool `[]`, out of a `TimeStep`.
    """

    action_names: tuple[str, ...]
    no_op: int | None
    observed_legal_actions: Callable[[Any], Any] | None
    illegal_reason: Callable[[Any, int], str | None] | None
    recovered: Callable[[TimeStep], jax.Array] | None


def words_of(env: Environment) -> Words:
    """Collect what an environment, or the one inside it, says of itself.

    Raises:
        InputTypeError: If names are no texts, or what should be called cannot be.
        InputValueError: If there is not one name for each action, or no such action.
    """
    found = {name: _find(env, name) for name in NAMES}
    for name in NAMES[2:]:
        if found[name] is not None and not callable(found[name]):
            raise checks.InputTypeError(
                f"{env.name}: {name} must be a function, got {found[name]!r}; see jaxq.envs.words"
            )
    found["action_names"] = _checked_names(env, found["action_names"])
    if found["no_op"] is not None:
        found["no_op"] = checks.whole_number("no_op", found["no_op"], minimum=0)
        if found["no_op"] >= env.num_actions:
            raise checks.InputValueError(
                f"{env.name}: no_op must be one of its {env.num_actions} actions, got {found['no_op']}"
            )
    return Words(**found)


def ends_well(timestep: TimeStep) -> jax.Array:
    """Tell whether an episode terminated, where it does so in one way only, which is the good one."""
    return timestep.terminated


def _find(env: Any, name: str) -> Any:
    places = env, getattr(env, "raw", None)
    found = (getattr(place, name, None) for place in places)
    return next((said for said in found if said is not None), None)


def _checked_names(env: Environment, names: Any) -> tuple[str, ...]:
    if names is None:
        return tuple(f"action {number}" for number in range(env.num_actions))
    texts = isinstance(names, Sequence | np.ndarray) and all(isinstance(name, str) for name in names)
    if isinstance(names, str) or not texts:
        raise checks.InputTypeError(
            f"{env.name}: action_names must be a tuple of names, got {names!r}; "
            'for example ("wait", "restart")'
        )
    if len(names) != env.num_actions:
        raise checks.InputValueError(
            f"{env.name}: action_names must be {env.num_actions}, one for each action, got {len(names)}"
        )
    return tuple(map(str, names))
