"""Precision: what jaxq computes in, whatever the program that imports it has set JAX to."""

import contextlib
from collections.abc import Iterator

import jax


@contextlib.contextmanager
def in_32_bits() -> Iterator[None]:
    """Compute in 32 bits and with JAX's standard type promotion, as a context or as a decorator.

    States and metrics are float32 and int32 by contract, and a loop has to keep the types of its carry.
    `jax_enable_x64` would widen every type that is not spelled out, and draw other random numbers;
    `jax_numpy_dtype_promotion="strict"` refuses mixed types, of which environments, networks and
    optimizers written elsewhere are full. Both are settings of the calling thread and not of the
    arguments, so they are set here, for as long as a call of jaxq takes; results are the same numbers
    under all of them.

    Example:
        >>> import jax.numpy as jnp
        >>> with jax.enable_x64(True), in_32_bits():
        ...     jnp.zeros(1).dtype
        dtype('float32')
    """
    with jax.enable_x64(False), jax.numpy_dtype_promotion("standard"):
        yield
