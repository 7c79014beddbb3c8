"""Logged data as experience: an agent that learns from it alone, and one that also acts."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np

from jaxq import checks
from jaxq.agents.components import check_fields
from jaxq.agents.experience import Batches, Replayed, ReplaySource, Source
from jaxq.agents.q_function import StepExtras
from jaxq.agents.returns import Sequences
from jaxq.agents.update_schedule import Iteration
from jaxq.hparams import Hparams, Hyperparameter
from jaxq.replay.dataset import DatasetReplay, LoggedSteps
from jaxq.types import Environment, PyTree, Trajectory, Transition


@dataclasses.dataclass(frozen=True)
class Logged:
    """All of a batch is drawn from logged data, and the agent does not act while it learns.

    Attributes:
        batch_size: Transitions B in one gradient step.
        data: The logged data.
    """

    window: ClassVar[int | None] = None
    collects: ClassVar[bool] = False

    batch_size: int = 128
    data: DatasetReplay | None = None

    def __post_init__(self) -> None:
        """Check the fields."""
        check_fields(self)

    def rows_needed(self, returns: Any, sequences: Sequences | None) -> int:
        """Return 0: the data is there from the beginning."""
        return 0

    def check(self, parts: Any) -> None:
        """Refuse what needs more than logs have."""
        check_parts(parts)

    def bind(self, parts: Any, env: Environment, iteration: Iteration) -> "LoggedSource":
        """Read the data for an environment."""
        return _source(self.data, parts, env, self.batch_size)


@dataclasses.dataclass(frozen=True)
class Mixed:
    """Part of a batch is drawn from logged data, the rest from a replay of what the agent did.

    Attributes:
        replayed: The replay, whose `batch_size` is that of whole batches.
        data: The logged data, and its share.
    """

    window: ClassVar[int | None] = None

    replayed: Replayed
    data: DatasetReplay

    def __post_init__(self) -> None:
        """Check that both have a part of each batch."""
        if not 0 < self._logged < self.batch_size:
            raise checks.InputValueError(
                f"share={self.data.share:g} of batch_size={self.batch_size} comes to {self._logged} "
                "logged transitions, which leaves one of the two sources out; for example share=0.5",
                keywords=["batch_size"],
            )

    @property
    def batch_size(self) -> int:
        """Transitions B in one gradient step."""
        return self.replayed.batch_size

    @property
    def _logged(self) -> int:
        return round(self.data.share * self.batch_size)

    @property
    def leaves(self) -> Mapping[str, Hyperparameter]:
        """Those of the replay."""
        return self.replayed.leaves

    def at_step(self, hparams: Hparams, steps: jax.Array) -> Hparams:
        """Return hyperparameters with what the replay's schedules have come to."""
        return self.replayed.at_step(hparams, steps)

    def rows_needed(self, returns: Any, sequences: Sequences | None) -> int:
        """Return what the replay needs."""
        return self.replayed.rows_needed(returns, sequences)

    def check(self, parts: Any) -> None:
        """Refuse what needs more than logs have, and what the replay refuses."""
        check_parts(parts)
        self.replayed.check(parts)

    def bind(self, parts: Any, env: Environment, iteration: Iteration) -> "MixedSource":
        """Make the replay, and read the data, for an environment."""
        rest = dataclasses.replace(self.replayed, batch_size=self.batch_size - self._logged)
        return MixedSource(
            rest.bind(parts, env, iteration), _source(self.data, parts, env, self._logged)
        )


def check_parts(parts: Any) -> None:
    """Refuse recurrent agents, budgets, and returns over windows.

    Raises:
        InputValueError: Naming what to leave out.
    """
    if parts.sequences is not None:
        raise checks.InputValueError(
            "a log does not hold what a recurrent network carried from step to step; leave out "
            "recurrent_size, or stack frames: jaxq.envs.stack_frames",
            keywords=["recurrent_size"],
        )
    if parts.budgets is not None:
        raise checks.InputValueError(
            "prices are learned from the costs of whole episodes while agents act; leave out budgets, "
            "or the logged data",
            keywords=["budgets"],
        )
    if parts.returns.is_lambda:
        raise checks.InputValueError(
            "lambda-returns need steps as they came; use memory='replay', or n_step"
        )


