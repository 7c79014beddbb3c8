"""Statistics of costs: how episodes and agents fare against budgets, in numpy.

Costs are `[..., M, K]`, of M episodes and K costs, as `evaluate_episodes` returns them; a budget is for
the expected cost of an episode. Episodes that were given up are NaN.
"""

import math
from typing import Any

import numpy as np

from jaxq import checks


def mean_cost(costs: Any) -> np.ndarray:
    """Average costs over the episodes that ended.

    `mean_m costs[m, k]`

    Args:
        costs: Costs of episodes, `[..., M, K]`; NaN for those given up, which are left out.

    Returns:
        float64 `[..., K]`; NaN where no episode ended.

    Raises:
        InputTypeError: If they are no numbers.
        InputValueError: If there is no axis of episodes, or no episode.

    Example:
        >>> mean_cost([[1.0, 0.0], [3.0, 0.0]]).tolist()
        [2.0, 0.0]
    """
    costs = _costs(costs)
    ended = ~np.isnan(costs)
    number = ended.sum(axis=-2)
    total = np.where(ended, costs, 0).sum(axis=-2)
    return np.where(number > 0, total / np.maximum(number, 1), np.nan)


def share_over_budget(costs: Any, budgets: Any) -> np.ndarray:
    """Say how many of the episodes cost more than the budget.

    `mean_m [costs[m, k] > budgets[k]]`

    A budget on the mean says nothing of single episodes, so this may well be half of them. One that was
    given up counts as over it, as nobody knows.

    Args:
        costs: Costs of episodes, `[..., M, K]`.
        budgets: Budget of each cost, `[K]`.

    Returns:
        Shares in [0, 1], float64 `[..., K]`.

    Raises:
        InputTypeError: If they are no numbers.
        InputValueError: If shapes do not fit together, or a budget is not finite.

    Example:
        >>> share_over_budget([[1.0], [3.0], [0.0], [0.0]], [2.0]).tolist()
        [0.25]
    """
    costs = _costs(costs)
    return (~(costs <= _budgets(budgets, costs))).mean(axis=-2)


def return_within_budget(returns: Any, costs: Any, budgets: Any) -> np.ndarray:
    """Give each agent its mean return if its mean costs are within all budgets, else NaN.

    `mean_m returns[m]` where `mean_m costs[m, k] <= budgets[k]` for every k

    Args:
        returns: Returns of episodes, `[..., M]`; NaN for those given up, which are left out.
        costs: Their costs, `[..., M, K]`.
        budgets: Budget of each cost, `[K]`.

    Returns:
        float64 `[...]`.

    Raises:
        InputTypeError: If they are no numbers.
        InputValueError: If shapes do not fit together, or a budget is not finite.

    References:
        Ray et al., Benchmarking Safe Exploration in Deep Reinforcement Learning, 2019, section 4
        (a policy that does not meet its constraints is not compared by return).

    Example:
        >>> costs = [[[1.0], [2.0]], [[2.0], [2.0]]]
        >>> return_within_budget([[4.0, 6.0], [9.0, 9.0]], costs, [1.5]).tolist()
        [5.0, nan]
    """
    costs = _costs(costs)
    spent, budget = mean_cost(costs), _budgets(budgets, costs)
    returns = np.asarray(returns, np.float64)
    if returns.shape != costs.shape[:-1]:
        raise checks.InputValueError(
            f"returns and costs must be of the same episodes, got shapes {list(returns.shape)} and "
            f"{list(costs.shape)}; for example returns [M] and costs [M, K]"
        )
    found = mean_cost(returns[..., None])[..., 0]
    return np.where((spent <= budget).all(axis=-1), found, np.nan)


def _costs(costs: Any) -> np.ndarray:
    # NaN stands for an episode that was given up.
    try:
        array = np.asarray(costs, np.float64)
    except (TypeError, ValueError):
        raise checks.InputTypeError(f"costs must be numbers [..., M, K], got {costs!r}") from None
    if array.ndim < 2 or not array.shape[-2]:
        raise checks.InputValueError(
            f"costs must be [..., M, K], of M episodes and K costs, got shape {list(array.shape)}; for "
            "example trainer.evaluate_episodes(state, key).costs"
        )
    return array


def _budgets(budgets: Any, costs: np.ndarray) -> np.ndarray:
    checks.in_range("budgets", budgets, -math.inf, math.inf)
    budget = np.asarray(budgets, np.float64)
    if budget.shape != costs.shape[-1:]:
        raise checks.InputValueError(
            f"budgets must be one for each of the {costs.shape[-1]} costs, got shape "
            f"{list(budget.shape)}; for example budgets={[1.0] * costs.shape[-1]}"
        )
    return budget
