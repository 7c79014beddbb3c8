"""The window of on-policy learning: the newest transitions, learned from in shuffled batches."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp

from jaxq import checks
from jaxq.agents.bootstraps import ARGUMENTS
from jaxq.agents.components import arguments, check_fields
from jaxq.agents.experience import Batches, Source
from jaxq.agents.returns import Sequences
from jaxq.agents.update_schedule import Iteration
from jaxq.hparams import Hparams
from jaxq.learning import lambda_returns
from jaxq.replay import shuffled_minibatches
from jaxq.types import Environment, PyTree, Trajectory, Transition


@dataclass(frozen=True)
class Windowed:
    """The newest transitions are learned from in shuffled batches, and forgotten.

    The window is gone through `batch_size / train_interval` times; of a recurrent agent, whose batches
    are of sequences, as often as they come to the same number of transitions.

    Attributes:
        buffer_size: Transitions of the window, those of one iteration.
        batch_size: Transitions B in one gradient step; of a recurrent agent, sequences.

    References:
        Gallici et al., Simplifying Deep Temporal Difference Learning, 2024, algorithm 1.
    """

    buffer_size: int = 512
    batch_size: int = 128

    def __post_init__(self) -> None:
        """Check the fields."""
        check_fields(self)

    @property
    def window(self) -> int:
        """Transitions of the window."""
        return self.buffer_size

    def rows_needed(self, returns: Any, sequences: Sequences | None) -> int:
        """Return 0: a window is always whole."""
        return 0

    def check(self, parts: Any) -> None:
        """Refuse what does not go with lambda-returns, and batches that do not fill the window."""
        if not parts.value.is_number or parts.ensemble is not None:
            raise checks.InputValueError(
                "lambda-returns over a window are numbers that the behaviour earned; ensembles and "
                "distributions as value need memory='replay'",
                keywords=["exploration", "value", "memory"],
            )
        asked = {*arguments(parts.bootstrap, "bootstrap", ARGUMENTS)} & {"a_tm1", "q_target_tm1"}
        if asked:
            raise checks.InputValueError(
                "a rule of lambda-returns knows what follows a step, not the step itself; leave out "
                f"{' and '.join(sorted(asked))}, or use memory='replay'",
                keywords=["bootstrap", "memory"],
            )
        length = 1 if parts.sequences is None else parts.sequences.sequence_length
        num_envs, interval = parts.schedule.num_envs, parts.schedule.train_interval
        batch = self.batch_size * length
        example = "for example num_envs=4, buffer_size=512, batch_size=128, train_interval=32"
        if self.buffer_size % batch or self.buffer_size % (num_envs * length):
            raise checks.InputValueError(
                "a window is shuffled into whole batches: batches, and environments with whole "
                "sequences, must divide buffer_size, got batches of "
                f"{batch} transitions, {num_envs} environments and {self.buffer_size}; {example}",
                keywords=["batch_size", "num_envs", "buffer_size", "sequence_length"],
            )
        if batch % interval:
            raise checks.InputValueError(
                "a window is learned from in whole epochs, so train_interval must divide the "
                f"transitions of a batch, got {interval} and {batch}; {example}",
                keywords=["train_interval", "batch_size", "sequence_length"],
            )

    def bind(self, parts: Any, env: Environment, iteration: Iteration) -> "WindowSource":
        """Return the source for an environment."""
        length = 1 if parts.sequences is None else parts.sequences.sequence_length
        epochs = self.batch_size * length // parts.schedule.train_interval
        return WindowSource(self.buffer_size, self.batch_size, length, epochs)


@dataclass(frozen=True)
class WindowSource(Source):
    """Shuffled batches of the newest transitions, whose rewards are their lambda-returns."""

    buffer_size: int
    batch_size: int
    length: int
    epochs: int

    def batches(
        self,
        key: jax.Array,
        state: PyTree,
        hparams: Hparams,
        newest: Transition,
        steps: jax.Array,
        value_t: Callable[[Trajectory, jax.Array], jax.Array],
    ) -> tuple[jax.Array, Batches]:
        """Return a key, and the window in shuffled batches, once for each epoch."""
        target_key, shuffle_key, network_key = jax.random.split(key, 3)
        window = self._runs(newest, 1)
        v_t = value_t(window, target_key).reshape(newest.reward.shape)
        returns = jax.vmap(lambda_returns, in_axes=(1, 1, 1, None, None, 1), out_axes=1)(
            newest.reward,
            newest.terminated,
            newest.truncated,
            hparams.discount,
            hparams.lambda_,
            v_t,
        )
        runs = self._runs(newest, self.length)
        runs = runs._replace(returns=self._cut(returns, self.length))
        # Only numbers are dealt here: the transitions of all epochs' minibatches would be as many
        # windows, held for each of the agents that train side by side.
        count = self.buffer_size // self.length
        numbers = jnp.arange(count).reshape(-1, newest.reward.shape[1])
        minibatches = jax.vmap(shuffled_minibatches, in_axes=(0, None, None))(
            jax.random.split(shuffle_key, self.epochs), numbers, count // self.batch_size
        ).reshape(-1, self.batch_size)

        def draw(_: jax.Array, chosen: jax.Array, priorities: PyTree) -> Trajectory:
            return jax.tree.map(lambda leaf: leaf[chosen], runs)

        return network_key, Batches(draw, minibatches, ())

    def _runs(self, newest: Transition, length: int) -> Trajectory:
        """Cut the window into runs, leaves `[N, length, ...]`."""
        steps = jax.tree.map(lambda leaf: self._cut(leaf, length), newest)
        return Trajectory(
            observation=steps.observation,
            action=steps.action,
            reward=steps.reward,
            discount=(),
            terminated=steps.terminated,
            truncated=steps.truncated,
            next_observation=steps.next_observation,
            mask=jnp.ones(steps.reward.shape, bool),
            extras=jax.tree.map(lambda leaf: leaf[:, 0], steps.extras),
            weight=jnp.ones(steps.reward.shape[0]),
            legal_tm1=steps.legal_actions,
            legal_t=steps.next_legal_actions,
            cost=steps.cost,
        )

    def _cut(self, leaf: jax.Array, length: int) -> jax.Array:
        """Cut rows of environments, `[T, E, ...]`, into runs of one of them, `[N, length, ...]`."""
        if length == 1:
            return leaf.reshape(-1, 1, *leaf.shape[2:])
        runs = leaf.reshape(-1, length, *leaf.shape[1:])
        return jnp.moveaxis(runs, 1, 2).reshape(-1, length, *leaf.shape[2:])
