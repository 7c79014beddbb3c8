"""What the episodes of an evaluation cost, beside what the agents' budgets allow."""

import math
from typing import Any, NamedTuple

import numpy as np

from jaxq.agents.budgets import PREFIX
from jaxq.cost_statistics import mean_cost, return_within_budget, share_over_budget
from jaxq.hparams import Hparams, leaves_of
from jaxq.statistics import Interval, bootstrap_interval, iqm


class CostRow(NamedTuple):
    """One cost of the greedy episodes of some agents.

    Attributes:
        cost: Its name.
        iqm: Interquartile mean over agents of the mean cost per episode.
        interval: Its 95% bootstrap interval.
        budgets: The lowest and the highest budget of the agents; NaN for none.
        within: How many agents keep within their budgets in the mean.
        agents: How many agents there are.
        share_over: Share of all episodes that cost more than their agent's budget; NaN without one.
    """

    cost: str
    iqm: float
    interval: Interval
    budgets: tuple[float, float]
    within: int
    agents: int
    share_over: float

    @property
    def budget(self) -> str:
        """The budget in words; empty for none."""
        low, high = self.budgets
        if math.isnan(low):
            return ""
        return f"{low:g}" if low == high else f"{low:g} to {high:g}"

    @property
    def cells(self) -> list[str]:
        """Budget, agents within it and share of episodes over it, in words."""
        if not self.budget:
            return ["", "", ""]
        return [self.budget, f"{self.within} of {self.agents}", f"{self.share_over:.0%}"]

    def plain(self) -> dict[str, Any]:
        """Return it as plain values; NaN where there is no value."""
        values = {"iqm": self.iqm, "interval": [*self.interval]}
        if not self.budget:
            return values
        return values | {
            "budget": [*self.budgets],
            "agents_within_budget": self.within,
            "share_over_budget": self.share_over,
        }


class EpisodeCosts(NamedTuple):
    """Costs of greedy episodes.

    Attributes:
        names: Names of the K costs.
        costs: Undiscounted costs, `[N, episodes, K]`; NaN for an episode that was given up.
        budgets: Each agent's budget of each cost, `[N, K]`; NaN where it has none.
    """

    names: tuple[str, ...]
    costs: np.ndarray
    budgets: np.ndarray

    @property
    def budgeted(self) -> np.ndarray:
        """Which costs the agents have budgets for, bool `[K]`."""
        return np.isfinite(self.budgets).all(axis=0)

    @property
    def mean(self) -> np.ndarray:
        """Each agent's mean costs per episode, `[N, K]`."""
        return mean_cost(self.costs)

    @property
    def shares_over_budget(self) -> np.ndarray:
        """Share of each agent's episodes that cost more than its budget, `[N, K]`; NaN without one."""
        pairs = zip(self.costs, np.nan_to_num(self.budgets), strict=True)
        shares = np.stack([share_over_budget(*pair) for pair in pairs])
        return np.where(self.budgeted, shares, np.nan)

    def returns_within_budget(self, returns: np.ndarray) -> np.ndarray:
        """Return each agent's mean return, NaN if one of its mean costs is over its budget, `[N]`.

        Args:
            returns: Undiscounted returns of the same episodes, `[N, episodes]`.
        """
        budgets, costs = self.budgets[:, self.budgeted], self.costs[..., self.budgeted]
        agents = zip(returns, costs, budgets, strict=True)
        return np.array([return_within_budget(*agent) for agent in agents], np.float64)

    def of_agents(self, agents: slice | np.ndarray) -> "EpisodeCosts":
        """Return the costs of some of the agents."""
        return EpisodeCosts(self.names, self.costs[agents], self.budgets[agents])

    def rows(self) -> list[CostRow]:
        """Sum up each cost over the agents."""
        mean, shares, rows = self.mean, self.shares_over_budget, []
        for k, name in enumerate(self.names):
            budgets = self.budgets[:, k]
            ends = (float(budgets.min()), float(budgets.max())) if self.budgeted[k] else (math.nan,) * 2
            within = int(np.count_nonzero(mean[:, k] <= budgets))
            score = iqm(mean[:, k]), bootstrap_interval(mean[:, k])
            rows.append(CostRow(name, *score, ends, within, len(mean), float(shares[:, k].mean())))
        return rows

    def summary(self, returns: np.ndarray) -> dict[str, Any]:
        """Return the costs as plain values, by their names; NaN where there is no value.

        Args:
            returns: Undiscounted returns of the same episodes, `[N, episodes]`.
        """
        mean, shares = self.mean, self.shares_over_budget
        costs = {}
        for k, name in enumerate(self.names):
            costs[name] = {
                "iqm": iqm(mean[:, k]),
                "interval": list(bootstrap_interval(mean[:, k])),
                "mean": mean[:, k].tolist(),
                "episodes": np.asarray(self.costs[..., k], np.float64).tolist(),
            }
            if self.budgeted[k]:
                costs[name] |= {
                    "budget": self.budgets[:, k].tolist(),
                    "share_over_budget": shares[:, k].tolist(),
                }
        if not self.budgeted.any():
            return {"costs": costs}
        return {"costs": costs, "return_within_budget": self.returns_within_budget(returns).tolist()}


def budgets_of(names: tuple[str, ...], hparams: Hparams, num_agents: int) -> np.ndarray:
    """Return each agent's budget of each cost, `[N, K]`; NaN where there is none.

    Args:
        names: Names of the K costs, at least one.
        hparams: The agents' hyperparameters, leaves `[N]`.
        num_agents: Number of agents N.
    """
    leaves = leaves_of(hparams)
    none = np.full(num_agents, np.nan)
    budgets = [np.asarray(leaves.get(f"{PREFIX}{name}", none), np.float64) for name in names]
    return np.stack(budgets, axis=1)
