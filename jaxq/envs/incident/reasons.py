"""Why an action of the incident environment cannot be begun, in words, and names of actions."""

from typing import Any, NamedTuple

import numpy as np

from jaxq.envs.incident.dynamics import KINDS, IncidentState
from jaxq.envs.incident.params import ACTIONS, ISOLATE, ROLL_BACK, SCALE_OUT, WAIT


class Obstacles(NamedTuple):
    """What keeps actions from being begun, of each service.

    Attributes:
        pending: The action under way, index into `ACTIONS`, `[N]`; `WAIT` where there is none.
        older: Whether there is an older version, `[N]`.
        isolated: Whether callers are kept from it, `[N]`.
        scaled: Whether it has more replicas than it began with, `[N]`.
    """

    pending: Any
    older: Any
    isolated: Any
    scaled: Any


def action_name(action: int) -> str:
    """Say what an action does, for example "restart service 2"."""
    service, kind = divmod(action - 1, KINDS)
    return ACTIONS[WAIT] if action == WAIT else f"{ACTIONS[kind + 1]} service {service}"


def illegal_reason(obstacles: Obstacles, action: int) -> str | None:
    """Say why an action cannot be begun; `None` where it can, as by `dynamics.legal_actions`."""
    service, kind = divmod(action - 1, KINDS)
    if action == WAIT:
        return None
    pending, older, isolated, scaled = (int(part[service]) for part in obstacles)
    if pending != WAIT:
        return f"{ACTIONS[pending]} is under way"
    reasons = {
        ROLL_BACK: None if older else "no older version",
        SCALE_OUT: "scaled out already" if scaled else None,
        ISOLATE: "isolated already" if isolated else None,
    }
    return reasons.get(kind + 1)


class StateReasons:
    """Why an action is not legal in a numbered state of an incident that is a table.

    Args:
        states: The states that the numbers stand for, leaves `[S - 1, ...]`; the last one is the end.
    """

    def __init__(self, states: IncidentState) -> None:
        self._obstacles = Obstacles(states.pending, states.older, states.isolated, states.scaled)

    def __call__(self, observation: Any, action: int) -> str | None:
        """Say why, of a state's number; `None` where the action is legal."""
        number = int(observation)
        if number >= len(self._obstacles.pending):
            return None
        return illegal_reason(Obstacles(*(np.asarray(part)[number] for part in self._obstacles)), action)
