"""A sum tree: draws a leaf with probability in proportion to its mass, in O(log n).

A tree of fan-out F: each level holds the sums of blocks of F neighbours in the level below. To draw is
to go down from the top, one block per level; to change leaves is to sum their blocks anew, all the
way up. Sums are always recomputed from what they are sums of, never adjusted by differences, so that
rounding errors do not pile up.
"""

import itertools
from collections.abc import Sequence
from typing import NamedTuple

import chex
import jax
import jax.numpy as jnp

# Measured on one CPU core, microseconds per agent to draw 128 transitions and update their masses, 4
# agents side by side, in a tree of 10,000 (100,000) leaves: fan-out 4 takes 12 (18), 8 takes 13 (18),
# 16 takes 16 (22), 32 takes 21 (30), 64 takes 42 (42); of that, 5 (8) is reading the transitions. Of
# the two best the one with fewer levels, because each is a few launches on a GPU.
FAN_OUT = 8


class SumTree(NamedTuple):
    """Masses and their sums.

    Attributes:
        levels: float32 arrays from the leaves up to the top, which is a single block; each is padded
            with zeros to whole blocks of `FAN_OUT`.
    """

    levels: tuple[jax.Array, ...]

    @property
    def leaves(self) -> jax.Array:
        """The masses, float32 `[capacity]`, and some padding of zeros."""
        return self.levels[0]


def empty(capacity: int) -> SumTree:
    """Make a tree whose leaves have no mass.

    Args:
        capacity: Number of leaves, >= 1.

    Example:
        >>> [level.size for level in empty(100).levels]
        [104, 16, 8]
    """
    levels, size = [], capacity
    while not levels or levels[-1].size > FAN_OUT:
        blocks = -(-size // FAN_OUT)
        levels.append(jnp.zeros(blocks * FAN_OUT))
        size = blocks
    return SumTree(tuple(levels))


def total(tree: SumTree) -> jax.Array:
    """Sum the masses of all leaves, float32 `[]`."""
    return tree.levels[-1].sum()


def find(tree: SumTree, draw: jax.Array) -> jax.Array:
    """Find the leaves at which the running sum of the masses passes some numbers.

    `leaf = min {i : mass[0] + ... + mass[i] > draw}`

    A uniform draw from [0, total) thus finds leaf i with probability `mass[i] / total`, to within
    2^-23, the digits of a float32. A leaf without mass is never found, even where sums are rounded or
    a draw is too large.

    Args:
        tree: The tree, with some mass.
        draw: float32 `[B]`, at least 0.

    Returns:
        Numbers of the leaves, int32 `[B]`.

    Example:
        >>> import jax.numpy as jnp
        >>> tree = update(empty(3), jnp.arange(3), jnp.array([1.0, 0.0, 2.0]))
        >>> find(tree, jnp.array([0.9, 1.0, 99.0])).tolist()
        [0, 2, 2]
    """
    chex.assert_rank(draw, 1)
    child = jnp.arange(FAN_OUT, dtype=jnp.int32)[:, None]
    place = jnp.zeros(draw.shape, jnp.int32)
    for level in reversed(tree.levels):
        # Compilers work out a product and the difference below in one rounding, which can lead below
        # zero, where no child begins.
        draw = jnp.maximum(draw, 0)
        # Children first, `[F, B]`, so that the processor works on several draws at once.
        mass = level.reshape(-1, FAN_OUT)[place].T
        # Added up one by one, which for so few is faster than `cumsum`, and never decreases.
        before = jnp.stack(list(itertools.accumulate(mass[:-1], initial=jnp.zeros_like(draw))))
        # The last child with mass that begins at or before the draw: one exists in every block with
        # mass, so that no rounding can lead to a child without.
        reached = (mass > 0) & (before <= draw[None])
        place = place * FAN_OUT + jnp.where(reached, child, 0).max(axis=0)
        draw = draw - jnp.where(reached, before, 0).max(axis=0)
    return place


def write(tree: SumTree, leaves: jax.Array, starts: Sequence[jax.Array | int], size: int) -> SumTree:
    """Replace the leaves, where only slices of them differ, and sum anew the blocks of those.

    Only slices of the sums are read and written, which keeps the tree in place.

    Args:
        tree: The tree.
        leaves: Its leaves with other masses, float32, finite and not negative.
        starts: First leaf of each slice that differs, int32 `[]` each.
        size: Leaves of a slice, all within the capacity.

    Returns:
        The tree of these masses.

    Example:
        >>> import jax.numpy as jnp
        >>> tree = empty(100)
        >>> float(total(write(tree, tree.leaves.at[42:44].set(3.0), starts=[42], size=2)))
        6.0
    """
    levels = [leaves]
    for above in tree.levels[1:]:
        level = levels[-1]
        # As many blocks as `size` neighbours can touch, moved back where they would pass the end: to
        # sum more blocks than needed changes nothing.
        blocks = level.size // FAN_OUT
        size = min((size - 2) // FAN_OUT + 2, blocks)
        starts = [jnp.minimum(start // FAN_OUT, blocks - size) for start in starts]
        for start in starts:
            children = jax.lax.dynamic_slice_in_dim(level, start * FAN_OUT, size * FAN_OUT)
            sums = _block_sums(children.reshape(size, FAN_OUT))
            above = jax.lax.dynamic_update_slice_in_dim(above, sums, start, axis=0)
        levels.append(above)
    return SumTree(tuple(levels))


def update(tree: SumTree, leaf: jax.Array, masses: jax.Array) -> SumTree:
    """Change leaves anywhere.

    Args:
        tree: The tree.
        leaf: Leaves to change, int32 `[B]`. One that is given twice gets one of its masses, and the
            sums agree with the one it got.
        masses: Their masses, float32 `[B]`, finite and not negative.

    Returns:
        The tree with these masses.
    """
    chex.assert_rank([leaf, masses], 1)
    chex.assert_equal_shape([leaf, masses])
    levels = [tree.leaves.at[leaf].set(masses)]
    place = leaf
    for above in tree.levels[1:]:
        place = place // FAN_OUT
        children = levels[-1].reshape(-1, FAN_OUT)[place]
        levels.append(above.at[place].set(_block_sums(children)))
    return SumTree(tuple(levels))


def _block_sums(blocks: jax.Array) -> jax.Array:
    """Sum each block of `[K, F]`; by columns, where the processor adds several blocks at once."""
    return blocks.T.sum(axis=0)