def _source(data: DatasetReplay, parts: Any, env: Environment, batch_size: int) -> "LoggedSource":
    if env.has_legal_actions and data.data.legal_actions is None:
        raise checks.InputValueError(
            f"{env.name} has legal actions, and the data no column legal_actions: what follows a step "
            "would be valued by actions that may not be taken; log them too, see jaxq.collect"
        )
    sizes = env.num_actions, batch_size, parts.returns.n_step
    members = 0 if parts.ensemble is None else parts.ensemble.ensemble_size
    return LoggedSource(LoggedSteps.of(data.data, env.observation_spec, *sizes), members)


@dataclasses.dataclass(frozen=True)
class LoggedSource(Source):
    """Random batches of logged data.

    Attributes:
        steps: The data.
        members: Members of an ensemble; 0 for none.
    """

    steps: LoggedSteps
    members: int

    @property
    def max_abs_reward(self) -> float:
        """The largest absolute reward of the data."""
        return float(np.abs(self.steps.columns.reward).max())

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
        return key, Batches(lambda key, _, priorities: self.sample(key, hparams), (), ())

    def sample(self, key: jax.Array, hparams: Hparams) -> Trajectory:
        """Draw a batch; which members of an ensemble learn from a row is decided by its number."""
        batch = self.steps.sample(key, hparams)
        if not self.members:
            return batch._replace(extras=StepExtras())

        def learns(row: jax.Array) -> jax.Array:
            key = jax.random.fold_in(jax.random.key(0), row)
            return jax.random.bernoulli(key, hparams.mask_probability, (self.members,))

        return batch._replace(extras=StepExtras(mask=jax.vmap(learns)(batch.index)))


@dataclasses.dataclass(frozen=True)
class MixedSource(Source):
    """Random batches, the first part of each of a replay and the rest of logged data.

    Attributes:
        replayed: The replay.
        logged: The logged data.
    """

    replayed: ReplaySource
    logged: LoggedSource

    @property
    def max_abs_reward(self) -> float:
        """The largest absolute reward of the data."""
        return self.logged.max_abs_reward

    def init(self, extras: PyTree, legal_actions: PyTree, cost: PyTree = ()) -> PyTree:
        """Make an empty replay."""
        return self.replayed.init(extras, legal_actions, cost)

    def add(self, state: PyTree, newest: Transition, steps: jax.Array) -> PyTree:
        """Write an iteration's transitions over the oldest ones."""
        return self.replayed.add(state, newest, steps)

    def batches(
        self,
        key: jax.Array,
        state: PyTree,
        hparams: Hparams,
        newest: Transition,
        steps: jax.Array,
        value_t: Callable[[Trajectory, jax.Array], jax.Array],
    ) -> tuple[jax.Array, Batches]:
        """Return the key, and batches drawn at random from both."""
        key, online = self.replayed.batches(key, state, hparams, newest, steps, value_t)

        def draw(key: jax.Array, plan: PyTree, priorities: PyTree) -> Trajectory:
            online_key, logged_key = jax.random.split(key)
            # What it cost is asked for by budgets alone, which logged data is not learned from with.
            batch = online.draw(online_key, plan, priorities)._replace(cost=())
            logged = self.logged.sample(logged_key, hparams)
            # Masks of bits are padded to whole bytes.
            logged = logged._replace(
                legal_tm1=_padded(logged.legal_tm1, batch.legal_tm1),
                legal_t=_padded(logged.legal_t, batch.legal_t),
            )
            return jax.tree.map(lambda *parts: jnp.concatenate(parts), batch, logged)

        return key, online._replace(draw=draw)

    def reprioritize(
        self, priorities: PyTree, batch: Trajectory, errors: jax.Array, hparams: Hparams
    ) -> PyTree:
        """Pass on how badly the part of the replay was predicted."""
        size = self.replayed.replay.batch_size
        own = jax.tree.map(lambda leaf: leaf[:size], batch)
        return self.replayed.reprioritize(priorities, own, errors[:size], hparams)

    def with_priorities(self, state: PyTree, priorities: PyTree) -> PyTree:
        """Return the replay's state with other priorities."""
        return self.replayed.with_priorities(state, priorities)


def _padded(mask: PyTree, like: PyTree) -> PyTree:
    """Bring masks of logged data to the width of a replay's, or leave them out where it has none."""
    if isinstance(like, tuple):
        return ()
    more = like.shape[-1] - mask.shape[-1]
    return jnp.pad(mask, ((0, 0), (0, 0), (0, more)))
