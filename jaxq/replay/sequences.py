"""Sequence replays for recurrent learners: windows of consecutive rows of one environment."""

from dataclasses import dataclass

import jax

from jaxq import checks
from jaxq.precision import in_32_bits
from jaxq.replay import ring
from jaxq.replay.protocol import Memory, ReplayHparams
from jaxq.replay.ring import Steps
from jaxq.replay.starts import Priorities, PrioritizedStarts
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
        return _windows(self, memory, row, env, rows_written)

    @in_32_bits()
    def reprioritize(
        self, priorities: PyTree, sample: Steps, priority: jax.Array, hparams: ReplayHparams
    ) -> PyTree:
        """Return the priorities as they are: there are none."""
        return priorities


@dataclass(frozen=True)
class PrioritizedSequenceReplay:
    """A ring of which windows of `length` rows are drawn in proportion to their priorities.

    Windows begin at every `stride`-th row only: a priority says something of one window, and of its
    neighbours, which are almost the same, nothing would be known.

    Attributes:
        spec: What one observation looks like.
        num_rows: Rows R of the ring; the capacity is R * E transitions.
        num_envs: Environments E that write side by side.
        batch_size: Windows B in a sample.
        length: Rows L of a window.
        stride: Rows from one window to the next.

    Raises:
        InputTypeError: If a size is not a whole number.
        InputValueError: If a size is not positive, or the ring may hold no whole window.

    References:
        Kapturowski et al., Recurrent Experience Replay in Distributed Reinforcement Learning, 2019,
        section 2.3 (sequences of 80 rows, 40 from one to the next; priorities).
    """

    spec: ObservationSpec
    num_rows: int
    num_envs: int
    batch_size: int
    length: int
    stride: int

    def __post_init__(self) -> None:
        """Check the sizes."""
        ring.check_sizes(self, span="length")
        if self.num_rows < self.length + self.stride - 1:
            raise checks.InputValueError(
                "num_rows must be at least length + stride - 1, so that there always is a window, got "
                f"{self.num_rows}; for example num_rows={self.length + self.stride - 1}"
            )

    @property
    def starts(self) -> PrioritizedStarts:
        """Where windows begin."""
        return PrioritizedStarts(self.num_rows, self.num_envs, self.length, self.stride)

    @in_32_bits()
    def init(self, extras: PyTree = ()) -> Memory:
        """Make an empty memory; see `Replay.init`."""
        empty = ring.empty(self.spec, self.num_rows, self.num_envs, extras)
        return Memory(empty, self.starts.empty())

    @in_32_bits()
    def add(self, memory: Memory, rows: Transition, rows_written: jax.Array) -> Memory:
        """Write T rows over the oldest ones; new windows get the largest priority so far."""
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
    ) -> Steps:
        """Draw B windows of L consecutive rows, one from each B-th part of the total priority.

        Args:
            key: PRNG key.
            memory: The memory.
            rows_written: Rows written so far, int32 `[]`, at least L.
            hparams: Not used.
            importance: How much of the bias of unequal probabilities the weights take back, `[]`.

        Returns:
            The windows as `SequenceReplay.sample` returns them, with weights.
        """
        row, env, weight = self.starts.draw(key, memory.priorities, self.batch_size, importance)
        steps = _windows(self, memory, row, env, rows_written)
        return steps._replace(weight=weight, index=row * self.num_envs + env)

    @in_32_bits()
    def reprioritize(
        self, priorities: Priorities, sample: Steps, priority: jax.Array, hparams: ReplayHparams
    ) -> Priorities:
        """Give the windows of a sample the priorities of their errors, `[B]`."""
        exponent = hparams.priority_exponent
        return self.starts.reprioritize(priorities, sample.index, sample.weight, priority, exponent)


def _windows(
    replay: SequenceReplay | PrioritizedSequenceReplay,
    memory: Memory,
    row: jax.Array,
    env: jax.Array,
    rows_written: jax.Array,
) -> Steps:
    rows = ring.windows(row, replay.num_rows, replay.length)
    steps = ring.read(replay.spec, memory.ring, rows, env[:, None], rows_written)
    first = jax.tree.map(lambda leaf: leaf[row, env], memory.ring.extras)
    return steps._replace(transition=steps.transition._replace(extras=first))
