"""The incident environment's words and numbers: faults, actions, costs, and what they do by default.

A step is about a minute. Everything here is data: each leaf of `IncidentParams` may differ per agent.
The same numbers with their reasons stand in `docs/incident.md`.
"""

from typing import Any, NamedTuple

import numpy as np
from flax import struct
from gymnax.environments import environment

from jaxq import checks

FAULTS = (
    "healthy",
    "crash",
    "leak",
    "bad deploy",
    "overload",
    "dependency outage",
    "corrupt cache",
)
"""What may be wrong with a service, hidden from the agent; 0 is nothing."""
HEALTHY, CRASH, LEAK, BAD_DEPLOY, OVERLOAD, OUTAGE, CORRUPT_CACHE = range(7)

ACTIONS = ("wait", "restart", "roll back", "scale out", "fail over", "clear cache", "isolate")
"""Kinds of action. Action 0 is to wait; action `1 + 6 * service + (kind - 1)` is the rest."""
WAIT, RESTART, ROLL_BACK, SCALE_OUT, FAIL_OVER, CLEAR_CACHE, ISOLATE = range(7)

COSTS = ("availability", "needless_action", "restart_limit")
"""Names of the costs: availability below its objective, an action on a healthy service, a restart more
than allowed."""

SYMPTOMS = ("error rate", "latency", "saturation", "memory")
"""What monitoring shows of a service, with noise, each in [0, 1]."""


# Rows are faults, columns `SYMPTOMS`. A leak comes to its row step by step, from the healthy one.
_SYMPTOMS = (
    (0.00, 0.10, 0.40, 0.30),  # healthy
    (1.00, 0.00, 0.00, 0.00),  # crash: connections are refused at once
    (0.40, 0.60, 0.60, 1.00),  # leak, with all memory used
    (0.50, 0.30, 0.40, 0.30),  # bad deploy
    (0.30, 0.90, 1.00, 0.40),  # overload
    (0.60, 0.90, 0.20, 0.30),  # dependency outage: requests wait until they time out
    (0.30, 0.10, 0.40, 0.30),  # corrupt cache: wrong answers, fast
)
# Probability that an action, once done, removes a fault.
_REPAIR = (
    # wait, restart, roll back, scale out, fail over, clear cache, isolate
    (0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0),  # healthy
    (0.0, 0.9, 0.9, 0.0, 1.0, 0.0, 0.0),  # crash
    (0.0, 1.0, 1.0, 0.0, 1.0, 0.0, 0.0),  # leak
    (0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0),  # bad deploy: the standby runs the same version
    (0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0),  # overload: the standby is no larger
    (0.0, 0.0, 0.0, 0.0, 0.95, 0.0, 0.0),  # dependency outage: the standby has another provider
    (0.0, 0.0, 0.0, 0.0, 0.5, 1.0, 0.0),  # corrupt cache: half of the standbys share it
)


@struct.dataclass(kw_only=True)
class IncidentParams(environment.EnvParams):
    """What may differ per agent; N services, 7 faults with `HEALTHY`, 7 actions with `WAIT`.

    Attributes:
        max_steps_in_episode: Steps after which an episode is truncated, int32.
        dependencies: Share of the calls to service i that call service j, `[N, N]`, in [0, 1], zero for
            j <= i: services are numbered from the front to the back.
        traffic: Share of the users' requests that each service answers, `[N]`, sums to 1.
        first_fault: Probability of each fault at the start, `[6]`, without `HEALTHY`, sums to 1.
        extra_fault: Probability that another service has a fault at the start too, in [0, 1].
        older_rate: Probability that there is an older version at the start, in [0, 1]; behind a bad
            deploy there always is.
        fault_rate: Probability of a new fault in a step of a healthy service, `[N, 6]`.
        passing: Probability that a fault passes by itself in a step, `[7]`.
        relief: As `passing`, of an overload while the service is isolated.
        repair: Probability that an action removes a fault once it is done, `[7, 7]`.
        duration: Steps that an action takes beyond the one it begins in, int32 `[7]`.
        price: What beginning an action costs, `[7]`, in steps of complete outage.
        disruption: Least share of a service's requests that fail while an action is under way, `[7]`.
        symptoms: Error rate, latency, saturation and memory of a fault, `[7, 4]`, in [0, 1].
        noise: Standard deviation of what is added to the symptoms, >= 0.
        containment: Share of a callee's failures that callers are spared while it is isolated.
        cascade: Probability of an overload in a step in which all calls to other services fail.
        cold_cache: Probability of an overload once a cache was cleared.
        leak_steps: Steps until a leak has used all memory and becomes a crash, int32, >= 1.
        oldest: Age of a version from which on it counts as old, int32, >= 1.
        objective: Availability below which a step costs 1, in [0, 1].
        window: Steps that restarts are counted over, int32, in [1, 30].
        restart_limit: Restarts within the window, of all services, that cost nothing, int32.
    """

    max_steps_in_episode: Any
    dependencies: Any
    traffic: Any
    first_fault: Any
    extra_fault: Any
    older_rate: Any
    fault_rate: Any
    passing: Any
    relief: Any
    repair: Any
    duration: Any
    price: Any
    disruption: Any
    symptoms: Any
    noise: Any
    containment: Any
    cascade: Any
    cold_cache: Any
    leak_steps: Any
    oldest: Any
    objective: Any
    window: Any
    restart_limit: Any


