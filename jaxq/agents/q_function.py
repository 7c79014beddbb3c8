"""A network and the meaning of what it gives: action values out of observations."""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxq.agents.network import EnsembleOf, Network
from jaxq.hparams import Hparams
from jaxq.kernels.threefry import unrolled_threefry
from jaxq.learning import Value, rescale
from jaxq.networks import (
    Ensemble,
    RecurrentEnsemble,
    RecurrentQNetwork,
    with_initial_value,
    with_threshold,
)
from jaxq.types import Environment, ObservationSpec, PyTree, Trajectory

Evaluate = Callable[[Callable[[PyTree], PyTree]], PyTree]
"""Calls a function of parameters with those that are meant."""


class QFunction(NamedTuple):
    """A network with a value representation.

    Of implicit quantiles, predictions, targets and the policy have fractions of their own, of which
    there need not be as many: `network` predicts with N of them, `target_network` bootstraps from N',
    and `policy_network` chooses with K; all take the same weights. Of anything else the three are one.

    Outputs are what represents action values, one for each observation: leaves `[B, ...]`, of an
    ensemble with K in front. Those of a batch of runs are flat, `[B * T, ...]`, burn-in left out.

    Attributes:
        network: Maps observations `[B, ...]` to outputs.
        target_network: The same for what is bootstrapped from.
        policy_network: The same for which action is best.
        value: What outputs represent.
        spec: What one observation looks like.
        num_actions: Number of actions A.
        members: Members of an ensemble, whose outputs have a leading axis; 0 for none.
        recurrent_size: Size of the recurrent carry; 0 for none.
        burn_in: Steps of a run that only bring the carry up to date.
        draws_noise: Whether layers may draw noise.
        own: Whether the network was built here, so that it is known where values begin.
    """

    network: nn.Module
    target_network: nn.Module
    policy_network: nn.Module
    value: Value
    spec: ObservationSpec
    num_actions: int
    members: int
    recurrent_size: int
    burn_in: int
    draws_noise: bool
    own: bool

    def init(self, key: jax.Array, hparams: Hparams) -> PyTree:
        """Make fresh weights, whose values begin at `initial_value` if there is one."""
        # One agent after another: on CPU, XLA hands the decompositions behind orthogonal initializers
        # of many agents to a pool of threads, in which devices then wait for each other for ever.
        init = jax.custom_batching.sequential_vmap(self.network.init)
        inputs = (jnp.zeros((1, *self.spec.shape), self.spec.dtype),)
        if self.recurrent_size:
            nothing = previous_features(jnp.full(1, -1, jnp.int32), jnp.zeros(1), self.num_actions)
            inputs = (self.initial_carry(1), *inputs, nothing)
        params = init(key, *inputs)
        if self.own and "initial_value" in hparams:
            # As the network gives it, on whatever scale.
            start = self.value.constant_target(hparams.initial_value).reshape(())
            params = with_initial_value(params, start)
        return self.with_hparams(params, hparams)

    def with_hparams(self, params: PyTree, hparams: Hparams) -> PyTree:
        """Return the weights with what playing has to know of the hyperparameters."""
        return with_threshold(params, hparams.bcq_threshold) if "bcq_threshold" in hparams else params

    def initial_carry(self, size: int) -> PyTree:
        """Return what the network carries where B episodes begin, `[B, ..., H]` or nothing."""
        return self.network.initial_carry(size) if self.recurrent_size else ()

    def step(
        self,
        params: PyTree,
        carry: PyTree,
        observation: jax.Array,
        previous: tuple[jax.Array, jax.Array],
        key: jax.Array | None = None,
    ) -> tuple[jax.Array, PyTree]:
        """Return action values `[B, A]`, of an ensemble each member's, `[K, B, A]`; and the next carry.

        Arguments are those of `outputs`.
        """
        output, carry = self.outputs(params, carry, observation, previous, key)
        return self.q(output), carry

    def outputs(
        self,
        params: PyTree,
        carry: PyTree,
        observation: jax.Array,
        previous: tuple[jax.Array, jax.Array],
        key: jax.Array | None = None,
    ) -> tuple[PyTree, PyTree]:
        """Return the outputs that choose actions, and the next carry.

        With a key, noise is drawn anew. Fractions are always the midpoints `(k + 1/2) / K`: so there is
        one greedy policy, which acting, evaluation and targets agree on, and as a quadrature they come
        nearer to the mean than as many random ones.

        Args:
            params: The weights.
            carry: What the network carries, as before the observation.
            observation: Observations, `[B, ...]`.
            previous: Actions before, int32 `[B]`, and their rewards, `[B]`.
            key: PRNG key for noise; without one there is none.
        """
        rngs = {} if key is None or not self.draws_noise else {"noise": streams(key)["noise"]}
        if not self.recurrent_size:
            return self.policy_network.apply(params, observation, rngs=rngs), carry
        features = previous_features(*previous, self.num_actions)
        apply = self.policy_network.apply
        carry, output = apply(params, carry, observation, features, rngs=rngs)
        return output, carry

    def predictions(self, params: PyTree, batch: Trajectory, key: jax.Array) -> PyTree:
        """Return the outputs at what was acted on, noise and fractions drawn anew."""
        return self._acted_on(self.network, params, batch, streams(key))

    def values_tm1(self, params: PyTree, batch: Trajectory, key: jax.Array) -> jax.Array:
        """Return action values at what was acted on, `[B * T, A]`, or `[K, B * T, A]`."""
        noise = {"noise": streams(key)["noise"]}
        return self.q(self._acted_on(self.policy_network, params, batch, noise))

    def following(self, params: PyTree, batch: Trajectory, key: jax.Array) -> PyTree:
        """Return the outputs to bootstrap from, noise and fractions drawn anew."""
        return self._ended_in(self.target_network, params, batch, streams(key))

    def values_t(self, params: PyTree, batch: Trajectory, key: jax.Array) -> jax.Array:
        """Return action values at what each step ended in, `[B * T, A]`, or `[K, B * T, A]`."""
        noise = {"noise": streams(key)["noise"]}
        return self.q(self._ended_in(self.policy_network, params, batch, noise))

    def choosing_values(
        self, evaluate: Evaluate, batch: Trajectory, output: PyTree, key: jax.Array
    ) -> jax.Array:
        """Return the action values that choose what is bootstrapped from.

        Args:
            evaluate: Calls a function of parameters with those that choose.
            batch: Runs of steps.
            output: What `following` gave with them.
            key: PRNG key for noise, if the values are worked out anew.

        Returns:
            Those of `output`; of implicit quantiles `values_t`, as a choice by the fractions that are
            bootstrapped from would be biased toward their luck.
        """
        if self.policy_network is self.network:
            return self.q(output)
        return evaluate(lambda params: self.values_t(params, batch, key))

    def q(self, output: PyTree) -> jax.Array:
        """Return the action values of outputs, `[B, A]`, or `[K, B, A]`."""
        return self.each(jax.vmap(self.value.q))(output)

    @property
    def has_spread(self) -> bool:
        """Whether values have a spread: members of an ensemble, or a distribution of returns."""
        return bool(self.members) or hasattr(self.value, "spread")

    def spread(self, output: PyTree) -> jax.Array:
        """Return the spread of action values, `[B, A]`.

        Of an ensemble it is the standard deviation of the members' values, which says how little is
        known; of a distribution that of the return, which also says how much is left to chance.
        """
        return self.q(output).std(axis=0) if self.members else jax.vmap(self.value.spread)(output)

    def behind_burn_in(self, tree: PyTree) -> PyTree:
        """Flatten what is behind the burn-in, leaves `[B, T, ...]` to `[N, ...]`."""
        return jax.tree.map(lambda leaf: _flat(leaf[:, self.burn_in :]), tree)

    def each(self, function: Any) -> Any:
        """Apply a function to each member of an ensemble, or to what is none as it is."""
        return jax.vmap(function) if self.members else function

    def _acted_on(self, network: nn.Module, params: PyTree, batch: Trajectory, rngs: Any) -> PyTree:
        if not self.recurrent_size:
            return network.apply(params, _flat(batch.observation), rngs=rngs)
        _, outputs = self._unroll(network, params, batch, rngs)
        return self.each(self.behind_burn_in)(outputs)

    def _ended_in(self, network: nn.Module, params: PyTree, batch: Trajectory, rngs: Any) -> PyTree:
        if not self.recurrent_size:
            return network.apply(params, _flat(batch.next_observation), rngs=rngs)
        carries, _ = self._unroll(network, params, batch, rngs)
        previous = previous_features(batch.action, batch.reward, self.num_actions)
        inputs = [leaf[:, self.burn_in :] for leaf in (carries, batch.next_observation, previous)]
        outputs = network.apply(params, *inputs, rngs=rngs, method="branch")
        return self.each(partial(jax.tree.map, _flat))(outputs)

    def _unroll(
        self, network: nn.Module, params: PyTree, batch: Trajectory, rngs: Any
    ) -> tuple[jax.Array, PyTree]:
        """Run the network over runs: carries after each step, `[B, T, ..., H]`, and outputs there.

        Outputs are `[B, T, ...]`, of an ensemble with K in front. No gradient flows into the burn-in,
        which only brings the carry up to date.
        """
        ended = batch.terminated | batch.truncated
        first = jnp.pad(ended[:, :-1], ((0, 0), (1, 0)))
        kept: StepExtras = batch.extras
        action = jnp.concatenate([kept.previous_action[:, None], batch.action[:, :-1]], axis=1)
        reward = jnp.concatenate([kept.previous_reward[:, None], batch.reward[:, :-1]], axis=1)
        action, reward = jnp.where(first, -1, action), jnp.where(first, 0, reward)
        previous = previous_features(action, reward, self.num_actions)

        def run(params: PyTree, carry: jax.Array, part: slice) -> tuple[jax.Array, PyTree]:
            inputs = batch.observation[:, part], first[:, part], previous[:, part]
            return network.apply(params, carry, *inputs, rngs=rngs, method="unroll")

        if not self.burn_in:
            return run(params, kept.carry, slice(None))
        early = run(jax.lax.stop_gradient(params), kept.carry, slice(self.burn_in))
        late = run(params, early[0][:, -1], slice(self.burn_in, None))
        carries = jnp.concatenate([early[0], late[0]], axis=1)
        return carries, self.each(partial(jax.tree.map, _in_a_row))(early[1], late[1])


