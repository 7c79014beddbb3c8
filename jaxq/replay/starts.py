"""Where prioritized windows begin: a sum tree over the rows of a ring."""

from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxq.hparams import Hparams, Hyperparameter
from jaxq.kernels.materialized import materialized
from jaxq.learning.schedules import linear_schedule
from jaxq.replay import sum_tree
from jaxq.replay.sum_tree import SumTree

SMALLEST = 1e-6
"""Added to every TD error, so that no transition is lost for good."""

LARGEST = 1e12
"""Larger TD errors count as this one, so that the sum of all priorities stays finite."""

PRIORITY_LEAVES = {
    "priority_exponent": Hyperparameter(
        0.6, 0, 1, meaning="power of TD errors in priorities; 0: uniform"
    ),
    "importance_start": Hyperparameter(
        0.4, 0, 1, meaning="power of the importance weights at first; it rises to 1"
    ),
    "importance_steps": Hyperparameter(
        100_000, 0, schedule_length=True, meaning="env steps over which it rises"
    ),
}
"""How much priorities count in the draw (alpha), in [0, 1]; and how much of its bias is corrected at env
step 0, from where that rises linearly to 1 over so many env steps of the agent."""


def with_importance(hparams: Hparams, steps: jax.Array) -> Hparams:
    """Add `importance`, how much of the bias of a prioritized draw is corrected after `steps` (beta)."""
    importance = linear_schedule(steps, hparams.importance_start, 1.0, hparams.importance_steps)
    return hparams.with_values(importance=importance)


class Priorities(NamedTuple):
    """How likely each transition is to begin a sample.

    A start has its mass at the leaf of the row whose arrival completed its window of L rows, L - 1 rows
    on: so new rows always give mass to a slice of leaves, and take it from another one.

    Attributes:
        tree: Priorities, already raised to the exponent; leaf `((row + L - 1) % R) * E + env`.
        largest: The largest priority given so far, float32 `[]`; at least 1.
    """

    tree: SumTree
    largest: jax.Array


@dataclass(frozen=True)
class PrioritizedStarts:
    """Draws where windows of `span` rows begin, in proportion to their priorities.

    `P(i) = p_i / sum_k p_k` with `p_i = (|error_i| + 1e-6)^alpha`

    Attributes:
        num_rows: Rows R of the ring.
        num_envs: Environments E that write side by side.
        span: Rows L of a window.
        stride: Rows between windows, of all rows ever written; 1 lets one begin at each.
    """

    num_rows: int
    num_envs: int
    span: int
    stride: int = 1

    def empty(self) -> Priorities:
        """Return the priorities of an empty ring."""
        return Priorities(sum_tree.empty(self.num_rows * self.num_envs), jnp.float32(1))

    def draw(
        self, key: jax.Array, priorities: Priorities, size: int, importance: jax.Array
    ) -> tuple[jax.Array, jax.Array, jax.Array]:
        """Draw B windows, one from each B-th part of the total priority.

        `w_i = (N P(i))^-beta / max_j (N P(j))^-beta = (min_j p_j / p_i)^beta`

        A start that has fewer than L - 1 later rows of its environment behind it is never drawn.

        Args:
            key: PRNG key.
            priorities: The priorities.
            size: Number of windows B.
            importance: How much of the bias of unequal probabilities the weights take back (beta),
                `[]`, in [0, 1].

        Returns:
            Row, in [0, R), and environment, in [0, E), of each window's start, int32 `[B]`, and its
            weight, float32 `[B]`.

        References:
            Schaul et al., 2016, section 3.4 (weights), appendix B.2.1 (one draw from each part).
        """
        tree = priorities.tree
        # Each level of the tree would draw them again.
        part = jnp.arange(size) + materialized(jax.random.uniform(key, (size,)))
        draws = part / size * sum_tree.total(tree)
        leaf = sum_tree.find(tree, draws)
        row, env = jnp.divmod(leaf, self.num_envs)
        mass = tree.leaves[leaf]
        return (row - self.span + 1) % self.num_rows, env, (mass.min() / mass) ** importance

    def reprioritize(
        self,
        priorities: Priorities,
        index: jax.Array,
        weight: jax.Array,
        priority: jax.Array,
        exponent: jax.Array,
    ) -> Priorities:
        """Give windows that were drawn since the last new row the priorities of their errors.

        An error that is not a finite number says nothing, so it is given what a new window is: an agent
        that diverged goes on sampling, and no other number is spoiled.

        Args:
            priorities: The priorities.
            index: Where the windows begin, `row * E + env`, int32 `[B]`.
            weight: How much they counted, float32 `[B]`; 0 where nothing was learned.
            priority: Their errors, of any sign, float32 `[B]`.
            exponent: How much priorities count (alpha), `[]`.
        """
        # From what led to where nobody knows nothing is learned, however often it is drawn. To ask for
        # the weight also tells the compiler that the sample was read before the write below; not
        # knowing it, it copies all leaves at every step.
        error = jnp.where(weight > 0, jnp.minimum(jnp.abs(priority), LARGEST), 0) + SMALLEST
        mass = jnp.where(jnp.isfinite(priority), error**exponent, priorities.largest)
        row, env = jnp.divmod(index, self.num_envs)
        leaf = ((row + self.span - 1) % self.num_rows) * self.num_envs + env
        old = priorities.tree.leaves[leaf]
        # Only `move_on` knows which starts are complete, so only it gives mass where there is none.
        known = old > 0
        return Priorities(
            tree=sum_tree.update(priorities.tree, leaf, jnp.where(known, mass, old)),
            largest=jnp.maximum(priorities.largest, jnp.where(known, mass, 0).max()),
        )

    def move_on(self, priorities: Priorities, rows_written: jax.Array, length: int) -> Priorities:
        """Give mass to the starts that T new rows complete, and take it from those they cut off.

        Start s, at the leaf of row s + L - 1, is complete and stored if `s >= 0` and
        `s >= rows_written + T - R`. Beside the new rows' own leaves only those of the T rows from
        L - 1 rows on change; they are reached in blocks of T rows, none of which wraps around.

        Args:
            priorities: The priorities.
            rows_written: Rows written before, int32 `[]`, a multiple of T.
            length: Number of new rows T, which divides R.
        """
        leaves, later = priorities.tree.leaves, self.span - 1
        oldest = jnp.maximum(rows_written + length - self.num_rows, 0)
        blocks = {0, later // length, (later + length - 1) // length} - {self.num_rows // length}
        starts = []
        for block in sorted(blocks):
            ahead = block * length
            first = (rows_written + ahead) % self.num_rows * self.num_envs
            # Each slice is read after the one before it was written: the other way round, the
            # compiler keeps a copy of all leaves.
            old = jax.lax.dynamic_slice_in_dim(leaves, first, length * self.num_envs)
            mass = old.reshape(length, self.num_envs) if block else priorities.largest
            # What lies ahead of this write is from the time round before.
            row = rows_written + ahead - (self.num_rows if block else 0)
            start = row + jnp.arange(length)[:, None] - later
            stored = start >= oldest
            if self.stride > 1:
                stored = stored & (start % self.stride == 0)
            new = jnp.where(stored, mass, jnp.zeros((length, self.num_envs)))
            leaves = jax.lax.dynamic_update_slice_in_dim(leaves, new.ravel(), first, axis=0)
            starts.append(first)
        tree = sum_tree.write(priorities.tree, leaves, starts, length * self.num_envs)
        return priorities._replace(tree=tree)
