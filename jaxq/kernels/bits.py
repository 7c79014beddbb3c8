"""Bits of bytes, as a replay keeps boolean observations."""

import jax
import jax.numpy as jnp
import numpy as np

from jaxq.kernels.dispatch import on_cpu

_BITS = np.unpackbits(np.arange(256, dtype=np.uint8)[:, None], axis=-1).astype(bool)
"""The bits of every byte, highest first, `[256, 8]`."""


def unpack_bits(packed: jax.Array, count: int) -> jax.Array:
    """Return the bits of bytes, the highest of each first.

    `bits[..., i] = packed[..., i // 8] >> (7 - i % 8) & 1`

    Looked up in a table of all bytes on CPU, where the shifts of `jnp.unpackbits` make words of bytes.

    Args:
        packed: uint8 `[..., ceil(n / 8)]`.
        count: Number of bits n, static.

    Returns:
        bool `[..., n]`.
    """
    return on_cpu(
        lambda packed: _looked_up(packed, count),
        lambda packed: unpack_bits_reference(packed, count),
        packed,
    )


def unpack_bits_reference(packed: jax.Array, count: int) -> jax.Array:
    """Unpack them by `jnp.unpackbits`."""
    return jnp.unpackbits(packed, axis=-1, count=count).astype(bool)


def _looked_up(packed: jax.Array, count: int) -> jax.Array:
    return jnp.asarray(_BITS)[packed].reshape(*packed.shape[:-1], -1)[..., :count]
