"""Small incidents as exact tables, so that optimal play is known.

The states are found by going from those that an episode may begin in through everything that may
happen, with the functions that the simulator steps by. A state is all of `IncidentState` but the time
and the age of versions, on which nothing depends.
"""

import functools
import itertools
import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxq import checks
from jaxq.envs.incident import dynamics
from jaxq.envs.incident.dynamics import KINDS, IncidentState
from jaxq.envs.incident.params import (
    ACTIONS,
    BAD_DEPLOY,
    COSTS,
    FAULTS,
    WAIT,
    IncidentParams,
    incident_params,
)
from jaxq.envs.incident.reasons import StateReasons, action_name
from jaxq.envs.outcomes import read_rows
from jaxq.envs.table import TableEnvironment
from jaxq.envs.words import ends_well
from jaxq.precision import in_32_bits

# As small as it can be with every fault and every action: nothing new breaks but by overload, and what
# takes time takes one step more.
_SMALL = {
    "fault_rate": 0.0,
    "older_rate": 0.0,
    "extra_fault": 0.5,
    "duration": [0, 1, 1, 1, 0, 0, 0],
    "leak_steps": 2,
    "window": 2,
    "restart_limit": 1,
    "oldest": 1,
}
_IMPOSSIBLE = 1e-7  # what float32 leaves of a probability of zero
# Faults of more services have more combinations than can be looked through.
_MOST_SERVICES = 3
_BATCH = {1: 256, 2: 256, 3: 32}


class IncidentTable(NamedTuple):
    """A small incident, exactly.

    Attributes:
        env: The environment; its state S - 1 is the end, where everything is well.
        costs: Expected cost of an action by name, float64 `[S, A]` each.
        legal_actions: bool `[S, A]`; as in the simulator, one that is not legal acts as waiting.
        states: The states that the numbers stand for, leaves `[S - 1, ...]`.
        params: Parameters with which the simulator does the same.
    """

    env: TableEnvironment
    costs: dict[str, np.ndarray]
    legal_actions: np.ndarray
    states: IncidentState
    params: IncidentParams


class _Expansion(NamedTuple):
    """What n states lead to, with F combinations of faults.

    Attributes:
        reward: `[n, A]`.
        cost: `[n, A, K]`.
        legal: bool `[n, A]`.
        probability: `[n, A, F]`.
        recovered: Whether it ends the episode, bool `[n, A, F]`.
        following: The states, leaves `[n, A, F, ...]`.
    """

    reward: Any
    cost: Any
    legal: Any
    probability: Any
    recovered: Any
    following: IncidentState


class _Rows(NamedTuple):
    """What can happen in n states: outcomes in rows `[r]`, then `[n, A]` of what is certain.

    Attributes:
        pair: `s * A + a`.
        probability: Of the outcome.
        key: Of the state that follows; see `_keys`.
        recovered: Whether it ends the episode.
        reward: `[n, A]`.
        cost: `[n, A, K]`.
        legal: bool `[n, A]`.
    """

    pair: np.ndarray
    probability: np.ndarray
    key: np.ndarray
    recovered: np.ndarray
    reward: np.ndarray
    cost: np.ndarray
    legal: np.ndarray


