"""Prioritized replay: what surprised more is drawn more often, and weighted down for it."""

from dataclasses import dataclass

import jax

from jaxq.hparams import Hparams
from jaxq.precision import in_32_bits
from jaxq.replay import reading, ring
from jaxq.replay.protocol import ReplayState
from jaxq.replay.rings import PrioritizedRing
from jaxq.replay.starts import PrioritizedStarts
from jaxq.types import Trajectory


@dataclass(frozen=True)
class PrioritizedReplay(PrioritizedRing):
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

    n_step: int = 1

    def __post_init__(self) -> None:
        """Check the sizes."""
        ring.check_sizes(self, span="n_step")

    @property
    def starts(self) -> PrioritizedStarts:
        """Where transitions begin."""
        return PrioritizedStarts(self.num_rows, self.num_envs, self.n_step)

    @in_32_bits()
    def sample(
        self, key: jax.Array, state: ReplayState, rows_written: jax.Array, hparams: Hparams
    ) -> Trajectory:
        """Draw B steps of up to n of the environment's, one from each B-th part of the total priority.

        `w_i = (N P(i))^-beta / max_j (N P(j))^-beta = (min_j p_j / p_i)^beta`

        A start that has fewer than n - 1 later rows of its environment behind it is never drawn.

        Args:
            key: PRNG key.
            state: The replay's state.
            rows_written: Rows written so far, int32 `[]`, at least n.
            hparams: `discount` is used, and `importance`, how much of the bias of unequal
                probabilities the weights correct (beta), `[]`, in [0, 1].

        Returns:
            Runs of one step, leaves `[B, 1, ...]`, weighted.

        References:
            Schaul et al., 2016, section 3.4 (weights), appendix B.2.1 (one draw from each part).
        """
        row, env, weight = self.starts.draw(key, state.priorities, self.batch_size, hparams.importance)
        steps = reading.n_step_steps(
            self.spec, state.ring, row, env, rows_written, self.n_step, hparams.discount
        )
        return steps._replace(weight=weight)
