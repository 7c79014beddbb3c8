"""Sequence replay for recurrent learners: windows of consecutive rows of one environment."""

from dataclasses import dataclass

import jax

from jaxq.precision import in_32_bits
from jaxq.replay import ring
from jaxq.replay.protocol import Memory, ReplayHparams
from jaxq.replay.ring import Steps
from jaxq.types import ObservationSpec, PyTree, Transition


@dataclass(frozen=True)
class SequenceReplay:
    """A ring of which windows of `length` rows are drawn, all equally likely.

    Attributes:
        spec: What one observation looks like.
        num_rows: Rows R of the ring; the capacity is R * E transitions.
        num_envs: Environments E that write side by side.
        batch_size: Windows B in a sample.
        length: Rows L of a window.

    Raises:
        InputTypeError: If a size is not a whole number.
        InputValueError: If a size is not positive, or the ring holds fewer rows than a window.

    References:
        Kapturowski et al., Recurrent Experience Replay in Distributed Reinforcement Learning, 2019,
        section 3 (stored state). There, windows stop at an episode's end; here, the learner does.
    """

    spec: ObservationSpec
    num_rows: int
    num_envs: int
    batch_size: int
    length: int

    def __post_init__(self) -> None:
        """Check the sizes."""
        ring.check_sizes(self, span="length")

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
    ) -> Steps:
        """Draw B windows of L consecutive rows, uniformly and with replacement.

        Every stored row with L - 1 later ones behind it is equally likely to begin a window, in every
        environment, so that no window reaches over the write head. One may well reach over the end of
        an episode: the learner begins its recurrent state anew after a row that terminated or was
        truncated.

        Args:
            key: PRNG key.
            memory: The memory.
            rows_written: Rows written so far, int32 `[]`, at least L.
            hparams: Not used.
            importance: Not used: the probabilities are equal.

        Returns:
            The windows, leaves `[B, L, ...]`; but their `extras` are those of each window's first row
            alone, leaves `[B, ...]`: the recurrent state to begin from.
        """
        row, env = ring.uniform_starts(key, self.batch_size, rows_written, memory.ring, self.length)
        rows = ring.windows(row, self.num_rows, self.length)
        steps = ring.read(self.spec, memory.ring, rows, env[:, None], rows_written)
        first = jax.tree.map(lambda leaf: leaf[row, env], memory.ring.extras)
        return steps._replace(transition=steps.transition._replace(extras=first))

    @in_32_bits()
    def reprioritize(
        self, priorities: PyTree, sample: Steps, priority: jax.Array, hparams: ReplayHparams
    ) -> PyTree:
        """Return the priorities as they are: there are none."""
        return priorities
