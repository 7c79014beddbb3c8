"""Auxiliary losses: what is minimized beside the TD loss.

A loss is a function of one transition that returns a number `[]`. It asks for what it needs by the names
of its arguments: `q_tm1`, values at `s_tm1`, `[A]`, through which gradients flow; `a_tm1`, the action
taken; `r_t` and `discount_t`; `hparams`, for the leaves that it declares.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import jax

from jaxq.hparams import Hparams, Hyperparameter
from jaxq.learning import conservative_penalty

ARGUMENTS = ("hparams", "a_tm1", "r_t", "discount_t", "q_tm1")


@dataclass(frozen=True)
class Conservative:
    """Pulls values of actions that were not taken down.

    `cql_alpha * (log(sum_a exp(q_tm1[a])) - q_tm1[a_tm1])`

    References:
        Kumar et al., Conservative Q-Learning, 2020, equation 4.
    """

    leaves: ClassVar[Mapping[str, Hyperparameter]] = {
        "cql_alpha": Hyperparameter(0.1, 0, meaning="weight of the loss that keeps unseen actions low")
    }

    def __call__(self, hparams: Hparams, q_tm1: jax.Array, a_tm1: jax.Array) -> jax.Array:
        """Return the weighted penalty, `[]`."""
        return hparams.cql_alpha * conservative_penalty(q_tm1, a_tm1)
