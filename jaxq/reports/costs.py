"""What episodes cost, beside the agents' budgets: a table's rows, and return against cost."""

from typing import NamedTuple

import numpy as np

from jaxq import statistics
from jaxq.experiment.costs import CostRow
from jaxq.experiment.ranking import Ranked, interval_text, number
from jaxq.reports.plot import COLORS, Figure, Plot, axis, color
from jaxq.reports.runs import Run

_MOST_BUDGETS = 6


def cost_rows(run: Run, agents: slice = slice(None)) -> list[CostRow]:
    """Sum up every cost of some agents of a run; none where the environment has no costs."""
    return [] if run.costs is None else run.costs.of_agents(agents).rows()


def within_budgets(run: Run) -> str | None:
    """Say how many agents keep within all their budgets, and what return they get."""
    if run.costs is None or run.returns is None or not run.costs.budgeted.any():
        return None
    kept = run.costs.returns_within_budget(run.returns)
    kept = kept[np.isfinite(kept)]
    if not kept.size:
        return f"None of {run.config.agents} agents keeps within its budgets in the mean."
    score = f"{number(statistics.iqm(kept))} {interval_text(statistics.bootstrap_interval(kept))}"
    number_of = f"{kept.size} of {run.config.agents} agents"
    return f"{number_of} keep within their budgets in the mean, with a return of {score}."


def front(costs: np.ndarray, returns: np.ndarray) -> np.ndarray:
    """Return the numbers of the agents that no other is better than in both, from the cheapest on.

    Args:
        costs: Mean cost of each agent, `[N]`.
        returns: Mean return of each agent, `[N]`; NaN for none.

    Example:
        >>> front(np.array([1.0, 2.0, 3.0]), np.array([1.0, 0.5, 4.0])).tolist()
        [0, 2]
    """
    known = np.flatnonzero(np.isfinite(costs) & np.isfinite(returns))
    order = known[np.lexsort((-returns[known], costs[known]))]
    best = np.maximum.accumulate(np.concatenate([[-np.inf], returns[order]]))[:-1]
    return order[returns[order] > best]


class Spent(NamedTuple):
    """One cost of all agents, beside what they got for it.

    Attributes:
        cost: Its name.
        names: What to call each agent, `[N]`.
        groups: Which combination each agent has, its place in the ranking, `[N]`.
        costs: Mean cost per episode, `[N]`.
        returns: Mean return, `[N]`.
        budgets: Budget of each agent, `[N]`; NaN for none.
    """

    cost: str
    names: list[str]
    groups: np.ndarray
    costs: np.ndarray
    returns: np.ndarray
    budgets: np.ndarray


def spent_on(cost: str, runs: list[Run], ranking: list[Ranked]) -> Spent:
    """Collect a cost of the agents of all runs that have it.

    Args:
        cost: Its name.
        runs: The runs.
        ranking: Their combinations, each of the run whose name it has.
    """
    by_name = {run.name if len(runs) > 1 else "": run for run in runs}
    names, parts = [], []
    for place, row in enumerate(ranking):
        run = by_name[row.group]
        if run.costs is None or cost not in run.costs.names:
            continue
        k, part = run.costs.names.index(cost), run.costs.of_agents(row.agents)
        parts.append([np.full(row.scores.size, place), part.mean[:, k], row.scores, part.budgets[:, k]])
        agents = range(row.agents.start, row.agents.start + row.scores.size)
        names += [f"agent {agent}" + f" of {row.group}" * bool(row.group) for agent in agents]
    return Spent(cost, names, *np.concatenate(parts, axis=1))


def return_against_cost(spent: Spent, ranking: list[Ranked]) -> Figure:
    """Draw every agent's return over what it costs, the Pareto front, and the budgets."""
    budgets = np.unique(spent.budgets[np.isfinite(spent.budgets)])
    shown = budgets[budgets <= 2 * np.nanmax(spent.costs)][:_MOST_BUDGETS]
    across = axis(f"{spent.cost} per episode", [*spent.costs, *shown])
    plot = Plot(across, axis("return", spent.returns))
    for budget in shown:
        plot.upright(budget, "budget")
    best = front(spent.costs, spent.returns)
    plot.line(spent.costs[best], spent.returns[best], "front")
    for place in np.unique(spent.groups.astype(int)):
        which = np.flatnonzero(spent.groups == place)
        kind = color(place % COLORS)
        titles = [
            f"{spent.names[i]}: return {number(spent.returns[i])}, {spent.cost} {number(spent.costs[i])}"
            for i in which
        ]
        plot.points(spent.costs[which], spent.returns[which], kind, titles=titles)
        if len(ranking) > 1 and place < COLORS:
            plot.name(f"{kind} points", ranking[place].name)
    plot.name("front", "Pareto front: nobody has more return for less cost")
    if shown.size:
        plot.name("budget dashed", "budgets")
    return plot.drawn()
