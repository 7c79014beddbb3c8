"""Values on a scale that grows like a square root, so that networks need not reach far."""

import dataclasses

import chex
import jax
import jax.numpy as jnp

from jaxq.learning.targets import Bootstrap, td_target, value_of_action
from jaxq.learning.values import Loss, ScalarValue

# How much of the number itself is added, which keeps the scale invertible far from zero.
EPSILON = 1e-3


def rescale(x: jax.Array) -> jax.Array:
    """Shrink numbers to about the square root of their size.

    `h(x) = sign(x) (sqrt(|x| + 1) - 1) + epsilon x`, with `epsilon = 0.001`

    Args:
        x: Any numbers, `[...]`.

    Returns:
        The rescaled numbers, `[...]`.

    References:
        Pohlen et al., Observe and Look Further, 2018, section 3.2.

    Example:
        >>> import jax.numpy as jnp
        >>> print(rescale(jnp.array([-3.0, 0.0, 99.0])))
        [-1.003  0.     9.099]
    """
    return jnp.sign(x) * (jnp.sqrt(jnp.abs(x) + 1) - 1) + EPSILON * x


def undo_rescale(x: jax.Array) -> jax.Array:
    """Return the numbers whose `rescale` these are.

    `h^-1(x) = sign(x) (root^2 - 1)` with `root = (sqrt(1 + 4 epsilon c) - 1) / (2 epsilon)` and
    `c = |x| + 1 + epsilon`

    Args:
        x: Any numbers, `[...]`.

    Returns:
        The original numbers, `[...]`.

    References:
        Pohlen et al., Observe and Look Further, 2018, proposition A.2.
    """
    c = jnp.abs(x) + 1 + EPSILON
    # The root's numerator is a difference of nearly equal numbers; this fraction equals it without one.
    root = 2 * c / (jnp.sqrt(1 + 4 * EPSILON * c) + 1)
    return jnp.sign(x) * (root**2 - 1)


@dataclasses.dataclass(frozen=True)
class RescaledValue:
    """One number per action, which the output has on another scale: `q = undo_rescale(output)`.

    Targets are worked out with action values themselves, and compared with the output on its scale.

    Attributes:
        plain: Compares a target with the output, both on the output's scale.

    References:
        Kapturowski et al., Recurrent Experience Replay in Distributed Reinforcement Learning, 2019,
        equation 1.
    """

    plain: ScalarValue

    def q(self, output: jax.Array) -> jax.Array:
        """Return `undo_rescale(output)`, `[A]`."""
        chex.assert_rank(output, 1)
        return undo_rescale(output)

    def target(
        self, r_t: jax.Array, discount_t: jax.Array, bootstrap: Bootstrap, output_t: jax.Array
    ) -> jax.Array:
        """Return `rescale` of a transition's `td_target`, `[]`."""
        return rescale(td_target(r_t, discount_t, bootstrap, self.q(output_t)))

    def constant_target(self, number: jax.Array) -> jax.Array:
        """Return `rescale` of the number, `[]`."""
        return rescale(self.plain.constant_target(number))

    def loss(self, output_tm1: jax.Array, a_tm1: jax.Array, target: jax.Array) -> Loss:
        """Penalize the difference on the output's scale; its size is the priority."""
        loss = self.plain.loss(output_tm1, a_tm1, target)
        td_error = undo_rescale(target) - value_of_action(self.q(output_tm1), a_tm1)
        return loss._replace(td_error=jax.lax.stop_gradient(td_error))
