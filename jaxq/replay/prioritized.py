"""Prioritized replay: what surprised more is drawn more often, and weighted down for it."""

from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxq.precision import in_32_bits
from jaxq.replay import ring, sum_tree
from jaxq.replay.protocol import Memory, ReplayHparams
from jaxq.replay.sum_tree import SumTree
from jaxq.types import ObservationSpec, PyTree, Sample, Transition

SMALLEST = 1e-6
"""Added to every TD error, so that no transition is lost for good."""

LARGEST = 1e12
"""Larger TD errors count as this one, so that the sum of all priorities stays finite."""


class Priorities(NamedTuple):
    """How likely each transition is to begin a sample.

    A start has its mass at the leaf of the row whose arrival made its n steps complete, n - 1 rows
    on: so new rows always give mass to a slice of leaves, and take it from another one.

    Attributes:
        tree: Priorities, already raised to the exponent; leaf `((row + n - 1) % R) * E + env`.
        largest: The largest priority given so far, float32 `[]`; at least 1.
    """

    tree: SumTree
    largest: jax.Array


@dataclass(frozen=True)
class PrioritizedReplay:
    """A ring whose transitions are drawn in proportion to their priorities.

    `P(i) = p_i / sum_k p_k` with `p_i = (|td_error_i| + 1e-6)^alpha`

    Attributes:
        spec: What one observation looks like.
        num_rows: Rows R of the ring; the capacity is R * E transitions.
        num_envs: Environments E that write side by side.
        batch_size: Transitions B in a sample.
        n_step: Steps n that a sampled transition spans at most.

    Raises:
        InputTypeError: If a size is not a whole number.
        InputValueError: If a size is not positive, or the ring holds fewer than n rows.

    References:
        Schaul et al., Prioritized Experience Replay, 2016, equation 1 and algorithm 1, the
        proportional variant.
    """

    spec: ObservationSpec
    num_rows: int
    num_envs: int
    batch_size: int
    n_step: int = 1

    def __post_init__(self) -> None:
        """Check the sizes."""
        ring.check_sizes(self, span="n_step")

    @in_32_bits()
    def init(self, extras: PyTree = ()) -> Memory:
        """Make an empty memory; see `Replay.init`."""
        priorities = Priorities(sum_tree.empty(self.num_rows * self.num_envs), jnp.float32(1))
        return Memory(ring.empty(self.spec, self.num_rows, self.num_envs, extras), priorities)

    @in_32_bits()
    def add(self, memory: Memory, rows: Transition, rows_written: jax.Array) -> Memory:
        """Write T rows over the oldest ones; new transitions get the largest priority so far.

        Args:
            memory: The memory.
            rows: What the environments did, leaves `[T, E, ...]`, where T divides R.
            rows_written: Rows written before, int32 `[]`, a multiple of T.

        Returns:
            The memory with the new rows.

        Raises:
            InputValueError: If T does not divide R.
        """
        length = rows.reward.shape[0]
        return Memory(
            ring=ring.write(self.spec, memory.ring, rows, rows_written),
            priorities=self._move_on(memory.priorities, rows_written, length),
        )

    @in_32_bits()
    def sample(
        self,
        key: jax.Array,
        memory: Memory,
        rows_written: jax.Array,
        hparams: ReplayHparams,
        importance: jax.Array,
    ) -> Sample:
        """Draw B transitions of up to n steps, one from each B-th part of the total priority.

        `w_i = (N P(i))^-beta / max_j (N P(j))^-beta = (min_j p_j / p_i)^beta`

        A start that has fewer than n - 1 later rows of its environment behind it is never drawn.

        Args:
            key: PRNG key.
            memory: The memory.
            rows_written: Rows written so far, int32 `[]`, at least n.
            hparams: `discount` is used.
            importance: How much of the bias of unequal probabilities the weights take back (beta),
                `[]`, in [0, 1].

        Returns:
            The sample, leaves `[B, ...]`, weighted.

        References:
            Schaul et al., 2016, section 3.4 (weights), appendix B.2.1 (one draw from each part).
        """
        tree = memory.priorities.tree
        part = jnp.arange(self.batch_size) + jax.random.uniform(key, (self.batch_size,))
        draws = part / self.batch_size * sum_tree.total(tree)
        leaf = sum_tree.find(tree, draws)
        row, env = jnp.divmod(leaf, self.num_envs)
        row = (row - self.n_step + 1) % self.num_rows
        sample = ring.n_step_sample(
            self.spec, memory.ring, row, env, rows_written, self.n_step, hparams.discount
        )
        mass = tree.leaves[leaf]
        return sample._replace(weight=sample.weight * (mass.min() / mass) ** importance)

    @in_32_bits()
    def reprioritize(
        self, priorities: Priorities, sample: Sample, priority: jax.Array, hparams: ReplayHparams
    ) -> Priorities:
        """Give the transitions of a sample the priorities of their TD errors.

        An error that is not a finite number says nothing, so it is given what a new transition is:
        an agent that diverged goes on sampling, and no other number is spoiled.

        Args:
            priorities: The memory's priorities.
            sample: The sample, drawn since the last `add`.
            priority: Their TD errors, of any sign, float32 `[B]`.
            hparams: `priority_exponent` is used.

        Returns:
            The priorities after it.
        """
        # From what led to where nobody knows nothing is learned, however often it is drawn. To ask for
        # the weight also tells the compiler that the sample was read before the write below; not
        # knowing it, it copies all leaves at every step.
        error = jnp.where(sample.weight > 0, jnp.minimum(jnp.abs(priority), LARGEST), 0) + SMALLEST
        mass = jnp.where(jnp.isfinite(priority), error**hparams.priority_exponent, priorities.largest)
        row, env = jnp.divmod(sample.index, self.num_envs)
        leaf = ((row + self.n_step - 1) % self.num_rows) * self.num_envs + env
        old = priorities.tree.leaves[leaf]
        # Only `add` knows which starts are complete, so only `add` gives mass where there is none.
        known = old > 0
        return Priorities(
            tree=sum_tree.update(priorities.tree, leaf, jnp.where(known, mass, old)),
            largest=jnp.maximum(priorities.largest, jnp.where(known, mass, 0).max()),
        )

    def _move_on(self, priorities: Priorities, rows_written: jax.Array, length: int) -> Priorities:
        """Give mass to the starts that T new rows complete, and take it from those they cut off.

        Start s, at the leaf of row s + n - 1, is complete and stored if `s >= 0` and
        `s >= rows_written + T - R`. Beside the new rows' own leaves only those of the T rows from
        n - 1 rows on change; they are reached in blocks of T rows, none of which wraps around.
        """
        leaves, later = priorities.tree.leaves, self.n_step - 1
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
            new = jnp.where(start >= oldest, mass, jnp.zeros((length, self.num_envs)))
            leaves = jax.lax.dynamic_update_slice_in_dim(leaves, new.ravel(), first, axis=0)
            starts.append(first)
        tree = sum_tree.write(priorities.tree, leaves, starts, length * self.num_envs)
        return priorities._replace(tree=tree)