@in_32_bits()
def incident_table(
    services: int = 2, *, max_states: int = 100_000, max_steps: int = 50, **changes: Any
) -> IncidentTable:
    """Make an incident whose optimal play can be computed.

    Faults and actions are those of `Incident-v0`. By default nothing new breaks but by overload, there
    is an older version behind a bad deploy alone, a leak has used all memory after 2 steps,
    restarting, rolling back and scaling out take one step beyond the first, and restarts are counted
    over 2 steps.

    Args:
        services: Number of services N.
        max_states: Refuse to make a larger table.
        max_steps: Steps after which an episode is truncated.
        **changes: Fields of `jaxq.envs.incident.params.IncidentParams` that are to be otherwise.

    Returns:
        The table with its costs, legal actions and states.

    Raises:
        InputTypeError: If there is no such field.
        InputValueError: If a value cannot be used, or there are more states than `max_states`.

    Example:
        >>> table = incident_table(1)
        >>> table.env
        Incident-table(7 actions, 100 states)
    """
    max_states = checks.whole_number("max_states", max_states)
    if checks.whole_number("services", services) > _MOST_SERVICES:
        raise checks.InputValueError(
            f"an exact table can have at most {_MOST_SERVICES} services, got {services}; services=2"
        )
    params = incident_params(services, **{**_SMALL, "max_steps_in_episode": max_steps, **changes})
    states, initial = _first_states(params)
    keys, batches = _keys(states, params), []
    while (expanded := sum(len(rows.legal) for rows in batches)) < len(keys):
        rows, following = _expand(states, expanded, params)
        _, first = np.unique(rows.key, return_index=True)
        first = first[~np.isin(rows.key[first], keys) & ~rows.recovered[first]]
        states = jax.tree.map(lambda old, new: np.concatenate([old, new[first]]), states, following)  # noqa: B023
        keys = np.append(keys, rows.key[first])
        batches.append(rows)
        if len(keys) >= max_states:
            raise checks.InputValueError(
                f"this incident has more than {max_states:,} states; make it smaller, for example "
                "services=2, or max_states larger"
            )
    rows = _Rows(*(np.concatenate(part) for part in zip(*batches, strict=True)))
    return _table(rows, keys, states, initial, params)


def _table(
    rows: _Rows, keys: np.ndarray, states: IncidentState, initial: np.ndarray, params: IncidentParams
) -> IncidentTable:
    """Number the states that the rows lead to, and add the end, which goes on for ever for nothing."""
    end, num_actions = len(keys), rows.legal.shape[1]
    order = np.argsort(keys)
    place = np.minimum(np.searchsorted(keys[order], rows.key), end - 1)
    following = np.where(rows.recovered, end, order[place])
    last = end * num_actions + np.arange(num_actions)
    outcomes = read_rows(
        np.append(rows.pair, last),
        np.append(rows.probability, np.ones(num_actions)),
        np.append(following, np.full(num_actions, end)),
        np.append(rows.reward.ravel()[rows.pair], np.zeros(num_actions)),
        np.append(rows.recovered, np.ones(num_actions, bool)),
        (end + 1, num_actions),
    )
    start = np.zeros(end + 1)
    start[: len(initial)] = initial
    cost = np.concatenate([rows.cost, np.zeros((1, num_actions, len(COSTS)))])
    max_steps = int(params.max_steps_in_episode)
    legal = np.concatenate([rows.legal, np.ones((1, num_actions), bool)])
    costs = {name: cost[..., k].astype(np.float64) for k, name in enumerate(COSTS)}
    env = TableEnvironment(outcomes, start, max_steps, "Incident-table", legal, costs)
    env.action_names, env.no_op = tuple(map(action_name, range(num_actions))), WAIT
    env.illegal_reason, env.recovered = StateReasons(states), ends_well
    return IncidentTable(
        env,
        costs,
        legal,
        states,
        params,
    )


def _first_states(params: IncidentParams) -> tuple[IncidentState, np.ndarray]:
    """List what an episode may begin in, and how likely."""
    services = len(params.traffic)
    fault = _combinations(len(FAULTS), services)
    other = np.append(1 - params.extra_fault, params.extra_fault * params.first_fault)[fault]
    root = np.append(0, params.first_fault)[fault]
    # One service, each as likely, has a fault for sure.
    chance = np.mean(
        [np.where(np.arange(services) == i, root, other).prod(axis=1) for i in range(services)], axis=0
    )
    older = _combinations(2, services).astype(bool)
    by_older = np.where(older, params.older_rate, 1 - params.older_rate)
    bad = fault[:, None] == BAD_DEPLOY
    # Behind a bad deploy there always is an older version.
    versions = np.where(bad, older[None], by_older[None]).prod(axis=-1)
    probability = (chance[:, None] * versions).astype(np.float64)
    which, version = np.nonzero(probability > _IMPOSSIBLE)
    zeros = np.zeros((len(which), services), np.int32)
    states = IncidentState(
        time=zeros[:, 0],
        fault=fault[which],
        leaked=zeros,
        older=older[version],
        age=zeros,
        pending=zeros,
        remaining=zeros,
        isolated=zeros.astype(bool),
        scaled=zeros.astype(bool),
        restarts=zeros[:, 0],
    )
    initial = probability[which, version]
    return states, initial / initial.sum()


