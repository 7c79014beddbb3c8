"""Prioritized replay: what surprised more is drawn more often, and weighted down for it."""

from dataclasses import dataclass

import jax

from jaxq.precision import in_32_bits
from jaxq.replay import ring
from jaxq.replay.protocol import Memory, ReplayHparams
from jaxq.replay.starts import Priorities, PrioritizedStarts
from jaxq.types import ObservationSpec, PyTree, Sample, Transition


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

    @property
    def starts(self) -> PrioritizedStarts:
        """Where transitions begin."""
        return PrioritizedStarts(self.num_rows, self.num_envs, self.n_step)

    @in_32_bits()
    def init(self, extras: PyTree = ()) -> Memory:
        """Make an empty memory; see `Replay.init`."""
        empty = ring.empty(self.spec, self.num_rows, self.num_envs, extras)
        return Memory(empty, self.starts.empty())

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
            priorities=self.starts.move_on(memory.priorities, rows_written, length),
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
        row, env, weight = self.starts.draw(key, memory.priorities, self.batch_size, importance)
        sample = ring.n_step_sample(
            self.spec, memory.ring, row, env, rows_written, self.n_step, hparams.discount
        )
        return sample._replace(weight=sample.weight * weight)

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
        exponent = hparams.priority_exponent
        return self.starts.reprioritize(priorities, sample.index, sample.weight, priority, exponent)
