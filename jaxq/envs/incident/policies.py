"""Baselines for incidents: pure functions `(key, observation, legal) -> action`, to jit and vmap.

What learning has to beat, from never acting to a runbook of rules, and, as an upper bound, a repairer
who is told what nobody can see and so takes the state in the place of the observation.

Example:
    >>> import jax, jaxq
    >>> from jaxq.envs.incident import policies
    >>> env = jaxq.envs.make("Incident-v0", services=3)
    >>> state, observation = env.reset(jax.random.key(0), env.params)
    >>> legal = env.legal_actions(state, env.params)
    >>> policies.never_act(jax.random.key(1), observation, legal).item()
    0
    >>> policies.runbook(jax.random.key(1), observation, legal).shape
    ()
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxq.envs.incident import dynamics
from jaxq.envs.incident.dynamics import KINDS, IncidentState
from jaxq.envs.incident.environment import split_observation
from jaxq.envs.incident.params import (
    CLEAR_CACHE,
    FAIL_OVER,
    HEALTHY,
    RESTART,
    ROLL_BACK,
    SCALE_OUT,
    WAIT,
    IncidentParams,
)
from jaxq.learning import sample_action

__all__ = [
    "POLICIES",
    "Policy",
    "always_restart",
    "never_act",
    "omniscient_repairer",
    "random_legal",
    "runbook",
]

Policy = Callable[[jax.Array, jax.Array, jax.Array], jax.Array]
"""A baseline: PRNG key, observation `[D]` and legal actions `[A]` to an action, int32 `[]`."""


def never_act(key: jax.Array, observation: jax.Array, legal: jax.Array) -> jax.Array:
    """Wait: what passes by itself passes.

    Args:
        key: Not used.
        observation: Not used.
        legal: Actions that can be begun, bool `[A]`, from `env.legal_actions(state, params)`.

    Returns:
        The action, int32 `[]`.
    """
    del key, observation, legal
    return jnp.int32(WAIT)


def random_legal(key: jax.Array, observation: jax.Array, legal: jax.Array) -> jax.Array:
    """Do anything that is legal, each as likely.

    Args:
        key: PRNG key.
        observation: Not used.
        legal: Actions that can be begun, bool `[A]`, from `env.legal_actions(state, params)`.

    Returns:
        The action, int32 `[]`.
    """
    del observation
    return sample_action(key, legal / legal.sum())


def always_restart(key: jax.Array, observation: jax.Array, legal: jax.Array) -> jax.Array:
    """Restart the service with the most errors; wait while something is being done to it.

    Args:
        key: Not used.
        observation: As the environment gives it, `[D]`.
        legal: Actions that can be begun, bool `[A]`, from `env.legal_actions(state, params)`.

    Returns:
        The action, int32 `[]`.
    """
    del key
    errors = split_observation(observation, _services(legal)).symptoms[:, 0]
    action = _action(jnp.argmax(errors), RESTART)
    return jnp.where(legal[action], action, WAIT)


def runbook(key: jax.Array, observation: jax.Array, legal: jax.Array) -> jax.Array:
    """Follow rules on symptoms, as an operator's runbook has them.

    Services are looked at from the back, as errors come from behind; the first that a rule fits is
    acted on. The rules, in this order: nearly every request fails at once, or memory is nearly used up:
    restart; saturated: scale out; many errors on a new version: roll back; errors that come late: fail
    over; errors that come fast: clear the cache. What is not legal is left out.

    Args:
        key: Not used.
        observation: As the environment gives it, `[D]`.
        legal: Actions that can be begun, bool `[A]`, from `env.legal_actions(state, params)`.

    Returns:
        The action, int32 `[]`.
    """
    del key
    seen = split_observation(observation, _services(legal))
    errors, latency, saturation, memory = jnp.moveaxis(seen.symptoms, -1, 0)
    new = seen.age[:, 0] < _NEW_VERSION
    rules = [
        (RESTART, (errors > 0.8) & (saturation < 0.2)),
        (RESTART, memory > 0.65),
        (SCALE_OUT, saturation > 0.75),
        (ROLL_BACK, (errors > 0.35) & (latency < 0.6) & new),
        (FAIL_OVER, (errors > 0.4) & (latency > 0.65)),
        (CLEAR_CACHE, (errors > 0.2) & (latency < 0.4)),
    ]
    fits = jnp.stack([fit & legal[_action(_numbers(fit), kind)] for kind, fit in rules], axis=1)
    kinds = jnp.array([kind for kind, _ in rules], jnp.int32)
    # The last service with a rule that fits, and the first of its rules.
    service = jnp.max(jnp.where(fits.any(axis=1), _numbers(errors), -1))
    action = _action(service, kinds[jnp.argmax(fits[service])])
    return jnp.where(service >= 0, action, WAIT)


# A share of the age from which on a version is old.
_NEW_VERSION = 0.3


class _Options(NamedTuple):
    """For each service `[N]`: what its fault costs a step, the best repair, and whether to begin it."""

    harm: jax.Array
    kind: jax.Array
    worth_it: jax.Array


def omniscient_repairer(params: IncidentParams) -> Callable[..., jax.Array]:
    """Make the policy that knows every fault: `(key, state, legal) -> action`.

    Of each service it takes the repair with the least `(price + steps * loss) / probability`, where
    loss is the share of the users' requests that fail for it meanwhile, unless waiting for the fault to
    pass costs less; and it begins with the service whose fault does the most harm.

    Args:
        params: The environment's parameters; its leaves may be traced.

    Returns:
        The policy, which takes the simulator's `IncidentState` where others take the observation. It
        plans each repair by itself, so it is an upper bound for those who see symptoms, and still a
        little below optimal play.
    """

    def policy(key: jax.Array, state: IncidentState, legal: jax.Array) -> jax.Array:
        del key
        options = _options(state, legal, params)
        urgency = jnp.where(options.worth_it, options.harm, -1.0)
        service = jnp.argmax(urgency)
        return jnp.where(urgency[service] >= 0, _action(service, options.kind[service]), WAIT)

    return policy


def _options(state: IncidentState, legal: jax.Array, params: IncidentParams) -> _Options:
    services = state.fault.shape[0]

    def loss(state: IncidentState) -> jax.Array:
        return 1 - jnp.sum(params.traffic * dynamics.flow(state, params).availability)

    def healed(service: jax.Array) -> jax.Array:
        return loss(state.replace(fault=state.fault.at[service].set(HEALTHY)))

    actions = jnp.arange(1, legal.shape[0], dtype=jnp.int32)
    meanwhile = jax.vmap(lambda a: loss(dynamics.begin(state, a, params)))(actions)
    well = jax.vmap(healed)(jnp.arange(services))
    extra = meanwhile.reshape(services, KINDS) - well[:, None]
    steps = (params.duration[1:] + 1)[None]
    repair = params.repair[state.fault, 1:]
    usable = (repair > 0) & legal[1:].reshape(services, KINDS)
    effort = (params.price[1:][None] + steps * extra) / jnp.where(usable, repair, 1.0)
    effort = jnp.where(usable, effort, jnp.inf)
    harm = loss(state) - well
    passing = params.passing[state.fault]
    waiting = jnp.where(passing > 0, harm / jnp.maximum(passing, 1e-6), jnp.inf)
    least = jnp.min(effort, axis=1)
    return _Options(harm, jnp.argmin(effort, axis=1) + 1, jnp.isfinite(least) & (least < waiting))


def _services(legal: jax.Array) -> int:
    return (legal.shape[0] - 1) // KINDS


def _numbers(per_service: jax.Array) -> jax.Array:
    return jnp.arange(per_service.shape[0], dtype=jnp.int32)


def _action(service: jax.Array, kind: jax.Array | int) -> jax.Array:
    return (1 + KINDS * service + kind - 1).astype(jnp.int32)


POLICIES: dict[str, Policy] = {
    "never act": never_act,
    "random legal": random_legal,
    "always restart": always_restart,
    "runbook": runbook,
}
"""The baselines that see what an agent sees, by name."""
