"""Bootstrap rules: how the values of what follows enter the target of a transition.

A rule is a function of one transition that returns a `jaxq.learning.Bootstrap`. It asks for what it
needs by the names of its arguments, and only that is computed:

- `q_target_t`, `q_online_t`: values at `s_t`, `[A]`, of the target and of the online parameters;
- `q_target_tm1`: values at `s_tm1`, `[A]`, of the target parameters;
- `a_tm1`: the action taken, int32 `[]`;
- `hparams`: the agent's hyperparameters, for those that the rule declares.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import jax
import jax.numpy as jnp

from jaxq import checks
from jaxq.hparams import Hparams, Hyperparameter
from jaxq.learning import Bootstrap, greedy_bootstrap, munchausen_bootstrap

ARGUMENTS = ("hparams", "a_tm1", "q_target_tm1", "q_online_t", "q_target_t")


@dataclass(frozen=True)
class Greedy:
    """The target network chooses the best action that follows, and values it: DQN."""

    def __call__(self, q_target_t: jax.Array) -> Bootstrap:
        """Bootstrap from the best action."""
        return greedy_bootstrap(q_target_t)


@dataclass(frozen=True)
class Double:
    """The online network chooses the action that the target network values: double DQN.

    References:
        van Hasselt et al., Deep Reinforcement Learning with Double Q-learning, 2016, equation 4.
    """

    def __call__(self, q_online_t: jax.Array) -> Bootstrap:
        """Bootstrap from the action that looks best to the online network."""
        return greedy_bootstrap(q_online_t)

    def check(self, parts: Any) -> None:
        """Refuse to go without target parameters, beside which there is nothing to choose."""
        if parts.target.is_online:
            raise checks.InputValueError(
                "double targets need a slower copy of the network, which a window has not; "
                "leave out double",
                keywords=["double"],
            )


@dataclass(frozen=True)
class Munchausen:
    """A soft policy follows, and the log-policy of the action taken is added to the reward.

    References:
        Vieillard et al., Munchausen Reinforcement Learning, 2020, equation 1; scale 0.9, temperature
        0.03 and clip -1 as in its section 4.
    """

    leaves: ClassVar[Mapping[str, Hyperparameter]] = {
        "munchausen_scale": Hyperparameter(0.9, 0, 1, meaning="weight of the log-policy bonus"),
        "munchausen_clip": Hyperparameter(
            -1.0, -math.inf, 0, meaning="lowest that the scaled log-policy counts"
        ),
        "munchausen_temperature": Hyperparameter(
            0.03, 0, open_low=True, meaning="temperature of the soft policy, in reward"
        ),
    }

    def __call__(
        self, hparams: Hparams, q_target_tm1: jax.Array, a_tm1: jax.Array, q_target_t: jax.Array
    ) -> Bootstrap:
        """Bootstrap softly, with a bonus."""
        return munchausen_bootstrap(
            q_target_tm1,
            a_tm1,
            q_target_t,
            hparams.munchausen_temperature,
            hparams.munchausen_scale,
            hparams.munchausen_clip,
        )

    @staticmethod
    def largest_bonus(hparams: Hparams, num_actions: int) -> jax.Array:
        """Bound what is paid beyond the reward of a step, `[]`.

        `scale * |clip|` at most for being sure of an action, and `temperature * log(A)` at most for
        being unsure.
        """
        sure = hparams.munchausen_scale * jnp.abs(hparams.munchausen_clip)
        return sure + hparams.munchausen_temperature * math.log(num_actions)

    def check(self, parts: Any) -> None:
        """Refuse returns of several steps."""
        if parts.returns.n_step > 1 or parts.returns.is_lambda:
            raise checks.InputValueError(
                "a Munchausen target follows its own soft policy for one step: there is no log-policy "
                "of the steps between for n_step > 1 or a window; leave them out, or set n_step=1 where "
                "the recipe has others",
                keywords=["n_step", "munchausen"],
            )