def _expand(states: IncidentState, first: int, params: IncidentParams) -> tuple[_Rows, IncidentState]:
    """Follow everything that may happen in the next batch of states, those from number `first` on."""
    services = len(params.traffic)
    batch = min(_BATCH[services], len(states.time) - first)
    # Filled up to one size, so that it is compiled once.
    chosen = np.minimum(first + np.arange(_BATCH[services]), len(states.time) - 1)
    joint = _combinations(len(FAULTS), services)
    num_actions = 1 + KINDS * services
    found = jax.tree.map(
        lambda leaf: np.asarray(leaf)[:batch],
        _expansion(jax.tree.map(lambda leaf: leaf[chosen], states), num_actions, joint, params),
    )
    possible = found.probability > _IMPOSSIBLE
    following = jax.tree.map(lambda leaf: leaf[possible], found.following)
    following = following.replace(time=0 * following.time, age=0 * following.age)
    s, a, _ = np.nonzero(possible)
    return _Rows(
        pair=(first + s) * num_actions + a,
        probability=found.probability[possible].astype(np.float64),
        key=_keys(following, params),
        recovered=found.recovered[possible],
        reward=found.reward,
        cost=found.cost,
        legal=found.legal,
    ), following


@functools.partial(jax.jit, static_argnums=1)
def _expansion(
    states: IncidentState, num_actions: int, joint: np.ndarray, params: IncidentParams
) -> _Expansion:
    def one(state: IncidentState, action: jax.Array) -> _Expansion:
        begun = dynamics.begin(state, action, params)
        by_fault = dynamics.fault_probabilities(begun, params)
        following = jax.vmap(lambda fault: dynamics.advance(begun, fault, params))(joint)
        return _Expansion(
            *dynamics.reward_and_cost(state, begun, action, params),
            dynamics.legal_actions(state, params)[action],
            jnp.prod(by_fault[jnp.arange(joint.shape[1])[None], joint], axis=1),
            jax.vmap(dynamics.is_recovered)(following),
            following,
        )

    actions = jnp.arange(num_actions, dtype=jnp.int32)
    return jax.vmap(jax.vmap(one, (None, 0)), (0, None))(states, actions)


def _keys(states: IncidentState, params: IncidentParams) -> np.ndarray:
    """Give each state a number of its own, int64 `[n]`: its parts as digits."""
    services = len(params.traffic)
    radix = {
        "fault": len(FAULTS),
        "leaked": int(params.leak_steps) + 1,
        "older": 2,
        "pending": len(ACTIONS),
        "remaining": int(params.duration.max()) + 1,
        "isolated": 2,
        "scaled": 2,
    }
    if math.prod(radix.values()) ** services * 2 ** int(params.window) >= 2**63:
        raise checks.InputValueError(
            "this incident has too many states to count; make it smaller, for example leak_steps=2, "
            "window=2"
        )
    key = states.restarts.astype(np.int64)
    for name, base in radix.items():
        for service in range(services):
            key = key * base + getattr(states, name)[:, service]
    return key


def _combinations(choices: int, services: int) -> np.ndarray:
    """List every choice for every service, int32 `[choices ** N, N]`."""
    return np.array(list(itertools.product(range(choices), repeat=services)), np.int32)