class _Field(NamedTuple):
    """A parameter's default, which also tells its shape and type, and its range."""

    default: Any
    low: float = 0.0
    high: float = 1.0


def _fields(services: int) -> dict[str, _Field]:
    ahead = np.subtract.outer(np.arange(services), np.arange(services)) * -1
    dependencies = np.select([ahead == 1, ahead == 2], [0.7, 0.4], 0.0)
    return {
        "max_steps_in_episode": _Field(50, 1, checks.INT32_MAX),
        "dependencies": _Field(dependencies),
        "traffic": _Field(np.full(services, 1 / services)),
        "first_fault": _Field(np.full(6, 1 / 6)),
        "extra_fault": _Field(0.1),
        "older_rate": _Field(0.5),
        "fault_rate": _Field(np.full((services, 6), 0.001)),
        # A crashed service is not brought up again; load falls, providers recover, fixes are deployed.
        "passing": _Field(np.array([0.0, 0.0, 0.0, 0.01, 0.1, 0.03, 0.0])),
        "relief": _Field(0.5),
        "repair": _Field(np.array(_REPAIR)),
        "duration": _Field(np.array([0, 1, 2, 3, 0, 0, 0]), 0, 100),
        "price": _Field(np.array([0.0, 0.1, 0.2, 0.3, 0.6, 0.1, 0.05]), 0, np.inf),
        "disruption": _Field(np.array([0.0, 1.0, 0.5, 0.0, 0.3, 0.2, 0.0])),
        "symptoms": _Field(np.array(_SYMPTOMS)),
        "noise": _Field(0.1, 0, np.inf),
        "containment": _Field(0.8),
        "cascade": _Field(0.1),
        "cold_cache": _Field(0.15),
        "leak_steps": _Field(8, 1, 1_000),
        "oldest": _Field(20, 1, 1_000),
        "objective": _Field(0.9),
        "window": _Field(10, 1, 30),
        "restart_limit": _Field(2, 0, 30),
    }


def incident_params(services: int = 5, **changes: Any) -> IncidentParams:
    """Make parameters of the incident environment, the defaults but for what is given.

    Args:
        services: Number of services N.
        **changes: Fields of `IncidentParams`; a number stands for an array full of it.

    Returns:
        The parameters, arrays of 32 bits.

    Raises:
        InputTypeError: If there is no such field, or a value is no number.
        InputValueError: If a value has another shape or is out of range, probabilities do not sum to
            1, or a service calls one that does not stand behind it.

    Example:
        >>> incident_params(2, noise=0.0).dependencies.tolist()
        [[0.0, 0.699999988079071], [0.0, 0.0]]
    """
    fields = _fields(checks.whole_number("services", services))
    errors = checks.ErrorCollector()
    leaves = {name: _leaf(field.default, field.default) for name, field in fields.items()}
    for name, value in changes.items():
        with errors.collect():
            leaves[name] = _checked(name, value, fields)
    errors.report()
    return IncidentParams(**leaves)


def _checked(name: str, value: Any, fields: dict[str, _Field]) -> np.ndarray:
    if name not in fields:
        raise checks.InputTypeError(
            f"Incident-v0 has no parameter {name!r}; {checks.nearest(name, fields)}"
        )
    default, low, high = fields[name]
    checks.in_range(name, value, low, high)
    shape = np.shape(default)
    if np.shape(value) not in ((), shape):
        raise checks.InputValueError(
            f"{name} must be one number{f' or have shape {list(shape)}' if shape else ''}, got shape "
            f"{list(np.shape(value))}; for example {name}={np.asarray(default).tolist()}"
        )
    if np.asarray(default).dtype.kind == "i" and (np.asarray(value) % 1).any():
        raise checks.InputTypeError(
            f"{name} must be whole numbers, got {value!r}; for example "
            f"{name}={np.asarray(default).tolist()}"
        )
    leaf = _leaf(value, default)
    _check_meaning(name, leaf, default)
    return leaf


def _check_meaning(name: str, leaf: np.ndarray, default: Any) -> None:
    if name in ("traffic", "first_fault") and abs(leaf.sum() - 1) > 1e-5:
        raise checks.InputValueError(
            f"{name} must sum to 1, got a sum of {leaf.sum():.6g}; for example "
            f"{name}={np.asarray(default).round(4).tolist()}"
        )
    if name == "fault_rate" and (leaf.sum(axis=1) > 1).any():
        raise checks.InputValueError(
            f"fault_rate must sum to at most 1 for each service, got {leaf.sum(axis=1).max():.6g}; "
            "for example fault_rate=0.001"
        )
    if name == "dependencies" and np.tril(leaf).any():
        i, j = np.argwhere(np.tril(leaf))[0]
        raise checks.InputValueError(
            f"services are numbered from the front to the back and call only those behind them, got "
            f"dependencies[{i}][{j}] = {leaf[i, j]:g}; for example np.triu(dependencies, 1)"
        )


def _leaf(value: Any, default: Any) -> np.ndarray:
    dtype = np.int32 if np.asarray(default).dtype.kind == "i" else np.float32
    return np.broadcast_to(np.asarray(value, dtype), np.shape(default)).copy()
