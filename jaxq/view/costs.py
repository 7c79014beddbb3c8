"""Costs beside reward, as the page shows them: of all agents' evaluation, and of each step it plays."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from jaxq.experiment.costs import EpisodeCosts
from jaxq.view.episodes import Episodes
from jaxq.view.numbers import number, numbers


def cost_data(costs: EpisodeCosts | None) -> list[dict[str, Any]]:
    """Return what the evaluation of a run found of each cost; nothing where there are none.

    Args:
        costs: What its episodes cost.

    Returns:
        For each cost its name, each agent's mean per episode and budget, `[N]`, the interquartile mean
        over agents with its interval, and how many keep within their budgets; `None` without budgets.
    """
    if costs is None:
        return []
    found = []
    for k, row in enumerate(costs.rows()):
        budgeted = bool(costs.budgeted[k])
        found.append(
            {
                "name": row.cost,
                "mean": numbers(costs.mean[:, k]),
                "budget": numbers(costs.budgets[:, k]) if budgeted else None,
                "iqm": number(row.iqm),
                "interval": numbers(row.interval),
                "within": row.within if budgeted else None,
            }
        )
    return found


def step_costs(episodes: Episodes, names: Sequence[str]) -> list[dict[str, Any]]:
    """Return each cost of the first episode step by step, and its mean over all that were played."""
    if episodes.cost is None:
        return []
    length = int(episodes.played[:, 0].sum())
    means = np.mean(episodes.costs_of_episodes(), axis=0)
    return [
        {"name": name, "steps": numbers(episodes.cost[:length, 0, k]), "mean": number(means[k])}
        for k, name in enumerate(names)
    ]
