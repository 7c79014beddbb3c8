"""Values that imitate: logits of what a behaviour does, alone or beside action values."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp

from jaxq.learning.targets import Bootstrap, value_of_action
from jaxq.learning.values import Loss, ScalarValue

_LOGIT_PENALTY = 0.01


def imitation_loss(logits: jax.Array, a_tm1: jax.Array) -> jax.Array:
    """Return how unlikely an action was thought to be, `-log softmax(logits)[a_tm1]`, `[]`.

    Args:
        logits: Logits of the behaviour's probabilities, `[A]`.
        a_tm1: Action that it took, int32 `[]`, in [0, A).
    """
    return -value_of_action(jax.nn.log_softmax(logits), a_tm1)


@dataclasses.dataclass(frozen=True)
class PreferenceValue:
    """Logits of what the behaviour does, which stand for values: the likeliest action is the best.

    There is nothing to bootstrap from, so targets are zero and count for nothing.

    References:
        Pomerleau, Efficient Training of Artificial Neural Networks for Autonomous Navigation, 1991.
    """

    def q(self, output: jax.Array) -> jax.Array:
        """Return the logits, `[A]`."""
        return output

    def target(
        self, r_t: jax.Array, discount_t: jax.Array, bootstrap: Bootstrap, output_t: jax.Array
    ) -> jax.Array:
        """Return zero, `[]`."""
        return jnp.zeros_like(r_t)

    def constant_target(self, number: jax.Array) -> jax.Array:
        """Return zero, `[]`."""
        return jnp.zeros_like(number)

    def loss(self, output_tm1: jax.Array, a_tm1: jax.Array, target: jax.Array) -> Loss:
        """Penalize what makes the action unlikely; how unlikely it was is the priority."""
        loss = imitation_loss(output_tm1, a_tm1)
        return Loss(loss, jnp.zeros_like(loss), jax.lax.stop_gradient(loss))


@dataclasses.dataclass(frozen=True)
class ConstrainedValue:
    """Action values beside logits of the behaviour; outputs are `jaxq.networks.ConstrainedValues`.

    `loss = TD loss - log softmax(logits)[a_tm1] + 0.01 * mean_a logits[a]^2`

    Attributes:
        scalar: The maths of the action values.

    References:
        Fujimoto et al., Benchmarking Batch Deep Reinforcement Learning Algorithms, 2019, section 4; the
        penalty as in its authors' code.
    """

    scalar: ScalarValue

    def q(self, output: Any) -> jax.Array:
        """Return the action values, `[A]`."""
        return self.scalar.q(output.q)

    def target(
        self, r_t: jax.Array, discount_t: jax.Array, bootstrap: Bootstrap, output_t: Any
    ) -> jax.Array:
        """Return the target of the action values, `[]`."""
        return self.scalar.target(r_t, discount_t, bootstrap, output_t.q)

    def constant_target(self, number: jax.Array) -> jax.Array:
        """Return the number, `[]`."""
        return self.scalar.constant_target(number)

    def loss(self, output_tm1: Any, a_tm1: jax.Array, target: jax.Array) -> Loss:
        """Penalize the TD error, and what makes the action unlikely."""
        values, logits = self.scalar.loss(output_tm1.q, a_tm1, target), output_tm1.logits
        penalty = imitation_loss(logits, a_tm1) + _LOGIT_PENALTY * jnp.mean(logits**2)
        return values._replace(loss=values.loss + penalty)
