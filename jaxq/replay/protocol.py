"""What every replay offers: sizes that are static, a state that is data, and four pure functions."""

from typing import NamedTuple, Protocol

import jax

from jaxq.hparams import Hparams
from jaxq.replay.ring import Ring
from jaxq.types import PyTree, Trajectory, Transition


class ReplayState(NamedTuple):
    """What a replay holds, in two parts, of which learning changes only the second.

    A loop over gradient steps carries the priorities and closes over the ring.

    Attributes:
        ring: The stored transitions.
        priorities: What is known about how much each is worth replaying; `()` if nothing is.
    """

    ring: Ring
    priorities: PyTree = ()


class Replay(Protocol):
    """A replay: a frozen dataclass of static sizes, whose methods are pure functions of its state.

    An agent makes it with the keywords `spec, num_rows, num_envs, batch_size` and `n_step`, one that
    learns from sequences with `length` and `stride` in the place of the last. A class attribute
    `leaves` may declare hyperparameters, `Hyperparameter`s by name.

    How many rows were ever written is not part of the state: it is the same for all agents of a
    population, so it is passed in. Unbatched under `vmap`, it leaves each write one slice update of
    a ring that stays in place, where a position per agent would make it a scatter.
    """

    def init(self, extras: PyTree = (), legal_actions: PyTree = (), cost: PyTree = ()) -> ReplayState:
        """Make an empty replay.

        Args:
            extras: What one environment's `Transition.extras` look like, arrays or their shapes.
            legal_actions: The same of its `Transition.legal_actions`.
            cost: The same of its `Transition.cost`; not given where there is none.
        """
        ...

    def add(self, state: ReplayState, rows: Transition, rows_written: jax.Array) -> ReplayState:
        """Write T rows over the oldest ones.

        Args:
            state: The replay's state.
            rows: What the environments did, leaves `[T, E, ...]`, where T divides the rows R.
            rows_written: Rows written before, int32 `[]`, a multiple of T.
        """
        ...

    def sample(
        self, key: jax.Array, state: ReplayState, rows_written: jax.Array, hparams: Hparams
    ) -> Trajectory:
        """Draw a batch, with replacement.

        Args:
            key: PRNG key.
            state: The replay's state.
            rows_written: Rows written so far, int32 `[]`, at least as many as one draw spans.
            hparams: The agent's hyperparameters, with what their schedules have come to.

        Returns:
            Runs of steps, leaves `[B, T, ...]`.
        """
        ...

    def reprioritize(
        self, priorities: PyTree, sample: Trajectory, priority: jax.Array, hparams: Hparams
    ) -> PyTree:
        """Update the priorities of a batch.

        Args:
            priorities: The state's priorities.
            sample: The batch, drawn since the last `add`.
            priority: TD errors of its runs or other measures of surprise, of any sign, float32 `[B]`.
            hparams: The agent's hyperparameters.
        """
        ...
