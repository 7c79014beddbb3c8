"""What every replay offers: sizes that are static, a memory that is data, and four pure functions."""

from typing import Any, NamedTuple, Protocol

import jax

from jaxq.replay.ring import Ring
from jaxq.types import PyTree, Transition


class Memory(NamedTuple):
    """What an agent remembers, in two parts, of which learning changes only the second.

    A loop over gradient steps carries the priorities and closes over the ring.

    Attributes:
        ring: The stored transitions.
        priorities: What is known about how much each is worth replaying; `()` if nothing is.
    """

    ring: Ring
    priorities: PyTree = ()


class ReplayHparams(Protocol):
    """The hyperparameters that replays read; each reads only those it needs.

    Attributes:
        discount: gamma, float32 `[]`, in [0, 1].
        priority_exponent: How much priorities count (alpha), float32 `[]`, in [0, 1]; 0 not at all.
    """

    discount: jax.Array
    priority_exponent: jax.Array


class Replay(Protocol):
    """A replay: a frozen dataclass of static sizes, whose methods are pure functions of a memory.

    How many rows were ever written is not part of the memory: it is the same for all agents of a
    population, so it is passed in. Unbatched under `vmap`, it leaves each write one slice update of
    a ring that stays in place, where a position per agent would make it a scatter.
    """

    def init(self, extras: PyTree = ()) -> Memory:
        """Make an empty memory.

        Args:
            extras: What one environment's `Transition.extras` look like, arrays or their shapes.
        """
        ...

    def add(self, memory: Memory, rows: Transition, rows_written: jax.Array) -> Memory:
        """Write T rows over the oldest ones.

        Args:
            memory: The memory.
            rows: What the environments did, leaves `[T, E, ...]`, where T divides R.
            rows_written: Rows written before, int32 `[]`, a multiple of T.
        """
        ...

    def sample(
        self,
        key: jax.Array,
        memory: Memory,
        rows_written: jax.Array,
        hparams: ReplayHparams,
        importance: jax.Array,
    ) -> Any:
        """Draw B transitions, with replacement.

        Args:
            key: PRNG key.
            memory: The memory.
            rows_written: Rows written so far, int32 `[]`, at least as many as one draw spans.
            hparams: The agent's hyperparameters.
            importance: How much of the bias of unequal probabilities the weights take back (beta),
                float32 `[]`, in [0, 1].

        Returns:
            A `Sample`, leaves `[B, ...]`; `SequenceReplay` returns `Steps` instead.
        """
        ...

    def reprioritize(
        self, priorities: PyTree, sample: Any, priority: jax.Array, hparams: ReplayHparams
    ) -> PyTree:
        """Note how surprising the transitions of a sample turned out to be.

        Args:
            priorities: The memory's priorities.
            sample: The sample, drawn since the last `add`.
            priority: Their TD errors or other measures of surprise, of any sign, float32 `[B]`.
            hparams: The agent's hyperparameters.
        """
        ...