class StepExtras(NamedTuple):
    """What an agent keeps beside a transition; each `()` where it has none.

    Attributes:
        carry: What the network carried before the observation, `[E, H]`; of an ensemble `[E, n, H]`.
        previous_action: The action before, int32 `[E]`; -1 where the episode began.
        previous_reward: Its reward, float32 `[E]`.
        mask: Which members of an ensemble learn from the step, bool `[E, K]`.
    """

    carry: PyTree = ()
    previous_action: PyTree = ()
    previous_reward: PyTree = ()
    mask: PyTree = ()


def previous_features(action: jax.Array, reward: jax.Array, num_actions: int) -> jax.Array:
    """Describe what was done before an observation to the network.

    The action as a one-hot vector, all zeros for -1, and behind it the reward, rescaled like values, so
    that large ones do not push the gates of the recurrent layer to their ends.

    Args:
        action: Actions before, int32 `[...]`.
        reward: Their rewards, float32 `[...]`.
        num_actions: Number of actions A.

    Returns:
        float32 `[..., A + 1]`.

    References:
        Kapturowski et al., Recurrent Experience Replay in Distributed Reinforcement Learning, 2019,
        section 2.3 (both as input, rewards as they are).
    """
    return jnp.append(jax.nn.one_hot(action, num_actions), rescale(reward)[..., None], axis=-1)


