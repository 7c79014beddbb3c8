"""How services fail and recover: pure functions of one state, in the order in which a step calls them.

`begin` starts the action, `fault_probabilities` says what may happen to each service, and `advance`
goes on to the next step with what did. All chance is between the last two, so that the exact table
(`jaxq.envs.incident.table`) is made of the same functions as the simulator.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from flax import struct
from gymnax.environments import environment

from jaxq.envs.incident.params import (
    BAD_DEPLOY,
    CLEAR_CACHE,
    CRASH,
    FAULTS,
    HEALTHY,
    ISOLATE,
    LEAK,
    OVERLOAD,
    RESTART,
    ROLL_BACK,
    SCALE_OUT,
    WAIT,
    IncidentParams,
)

KINDS = 6
"""Actions that each service has beside waiting."""


@struct.dataclass
class IncidentState(environment.EnvState):
    """The services at the beginning of a step.

    Attributes:
        time: Steps so far, int32 `[]`.
        fault: Index into `FAULTS`, int32 `[N]`; the hidden part.
        leaked: Steps that a leak has gone on for, int32 `[N]`; zero without one.
        older: Whether there is an older version to roll back to, bool `[N]`.
        age: Steps since the last deploy, at most `oldest`, int32 `[N]`; it only shows.
        pending: The action under way, index into `ACTIONS`, int32 `[N]`; `WAIT` where there is none.
        remaining: Steps that it still takes beyond the next one, int32 `[N]`.
        isolated: Whether callers are kept from it, bool `[N]`.
        scaled: Whether it has more replicas than it began with, bool `[N]`.
        restarts: The last `window` steps, int32 `[]`: a bit is set where a restart began, the lowest for
            the last step.
    """

    time: Any
    fault: Any
    leaked: Any
    older: Any
    age: Any
    pending: Any
    remaining: Any
    isolated: Any
    scaled: Any
    restarts: Any


class Flow(NamedTuple):
    """How requests fare in a state.

    Attributes:
        availability: Share of each service's requests that succeed, `[N]`.
        failed_calls: Share of each service's requests that fail for another service, `[N]`.
    """

    availability: jax.Array
    failed_calls: jax.Array


def split_action(action: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Return the service that an action is for and its kind, int32 `[]` each; to wait has service 0."""
    below = jnp.maximum(action - 1, 0)
    return below // KINDS, jnp.where(action == 0, WAIT, below % KINDS + 1)


def legal_actions(state: IncidentState, params: IncidentParams) -> jax.Array:
    """Tell which actions can be begun, bool `[A]`; waiting always can.

    Nothing begins on a service with an action under way; no rollback without an older version, no more
    replicas than once more, and no isolation of what is isolated.
    """
    del params
    by_kind = jnp.ones((*state.fault.shape, KINDS), bool)
    by_kind = by_kind.at[:, ROLL_BACK - 1].set(state.older)
    by_kind = by_kind.at[:, SCALE_OUT - 1].set(~state.scaled)
    by_kind = by_kind.at[:, ISOLATE - 1].set(~state.isolated)
    free = (state.pending == WAIT)[:, None]
    return jnp.concatenate([jnp.ones(1, bool), (by_kind & free).ravel()])


def begin(state: IncidentState, action: jax.Array, params: IncidentParams) -> IncidentState:
    """Begin an action, int32 `[]` in [0, A); one that is not legal is waiting."""
    service, kind = split_action(action)
    kind = jnp.where(legal_actions(state, params)[action], kind, WAIT)
    here = (jnp.arange(state.fault.shape[0]) == service) & (kind != WAIT)
    starts = here & (kind != ISOLATE)  # isolating is done at once, whatever else is to come
    seen = (1 << params.window) - 1
    return state.replace(
        pending=jnp.where(starts, kind, state.pending),
        remaining=jnp.where(starts, params.duration[kind], state.remaining),
        isolated=state.isolated | (here & (kind == ISOLATE)),
        restarts=((state.restarts << 1) | (kind == RESTART)) & seen,
    )


def symptoms(state: IncidentState, params: IncidentParams) -> jax.Array:
    """Return what each service's own fault looks like without noise, `[N, 4]` in order of `SYMPTOMS`."""
    healthy = params.symptoms[HEALTHY][None]
    share = jnp.where(state.fault == LEAK, (state.leaked + 1) / params.leak_steps, 1.0)
    return healthy + jnp.minimum(share, 1.0)[:, None] * (params.symptoms[state.fault] - healthy)


def weights(state: IncidentState, params: IncidentParams) -> jax.Array:
    """Return how much of a callee's failure reaches its callers, `[N, N]`, less where it is isolated."""
    return params.dependencies * (1 - params.containment * state.isolated)[None]


def flow(state: IncidentState, params: IncidentParams) -> Flow:
    """Work out how requests fare while `state`, in which an action has begun, lasts.

    `availability[i] = (1 - error[i]) * prod_j (1 - weights[i, j] * (1 - availability[j]))`

    An isolated service answers nobody.
    """
    error = jnp.maximum(symptoms(state, params)[:, 0], params.disruption[state.pending])
    own = jnp.where(state.isolated, 0.0, 1 - error)
    reaching = weights(state, params)

    def calls_of(_: int, calls: jax.Array) -> jax.Array:
        return jnp.prod(1 - reaching * (1 - own * calls)[None], axis=1)

    calls = settle(calls_of, jnp.ones_like(own))
    return Flow(own * calls, 1 - calls)


