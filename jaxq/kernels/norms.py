"""Norms of gradients."""

import jax
import jax.numpy as jnp

from jaxq.kernels.dispatch import on_cpu
from jaxq.types import PyTree


def global_norm(tree: PyTree) -> jax.Array:
    """Return the length of all arrays together as one vector, `sqrt(sum_i x_i^2)`.

    On CPU, XLA's sums over whole matrices do one number after another; products of a row and a column
    use its vectors.

    Args:
        tree: Arrays of any shapes.

    Returns:
        `[]`.
    """
    return on_cpu(_by_products, global_norm_reference, tree)


def _by_products(tree: PyTree) -> jax.Array:
    rows = [leaf.reshape(1, -1) for leaf in jax.tree.leaves(tree)]
    # Without the barrier XLA makes a sum of the product again.
    squares = [(jax.lax.optimization_barrier(row) @ row.T)[0, 0] for row in rows]
    return jnp.sqrt(sum(squares))


def global_norm_reference(tree: PyTree) -> jax.Array:
    """Add up squares."""
    return jnp.sqrt(sum(jnp.sum(leaf * leaf) for leaf in jax.tree.leaves(tree)))
