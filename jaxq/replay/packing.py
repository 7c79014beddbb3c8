"""Packing: boolean observations and masks stored as bits, eight of them in a byte."""

import math

import jax
import jax.numpy as jnp

from jaxq.kernels.bits import unpack_bits
from jaxq.types import ObservationSpec, PyTree


def stored_spec(spec: ObservationSpec) -> ObservationSpec:
    """Say what one observation looks like in memory.

    Args:
        spec: What one observation looks like to an agent.

    Returns:
        The same, but for a boolean observation of n elements, which becomes ceil(n / 8) bytes.
    """
    if not _packs(spec):
        return spec
    return ObservationSpec((-(-math.prod(spec.shape) // 8),), jnp.dtype("uint8"))


def pack(spec: ObservationSpec, observation: jax.Array) -> jax.Array:
    """Turn observations `[..., *spec.shape]` into what memory keeps of them."""
    if not _packs(spec):
        return observation
    lead = observation.shape[: observation.ndim - len(spec.shape)]
    return jnp.packbits(observation.reshape(*lead, -1), axis=-1)


def unpack(spec: ObservationSpec, stored: jax.Array) -> jax.Array:
    """Turn what memory keeps, `[..., ceil(n / 8)]` of a boolean, into observations again."""
    if not _packs(spec):
        return stored
    return unpack_bits(stored, math.prod(spec.shape)).reshape(*stored.shape[:-1], *spec.shape)


def pack_masks(masks: PyTree) -> PyTree:
    """Pack masks `[..., A]` into bits, `[..., ceil(A / 8)]`; `()` stays as it is."""
    return jax.tree.map(lambda leaf: jnp.packbits(leaf, axis=-1), masks)


def unpack_masks(bits: PyTree) -> PyTree:
    """Unpack bits into masks `[..., 8 * ceil(A / 8)]`."""
    return jax.tree.map(lambda leaf: jnp.unpackbits(leaf, axis=-1).astype(bool), bits)


def _packs(spec: ObservationSpec) -> bool:
    return spec.dtype == bool and spec.shape != ()
