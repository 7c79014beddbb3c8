"""The incident environment as gymnax 1.0 has it: services with hidden faults, symptoms and repairs."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from gymnax.environments import environment, spaces

from jaxq import checks
from jaxq.envs.incident import dynamics, reasons
from jaxq.envs.incident.dynamics import KINDS, IncidentState
from jaxq.envs.incident.params import (
    BAD_DEPLOY,
    COSTS,
    FAULTS,
    ISOLATE,
    WAIT,
    IncidentParams,
    incident_params,
)
from jaxq.envs.words import ends_well
from jaxq.learning import action_at


class Seen(NamedTuple):
    """What an observation says of each service, parts `[..., N, n]` in this order.

    Attributes:
        symptoms: Error rate, latency, saturation and memory, `[..., N, 4]`; noisy, and of the first two
            what comes from the services behind is part.
        age: Age of the version, 1 where it is old, `[..., N, 1]`.
        known: An older version, isolated, scaled out: 0 or 1, `[..., N, 3]`.
        pending: The action under way, one-hot over restart, roll back, scale out, fail over and clear
            cache, `[..., N, 5]`.
        remaining: Steps that it still takes, a share of the longest action's, `[..., N, 1]`.
        fault: One-hot over `FAULTS`, `[..., N, 7]` with full observation, else `[..., N, 0]`.
    """

    symptoms: jax.Array
    age: jax.Array
    known: jax.Array
    pending: jax.Array
    remaining: jax.Array
    fault: jax.Array


_WIDTHS = (4, 1, 3, ISOLATE - 1, 1)


def split_observation(observation: jax.Array, services: int) -> Seen:
    """Take an observation `[..., D]` apart; its last number, restarts within the window, is left out."""
    parts = observation[..., :-1].reshape(*observation.shape[:-1], services, -1)
    ends = [sum(_WIDTHS[: i + 1]) for i in range(len(_WIDTHS))]
    return Seen(*jnp.split(parts, ends, axis=-1))


class Incident(environment.Environment):
    """Services that call each other, some with a hidden fault, to be put right by actions.

    An episode begins with at least one fault and terminates when every service is healthy, with nothing
    under way. `step` returns in `info` the costs of the step, `cost [K]` in order of `cost_names`, and
    the actions that are legal in the state it led to, `legal_actions [A]`, that of
    `final_observation`. An action that is not legal acts as waiting and costs its price. See
    `docs/incident.md`.

    Attributes:
        services: Number of services N.
        full_observation: Whether observations show the faults, and symptoms without noise.
        cost_names: Names of the costs.
        fault_names: Names of the faults.
        no_op: The action that waits.
    """

    no_op = WAIT
    cost_names = COSTS
    fault_names = FAULTS

    def __init__(self, services: int = 5, *, full_observation: bool = False) -> None:
        self.services = checks.whole_number("services", services)
        checks.true_or_false("full_observation", full_observation)
        self.full_observation = full_observation

    @property
    def name(self) -> str:
        """The environment's name."""
        return "Incident-v0"

    @property
    def num_actions(self) -> int:
        """Number of actions A: to wait, and six for each service."""
        return 1 + KINDS * self.services

    @property
    def default_params(self) -> IncidentParams:
        """Parameters for so many services."""
        return incident_params(self.services)

    def action_space(self, params: IncidentParams | None = None) -> spaces.Discrete:
        """Return the space of actions."""
        del params
        return spaces.Discrete(self.num_actions)

    def observation_space(self, params: IncidentParams) -> spaces.Box:
        """Return the space of observations, flat."""
        del params
        faults = len(FAULTS) if self.full_observation else 0
        return spaces.Box(0.0, 1.0, (self.services * (sum(_WIDTHS) + faults) + 1,), jnp.float32)

    def action_name(self, action: int) -> str:
        """Say what an action does, for example "restart service 2"."""
        return reasons.action_name(action)

    @property
    def action_names(self) -> tuple[str, ...]:
        """What each action does."""
        return tuple(map(self.action_name, range(self.num_actions)))

    def observed_legal_actions(self, observation: Any) -> np.ndarray:
        """Return the legal actions, all of which an observation tells, bool `[A]`."""
        return np.array([not self.illegal_reason(observation, a) for a in range(self.num_actions)])

    def illegal_reason(self, observation: Any, action: int) -> str | None:
        """Say why an action cannot be begun, as far as an observation tells; `None` where it can be."""
        seen = split_observation(np.asarray(observation), self.services)
        pending = np.where(seen.pending.any(axis=1), seen.pending.argmax(axis=1) + 1, WAIT)
        return reasons.illegal_reason(reasons.Obstacles(pending, *seen.known.T), action)

    def recovered(self, timestep: Any) -> jax.Array:
        """Tell whether a step ended with every service healthy, bool `[]`."""
        return ends_well(timestep)

    def legal_actions(self, state: IncidentState, params: IncidentParams) -> jax.Array:
        """Tell which actions can be begun in a state, bool `[A]`."""
        return dynamics.legal_actions(state, params)

    def reset_env(self, key: jax.Array, params: IncidentParams) -> tuple[jax.Array, IncidentState]:
        """Begin an episode with a fault in one service at least."""
        state_key, noise_key = jax.random.split(key)
        state = self._first_state(state_key, params)
        return self.observe(noise_key, state, None, params), state

    def step_env(
        self, key: jax.Array, state: IncidentState, action: jax.Array, params: IncidentParams
    ) -> tuple[jax.Array, IncidentState, jax.Array, jax.Array, dict[str, jax.Array]]:
        """Take one action."""
        fault_key, noise_key = jax.random.split(key)
        begun = dynamics.begin(state, action, params)
        reward, cost = dynamics.reward_and_cost(state, begun, action, params)
        probability = dynamics.fault_probabilities(begun, params)
        drawn = jax.random.uniform(fault_key, (self.services,))
        stepped = dynamics.advance(begun, jax.vmap(action_at)(drawn, probability), params)
        info = {"cost": cost, "legal_actions": self.legal_actions(stepped, params)}
        observation = self.observe(noise_key, stepped, action, params)
        return observation, stepped, reward, self.is_terminated(stepped, params), info

    def is_terminated(self, state: IncidentState, params: IncidentParams) -> jax.Array:
        """Tell whether everything is well."""
        del params
        return dynamics.is_recovered(state)

    def observe(
        self, key: jax.Array, state: IncidentState, action: Any, params: IncidentParams
    ) -> jax.Array:
        """Return what monitoring shows of a state, float32 `[D]`; see `split_observation`."""
        del action
        symptoms = _propagated(state, params)
        if not self.full_observation:
            noise = params.noise * jax.random.normal(key, symptoms.shape)
            symptoms = jnp.clip(symptoms + noise, 0, 1)
        longest = jnp.maximum(jnp.max(params.duration), 1)
        parts = [
            symptoms,
            (state.age / params.oldest)[:, None],
            jnp.stack([state.older, state.isolated, state.scaled], axis=1),
            jax.nn.one_hot(state.pending - 1, ISOLATE - 1),
            (state.remaining / longest)[:, None],
        ]
        if self.full_observation:
            parts.append(jax.nn.one_hot(state.fault, len(FAULTS)))
        per_service = jnp.concatenate([part.astype(jnp.float32) for part in parts], axis=1)
        restarts = jax.lax.population_count(state.restarts) / params.window
        return jnp.append(per_service.ravel(), restarts).astype(jnp.float32)

    def _first_state(self, key: jax.Array, params: IncidentParams) -> IncidentState:
        services = self.services
        root_key, fault_key, extra_key, older_key, age_key = jax.random.split(key, 5)
        drawn = jax.random.uniform(fault_key, (services,))
        fault = 1 + jax.vmap(action_at, (0, None))(drawn, params.first_fault)
        faulty = jax.random.uniform(extra_key, (services,)) < params.extra_fault
        faulty = faulty.at[jax.random.randint(root_key, (), 0, services)].set(True)
        fault = jnp.where(faulty, fault, 0)
        bad = fault == BAD_DEPLOY
        older = bad | (jax.random.uniform(older_key, (services,)) < params.older_rate)
        age = (jax.random.uniform(age_key, (services,)) * params.oldest).astype(jnp.int32)
        zeros, no = jnp.zeros(services, jnp.int32), jnp.zeros(services, bool)
        return IncidentState(
            time=jnp.int32(0),
            fault=fault,
            leaked=zeros,
            older=older,
            age=jnp.where(bad, 0, jnp.where(older, age, params.oldest)),
            pending=zeros,
            remaining=zeros,
            isolated=no,
            scaled=no,
            restarts=jnp.int32(0),
        )


def make(
    services: int = 5, *, full_observation: bool = False, **changes: Any
) -> tuple[Incident, IncidentParams]:
    """Make the environment and its parameters, which are the defaults but for `changes`."""
    env = Incident(services, full_observation=full_observation)
    return env, incident_params(services, **changes)


def _propagated(state: IncidentState, params: IncidentParams) -> jax.Array:
    """Return symptoms `[N, 4]` as monitoring has them: with the errors and the waiting of calls."""
    own = dynamics.symptoms(state, params)
    reaching = dynamics.weights(state, params)

    def latency_of(_: int, latency: jax.Array) -> jax.Array:
        return jnp.maximum(own[:, 1], jnp.max(reaching * latency[None], axis=1))

    latency = dynamics.settle(latency_of, own[:, 1])
    errors = 1 - dynamics.flow(state, params).availability
    return jnp.stack([errors, latency, own[:, 2], own[:, 3]], axis=1)
