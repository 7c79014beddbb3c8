"""Uniform replay: all that is stored is equally likely to be drawn."""

from dataclasses import dataclass

import jax

from jaxq.hparams import Hparams
from jaxq.precision import in_32_bits
from jaxq.replay import reading, ring
from jaxq.replay.protocol import ReplayState
from jaxq.replay.rings import RingReplay
from jaxq.types import Trajectory


@dataclass(frozen=True)
class UniformReplay(RingReplay):
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

    n_step: int = 1

    def __post_init__(self) -> None:
        """Check the sizes."""
        ring.check_sizes(self, span="n_step")

    @in_32_bits()
    def sample(
        self, key: jax.Array, state: ReplayState, rows_written: jax.Array, hparams: Hparams
    ) -> Trajectory:
        """Draw B steps of up to n of the environment's, uniformly and with replacement.

        Every stored transition that has n - 1 later ones of its environment behind it is equally
        likely to begin a sample. So none reaches over the write head, from the newest row into the
        oldest; and none reaches over an episode's end, where its return stops.

        Args:
            key: PRNG key.
            state: The replay's state.
            rows_written: Rows written so far, int32 `[]`, at least n.
            hparams: `discount` is used.

        Returns:
            Runs of one step, leaves `[B, 1, ...]`.
        """
        row, env = reading.uniform_starts(key, self.batch_size, rows_written, state.ring, self.n_step)
        return reading.n_step_steps(
            self.spec, state.ring, row, env, rows_written, self.n_step, hparams.discount
        )