def settle(one_pass: Callable[[int, jax.Array], jax.Array], start: jax.Array) -> jax.Array:
    """Repeat a pass over services `[N]`; as calls go one way, each settles one more, from the back.

    A loop that is not unrolled: XLA would fuse the passes, work out each one anew for every element of
    the next, and compile a step of five services for minutes.
    """
    return jax.lax.fori_loop(0, start.shape[0] - 1, one_pass, start)


def _done(state: IncidentState) -> jax.Array:
    """Return the kind of the action that is done at the end of this step, `WAIT` for none, `[N]`."""
    return jnp.where(state.remaining == 0, state.pending, WAIT)


def fault_probabilities(state: IncidentState, params: IncidentParams) -> jax.Array:
    """Say how likely each service has each fault in the next step, `[N, 7]`; services do not interact.

    A fault is removed by an action that is done, or passes; else it stays, and a leak that has used all
    memory becomes a crash. A healthy service may come by any fault, and by an overload the sooner, the
    more of its calls to other services fail, as they are tried again. More replicas prevent it.
    """
    done = _done(state)
    passing = jnp.where(
        state.isolated & (state.fault == OVERLOAD), params.relief, params.passing[state.fault]
    )
    stays = (1 - params.repair[state.fault, done]) * (1 - passing)
    full = (state.fault == LEAK) & (state.leaked + 1 >= params.leak_steps)
    after = jnp.where(full, CRASH, state.fault)
    old = _fault(HEALTHY) * (1 - stays)[:, None] + jax.nn.one_hot(after, len(FAULTS)) * stays[:, None]

    retries = params.cascade * flow(state, params).failed_calls
    rates = params.fault_rate
    overload = jnp.where(state.scaled, 0.0, 1 - (1 - rates[:, OVERLOAD - 1]) * (1 - retries))
    rates = rates.at[:, OVERLOAD - 1].set(overload)
    rates = rates / jnp.maximum(1.0, rates.sum(axis=1))[:, None]
    new = jnp.concatenate([1 - rates.sum(axis=1, keepdims=True), rates], axis=1)

    probability = jnp.where((state.fault == HEALTHY)[:, None], new, old)
    # Until the cache is warm again, whatever it used to answer is computed.
    cold = jnp.where((done == CLEAR_CACHE) & ~state.scaled, params.cold_cache, 0.0)
    moved = (cold * probability[:, HEALTHY])[:, None]
    return probability + moved * (_fault(OVERLOAD) - _fault(HEALTHY))


def _fault(number: int) -> jax.Array:
    """Return certainty of one fault, `[1, 7]`."""
    return jax.nn.one_hot(number, len(FAULTS))[None]


def advance(state: IncidentState, fault: jax.Array, params: IncidentParams) -> IncidentState:
    """Go on to the next step, in which the services have these faults, int32 `[N]`."""
    done = _done(state)
    deployed = (fault == BAD_DEPLOY) & (state.fault != BAD_DEPLOY)
    rolled_back = done == ROLL_BACK
    pending = jnp.where(state.remaining == 0, WAIT, state.pending)
    age = jnp.minimum(jnp.where(rolled_back, params.oldest, state.age + 1), params.oldest)
    return state.replace(
        time=state.time + 1,
        fault=fault,
        leaked=jnp.where((fault == LEAK) & (state.fault == LEAK), state.leaked + 1, 0),
        older=(state.older & ~rolled_back) | deployed,
        age=jnp.where(deployed, 0, age),
        pending=pending,
        remaining=jnp.maximum(state.remaining - 1, 0),
        # Callers come back by themselves once the service is well and nothing is done to it.
        isolated=state.isolated & ~((fault == HEALTHY) & (pending == WAIT)),
        scaled=state.scaled | (done == SCALE_OUT),
    )


def is_recovered(state: IncidentState) -> jax.Array:
    """Tell whether every service is healthy, reachable and without an action under way, bool `[]`."""
    return jnp.all((state.fault == HEALTHY) & (state.pending == WAIT) & ~state.isolated)


def reward_and_cost(
    state: IncidentState, begun: IncidentState, action: jax.Array, params: IncidentParams
) -> tuple[jax.Array, jax.Array]:
    """Return what a step pays, `[]`, and what it violates, `[3]` in order of `COSTS`.

    `reward = -(share of the users' requests that fail) - price`

    The price is paid for trying, also where the action is not legal.

    Args:
        state: The state acted in.
        begun: The same with the action begun.
        action: The action, int32 `[]`.
        params: The environment's parameters.
    """
    service, kind = split_action(action)
    availability = jnp.sum(params.traffic * flow(begun, params).availability)
    acted = (kind != WAIT) & legal_actions(state, params)[action]
    restarts = jax.lax.population_count(begun.restarts)
    violations = jnp.stack(
        [
            availability < params.objective,
            acted & (state.fault[service] == HEALTHY),
            acted & (kind == RESTART) & (restarts > params.restart_limit),
        ]
    )
    return availability - 1 - params.price[kind], violations.astype(jnp.float32)