def streams(key: jax.Array) -> dict[str, jax.Array]:
    """Name the random numbers that networks may draw."""
    noise, quantiles = jax.random.split(unrolled_threefry(key, apart=True))
    return {"noise": noise, "quantiles": quantiles}


def make_q_function(
    env: Environment, network: Network, value: Any, ensemble: EnsembleOf | None, burn_in: int
) -> QFunction:
    """Build the networks of an agent for an environment.

    Args:
        env: The environment.
        network: The network component.
        value: The value representation.
        ensemble: The ensemble, if there is one.
        burn_in: Steps of a run that only bring a recurrent carry up to date.

    Raises:
        InputValueError: If `layer_norm` has no layers to normalize.
    """
    spec, num_actions = env.observation_spec, env.num_actions
    if network.is_own:
        networks = (network.network,) * 3
    else:
        size = network.head_size(value.needs_hidden_layer)
        torso, make_head = network.make_torso(spec, size > 0), network.make_head(num_actions, size)
        if network.recurrent_size:
            networks = _shared(
                value.networks(make_head),
                lambda head: RecurrentQNetwork(torso, head, network.recurrent_size),
            )
        else:
            networks = value.networks(make_head, torso)
    if ensemble is not None:
        several = RecurrentEnsemble if network.recurrent_size else Ensemble
        networks = _shared(
            networks, lambda member: several(member, ensemble.ensemble_size, ensemble.prior_scale)
        )
    return QFunction(
        *networks,
        value.make_value(),
        spec,
        num_actions,
        members=0 if ensemble is None else ensemble.ensemble_size,
        recurrent_size=network.recurrent_size,
        burn_in=burn_in,
        draws_noise=network.may_be_noisy,
        own=not network.is_own,
    )


def _shared(networks: tuple, wrap: Callable[[nn.Module], nn.Module]) -> tuple:
    """Wrap three networks, of which those that are one stay one."""
    wrapped = {id(network): wrap(network) for network in networks}
    return tuple(wrapped[id(network)] for network in networks)


def _in_a_row(early: jax.Array, late: jax.Array) -> jax.Array:
    return jnp.concatenate([early, late], axis=1)


def _flat(leaf: jax.Array) -> jax.Array:
    return leaf.reshape(-1, *leaf.shape[2:])
