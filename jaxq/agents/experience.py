"""Experience: what an agent with a network keeps of its steps, and in what batches it learns from them.

Each way is a component, made ready by `bind`: a `Source` stores an iteration's transitions and gives the
batches of its gradient steps.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, NamedTuple, Protocol

import jax
import jax.numpy as jnp

from jaxq import checks
from jaxq.agents.components import check_fields, declared_leaves, name_of
from jaxq.agents.returns import Sequences
from jaxq.agents.update_schedule import Iteration
from jaxq.hparams import Hparams, Hyperparameter
from jaxq.replay import Replay, UniformReplay
from jaxq.types import Environment, PyTree, Trajectory, Transition

ETA = 0.9
"""What a sequence's largest TD error counts for in its priority, against their mean."""


class Batches(NamedTuple):
    """The batches of one iteration.

    Attributes:
        draw: Gives the batch of one update, from a key, its part of `plan`, and the priorities.
        plan: What is known of each update beforehand, leaves `[updates, ...]`.
        priorities: Priorities of the replay, which change with each update.
    """

    draw: Callable[[jax.Array, PyTree, PyTree], Trajectory]
    plan: PyTree
    priorities: PyTree


class Source(Protocol):
    """Experience for an environment; by default nothing is stored, and nothing has a priority.

    Attributes:
        max_abs_reward: The largest absolute reward of what is there before the agent acts.
    """

    max_abs_reward: float = 0.0

    def init(self, extras: PyTree, legal_actions: PyTree, cost: PyTree = ()) -> PyTree:
        """Make the state of what is stored, of what one environment's parts look like."""
        return ()

    def add(self, state: PyTree, newest: Transition, steps: jax.Array) -> PyTree:
        """Store an iteration's transitions, leaves `[T, E, ...]`, begun after `steps` env steps."""
        return state

    def batches(
        self,
        key: jax.Array,
        state: PyTree,
        hparams: Hparams,
        newest: Transition,
        steps: jax.Array,
        value_t: Callable[[Trajectory, jax.Array], jax.Array],
    ) -> tuple[jax.Array, Batches]:
        """Return a key for the updates, and their batches.

        Args:
            key: PRNG key.
            state: What is stored, the newest transitions included.
            hparams: The agent's hyperparameters, with what their schedules have come to.
            newest: The iteration's transitions, leaves `[T, E, ...]`.
            steps: Env steps of the agent, the newest included, int32 `[]`.
            value_t: What is to come behind each of N runs of one step, `[N]`, from the runs and a key.
        """
        ...

    def reprioritize(
        self, priorities: PyTree, batch: Trajectory, errors: jax.Array, hparams: Hparams
    ) -> PyTree:
        """Update priorities by how badly each step of a batch was predicted, `[B, T]`."""
        return priorities

    def with_priorities(self, state: PyTree, priorities: PyTree) -> PyTree:
        """Return what is stored with the priorities that the iteration's updates have left."""
        return state


