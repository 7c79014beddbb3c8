"""Constrained MDPs solved exactly: the best policy among those whose expected costs stay within budgets.

What learning under constraints is measured against. As in `jaxq.dynamic_programming` time limits do
not count, and what begins an episode is the environment's initial distribution.
"""

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import scipy

from jaxq import checks
from jaxq.dynamic_programming import greedy_policy, value_iteration
from jaxq.envs.table import TableEnvironment

# Discounted visits below this are what the solver leaves of a zero.
_NEVER_VISITED = 1e-9
_EXAMPLE = 'costs={"violations": cost}, budgets={"violations": 1.0}'


class ConstrainedSolution(NamedTuple):
    """The best policy within its budgets, all numbers in float64.

    Attributes:
        policy: Probability of each action, `[S, A]`. Where two actions share a state it is randomized,
            in at most one state more for each budget that binds.
        value: Expected discounted return from the initial distribution.
        costs: Expected discounted cost by name, at most the budget.
        multipliers: What one more unit of a budget adds to the value, by name; zero where it does not
            bind.
        occupancy: Expected discounted number of times that each action is taken, `[S, A]`; its sum is
            at most `1 / (1 - discount)`.
    """

    policy: np.ndarray
    value: float
    costs: dict[str, float]
    multipliers: dict[str, float]
    occupancy: np.ndarray


class _Constraints(NamedTuple):
    """The linear program `flow @ x = initial`, `cost @ x <= budget`, with x flattened from `[S, A]`.

    `most` is infinite, but zero for actions that are not legal, which are never taken.
    """

    flow: "scipy.sparse.csr_array"
    initial: np.ndarray
    cost: np.ndarray
    budget: np.ndarray
    most: np.ndarray


def constrained_value_iteration(
    env: TableEnvironment,
    costs: Mapping[str, Any] | None = None,
    budgets: Mapping[str, float] | None = None,
    discount: float = 0.99,
) -> ConstrainedSolution:
    """Compute the best policy whose expected discounted costs stay within their budgets.

    `max_x sum x[s, a] r[s, a]` where `sum x[s, a] c_k[s, a] <= budget_k`, `x >= 0` and
    `sum_a x[s', a] = initial[s'] + discount * sum_{s, a} P(s' | s, a, not terminated) x[s, a]`

    x is the occupancy: how often, discounted, each action is taken, zero where it is not legal. The
    policy is its share in each state. States that the policy never comes to are given the actions that
    are best for `r - sum_k multiplier_k c_k`.

    Args:
        env: An environment made from a table; its time limit does not count.
        costs: For each name, the expected cost of an action in a state, `[S, A]`; those of the
            environment that there are budgets for, if not given.
        budgets: For each of the names, what the discounted sum may come to, in units of the cost.
        discount: gamma, in [0, 1), of rewards and costs alike.

    Returns:
        The policy with its value, costs, multipliers and occupancy.

    Raises:
        InputTypeError: If the environment was not made from a table, or costs and budgets are no
            dictionaries of numbers.
        InputValueError: If names or shapes do not fit together, a number is out of range, or no policy
            meets the budgets.

    References:
        Altman, Constrained Markov Decision Processes, 1999, theorems 3.3 and 3.6 (occupancy measures,
        and how many states are randomized in).

    Example:
        >>> from jaxq import envs
        >>> P = {0: {0: [(1.0, 0, 0.0, False)], 1: [(1.0, 0, 1.0, False)]}}  # wait, or be paid at a risk
        >>> risk, most = {"risk": [[0.0, 1.0]]}, {"risk": 0.5}
        >>> constrained_value_iteration(envs.from_table(P), risk, most, discount=0.5).policy.round(3)
        array([[0.75, 0.25]])
    """
    _check_table(env)
    costs = _own_costs(env, budgets) if costs is None else costs
    constraints = _constraints(env, costs, budgets, discount)
    probability, _, outcome_reward, _ = env.outcomes
    reward = (probability * outcome_reward).sum(axis=-1)
    solved = _solve(-reward.ravel(), constraints)
    if solved is None:
        raise checks.InputValueError(_least_excess(constraints, list(costs)))
    occupancy = np.maximum(solved.x, 0)
    multipliers = np.maximum(-solved.ineqlin.marginals, 0)
    penalty = (multipliers @ constraints.cost).reshape(reward.shape)
    occupancy = occupancy.reshape(reward.shape)
    return ConstrainedSolution(
        _policy(env, occupancy, penalty, discount),
        float((occupancy * reward).sum()),
        _named(costs, constraints.cost @ occupancy.ravel()),
        _named(costs, multipliers),
        occupancy,
    )


def _check_table(env: Any) -> None:
    if not isinstance(env, TableEnvironment):
        raise checks.InputTypeError(
            f"exact values need an environment made from a table, got {env!r}; "
            'for example jaxq.envs.make("FrozenLake-v1") or jaxq.envs.from_table(P)'
        )


def _own_costs(env: TableEnvironment, budgets: Any) -> dict[str, np.ndarray]:
    """Return the environment's costs that there are budgets for."""
    _check_mapping("budgets", budgets)
    for name in budgets:
        checks.one_of(f"cost of {env.name}", name, env.cost_names or ("none",))
    return {name: env.costs[name] for name in budgets}


