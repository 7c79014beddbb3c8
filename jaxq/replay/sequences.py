"""Sequence replays for recurrent learners: windows of consecutive rows of one environment."""

from dataclasses import dataclass

import jax

from jaxq import checks
from jaxq.hparams import Hparams
from jaxq.precision import in_32_bits
from jaxq.replay import reading, ring
from jaxq.replay.protocol import ReplayState
from jaxq.replay.rings import PrioritizedRing, RingReplay
from jaxq.replay.starts import PrioritizedStarts
from jaxq.types import Trajectory


@dataclass(frozen=True)
class SequenceReplay(RingReplay):
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

    length: int

    def __post_init__(self) -> None:
        """Check the sizes."""
        ring.check_sizes(self, span="length")

    @in_32_bits()
    def sample(
        self, key: jax.Array, state: ReplayState, rows_written: jax.Array, hparams: Hparams
    ) -> Trajectory:
        """Draw B windows of L consecutive rows, uniformly and with replacement.

        Every stored row with L - 1 later ones behind it is equally likely to begin a window, in every
        environment, so that no window reaches over the write head. One may well reach over the end of
        an episode: the learner begins its recurrent state anew after a row that terminated or was
        truncated.

        Args:
            key: PRNG key.
            state: The replay's state.
            rows_written: Rows written so far, int32 `[]`, at least L.
            hparams: `discount` is used.

        Returns:
            The windows, leaves `[B, L, ...]`; `extras` are those of each window's first row, leaves
            `[B, ...]`: the recurrent state to begin from.
        """
        row, env = reading.uniform_starts(key, self.batch_size, rows_written, state.ring, self.length)
        return reading.run_steps(
            self.spec, state.ring, row, env, rows_written, self.length, hparams.discount
        )


@dataclass(frozen=True)
class PrioritizedSequenceReplay(PrioritizedRing):
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
    def sample(
        self, key: jax.Array, state: ReplayState, rows_written: jax.Array, hparams: Hparams
    ) -> Trajectory:
        """Draw B windows of L consecutive rows, one from each B-th part of the total priority.

        Args:
            key: PRNG key.
            state: The replay's state.
            rows_written: Rows written so far, int32 `[]`, at least L.
            hparams: `discount` is used, and `importance`, how much of the bias of unequal
                probabilities the weights correct, `[]`.

        Returns:
            The windows as `SequenceReplay.sample` returns them, weighted.
        """
        row, env, weight = self.starts.draw(key, state.priorities, self.batch_size, hparams.importance)
        steps = reading.run_steps(
            self.spec, state.ring, row, env, rows_written, self.length, hparams.discount
        )
        return steps._replace(weight=weight)
