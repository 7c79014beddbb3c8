"""Exploration: how an agent that learns chooses its actions."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp

from jaxq import checks
from jaxq.agents.components import check_fields
from jaxq.agents.protocol import PolicyInput, PolicyOutput
from jaxq.hparams import Hparams, Hyperparameter
from jaxq.learning import (
    action_at,
    boltzmann_probabilities,
    epsilon_ladder,
    exponential_schedule,
    greedy_probabilities,
    linear_schedule,
    mask_illegal,
    mix_uniform,
    ucb_values,
)
from jaxq.networks import encode
from jaxq.types import Environment, ObservationSpec, PyTree

SCHEDULES = ("linear", "exponential", "ladder")
LARGEST_CODE = 20


@dataclass(frozen=True)
class EpsilonGreedy:
    """The best action, or with probability epsilon a random one; the base of explorations.

    A subclass says in `policy` which actions its values make likely; epsilon is mixed in. One that
    carries something from step to step overrides `init` and `act`.

    Attributes:
        epsilon_schedule: "linear" or "exponential" in env steps, or "ladder": constant, and another
            for each environment.
    """

    epsilon_schedule: str = "linear"

    def __post_init__(self) -> None:
        """Check the fields."""
        check_fields(self)
        checks.one_of("epsilon_schedule", self.epsilon_schedule, SCHEDULES)

    @property
    def leaves(self) -> Mapping[str, Hyperparameter]:
        """Epsilon at env step 0 and once the schedule has ended, and the env steps in between.

        Of a ladder, those of the first and of the last environment.
        """
        start, end = "probability of a random action at first", "and when its schedule has ended"
        ends = {
            "epsilon_start": Hyperparameter(1.0, 0, 1, meaning=start),
            "epsilon_end": Hyperparameter(0.05, 0, 1, meaning=end),
        }
        if self.epsilon_schedule == "ladder":
            return ends
        falls = "env steps over which it falls"
        return {**ends, "epsilon_steps": Hyperparameter(10_000, 0, schedule_length=True, meaning=falls)}

    def bind(self, env: Environment) -> "EpsilonGreedy":
        """Return the exploration for an environment."""
        return self

    def init(self, num_envs: int) -> PyTree:
        """Return what is carried before the first step in E environments."""
        return ()

    def act(self, key: jax.Array, q: jax.Array, hparams: Hparams, inputs: PolicyInput) -> PolicyOutput:
        """Choose actions.

        Args:
            key: PRNG key.
            q: Action values, `[E, A]`; of an ensemble, each member's, `[K, E, A]`; those of illegal
                actions are below all others.
            hparams: The agent's hyperparameters.
            inputs: What the policy chooses by; `carry` is the exploration's own.

        Returns:
            The actions, and the exploration's next carry.
        """
        q = q.mean(axis=0) if q.ndim == 3 else q
        probs = self.probabilities(hparams, inputs.steps, q, legal=inputs.legal_actions)
        return PolicyOutput(choose(key, probs), inputs.carry)

    def probabilities(
        self,
        hparams: Hparams,
        steps: jax.Array,
        q: jax.Array,
        counts: jax.Array | None = None,
        legal: PyTree = (),
    ) -> jax.Array:
        """Return the probabilities of actions in each environment, epsilon included.

        Args:
            hparams: The agent's hyperparameters.
            steps: Env steps of the agent so far, int32 `[]`.
            q: Action values, `[E, A]`.
            counts: How often each action was taken here, `[E, A]`, if anybody counts.
            legal: Actions that may be taken, bool `[E, A]`; `()` if all may.

        Returns:
            Probabilities, `[E, A]`, zero of illegal actions.
        """
        probs = self.policy(hparams, steps, mask_illegal(q, legal), counts)
        return jax.vmap(mix_uniform)(probs, self.epsilons(hparams, steps, q.shape[0]), legal)

    def policy(
        self, hparams: Hparams, steps: jax.Array, q: jax.Array, counts: jax.Array | None
    ) -> jax.Array:
        """Return probabilities without epsilon, `[E, A]`; arguments as of `probabilities`."""
        return jax.vmap(greedy_probabilities)(q)

    def epsilons(self, hparams: Hparams, steps: jax.Array, num_envs: int) -> jax.Array:
        """Return the probability of a random action in each environment, `[E]`."""
        start, end = hparams.epsilon_start, hparams.epsilon_end
        if self.epsilon_schedule == "ladder":
            return epsilon_ladder(start, end, num_envs)
        exponential = self.epsilon_schedule == "exponential"
        schedule = exponential_schedule if exponential else linear_schedule
        return jnp.broadcast_to(schedule(steps, start, end, hparams.epsilon_steps), num_envs)

    def check(self, parts: Any) -> None:
        """Go with everything."""


@dataclass(frozen=True)
class Boltzmann(EpsilonGreedy):
    """Actions with probabilities `softmax(q / temperature)`, the temperature in units of value."""

    @property
    def leaves(self) -> Mapping[str, Hyperparameter]:
        """Those of epsilon, and the same for the temperature."""
        return {
            **super().leaves,
            "temperature_start": Hyperparameter(
                1.0, 0, open_low=True, meaning="temperature of the probabilities at first, in reward"
            ),
            "temperature_end": Hyperparameter(
                0.05, 0, open_low=True, meaning="and when its schedule has ended"
            ),
            "temperature_steps": Hyperparameter(
                20_000, 0, schedule_length=True, meaning="env steps over which it falls"
            ),
        }

    def policy(
        self, hparams: Hparams, steps: jax.Array, q: jax.Array, counts: jax.Array | None
    ) -> jax.Array:
        """Return Boltzmann probabilities, `[E, A]`."""
        temperature = linear_schedule(
            steps, hparams.temperature_start, hparams.temperature_end, hparams.temperature_steps
        )
        return jax.vmap(boltzmann_probabilities, in_axes=(0, None))(q, temperature)


@dataclass(frozen=True)
class UpperConfidenceBound(EpsilonGreedy):
    """The best action by its value and a bonus for having been taken seldom.

    A table counts exactly. Behind a network observations are told apart by the signs of `count_bits`
    fixed random projections, so that the counts of what looks alike are shared; state numbers and
    one-hot observations get as good as unique codes while there are far fewer than `2^count_bits`.

    Attributes:
        count_bits: Bits of the hash, at most 20.

    References:
        Tang et al., #Exploration, 2017, section 2.2 (counts on SimHash codes).
    """

    count_bits: int = 12

    def __post_init__(self) -> None:
        """Check the fields."""
        super().__post_init__()
        if self.count_bits > LARGEST_CODE:
            raise checks.InputValueError(
                "count_bits must be at most 20, a million counts per action, got "
                f"{self.count_bits}; for example count_bits=12",
                keywords=["count_bits"],
            )

    @property
    def leaves(self) -> Mapping[str, Hyperparameter]:
        """Those of epsilon, and the weight of the bonus."""
        meaning = "weight of the bonus for actions seldom taken, in reward"
        return {**super().leaves, "ucb_coefficient": Hyperparameter(1.0, 0, meaning=meaning)}

    def bind(self, env: Environment) -> "EpsilonGreedy":
        """Return the exploration that counts the observations of an environment."""
        return _Counting(self.epsilon_schedule, self.count_bits, env.observation_spec, env.num_actions)

    def policy(
        self, hparams: Hparams, steps: jax.Array, q: jax.Array, counts: jax.Array | None
    ) -> jax.Array:
        """Return greedy probabilities of optimistic values, `[E, A]`."""
        optimistic = jax.vmap(ucb_values, in_axes=(0, 0, None))(q, counts, hparams.ucb_coefficient)
        return jax.vmap(greedy_probabilities)(optimistic)

    def check(self, parts: Any) -> None:
        """Refuse recurrent networks."""
        if parts.network.recurrent_size:
            raise checks.InputValueError(
                "counts tell observations apart, and a recurrent agent is for where they look alike; "
                "use exploration='epsilon_greedy' or 'boltzmann', or leave out recurrent_size",
                keywords=["exploration", "recurrent_size"],
            )


@dataclass(frozen=True)
class _Counting(UpperConfidenceBound):
    """Upper confidence bounds by counts that the exploration carries itself."""

    spec: ObservationSpec | None = None
    num_actions: int = 1

    def init(self, num_envs: int) -> jax.Array:
        """Return counts of zero, `[2^count_bits, A]`, which the environments share."""
        return jnp.zeros((2**self.count_bits, self.num_actions))

    def act(self, key: jax.Array, q: jax.Array, hparams: Hparams, inputs: PolicyInput) -> PolicyOutput:
        """Choose the best by value and bonus, and count it."""
        q = q.mean(axis=0) if q.ndim == 3 else q
        counts, code = inputs.carry, self._codes(inputs.observation)
        legal = inputs.legal_actions
        action = choose(key, self.probabilities(hparams, inputs.steps, q, counts[code], legal))
        return PolicyOutput(action, counts.at[code, action].add(1.0))

    def _codes(self, observation: jax.Array) -> jax.Array:
        x = encode(observation, self.spec).reshape(observation.shape[0], -1)
        bits = self.count_bits
        # The projections are the same for all agents, so that a code means the same everywhere.
        directions = jax.random.normal(jax.random.key(0), (x.shape[1], bits))
        signs = (x @ directions > 0).astype(jnp.int32)
        return jnp.sum(signs * 2 ** jnp.arange(bits)[None], axis=1)


@dataclass(frozen=True)
class ThompsonSampling(EpsilonGreedy):
    """Follows one member of an ensemble for a whole episode, another one in each environment.

    References:
        Osband et al., Deep Exploration via Bootstrapped DQN, 2016, algorithm 1.
    """

    def init(self, num_envs: int) -> jax.Array:
        """Return the members that are followed, int32 `[E]`; the first step draws them."""
        return jnp.zeros(num_envs, jnp.int32)

    def act(self, key: jax.Array, q: jax.Array, hparams: Hparams, inputs: PolicyInput) -> PolicyOutput:
        """Choose by the member's values."""
        member_key, action_key = jax.random.split(key)
        drawn = jax.random.randint(member_key, inputs.first.shape, 0, q.shape[0])
        member = jnp.where(inputs.first, drawn, inputs.carry)
        follows = jax.nn.one_hot(member, q.shape[0], axis=0)
        q = jnp.sum(q * follows[..., None], axis=0)
        probs = self.probabilities(hparams, inputs.steps, q, legal=inputs.legal_actions)
        return PolicyOutput(choose(action_key, probs), member)

    def check(self, parts: Any) -> None:
        """Refuse to go without an ensemble."""
        if parts.ensemble is None:
            raise checks.InputValueError(
                "exploration='ensemble' follows the members of one; for example ensemble_size=10",
                keywords=["exploration", "ensemble_size"],
            )


def choose(key: jax.Array, probs: jax.Array) -> jax.Array:
    """Draw an action in each environment, int32 `[E]`, from probabilities `[E, A]`."""
    return jax.vmap(action_at)(jax.random.uniform(key, probs.shape[:1]), probs)