def _check_mapping(what: str, mapping: Any) -> None:
    if not isinstance(mapping, Mapping) or not mapping:
        raise checks.InputTypeError(
            f"{what} must be a dictionary by name, got {mapping!r}; for example {_EXAMPLE}"
        )


def _constraints(env: TableEnvironment, costs: Any, budgets: Any, discount: Any) -> _Constraints:
    """Check the arguments, and write them as a linear program."""
    checks.one_number("discount", discount, 0, 1)
    if discount == 1:
        raise checks.InputValueError("discount must be below 1, got 1; for example discount=0.99")
    cost, budget = _checked_costs(costs, budgets, (env.num_states, env.num_actions))
    probability, next_state, _, terminated = env.outcomes
    pairs = np.arange(env.num_states * env.num_actions)
    weight = (probability * ~terminated).reshape(len(pairs), -1)
    shape = env.num_states, len(pairs)
    column = np.repeat(pairs, weight.shape[1])
    arriving = scipy.sparse.csr_array((weight.ravel(), (next_state.ravel(), column)), shape=shape)
    leaving = scipy.sparse.csr_array(
        (np.ones(len(pairs)), (pairs // env.num_actions, pairs)), shape=shape
    )
    legal = np.ones(len(pairs), bool) if env.legal is None else env.legal.ravel()
    most = np.where(legal, np.inf, 0)
    return _Constraints(leaving - float(discount) * arriving, env.initial, cost, budget, most)


def _checked_costs(costs: Any, budgets: Any, shape: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Return costs `[K, S * A]` and budgets `[K]`."""
    _check_mapping("costs", costs)
    _check_mapping("budgets", budgets)
    if set(costs) != set(budgets):
        raise checks.InputValueError(
            f"costs and budgets must have the same names, got {sorted(costs)} and {sorted(budgets)}; "
            f"for example {_EXAMPLE}"
        )
    for name, cost in costs.items():
        checks.in_range(f"costs[{name!r}]", cost, -math.inf, math.inf)
        checks.one_number(f"budgets[{name!r}]", budgets[name], -math.inf, math.inf)
        if np.shape(cost) != shape:
            raise checks.InputValueError(
                f"costs[{name!r}] must be a number for each state and action, {list(shape)}, got shape "
                f"{list(np.shape(cost))}; for example costs={{{name!r}: np.zeros({shape})}}"
            )
    rows = [np.asarray(cost, np.float64).ravel() for cost in costs.values()]
    return np.stack(rows), np.array([float(budgets[name]) for name in costs])


def _solve(objective: np.ndarray, constraints: _Constraints) -> Any | None:
    """Minimize, and return the solver's result, or `None` where nothing meets the constraints."""
    flow, initial, cost, budget, most = constraints
    bounds = np.stack([np.zeros_like(most), most], axis=1)
    result = scipy.optimize.linprog(objective, cost, budget, flow, initial, bounds, method="highs")
    infeasible = 2
    if result.status == infeasible:
        return None
    if not result.success:
        raise RuntimeError(f"the linear program was not solved: {result.message}")
    return result


def _least_excess(constraints: _Constraints, names: list[str]) -> str:
    """Say by how much every policy is over a budget: `min t` where `cost @ x - t <= budget`."""
    flow, initial, cost, budget, most = constraints
    num_states, num_pairs = flow.shape
    widened = _Constraints(
        scipy.sparse.hstack([flow, scipy.sparse.csr_array((num_states, 1))], format="csr"),
        initial,
        np.hstack([cost, -np.ones((len(cost), 1))]),
        budget,
        np.append(most, np.inf),
    )
    excess = _solve(np.eye(1, num_pairs + 1, num_pairs)[0], widened).x[-1]
    # Rounded up, so that what is proposed can be met.
    digit = 10.0 ** (math.floor(math.log10(excess)) - 3)
    raised = {name: float(f"{b + excess + digit:.6g}") for name, b in zip(names, budget, strict=True)}
    return (
        f"no policy meets budgets={_named(names, budget)}: each is over one of them by {excess:.4g} or "
        f"more; for example budgets={raised}"
    )


def _policy(
    env: TableEnvironment, occupancy: np.ndarray, penalty: np.ndarray, discount: float
) -> np.ndarray:
    """Turn visits into shares, and find the best of what is left where there are none, `[S, A]`."""
    visits = occupancy.sum(axis=1, keepdims=True)
    visited = visits > _NEVER_VISITED
    shares = occupancy / np.where(visited, visits, 1)
    if visited.all():
        return shares
    outcomes = env.outcomes._replace(reward=env.outcomes.reward - penalty[:, :, None])
    priced = TableEnvironment(outcomes, env.initial, 1, env.name, env.legal)
    q = value_iteration(priced, discount)
    q = q if env.legal is None else np.where(env.legal, q, q.min() - 1)
    return np.where(visited, shares, greedy_policy(q))


def _named(names: Any, values: np.ndarray) -> dict[str, float]:
    return {name: float(value) for name, value in zip(names, values, strict=True)}
