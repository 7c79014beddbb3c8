"""Uniform replay: all that is stored is equally likely to be drawn."""

from dataclasses import dataclass

import jax

from jaxq.precision import in_32_bits
from jaxq.replay import ring
from jaxq.replay.protocol import Memory, ReplayHparams
from jaxq.types import ObservationSpec, PyTree, Sample, Transition


@dataclass(frozen=True)
class UniformReplay:
    """A ring of `num_rows` rows, each with one transition of each of the E environments.

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
        Lin, Self-Improving Reactive Agents Based on Reinforcement Learning, Planning and Teaching,
        1992 (experience replay).
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
        return Memory(ring.empty(self.spec, self.num_rows, self.num_envs, extras))

    @in_32_bits()
    def add(self, memory: Memory, rows: Transition, rows_written: jax.Array) -> Memory:
        """Write T rows over the oldest ones; see `Replay.add`."""
        return memory._replace(ring=ring.write(self.spec, memory.ring, rows, rows_written))

    @in_32_bits()
    def sample(
        self,
        key: jax.Array,
        memory: Memory,
        rows_written: jax.Array,
        hparams: ReplayHparams,
        importance: jax.Array,
    ) -> Sample:
        """Draw B transitions of up to n steps, uniformly and with replacement.

        Every stored transition that has n - 1 later ones of its environment behind it is equally
        likely to begin a sample. So none reaches over the write head, from the newest row into the
        oldest; and none reaches over an episode's end, where its return stops.

        Args:
            key: PRNG key.
            memory: The memory.
            rows_written: Rows written so far, int32 `[]`, at least n.
            hparams: `discount` is used.
            importance: Not used: the probabilities are equal.

        Returns:
            The sample, leaves `[B, ...]`, with weights of one, or zero where what it led to is lost.
        """
        row, env = ring.uniform_starts(key, self.batch_size, rows_written, memory.ring, self.n_step)
        return ring.n_step_sample(
            self.spec, memory.ring, row, env, rows_written, self.n_step, hparams.discount
        )

    @in_32_bits()
    def reprioritize(
        self, priorities: PyTree, sample: Sample, priority: jax.Array, hparams: ReplayHparams
    ) -> PyTree:
        """Return the priorities as they are: there are none."""
        return priorities
