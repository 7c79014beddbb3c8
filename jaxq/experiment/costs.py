"""What the episodes of an evaluation cost, beside what the agents' budgets allow."""

from typing import Any, NamedTuple

import numpy as np

from jaxq.cost_statistics import mean_cost, return_within_budget, share_over_budget
from jaxq.hparams import Hparams, leaves_of
from jaxq.statistics import bootstrap_interval, iqm


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
        names: Names of the K costs.
        hparams: The agents' hyperparameters, leaves `[N]`.
        num_agents: Number of agents N.
    """
    leaves = leaves_of(hparams)
    none = np.full(num_agents, np.nan)
    budgets = [np.asarray(leaves.get(f"budget_{name}", none), np.float64) for name in names]
    return np.stack(budgets, axis=1) if names else np.zeros((num_agents, 0))
