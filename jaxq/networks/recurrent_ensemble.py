"""Ensembles of recurrent networks: each member carries an episode's history of its own."""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxq import checks
from jaxq.networks.ensemble import MEMBERS, PRIORS, fresh_weights, plus, random_streams
from jaxq.networks.recurrent import RecurrentQNetwork
from jaxq.types import PyTree


class RecurrentEnsemble(nn.Module):
    """K independent recurrent networks, each with a recurrent random prior that is never trained.

    `q_k = f_k + prior_scale * stop_gradient(p_k)`, where `f_k` and `p_k` carry what they saw each for
    itself: the carry is that of the K members, and behind it that of the K priors, if they count.

    Attributes:
        member: The architecture.
        num_members: Number of members K.
        prior_scale: What the priors count for; 0 leaves them out.

    Raises:
        InputValueError: If there are no members, or the scale is negative.

    References:
        Osband et al., Deep Exploration via Bootstrapped DQN, 2016.
        Osband et al., Randomized Prior Functions for Deep Reinforcement Learning, 2018.
        Kapturowski et al., Recurrent Experience Replay in Distributed Reinforcement Learning, 2019.
    """

    member: RecurrentQNetwork
    num_members: int
    prior_scale: float = 0.0

    def __post_init__(self) -> None:
        """Check the numbers."""
        self.num_members = checks.whole_number("num_members", self.num_members)
        checks.in_range("prior_scale", self.prior_scale, 0, float("inf"))
        super().__post_init__()

    def initial_carry(self, batch: int) -> jax.Array:
        """Return the carry that an episode begins with, zeros `[batch, K, H]`, or 2K with priors."""
        count = self.num_members * (2 if self.prior_scale else 1)
        return jnp.zeros((batch, count, self.member.hidden_size), jnp.float32)

    def __call__(
        self, carry: jax.Array, observation: jax.Array, previous: jax.Array | None = None
    ) -> tuple[jax.Array, Any]:
        """Take one step; see `RecurrentQNetwork`.

        Args:
            carry: Carries before it, `[B, n, H]`.
            observation: Observations, `[B, ...]`.
            previous: What else is known before it, `[B, P]`.

        Returns:
            The carries after it, `[B, n, H]`, and what members give, with K in front, `[K, B, A]`.
        """
        return self._each("__call__", carry, observation, previous)

    def unroll(
        self,
        carry: jax.Array,
        observations: jax.Array,
        starts: jax.Array,
        previous: jax.Array | None = None,
    ) -> tuple[jax.Array, Any]:
        """Step through T observations; see `RecurrentQNetwork.unroll`.

        Args:
            carry: Carries before the first of them, `[B, n, H]`.
            observations: Observations, `[B, T, ...]`.
            starts: Whether an episode begins with an observation, bool `[B, T]`.
            previous: What else is known before each observation, `[B, T, P]`.

        Returns:
            The carries after each observation, `[B, T, n, H]`, and what members give, `[K, B, T, A]`.
        """
        return self._each("unroll", carry, observations, starts, previous)

    def branch(
        self, carries: jax.Array, observations: jax.Array, previous: jax.Array | None = None
    ) -> Any:
        """Take one step aside from each of many carries; see `RecurrentQNetwork.branch`.

        Args:
            carries: Carries before each observation, `[B, T, n, H]`.
            observations: Observations, `[B, T, ...]`.
            previous: What else is known before each observation, `[B, T, P]`.

        Returns:
            What members give, `[K, B, T, A]`.
        """
        return self._each("branch", carries, observations, previous)

    @nn.compact
    def _each(self, method: str, carry: jax.Array, *inputs: Any) -> Any:
        """Call a method of each member, and of each prior, with its own carry, `[..., n, H]`."""
        # Weights of an unbound copy are passed by hand, as in `Ensemble`.
        member, count = self.member.clone(parent=None), self.num_members
        carries, outputs = -2, 0
        out_axes = outputs if method == "branch" else (carries, outputs)

        def initial(key: jax.Array) -> PyTree:
            def one(key: jax.Array) -> PyTree:
                return member.init(key, carry[..., 0, :], *inputs, method=method)

            return fresh_weights(one, key, count)

        def call(params: PyTree, carry: jax.Array, rngs: dict[str, jax.Array]) -> Any:
            return member.apply({"params": params}, carry, *inputs, rngs=rngs, method=method)

        streams, weights = random_streams(self, count), self.param(MEMBERS, initial)
        members = jax.vmap(call, (0, carries, streams.axes), out_axes)
        found = members(weights, carry[..., :count, :], streams.members)
        if not self.prior_scale:
            return found
        priors = jax.vmap(call, (0, carries, None), out_axes)
        fixed = self.param(PRIORS, initial), carry[..., count:, :], streams.priors
        prior = jax.lax.stop_gradient(priors(*fixed))
        if method == "branch":
            return plus(found, self.prior_scale, prior)
        after = jnp.concatenate([found[0], prior[0]], axis=carries)
        return after, plus(found[1], self.prior_scale, prior[1])
