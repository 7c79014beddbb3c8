"""Matrix products of layers and their gradients, in the form that runs fast."""

import functools
from typing import Any

import jax
import jax.numpy as jnp

from jaxq.types import PyTree

NARROW = 32
"""Outputs up to which the gradient of a layer with more inputs is worked out the other way around."""


@jax.custom_vjp
def product(x: jax.Array, kernel: jax.Array) -> jax.Array:
    """Multiply inputs by a layer's weights, `y = x @ kernel`.

    The gradient by the weights is `x^T @ dy`. JAX's own is the transpose of `dy^T @ x`, which XLA on CPU
    may leave as it is, for the optimizer to read against the grain: of MinAtar's 1024x128 weights that
    took longer than all the products together. So the gradient is made in the order that the weights
    have, from an `x^T` that is written out, as few agents' products over the first axis of both are
    slow. With few outputs, as of a head or a convolution, `(dy^T @ x)^T` is the fast form after all:
    with 4 agents, 64 inputs, 2 outputs and a batch of 128, 1.3 us against 8.

    Args:
        x: Inputs, `[..., F]`.
        kernel: Weights, `[F, features]`.

    Returns:
        `[..., features]`.
    """
    return x @ kernel


def dense_product(x: jax.Array, kernel: jax.Array, *_: Any, **__: Any) -> jax.Array:
    """Do what `product` does, in the place of a `flax.linen.Dense`'s `dot_general`."""
    return product(x, kernel)


def _forward(x: jax.Array, kernel: jax.Array) -> tuple[jax.Array, tuple[jax.Array, jax.Array]]:
    return x @ kernel, (x, kernel)


def _backward(inputs: tuple[jax.Array, jax.Array], dy: jax.Array) -> tuple[jax.Array, jax.Array]:
    x, kernel = inputs
    rows, columns = x.reshape(-1, x.shape[-1]), dy.reshape(-1, dy.shape[-1])
    # Without the barriers XLA turns the products around again.
    if kernel.shape[1] <= NARROW and kernel.shape[1] < kernel.shape[0]:
        by_kernel = jax.lax.optimization_barrier(columns.T @ rows).T
    else:
        by_kernel = jax.lax.optimization_barrier(rows.T) @ columns
    return dy @ kernel.T, by_kernel


product.defvjp(_forward, _backward)


def materialized(x: jax.Array) -> jax.Array:
    """Return an array as it is, worked out once and not again for each element of what it is used in.

    XLA on CPU makes one loop of what is drawn and what it is broadcast over: a draw of 64 numbers, the
    generator's twenty rounds included, was worked out for each of 128 rows. It does not do that with a
    sum, be it one of the array and of zeros.

    Args:
        x: Numbers, of any shape.

    Returns:
        The same; of negative zero, zero.
    """
    first = jnp.arange(2).reshape(2, *[1] * x.ndim) == 0
    return jnp.sum(jnp.where(first, x, 0), axis=0, dtype=x.dtype)


def global_norm(tree: PyTree) -> jax.Array:
    """Return the length of all arrays together as one vector, `sqrt(sum_i x_i^2)`.

    On CPU, XLA's sums over whole matrices do one number after another: for 4 agents with a 120x84
    network they took 35 us of the 380 of a gradient step. As products of rows and columns, 8.

    Args:
        tree: Arrays of any shapes.

    Returns:
        `[]`.
    """
    rows = [leaf.reshape(1, -1) for leaf in jax.tree.leaves(tree)]
    # Without the barrier XLA makes a sum of the product again. Accelerators round what they multiply,
    # unless they are asked not to.
    multiply = functools.partial(jnp.matmul, precision="highest")
    squares = [multiply(jax.lax.optimization_barrier(row), row.T)[0, 0] for row in rows]
    return jnp.sqrt(sum(squares))
