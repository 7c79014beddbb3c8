"""The window of on-policy learning: what the last iteration brought, learned from and forgotten.

There is nothing to store, so there is no memory: the rows that a rollout returns are the window.
"""

import chex
import jax

from jaxq import checks
from jaxq.types import PyTree


def shuffled_minibatches(key: jax.Array, window: PyTree, num_minibatches: int) -> PyTree:
    """Deal all transitions of a window into minibatches, each transition into exactly one.

    Args:
        key: PRNG key; another one for each epoch.
        window: Arrays with one element per transition, leaves `[T, E, ...]`.
        num_minibatches: Number of minibatches M, which divides T * E.

    Returns:
        The same elements in an order drawn uniformly from all, leaves `[M, T * E / M, ...]`, as
        `jax.lax.scan` takes them.

    Raises:
        InputTypeError: If M is not a whole number.
        InputValueError: If M is not positive or does not divide T * E.

    References:
        Gallici et al., Simplifying Deep Temporal Difference Learning, 2024 (PQN).

    Example:
        >>> import jax
        >>> shuffled_minibatches(jax.random.key(0), jax.numpy.zeros((6, 4, 3)), 8).shape
        (8, 3, 3)
    """
    leaves = jax.tree.leaves(window)
    chex.assert_equal_shape_prefix(leaves, 2)
    num_steps, num_envs = leaves[0].shape[:2]
    num_transitions = num_steps * num_envs
    num_minibatches = checks.whole_number("num_minibatches", num_minibatches)
    if num_transitions % num_minibatches:
        raise checks.InputValueError(
            f"num_minibatches must divide the {num_steps} * {num_envs} = {num_transitions} transitions "
            f"of the window, got {num_minibatches}; for example num_minibatches={num_envs}"
        )
    order = jax.random.permutation(key, num_transitions).reshape(num_minibatches, -1)
    return jax.tree.map(lambda leaf: leaf.reshape(num_transitions, *leaf.shape[2:])[order], window)