@dataclass(frozen=True)
class Replayed:
    """Transitions are stored, and learned from in random batches.

    Attributes:
        buffer_size: Transitions that are stored, rounded up to whole iterations.
        batch_size: Transitions B in one gradient step; of a recurrent agent, sequences.
        replay: Makes the replay; see `jaxq.replay.Replay`.
        strided: Whether sequences begin every half of their length only, as prioritized ones do.
    """

    window: ClassVar[int | None] = None

    buffer_size: int = 10_000
    batch_size: int = 128
    replay: Callable[..., Replay] = UniformReplay
    strided: bool = field(default=False, metadata={"derived": True})

    def __post_init__(self) -> None:
        """Check the fields."""
        check_fields(self)
        if not callable(self.replay):
            raise checks.InputTypeError(
                f"replay must be a class of replays, got {self.replay!r}; "
                "for example jaxq.replay.PrioritizedReplay",
                keywords=["replay"],
            )
        if self.batch_size > self.buffer_size:
            raise checks.InputValueError(
                f"batch_size must not exceed buffer_size, got {self.batch_size} > "
                f"{self.buffer_size}; for example buffer_size={self.batch_size}",
                keywords=["batch_size", "buffer_size"],
            )

    @property
    def leaves(self) -> Mapping[str, Hyperparameter]:
        """Those of the replay."""
        return declared_leaves(self.replay)

    def at_step(self, hparams: Hparams, steps: jax.Array) -> Hparams:
        """Return hyperparameters with what the replay's schedules have come to."""
        at_step = getattr(self.replay, "at_step", None)
        return hparams if at_step is None else at_step(hparams, steps)

    def rows_needed(self, returns: Any, sequences: Sequences | None) -> int:
        """Return the steps of one environment that there must be before anything can be learned."""
        if sequences is None:
            return returns.n_step
        return sequences.rows + (sequences.stride - 1 if self.strided else 0)

    def check(self, parts: Any) -> None:
        """Refuse rings too small for one draw."""
        rows, num_envs = self.rows_needed(parts.returns, parts.sequences), parts.schedule.num_envs
        if rows * num_envs > self.buffer_size:
            raise checks.InputValueError(
                f"buffer_size must hold {rows} steps (n_step, or a whole sequence) of "
                f"{num_envs} environments, got {self.buffer_size}; "
                f"for example buffer_size={rows * num_envs}",
                keywords=["buffer_size", "num_envs", "n_step", "sequence_length", "burn_in"],
            )
        fields = getattr(self.replay, "__dataclass_fields__", None)
        span = "n_step" if parts.sequences is None else "length"
        if fields is not None and span not in fields:
            raise checks.InputValueError(
                f"replay must take {span}, as a recurrent agent learns from sequences and any other "
                f"from steps, got {name_of(self.replay)}; for example jaxq.replay."
                + ("UniformReplay" if parts.sequences is None else "SequenceReplay"),
                keywords=["replay", "recurrent_size"],
            )
        if parts.returns.is_lambda:
            raise checks.InputValueError(
                "lambda-returns need steps as they came; use memory='window', or n_step"
            )

    def bind(self, parts: Any, env: Environment, iteration: Iteration) -> "ReplaySource":
        """Make the replay for an environment.

        Raises:
            InputTypeError: If `replay` does not make one of the keywords that it is given.
        """
        num_envs = parts.schedule.num_envs
        spans: dict[str, int] = {"n_step": parts.returns.n_step}
        if parts.sequences is not None:
            spans = {"length": parts.sequences.rows}
            spans |= {"stride": parts.sequences.stride} if self.strided else {}
        try:
            replay = self.replay(
                spec=env.observation_spec,
                num_rows=iteration.whole(self.buffer_size) // num_envs,
                num_envs=num_envs,
                batch_size=self.batch_size,
                **spans,
            )
        except TypeError as error:
            raise checks.InputTypeError(
                f"replay must take spec, num_rows, num_envs, batch_size and {', '.join(spans)}, got "
                f"{name_of(self.replay)}: {error}"
            ) from None
        return ReplaySource(replay, num_envs, parts.sequences is not None)


@dataclass(frozen=True)
class ReplaySource(Source):
    """Random batches of a replay."""

    replay: Replay
    num_envs: int
    of_runs: bool

    def init(self, extras: PyTree, legal_actions: PyTree, cost: PyTree = ()) -> PyTree:
        """Make an empty replay; one of the user's own need not know of costs where there are none."""
        costs = {"cost": cost} if jax.tree.leaves(cost) else {}
        return self.replay.init(extras, legal_actions, **costs)

    def add(self, state: PyTree, newest: Transition, steps: jax.Array) -> PyTree:
        """Write an iteration's transitions over the oldest ones."""
        return self.replay.add(state, newest, steps // self.num_envs)

    def batches(
        self,
        key: jax.Array,
        state: PyTree,
        hparams: Hparams,
        newest: Transition,
        steps: jax.Array,
        value_t: Callable[[Trajectory, jax.Array], jax.Array],
    ) -> tuple[jax.Array, Batches]:
        """Return the key, and batches drawn at random."""
        rows = steps // self.num_envs

        def draw(key: jax.Array, _: PyTree, priorities: PyTree) -> Trajectory:
            return self.replay.sample(key, state._replace(priorities=priorities), rows, hparams)

        return key, Batches(draw, (), state.priorities)

    def with_priorities(self, state: PyTree, priorities: PyTree) -> PyTree:
        """Return the replay's state with other priorities."""
        return state._replace(priorities=priorities)

    def reprioritize(
        self, priorities: PyTree, batch: Trajectory, errors: jax.Array, hparams: Hparams
    ) -> PyTree:
        """Pass on how badly each run was predicted."""
        if not self.of_runs:
            return self.replay.reprioritize(priorities, batch, errors[:, 0], hparams)
        # Of steps whose end is lost, nothing is known.
        errors = jnp.where(batch.mask[:, -errors.shape[1] :], errors, 0)
        return self.replay.reprioritize(priorities, batch, mixed_priority(errors), hparams)


def mixed_priority(errors: jax.Array) -> jax.Array:
    """Say how much there is to learn from sequences.

    `eta * max_t |error_t| + (1 - eta) * mean_t |error_t|` with `eta = 0.9`

    Args:
        errors: TD errors, or sizes of them, `[B, T]`.

    Returns:
        `[B]`.

    References:
        Kapturowski et al., Recurrent Experience Replay in Distributed Reinforcement Learning, 2019,
        section 2.3.
    """
    sizes = jnp.abs(errors)
    return ETA * sizes.max(axis=-1) + (1 - ETA) * sizes.mean(axis=-1)
