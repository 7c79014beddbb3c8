"""Random whole numbers below a bound, from half of the bits that JAX draws for them.

The numbers are others than JAX's, so that nothing is dispatched: a key samples the same everywhere.
"""

import jax
import jax.numpy as jnp

from jaxq.kernels.materialized import materialized


def random_index(key: jax.Array, size: int, bound: jax.Array) -> jax.Array:
    """Draw whole numbers uniformly from [0, bound), `floor(bits * bound / 2^32)`.

    A number's probability is off by less than 2^-32, of a replay with a million transitions by less
    than 1 in 4,000 of itself. `jax.random.randint` draws twice as many bits and divides.

    Args:
        key: PRNG key.
        size: How many numbers B to draw.
        bound: int32 `[]`, positive.

    Returns:
        int32 `[B]`.

    References:
        Lemire, Fast Random Integer Generation in an Interval, 2019, section 4, without rejection.
    """
    low_bits = jnp.uint32(0xFFFF)
    half = jnp.uint32(16)
    x, y = jax.random.bits(key, (size,)), bound.astype(jnp.uint32)
    # The upper word of a product of 64 bits, from the products of halves.
    x_high, x_low, y_high, y_low = x >> half, x & low_bits, y >> half, y & low_bits
    crossed = x_low * y_high, x_high * y_low
    carried = (x_low * y_low >> half) + (crossed[0] & low_bits) + (crossed[1] & low_bits)
    upper = x_high * y_high + (crossed[0] >> half) + (crossed[1] >> half) + (carried >> half)
    # Each gather that reads by them would work them out again.
    return materialized(upper.astype(jnp.int32))


def random_index_reference(key: jax.Array, size: int, bound: jax.Array) -> jax.Array:
    """Do the same with `jax.random.randint`, which gives other numbers of the same distribution."""
    return jax.random.randint(key, (size,), 0, bound)
