"""Acting with a network: in every environment an action for the observation that it shows."""

from dataclasses import dataclass

import jax
import jax.numpy as jnp

from jaxq.agents import Settings
from jaxq.engine import behaviour
from jaxq.engine.agent import Decision, Situation
from jaxq.engine.learner import Learner
from jaxq.engine.q_function import QFunction
from jaxq.engine.recurrent import RecurrentState, episode_begin, previous_features
from jaxq.hparams import Hparams
from jaxq.networks import encode
from jaxq.types import ObservationSpec, PyTree


def _noise(settings: Settings, key: jax.Array) -> jax.Array | None:
    """Return a key for the noise of layers that have some; a network of the user's own may."""
    return key if settings.noisy or settings.network is not None else None


@dataclass(frozen=True)
class NetworkActing:
    """Acts on the values of a network, remembering nothing."""

    q_function: QFunction
    settings: Settings

    def start(self, num_envs: int) -> PyTree:
        """Return nothing."""
        return ()

    def receive(self, carry: PyTree, action: jax.Array, reward: jax.Array) -> PyTree:
        """Note nothing."""
        return carry

    def act(self, key: jax.Array, learner: Learner, hparams: Hparams, situation: Situation) -> Decision:
        """Choose by the probabilities that the settings describe."""
        noise_key, action_key = jax.random.split(key)
        noise_key = _noise(self.settings, noise_key)
        q = self.q_function.q_values(learner.params, situation.observation, noise_key)
        probs = behaviour.probabilities(self.settings, hparams, situation.steps, q)
        return Decision(behaviour.choose(action_key, probs))


@dataclass(frozen=True)
class CountingActing:
    """Acts on a network's values, raised where an action was seldom taken: UCB on hashed counts.

    Observations are told apart by the signs of `count_bits` fixed random projections, so that the
    counts of what looks alike are shared; state numbers and one-hot observations get as good as
    unique codes while there are far fewer of them than `2^count_bits`.

    References:
        Tang et al., #Exploration, 2017, section 2.2 (counts on SimHash codes).
    """

    q_function: QFunction
    settings: Settings
    spec: ObservationSpec
    num_actions: int

    def start(self, num_envs: int) -> jax.Array:
        """Return counts of zero, `[2^count_bits, A]`, which the environments share."""
        return jnp.zeros((2**self.settings.count_bits, self.num_actions))

    def receive(self, carry: PyTree, action: jax.Array, reward: jax.Array) -> PyTree:
        """Note nothing."""
        return carry

    def act(self, key: jax.Array, learner: Learner, hparams: Hparams, situation: Situation) -> Decision:
        """Choose the best by value and bonus, and count it."""
        noise_key, action_key = jax.random.split(key)
        noise_key = _noise(self.settings, noise_key)
        q = self.q_function.q_values(learner.params, situation.observation, noise_key)
        counts, code = situation.carry, self._codes(situation.observation)
        probs = behaviour.probabilities(self.settings, hparams, situation.steps, q, counts[code])
        action = behaviour.choose(action_key, probs)
        return Decision(action, counts.at[code, action].add(1.0))

    def _codes(self, observation: jax.Array) -> jax.Array:
        x = encode(observation, self.spec).reshape(observation.shape[0], -1)
        bits = self.settings.count_bits
        # The projections are the same for all agents, so that a code means the same everywhere.
        directions = jax.random.normal(jax.random.key(0), (x.shape[1], bits))
        signs = (x @ directions > 0).astype(jnp.int32)
        return jnp.sum(signs * 2 ** jnp.arange(bits)[None], axis=1)


@dataclass(frozen=True)
class EnsembleActing:
    """Follows one member of an ensemble for a whole episode, another one in each environment."""

    q_function: QFunction
    settings: Settings

    def start(self, num_envs: int) -> jax.Array:
        """Return the members that are followed, int32 `[E]`; the first step draws them."""
        return jnp.zeros(num_envs, jnp.int32)

    def receive(self, carry: PyTree, action: jax.Array, reward: jax.Array) -> PyTree:
        """Note nothing."""
        return carry

    def act(self, key: jax.Array, learner: Learner, hparams: Hparams, situation: Situation) -> Decision:
        """Choose by the member's values, and draw which members will learn from what follows."""
        member_key, mask_key, action_key, noise_key = jax.random.split(key, 4)
        members = self.q_function.members
        drawn = jax.random.randint(member_key, situation.begins.shape, 0, members)
        member = jnp.where(situation.begins, drawn, situation.carry)
        noise_key = _noise(self.settings, noise_key)
        q = self.q_function.member_values(learner.params, situation.observation, noise_key)
        follows = jax.nn.one_hot(member, members, axis=0)
        q = jnp.sum(q * follows[..., None], axis=0)
        probs = behaviour.probabilities(self.settings, hparams, situation.steps, q)
        shape = (*situation.begins.shape, members)
        mask = jax.random.bernoulli(mask_key, hparams.mask_probability, shape)
        return Decision(behaviour.choose(action_key, probs), member, mask)


@dataclass(frozen=True)
class RecurrentActing:
    """Acts with a recurrent network, which knows what it saw, did and got since the episode began."""

    q_function: QFunction
    settings: Settings
    num_actions: int

    def start(self, num_envs: int) -> RecurrentState:
        """Return what is known where an episode begins, leaves `[E, ...]`."""
        return episode_begin((num_envs,), self.settings.recurrent_size)

    def act(self, key: jax.Array, learner: Learner, hparams: Hparams, situation: Situation) -> Decision:
        """Choose by the network's values, and store what was known before the observation."""
        blank, begins = self.start(situation.begins.shape[0]), situation.begins
        before = situation.carry._replace(
            hidden=jnp.where(begins[:, None], blank.hidden, situation.carry.hidden),
            action=jnp.where(begins, blank.action, situation.carry.action),
            reward=jnp.where(begins, blank.reward, situation.carry.reward),
        )
        q, after = self.values(learner, situation.observation, before)
        probs = behaviour.probabilities(self.settings, hparams, situation.steps, q)
        return Decision(behaviour.choose(key, probs), after, before)

    def receive(self, carry: RecurrentState, action: jax.Array, reward: jax.Array) -> RecurrentState:
        """Note what was done, and what it paid."""
        return carry._replace(action=action, reward=reward)

    def values(
        self, learner: Learner, observation: jax.Array, carry: RecurrentState
    ) -> tuple[jax.Array, RecurrentState]:
        """Return values `[B, A]` without exploration, and the state after the observation."""
        previous = previous_features(carry.action, carry.reward, self.num_actions)
        network = self.q_function.network
        hidden, output = network.apply(learner.params, carry.hidden, observation, previous)
        return jax.vmap(self.q_function.value.q)(output), carry._replace(hidden=hidden)
