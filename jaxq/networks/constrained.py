"""A network for action values and for what the behaviour does, with which the unlikely is left out."""

from typing import NamedTuple

import flax.linen as nn
import flax.traverse_util
import jax
import jax.numpy as jnp

from jaxq.types import PyTree

UNLIKELY = -1e20
"""About what an unlikely action is worth: less than any other, and more than an illegal one."""

THRESHOLD = "threshold"


class ConstrainedValues(NamedTuple):
    """Action values `[..., A]`, and logits of the behaviour's probabilities, `[..., A]`."""

    q: jax.Array
    logits: jax.Array


def leave_out_unlikely(q: jax.Array, logits: jax.Array, threshold: jax.Array) -> jax.Array:
    """Make actions that the behaviour hardly ever takes worth less than any other.

    `q[a]` where `p[a] >= threshold * max_b p[b]` with `p = softmax(logits)`, elsewhere about -1e20, the
    less the more unlikely, so that the likeliest is chosen where nothing else may be.

    Args:
        q: Action values, `[..., A]`.
        logits: Logits of the behaviour's probabilities, `[..., A]`.
        threshold: tau, `[]`, in [0, 1].

    Returns:
        The values, `[..., A]`.

    References:
        Fujimoto et al., Benchmarking Batch Deep Reinforcement Learning Algorithms, 2019, equation 9.
    """
    ratio = jnp.exp(logits - jnp.max(logits, axis=-1, keepdims=True))
    return jnp.where(ratio >= threshold, q, UNLIKELY * (2 - ratio))


def is_left_out(q: jax.Array) -> jax.Array:
    """Tell which values `[...]` are those that `leave_out_unlikely` gives in the place of others."""
    return (q <= UNLIKELY) & (q >= 2 * UNLIKELY)


class ConstrainedNetwork(nn.Module):
    """A torso with two heads, one for values and one for the behaviour.

    Attributes:
        torso: Observations to features.
        value_head: Features to action values `[B, A]`.
        behaviour_head: Features to logits `[B, A]`.
        constrained: Whether values of unlikely actions are left out.
    """

    torso: nn.Module
    value_head: nn.Module
    behaviour_head: nn.Module
    constrained: bool = False

    @nn.compact
    def __call__(self, observation: jax.Array) -> ConstrainedValues:
        """Map observations `[B, ...]` to values and logits."""
        features = self.torso(observation)
        q, logits = self.value_head(features), self.behaviour_head(features)
        # Among the weights, as playing knows nothing else; no gradient moves it.
        threshold = jax.lax.stop_gradient(self.param(THRESHOLD, nn.initializers.zeros, ()))
        if self.constrained:
            q = leave_out_unlikely(q, jax.lax.stop_gradient(logits), threshold)
        return ConstrainedValues(q, logits)


def with_threshold(params: PyTree, threshold: jax.Array) -> PyTree:
    """Return the weights of a constrained network with another threshold, `[]`."""
    leaves = flax.traverse_util.flatten_dict(params)
    new = {
        path: jnp.full_like(leaf, threshold) if path[-1] == THRESHOLD else leaf
        for path, leaf in leaves.items()
    }
    return flax.traverse_util.unflatten_dict(new)
