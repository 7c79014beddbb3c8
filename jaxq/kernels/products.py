"""Matrix products of layers and their gradients, in the form that runs fast."""

from typing import Any

import jax
import jax.numpy as jnp

from jaxq.kernels.dispatch import by_platform

NARROW = 32
"""Outputs up to which the gradient of a layer with more inputs is worked out the other way around."""
FEW = 8
"""Inputs or outputs up to which GPUs are given a gradient as sums, and not as a matrix product."""


@jax.custom_vjp
def product(x: jax.Array, kernel: jax.Array) -> jax.Array:
    """Multiply inputs by a layer's weights, `y = x @ kernel`.

    The gradient by the weights is `x^T @ dy`. JAX's own is the transpose of `dy^T @ x`, which XLA on CPU
    may leave as it is, for the optimizer to read against the grain: with MinAtar's 1024x128 weights,
    all of training then takes more than twice as long. So the gradient is made in the order that the
    weights have, from an `x^T` that is written out. With few outputs, as of a head or a convolution,
    `(dy^T @ x)^T` is the fast form after all, if XLA is kept from turning it around: with 64 inputs, 2
    outputs and a batch of 128, four times as fast as JAX's own.

    On GPUs, the memory that activations pass through is the limit. The gradients by the inputs of a head
    with few outputs, and by the weights of a layer with few inputs, are written out as sums there: XLA
    makes one kernel of them and of what comes before and after, and what is between is never written.

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
    few_inputs, few_outputs = kernel.shape[0] <= FEW, kernel.shape[1] <= FEW
    for_gpu = {"cuda": _by_kernel_of_few_inputs} if few_inputs else {}
    by_kernel = by_platform(_by_kernel_reference, rows, columns, cpu=_by_kernel, **for_gpu)
    by_x = (
        by_platform(_by_x, dy, kernel, cuda=_by_x_of_few_outputs) if few_outputs else _by_x(dy, kernel)
    )
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


def _by_kernel_of_few_inputs(rows: jax.Array, columns: jax.Array) -> jax.Array:
    """Add up over the batch for each input, as the gradient by the bias is added up."""
    inputs = range(rows.shape[1])
    return jnp.stack([jnp.sum(rows[:, i : i + 1] * columns, axis=0) for i in inputs])


def _by_kernel_reference(rows: jax.Array, columns: jax.Array) -> jax.Array:
    return rows.T @ columns


product.defvjp(_forward, _backward)
