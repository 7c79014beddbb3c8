"""Target parameters: the slower copy of the network that targets are computed with."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import ClassVar

import jax
import optax

from jaxq.agents.components import check_fields
from jaxq.hparams import Hparams, Hyperparameter
from jaxq.types import PyTree


@dataclass(frozen=True)
class TargetNetwork:
    """A copy that moves toward the online network: a hard copy, or a Polyak average of its past.

    `target += target_rate * (params - target)` every `target_interval` env steps

    Attributes:
        target_interval: Env steps of the agent per update of the target network, which can follow no
            more than once on each gradient step.

    References:
        Mnih et al., Human-level control through deep reinforcement learning, 2015, algorithm 1 (copies);
        Lillicrap et al., Continuous Control with Deep Reinforcement Learning, 2016, section 3.
    """

    leaves: ClassVar[Mapping[str, Hyperparameter]] = {
        "target_rate": Hyperparameter(
            0.05, 0, 1, open_low=True, meaning="part of the way that the target network moves per update"
        )
    }
    is_online: ClassVar[bool] = False

    target_interval: int = 5

    def __post_init__(self) -> None:
        """Check the fields."""
        check_fields(self)

    def init(self, params: PyTree) -> PyTree:
        """Return the target's state for fresh parameters."""
        return params

    def update(
        self, state: PyTree, params: PyTree, hparams: Hparams, due: Callable[[int], jax.Array]
    ) -> PyTree:
        """Follow the online parameters after a gradient step.

        Args:
            state: The target's state.
            params: The online parameters after the step.
            hparams: The agent's hyperparameters.
            due: Tells whether what happens every so many env steps is due, bool `[]`.

        Returns:
            The target's next state.
        """
        moved = optax.incremental_update(params, state, hparams.target_rate)
        return jax.tree.map(partial(jax.numpy.where, due(self.target_interval)), moved, state)

    def evaluate(
        self,
        state: PyTree,
        params: PyTree,
        hparams: Hparams,
        apply: Callable[[PyTree], PyTree],
    ) -> PyTree:
        """Return what the target network gives.

        Args:
            state: The target's state.
            params: The online parameters.
            hparams: The agent's hyperparameters.
            apply: Maps parameters to what the network gives, leaves `[B, ...]`.
        """
        return apply(state)


@dataclass(frozen=True)
class OnlineTarget:
    """No copy at all: targets are computed with the online parameters."""

    is_online: ClassVar[bool] = True

    def init(self, params: PyTree) -> PyTree:
        """Return nothing."""
        return ()

    def update(
        self, state: PyTree, params: PyTree, hparams: Hparams, due: Callable[[int], jax.Array]
    ) -> PyTree:
        """Return nothing."""
        return state

    def evaluate(
        self,
        state: PyTree,
        params: PyTree,
        hparams: Hparams,
        apply: Callable[[PyTree], PyTree],
    ) -> PyTree:
        """Return what the online network gives."""
        return apply(params)
