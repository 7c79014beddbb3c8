"""Arrays worked out once, where XLA would work them out for each use."""

import jax
import jax.numpy as jnp

from jaxq.kernels.dispatch import by_platform


def materialized(x: jax.Array) -> jax.Array:
    """Return an array as it is, worked out once and not again for each element of what it is used in.

    XLA on CPU makes one loop of what is drawn and what it is broadcast over: a draw of 84 numbers, the
    generator's twenty rounds included, was worked out for each of 128 rows. It does not do that with a
    sum, be it one of the array and of zeros.

    XLA on NVIDIA GPUs makes one kernel of what is compared pairwise, such as two sets of atoms, and of
    what comes before, in tiles of rows times pairs. C51 of 1,024 agents had not compiled after three
    minutes; behind a barrier it takes half a minute.

    Args:
        x: Numbers, of any shape.

    Returns:
        The same; of negative zero, zero.
    """
    return by_platform(materialized_reference, x, cpu=_summed, cuda=jax.lax.optimization_barrier)


def _summed(x: jax.Array) -> jax.Array:
    first = jnp.arange(2).reshape(2, *[1] * x.ndim) == 0
    return jnp.sum(jnp.where(first, x, 0), axis=0, dtype=x.dtype)


def materialized_reference(x: jax.Array) -> jax.Array:
    """Return the array itself."""
    return x
