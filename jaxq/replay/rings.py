"""What replays have in common that keep a ring, with priorities and without."""

from dataclasses import dataclass
from typing import ClassVar

import jax

from jaxq.hparams import Hparams, Hyperparameter
from jaxq.precision import in_32_bits
from jaxq.replay import ring
from jaxq.replay.protocol import ReplayState
from jaxq.replay.starts import PRIORITY_LEAVES, Priorities, PrioritizedStarts, with_importance
from jaxq.types import ObservationSpec, PyTree, Trajectory, Transition


@dataclass(frozen=True)
class RingReplay:
    """A ring from which everything is drawn alike.

    Attributes:
        spec: What one observation looks like.
        num_rows: Rows R of the ring; the capacity is R * E transitions.
        num_envs: Environments E that write side by side.
        batch_size: Runs B in a batch.
    """

    spec: ObservationSpec
    num_rows: int
    num_envs: int
    batch_size: int

    @in_32_bits()
    def init(self, extras: PyTree = (), legal_actions: PyTree = (), cost: PyTree = ()) -> ReplayState:
        """Make an empty replay; see `Replay.init`."""
        sizes = self.num_rows, self.num_envs
        return ReplayState(ring.empty(self.spec, *sizes, extras, legal_actions, cost))

    @in_32_bits()
    def add(self, state: ReplayState, rows: Transition, rows_written: jax.Array) -> ReplayState:
        """Write T rows over the oldest ones; see `Replay.add`."""
        return state._replace(ring=ring.write(self.spec, state.ring, rows, rows_written))

    def reprioritize(
        self, priorities: PyTree, sample: Trajectory, priority: jax.Array, hparams: Hparams
    ) -> PyTree:
        """Return the priorities as they are: there are none."""
        return priorities


@dataclass(frozen=True)
class PrioritizedRing(RingReplay):
    """A ring from which runs are drawn in proportion to their priorities.

    `P(i) = p_i / sum_k p_k` with `p_i = (|td_error_i| + 1e-6)^alpha`
    """

    leaves: ClassVar[dict[str, Hyperparameter]] = PRIORITY_LEAVES

    @property
    def starts(self) -> PrioritizedStarts:
        """Where runs begin."""
        raise NotImplementedError

    @staticmethod
    def at_step(hparams: Hparams, steps: jax.Array) -> Hparams:
        """Return hyperparameters with what the importance exponent has come to."""
        return with_importance(hparams, steps)

    @in_32_bits()
    def init(self, extras: PyTree = (), legal_actions: PyTree = (), cost: PyTree = ()) -> ReplayState:
        """Make an empty replay; see `Replay.init`."""
        return super().init(extras, legal_actions, cost)._replace(priorities=self.starts.empty())

    @in_32_bits()
    def add(self, state: ReplayState, rows: Transition, rows_written: jax.Array) -> ReplayState:
        """Write T rows over the oldest ones; new runs get the largest priority so far.

        Args:
            state: The replay's state.
            rows: What the environments did, leaves `[T, E, ...]`, where T divides R.
            rows_written: Rows written before, int32 `[]`, a multiple of T.

        Returns:
            The state with the new rows.

        Raises:
            InputValueError: If T does not divide R.
        """
        moved = self.starts.move_on(state.priorities, rows_written, rows.reward.shape[0])
        return super().add(state, rows, rows_written)._replace(priorities=moved)

    @in_32_bits()
    def reprioritize(
        self, priorities: Priorities, sample: Trajectory, priority: jax.Array, hparams: Hparams
    ) -> Priorities:
        """Give the runs of a batch the priorities of their TD errors.

        An error that is not a finite number says nothing, so it is given what a new run is: an agent
        that diverged goes on sampling, and no other number is spoiled.

        Args:
            priorities: The state's priorities.
            sample: The batch, drawn since the last `add`.
            priority: Its TD errors, of any sign, float32 `[B]`.
            hparams: `priority_exponent` is used.

        Returns:
            The priorities after it.
        """
        # Where nothing of a run is known, nothing was learned.
        learned = sample.weight * sample.mask.any(axis=1)
        exponent = hparams.priority_exponent
        return self.starts.reprioritize(priorities, sample.index, learned, priority, exponent)
