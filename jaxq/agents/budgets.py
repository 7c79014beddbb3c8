"""Budgets: constraints on the costs of an episode, kept by Lagrange multipliers."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import jax
import jax.numpy as jnp

from jaxq import checks
from jaxq.hparams import Hparams, Hyperparameter
from jaxq.learning import multiplier_step
from jaxq.types import Environment, Trajectory, Transition

Learner = TypeVar("Learner", bound=Any)

PREFIX = "budget_"
"""What the leaf of a cost's budget begins with."""

_EXAMPLE = 'budgets={"violations": 1.0}'


@dataclass(frozen=True)
class Budgets:
    """What an episode may cost on average, undiscounted, by the names of costs.

    A multiplier for each of them, which belongs to what an agent has learned, is the price at which its
    cost is weighed against reward: it rises while episodes cost more than the budget.

    Attributes:
        starting: Name and starting value of each budget.

    References:
        Tessler et al., Reward Constrained Policy Optimization, 2019, algorithm 1.
    """

    starting: tuple[tuple[str, float], ...]

    @classmethod
    def of(cls, budgets: Any) -> "Budgets | None":
        """Make the component of a dictionary; `None` of an empty one.

        Raises:
            InputTypeError: If it is no dictionary by names, or a budget no number.
            InputValueError: If a budget is not finite.
        """
        if not isinstance(budgets, Mapping) or not all(isinstance(name, str) for name in budgets):
            raise checks.InputTypeError(
                f"budgets must be a dictionary by names of costs, got {budgets!r}; "
                f"for example {_EXAMPLE}",
                keywords=["budgets"],
            )
        for name, budget in budgets.items():
            checks.one_number(f"budgets[{name!r}]", budget, -math.inf, math.inf)
        wrong = [name for name in budgets if not name.isidentifier()]
        if wrong:
            raise checks.InputValueError(
                f"{wrong[0]!r} cannot be the name of a cost; use {_EXAMPLE}", keywords=["budgets"]
            )
        found = tuple((name, float(budget)) for name, budget in budgets.items())
        return cls(found) if found else None

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the costs."""
        return tuple(name for name, _ in self.starting)

    @property
    def leaves(self) -> dict[str, Hyperparameter]:
        """`budget_NAME` of each cost, and the step size of the multipliers.

        The step size is in units of reward per cost, for each episode and each unit over the budget. It
        should be so small that values keep up with the prices.
        """
        budgets = {
            f"{PREFIX}{name}": Hyperparameter(budget, meaning=f"mean {name} allowed per episode")
            for name, budget in self.starting
        }
        step = Hyperparameter(0.01, 0, meaning="step size of the prices of costs")
        return {**budgets, "multiplier_learning_rate": step}

    def bind(self, env: Environment, num_envs: int) -> "Multipliers":
        """Find the costs among those of an environment, of which an agent acts in so many.

        Raises:
            InputValueError: Naming a cost that it has not.
        """
        names = getattr(env, "cost_names", ())
        for name in self.names:
            if name not in names:
                hint = checks.nearest(name, names) if names else "it declares none; see cost_names"
                raise checks.InputValueError(
                    f"budgets are for costs of the environment, and {env.name} has no cost {name!r}; "
                    f"{hint}"
                )
        columns = tuple(names.index(name) for name in self.names)
        return Multipliers(self.names, columns, len(names), num_envs)

    def check(self, parts: Any) -> None:
        """Refuse what gives or learns from rewards alone."""
        if parts.network.is_own:
            raise checks.InputValueError(
                "budgets need a head for costs, which is built here, and network=... brings its own; "
                "give the network's first part as torso, or leave out budgets",
                keywords=["budgets", "network"],
            )
        if parts.returns.is_lambda:
            raise checks.InputValueError(
                "lambda-returns over a window are of rewards alone, and budgets need those of costs; "
                "use memory='replay', or leave out budgets",
                keywords=["budgets", "memory"],
            )


@dataclass(frozen=True)
class Multipliers:
    """Budgets for an environment.

    Attributes:
        names: Names of the K costs that there are budgets for.
        columns: Where these stand among the environment's costs.
        num_costs: How many costs the environment has.
        num_envs: Environments E.
    """

    names: tuple[str, ...]
    columns: tuple[int, ...]
    num_costs: int
    num_envs: int

    def init(self) -> dict[str, jax.Array]:
        """Return what a learner holds at first, zeros: `multipliers`, `[K]`, and `spent`, `[E, K]`."""
        costs = len(self.names)
        return {"multipliers": jnp.zeros(costs), "spent": jnp.zeros((self.num_envs, costs))}

    def rewards(self, steps: Trajectory | Transition) -> jax.Array:
        """Return rewards `[..., 1 + K]` of steps, with the costs behind them."""
        return jnp.concatenate([steps.reward[..., None], self._costs(steps.cost)], axis=-1)

    def updated(self, learner: Learner, hparams: Hparams, newest: Transition) -> Learner:
        """Move a learner's multipliers by what the episodes cost that ended in the newest steps.

        Args:
            learner: What was learned, with `multipliers` and `spent`.
            hparams: The agent's hyperparameters.
            newest: An iteration's transitions, leaves `[T, E, ...]`.
        """
        budget = jnp.stack([getattr(hparams, f"{PREFIX}{name}") for name in self.names])
        rate = hparams.multiplier_learning_rate

        def step(held: tuple, row: tuple) -> tuple[tuple, None]:
            multiplier, spent = held
            cost, ended = row
            spent = spent + cost
            finished = jnp.sum(ended[:, None] * spent, axis=0)
            episodes = ended.sum(dtype=jnp.float32)
            multiplier = multiplier_step(multiplier, finished, episodes, budget, rate)
            return (multiplier, jnp.where(ended[:, None], 0, spent)), None

        rows = self._costs(newest.cost), newest.terminated | newest.truncated
        (multiplier, spent), _ = jax.lax.scan(step, (learner.multipliers, learner.spent), rows)
        return learner._replace(multipliers=multiplier, spent=spent)

    def cost_values(self, values: jax.Array) -> jax.Array:
        """Return what actions cost, in order of the environment's costs; NaN where there is no budget.

        Args:
            values: Value of each action and its K costs behind it, `[E, A, 1 + K]`.

        Returns:
            float32 `[E, num_costs, A]`.
        """
        envs, actions, _ = values.shape
        unknown = jnp.full((envs, self.num_costs, actions), jnp.nan)
        return unknown.at[:, jnp.array(self.columns)].set(jnp.moveaxis(values[..., 1:], -1, 1))

    def _costs(self, cost: jax.Array) -> jax.Array:
        return jnp.stack([cost[..., column] for column in self.columns], axis=-1)
