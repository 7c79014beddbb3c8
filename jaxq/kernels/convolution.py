"""Convolutions as one matrix product over shifted slices of the image.

Under `vmap` over weights, as of a population, XLA turns a convolution into a grouped one. On CPU that
takes twice as long as the batched matrix product that this becomes. It is not dispatched: every
backend is made for matrix products, and what it gains on others is not measured.
"""

import jax
import jax.numpy as jnp


def patches(image: jax.Array, size: int) -> jax.Array:
    """Lay out what each position of a convolution without padding sees.

    `patches[b, y, x] = image[b, y : y + size, x : x + size]`, its pixels row by row

    Args:
        image: Images, `[B, H, W, C]`.
        size: Side k of the square kernel in pixels, static.

    Returns:
        `[B, H - k + 1, W - k + 1, k k C]`.
    """
    height, width = image.shape[1] - size + 1, image.shape[2] - size + 1
    slices = [
        image[:, row : row + height, column : column + width]
        for row in range(size)
        for column in range(size)
    ]
    return jnp.concatenate(slices, axis=-1)


def patches_reference(image: jax.Array, size: int) -> jax.Array:
    """Lay them out by `jax.lax.conv_general_dilated_patches`, which has the channels slowest."""
    channels = image.shape[-1]
    found = jax.lax.conv_general_dilated_patches(
        image, (size, size), (1, 1), "VALID", dimension_numbers=("NHWC", "HWIO", "NHWC")
    )
    apart = found.reshape(*found.shape[:-1], channels, size * size)
    return jnp.swapaxes(apart, -1, -2).reshape(found.shape)
