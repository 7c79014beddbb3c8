"""Matrix products of layers and their gradients, in the form that runs fast."""

from typing import Any

import jax

from jaxq.kernels.dispatch import by_platform

NARROW = 32
"""Outputs up to which the gradient of a layer with more inputs is worked out the other way around."""
FEW = 8
"""Outputs up to which GPUs are given the gradient by the inputs as a sum, and not as a product."""


@jax.custom_vjp
def product(x: jax.Array, kernel: jax.Array) -> jax.Array:
    """Multiply inputs by a layer's weights, `y = x @ kernel`.

    The gradient by the weights is `x^T @ dy`. JAX's own is the transpose of `dy^T @ x`, which XLA on CPU
    may leave as it is, for the optimizer to read against the grain: with MinAtar's 1024x128 weights,
    all of training then takes more than twice as long. So the gradient is made in the order that the
    weights have, from an `x^T` that is written out. With few outputs, as of a head or a convolution,
    `(dy^T @ x)^T` is the fast form after all, if XLA is kept from turning it around: with 64 inputs, 2
    outputs and a batch of 128, four times as fast as JAX's own.

    On GPUs, the memory that activations pass through is the limit. The gradient by the inputs of a layer
    with few outputs, as of a head, is written out as a sum there: XLA makes one kernel of it and of the
    ReLU before, and what is between is never written.

    Args:
        x: Inputs, `[..., F]`.
        kernel: Weights, `[F, features]`.

    Returns:
        `[..., features]`.
    """
    return x @ kernel


def product_reference(x: jax.Array, kernel: jax.Array) -> jax.Array:
    """Multiply, with JAX's own gradient."""
    return x @ kernel


def dense_product(x: jax.Array, kernel: jax.Array, *_: Any, **__: Any) -> jax.Array:
    """Do what `product` does, in the place of a `flax.linen.Dense`'s `dot_general`."""
    return product(x, kernel)


def _forward(x: jax.Array, kernel: jax.Array) -> tuple[jax.Array, tuple[jax.Array, jax.Array]]:
    return x @ kernel, (x, kernel)


def _backward(inputs: tuple[jax.Array, jax.Array], dy: jax.Array) -> tuple[jax.Array, jax.Array]:
    x, kernel = inputs
    rows, columns = x.reshape(-1, x.shape[-1]), dy.reshape(-1, dy.shape[-1])
    by_kernel = by_platform(_by_kernel_reference, rows, columns, cpu=_by_kernel)
    few = kernel.shape[1] <= FEW
    by_x = by_platform(_by_x, dy, kernel, cuda=_by_x_of_few_outputs) if few else _by_x(dy, kernel)
    return by_x, by_kernel


def _by_x(dy: jax.Array, kernel: jax.Array) -> jax.Array:
    return dy @ kernel.T


def _by_x_of_few_outputs(dy: jax.Array, kernel: jax.Array) -> jax.Array:
    """Add up what comes back from each output, `[..., F]`."""
    outputs = range(kernel.shape[1])
    lead = (1,) * (dy.ndim - 1)
    return sum(dy[..., i : i + 1] * kernel[:, i].reshape(*lead, -1) for i in outputs)


def _by_kernel(rows: jax.Array, columns: jax.Array) -> jax.Array:
    """Work out the gradient by the weights, `[F, features]`, from inputs and what comes back."""
    # Without the barriers XLA turns the products around again.
    if columns.shape[1] <= NARROW and columns.shape[1] < rows.shape[1]:
        return jax.lax.optimization_barrier(columns.T @ rows).T
    return jax.lax.optimization_barrier(rows.T) @ columns


def _by_kernel_reference(rows: jax.Array, columns: jax.Array) -> jax.Array:
    return rows.T @ columns


product.defvjp(_forward, _backward)
