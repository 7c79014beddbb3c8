"""Threefry with its rounds written out: the random numbers of JAX's default generator, drawn faster.

On CPU, JAX runs threefry's rounds in a loop, which compiles fast where much is drawn at once. A step of
a small agent draws little, and often; there the rounds written out become two fused operations.
Elsewhere JAX writes them out itself.
"""

import math
from collections.abc import Callable
from typing import Any

import jax
import jax.extend
import jax.numpy as jnp

from jaxq.kernels.dispatch import on_cpu
from jaxq.kernels.materialized import materialized

_ROTATIONS = ((13, 15, 26, 6), (17, 29, 16, 24))
_PARITY = 0x1BD11BDA


def unrolled_threefry(key: jax.Array, apart: bool = False) -> jax.Array:
    """Return a key that draws the same numbers faster, or the key itself if it is not JAX's default.

    With `jax_disable_most_optimizations` it is the key itself too: the loop compiles faster.

    XLA makes one operation of a draw and of what uses it, with all keys on the way to it, once per use.
    Of noise for each layer of a network, drawn from keys of its own, a program became six times as
    large so; there each draw is better an operation by itself.

    Args:
        key: PRNG keys, typed or raw.
        apart: Whether each draw, of keys too, is worked out by itself, once.

    Returns:
        Typed keys; everything drawn from them is bit for bit what `key` gives.

    References:
        Salmon et al., Parallel Random Numbers: As Easy as 1, 2, 3, 2011, section 3.3 (threefry).
    """
    # If not partitionable, JAX numbers what it draws in another way.
    if not jax.config.jax_threefry_partitionable or jax.config.read("jax_disable_most_optimizations"):
        return key
    if str(jax.random.key_impl(key)) not in _DRAW_THE_SAME:
        return key
    return jax.random.wrap_key_data(_data(key), impl=_APART if apart else _FUSED)


def unrolled_threefry_reference(key: jax.Array) -> jax.Array:
    """Return the key itself, from which JAX's own generator draws."""
    return key


def _data(key: jax.Array) -> jax.Array:
    typed = jnp.issubdtype(key.dtype, jax.dtypes.prng_key)
    return jax.random.key_data(key) if typed else key


def _hash(key: jax.Array, high: jax.Array, low: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Mix a key `[2]` with a 64-bit count, given as two words, in the 20 rounds of threefry-2x32."""
    words = key[0], key[1], key[0] ^ key[1] ^ jnp.uint32(_PARITY)
    x, y = high + words[0], low + words[1]
    for round_ in range(20):
        group, turn = divmod(round_, 4)
        if round_ == 10:
            x, y = _halfway(x, y)
        rotation = _ROTATIONS[group % 2][turn]
        x = x + y
        y = x ^ ((y << jnp.uint32(rotation)) | (y >> jnp.uint32(32 - rotation)))
        if turn == 3:
            x = x + words[(group + 1) % 3]
            y = y + words[(group + 2) % 3] + jnp.uint32(group + 1)
    return x, y


def _halfway(x: jax.Array, y: jax.Array) -> tuple[jax.Array, jax.Array]:
    """End an operation of XLA's, and begin the next one.

    Each round uses the one before in three places. From jaxlib 0.11 on, LLVM walks every path through
    what it vectorizes, and of all 20 rounds in one loop it does not come to the end of 3^20 paths.
    """
    return on_cpu(lambda *words: jax.lax.optimization_barrier(words), lambda *words: words, x, y)


def _counted(key: jax.Array, shape: tuple[int, ...]) -> tuple[jax.Array, jax.Array]:
    """Mix a key with the numbers from 0 that fill a shape."""
    size = math.prod(shape)
    if size >= 2**32:
        raise ValueError(f"at most 2**32 numbers can be drawn at once, got the shape {shape}")
    low = jnp.arange(size, dtype=jnp.uint32).reshape(shape)
    return _hash(key, jnp.zeros_like(low), low)


def _seed(seed: jax.Array) -> jax.Array:
    return jnp.stack([jnp.uint32(0), seed.astype(jnp.uint32)])


def _split(key: jax.Array, shape: tuple[int, ...]) -> jax.Array:
    return jnp.stack(_counted(key, shape), axis=-1)


def _fold_in(key: jax.Array, number: jax.Array) -> jax.Array:
    return jnp.stack(_hash(key, *_seed(number)))


def _random_bits(key: jax.Array, bit_width: int, shape: tuple[int, ...]) -> jax.Array:
    high, low = _counted(key, shape)
    if bit_width == 64:
        return (high.astype(jnp.uint64) << jnp.uint64(32)) | low.astype(jnp.uint64)
    return (high ^ low).astype(f"uint{bit_width}")


def _generator(name: str, drawn: Callable[[jax.Array], jax.Array]) -> Any:
    """Define a generator, of which all that is drawn passes through `drawn`."""
    return jax.extend.random.define_prng_impl(
        key_shape=(2,),
        seed=_seed,
        split=lambda *arguments: drawn(_split(*arguments)),
        random_bits=lambda *arguments: drawn(_random_bits(*arguments)),
        fold_in=lambda *arguments: drawn(_fold_in(*arguments)),
        name=name,
        tag=name,
    )


_FUSED = _generator("jaxq_threefry2x32", lambda bits: bits)
_APART = _generator("jaxq_threefry2x32_apart", materialized)
_DRAW_THE_SAME = ("threefry2x32", "fry", "jaxq_threefry2x32", "jaxq_threefry2x32_apart")
