"""Optimizers: functions of the hyperparameters that make optax transformations."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import optax

from jaxq import checks
from jaxq.agents.components import declared_leaves
from jaxq.hparams import Hparams, Hyperparameter
from jaxq.kernels.norms import global_norm
from jaxq.learning import learning_rate_schedule
from jaxq.types import PyTree


def _clipped(optimizer: Callable[..., Any], hparams: Hparams) -> optax.GradientTransformation:
    return optax.chain(_clip(hparams.max_gradient_norm), optimizer(hparams.learning_rate))


def _clip(max_norm: jax.Array) -> optax.GradientTransformation:
    """Do what `optax.clip_by_global_norm` does, with a norm that is faster to work out."""

    def update(gradient: PyTree, state: optax.EmptyState, _: PyTree = None) -> tuple:
        norm = global_norm(gradient)
        scale = jnp.where(norm < max_norm, 1, max_norm / norm)
        return jax.tree.map(lambda leaf: leaf * scale, gradient), state

    return optax.GradientTransformation(lambda _: optax.EmptyState(), update)


def adam(hparams: Hparams) -> optax.GradientTransformation:
    """Clip gradients by their global norm, then take a step of Adam.

    Args:
        hparams: `learning_rate` and `max_gradient_norm` are used.

    Returns:
        The transformation; it is rebuilt at each update, so both may be traced.

    References:
        Kingma and Ba, Adam, 2015, algorithm 1; Pascanu et al., 2013, algorithm 1 (clipping).
    """
    return _clipped(optax.adam, hparams)


def radam(hparams: Hparams) -> optax.GradientTransformation:
    """Clip gradients by their global norm, then take a step of rectified Adam.

    Args:
        hparams: `learning_rate` and `max_gradient_norm` are used.

    Returns:
        The transformation.

    References:
        Liu et al., On the Variance of the Adaptive Learning Rate and Beyond, 2020, algorithm 2.
    """
    return _clipped(optax.radam, hparams)


BUILT_IN = (adam, radam)


@dataclass(frozen=True)
class Optimizer:
    """An optimizer, with a step size that may fall.

    Attributes:
        optimizer: Makes an optax transformation out of the hyperparameters.
    """

    optimizer: Callable[[Hparams], optax.GradientTransformation] = adam

    def __post_init__(self) -> None:
        """Check the field."""
        if not callable(self.optimizer):
            raise checks.InputTypeError(
                f"optimizer must be a function of the hyperparameters, got {self.optimizer!r}; "
                "for example lambda hparams: optax.sgd(hparams.learning_rate)",
                keywords=["optimizer"],
            )

    @property
    def leaves(self) -> Mapping[str, Hyperparameter]:
        """Step size, its schedule, clipping, and the optimizer's own.

        `learning_rate` at env step 0 falls linearly to zero over `learning_rate_steps` env steps, with 0
        it stays; gradients with a larger global norm are scaled down to `max_gradient_norm`.
        """
        return {
            "learning_rate": Hyperparameter(1e-3, 0, open_low=True, meaning="step size at first"),
            "learning_rate_steps": Hyperparameter(
                0, 0, schedule_length=True, meaning="env steps over which it falls to zero; 0: it stays"
            ),
            "max_gradient_norm": Hyperparameter(
                10.0, 0, open_low=True, meaning="global norm that longer gradients are scaled down to"
            ),
            **declared_leaves(self.optimizer),
        }

    def at_step(self, hparams: Hparams, steps: jax.Array) -> Hparams:
        """Return hyperparameters with the step size that the schedule has come to after `steps`."""
        start, length = hparams.learning_rate, hparams.learning_rate_steps
        return hparams.replace(learning_rate=learning_rate_schedule(steps, start, length))

    @property
    def is_built_in(self) -> bool:
        """Whether it is known to take gradients and weights alone."""
        return self.optimizer in BUILT_IN
