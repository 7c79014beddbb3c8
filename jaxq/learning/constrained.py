"""Values under constraints: reward and costs side by side, weighed by Lagrange multipliers.

The Lagrangian of "the largest return whose costs stay within budgets" is, for multipliers >= 0,

`L = E[return] - sum_k multiplier_k (E[cost_k] - budget_k)`,

so for given multipliers the best policy is that of the reward `r - sum_k multiplier_k c_k`.
"""

import dataclasses
from typing import Any

import chex
import jax
import jax.numpy as jnp

from jaxq import checks
from jaxq.learning.targets import Bootstrap, td_target, value_of_action
from jaxq.learning.values import SCALAR_LOSSES, Loss


def priced_values(values: jax.Array, multiplier: jax.Array) -> jax.Array:
    """Weigh what actions are worth against what they cost.

    `q[a] = values[a, 0] - sum_k multiplier[k] values[a, 1 + k]`

    Args:
        values: Value of each action and its K costs behind it, `[..., 1 + K]`.
        multiplier: Price of each cost in units of reward, `[K]`, >= 0.

    Returns:
        Values less costs, `[...]`.

    Example:
        >>> import jax.numpy as jnp
        >>> priced_values(jnp.array([[3.0, 1.0], [2.0, 0.0]]), jnp.array([2.0])).tolist()
        [1.0, 2.0]
    """
    price = jnp.expand_dims(multiplier, tuple(range(values.ndim - 1)))
    return values[..., 0] - jnp.sum(values[..., 1:] * price, axis=-1)


def priced_target(
    r_t: jax.Array, discount_t: jax.Array, bootstrap: Bootstrap, values_t: jax.Array
) -> jax.Array:
    """Say what the action taken at `s_tm1` turned out to be worth, and to cost, under one policy.

    `target[0] = r_t[0] + bonus + discount_t * sum_a probs_t[a] * (values_t[a, 0] + shift_t[a])` and
    `target[k] = r_t[k] + discount_t * sum_a probs_t[a] * values_t[a, k]`

    Args:
        r_t: Reward on the way to `s_t`, and the K costs behind it, `[1 + K]`.
        discount_t: What `s_t` counts for, `[]`.
        bootstrap: How the actions at `s_t` enter.
        values_t: Value and costs of each action at `s_t`, `[A, 1 + K]`.

    Returns:
        The targets, `[1 + K]`, through which no gradient flows.
    """
    chex.assert_rank([r_t, discount_t, values_t], [1, 0, 2])
    # What a rule adds is reward of its own, and no cost.
    plain = Bootstrap(
        bootstrap.probs_t, jnp.zeros_like(bootstrap.shift_t), jnp.zeros_like(bootstrap.bonus)
    )
    reward = td_target(r_t[0], discount_t, bootstrap, values_t[:, 0])
    costs = jax.vmap(td_target, in_axes=(0, None, None, 1))(r_t[1:], discount_t, plain, values_t[:, 1:])
    return jnp.concatenate([reward[None], costs])


def multiplier_step(
    multiplier: jax.Array, cost: jax.Array, episodes: jax.Array, budget: jax.Array, rate: jax.Array
) -> jax.Array:
    """Raise the prices of what was overspent, and lower those of what was not.

    `multiplier[k] <- max(0, multiplier[k] + rate * (cost[k] - episodes * budget[k]))`

    Gradient descent on the Lagrangian, with the costs that were in the place of the expected ones. As
    each step adds at least `rate * (cost - episodes * budget)`, after any number of them from zero
    `mean cost per episode <= budget + multiplier / (rate * all episodes)`.

    Args:
        multiplier: Prices so far, `[K]`, >= 0.
        cost: Sum of the costs of some episodes, `[K]`.
        episodes: How many these are, `[]`.
        budget: What an episode may cost, `[K]`.
        rate: Step size, `[]`, >= 0.

    Returns:
        The next prices, `[K]`, >= 0.

    References:
        Altman, Constrained Markov Decision Processes, 1999, chapter 4 (the Lagrangian).
        Tessler et al., Reward Constrained Policy Optimization, 2019, equation 8.

    Example:
        >>> import jax.numpy as jnp
        >>> cost, budget = jnp.array([5.0, 1.0]), jnp.array([2.0, 2.0])
        >>> multiplier_step(jnp.zeros(2), cost, 2.0, budget, 0.5).tolist()
        [0.5, 0.0]
    """
    chex.assert_equal_shape([multiplier, cost, budget])
    return jnp.maximum(multiplier + rate * (cost - episodes * budget), 0)


@dataclasses.dataclass(frozen=True)
class PricedValue:
    """A value and K costs per action: the output is `[A, 1 + K]`, a target `[1 + K]`.

    Actions compare by `priced_values`. Reward and costs are learned side by side, each by its own loss,
    so that another price needs no learning anew of what is worth and costs what.

    Attributes:
        loss_name: "huber" or "squared", as of `ScalarValue`.
        multiplier: Price of each cost, `[K]`.
    """

    loss_name: str
    multiplier: Any

    def __post_init__(self) -> None:
        """Check the setting."""
        checks.one_of("loss", self.loss_name, SCALAR_LOSSES)

    def q(self, output: jax.Array) -> jax.Array:
        """Return values less costs, `[A]`."""
        chex.assert_rank(output, 2)
        return priced_values(output, self.multiplier)

    def target(
        self, r_t: jax.Array, discount_t: jax.Array, bootstrap: Bootstrap, output_t: jax.Array
    ) -> jax.Array:
        """Return `priced_target` of a transition, `[1 + K]`."""
        return priced_target(r_t, discount_t, bootstrap, output_t)

    def constant_target(self, number: jax.Array) -> jax.Array:
        """Refuse: a number alone says nothing of costs."""
        raise NotImplementedError("targets of priced values are of reward and costs")

    def loss(self, output_tm1: jax.Array, a_tm1: jax.Array, target: jax.Array) -> Loss:
        """Penalize the TD errors of reward and costs alike; the priority has costs at their prices."""
        prediction = jax.vmap(value_of_action, in_axes=(1, None))(output_tm1, a_tm1)
        error = jax.lax.stop_gradient(target - prediction)
        return Loss(
            jnp.sum(SCALAR_LOSSES[self.loss_name](prediction, target)),
            priced_values(error, self.multiplier),
            jnp.abs(error[0]) + jnp.sum(self.multiplier * jnp.abs(error[1:])),
        )
