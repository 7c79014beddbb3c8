"""Matrix products of layers, with gradients in the form that runs fast."""

from typing import Any

import jax

NARROW = 16
"""Outputs below which a layer's gradient is worked out the other way around."""


def product(x: jax.Array, kernel: jax.Array) -> jax.Array:
    """Multiply inputs by a layer's weights, `y = x @ kernel`.

    The gradient by the weights is `x^T @ dy`. With few outputs, as of a head that gives one number for
    each of a few actions, XLA's product on CPU is no longer a fast one; worked out as `(dy^T @ x)^T` it
    is. Measured with 4 agents, 64 inputs, 2 outputs and a batch of 128: 5 us against 22, where all of
    the gradient step takes 165.

    Args:
        x: Inputs, `[..., F]`.
        kernel: Weights, `[F, features]`.

    Returns:
        `[..., features]`.
    """
    return _narrow_product(x, kernel) if kernel.shape[1] < NARROW else x @ kernel


def dense_product(x: jax.Array, kernel: jax.Array, *_: Any, **__: Any) -> jax.Array:
    """Do what `product` does, in the place of a `flax.linen.Dense`'s `dot_general`."""
    return product(x, kernel)


@jax.custom_vjp
def _narrow_product(x: jax.Array, kernel: jax.Array) -> jax.Array:
    return x @ kernel


def _forward(x: jax.Array, kernel: jax.Array) -> tuple[jax.Array, tuple[jax.Array, jax.Array]]:
    return x @ kernel, (x, kernel)


def _backward(inputs: tuple[jax.Array, jax.Array], dy: jax.Array) -> tuple[jax.Array, jax.Array]:
    x, kernel = inputs
    rows, columns = x.reshape(-1, x.shape[-1]), dy.reshape(-1, dy.shape[-1])
    # Without the barrier XLA turns the product around again.
    by_kernel = jax.lax.optimization_barrier(columns.T @ rows).T
    return dy @ kernel.T, by_kernel


_narrow_product.defvjp(_forward, _backward)
