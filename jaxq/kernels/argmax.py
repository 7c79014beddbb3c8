"""Places of largest values among few, as of action values."""

import jax
import jax.numpy as jnp

from jaxq.kernels.dispatch import by_platform

FEW = 8
"""Values up to which they are compared one after the other on GPUs."""


def argmax(values: jax.Array) -> jax.Array:
    """Return the place of the largest value, the first of equals.

    `min {i: values[i] = max_j values[j]}`

    XLA gives each of the short rows of a batch many threads of a GPU, and takes ten times as long as
    for comparisons written out.

    Args:
        values: Numbers, `[A]`; one that is not a number counts as the largest.

    Returns:
        int32 `[]`.
    """
    if values.shape[0] > FEW:
        return argmax_reference(values)
    return by_platform(argmax_reference, values, cuda=_compared)


def argmax_reference(values: jax.Array) -> jax.Array:
    """Find it by `jnp.argmax`."""
    return jnp.argmax(values)


def _compared(values: jax.Array) -> jax.Array:
    best, place = values[0], jnp.zeros((), int)
    for number in range(1, values.shape[0]):
        value = values[number]
        better = (value > best) | (jnp.isnan(value) & ~jnp.isnan(best))
        best, place = jnp.where(better, value, best), jnp.where(better, number, place)
    return place
