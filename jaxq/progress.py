"""Progress of a run after a segment, as `metrics.jsonl` and checkpoints store it."""

import dataclasses
import functools
from pathlib import Path
from typing import Any

import numpy as np

from jaxq import checks
from jaxq.engine import CostMetrics, Metrics
from jaxq.statistics import Interval, bootstrap_interval, iqm
from jaxq.storage.json_values import agents_of, mapping, numbers_of, rows_of, steps_of
from jaxq.storage.stored_arrays import MANIFEST, DamagedError

BOUNDS = ("largest_values", "highest_values")
"""What bounds the values of each agent, by name."""


@dataclasses.dataclass(frozen=True)
class Progress:
    """Progress of a run after one segment.

    Attributes:
        steps: Env steps of each agent so far.
        seconds: Time since training began, compilation left out.
        steps_per_second: Env steps of all active agents per second, over the last segment.
        returns: Each agent's mean return over the episodes it finished last, `[N]`; NaN for none.
        metrics: Each agent's metrics over the segment, leaves `[N]`.
        diverged: Agents that have diverged so far.
        stopped: Agents that train no further, as they were halved away.
        largest_values: The largest absolute value that actions of each agent can have, `[N]`; NaN or
            infinity where nothing bounds it, `None` where that is not known.
        highest_values: The largest value that actions of each agent can have in this environment, `[N]`;
            as above.
    """

    steps: int
    seconds: float
    steps_per_second: float
    returns: np.ndarray
    metrics: Metrics | CostMetrics
    diverged: list[int] = dataclasses.field(default_factory=list)
    stopped: list[int] = dataclasses.field(default_factory=list)
    largest_values: np.ndarray | None = None
    highest_values: np.ndarray | None = None

    @property
    def iqm(self) -> float:
        """Interquartile mean of the returns over agents, diverged ones included."""
        return iqm(self.returns)

    @property
    def without_return(self) -> int:
        """Number of agents that have finished no episode yet; the IQM leaves them out."""
        return int(np.count_nonzero(~np.isfinite(self.returns)))

    @functools.cached_property
    def interval(self) -> Interval:
        """The 95% bootstrap interval of the interquartile mean."""
        return bootstrap_interval(self.returns, resamples=500)

    def mask(self, agents: list[int]) -> np.ndarray:
        """Return a list of agents, such as `diverged`, as a mask, bool `[N]`."""
        return np.isin(np.arange(self.returns.size), agents)

    def row(self) -> dict[str, Any]:
        """Return the progress as one line of `metrics.jsonl`."""
        columns = self.metrics._asdict().items()
        bounds = {name: getattr(self, name) for name in BOUNDS if getattr(self, name) is not None}
        return {
            "steps": self.steps,
            "seconds": round(self.seconds, 3),
            "steps_per_second": round(self.steps_per_second, 1),
            "iqm": self.iqm,
            "interval": list(self.interval),
            "without_return": self.without_return,
            "diverged": self.diverged,
            "stopped": self.stopped,
            **{name: np.asarray(bound, np.float64).tolist() for name, bound in bounds.items()},
            "agents": {name: np.asarray(column, np.float64).tolist() for name, column in columns},
        }

    @classmethod
    def read(cls, where: Path, value: Any, num_agents: int) -> "Progress":
        """Inverse of `row`, for N agents; returns are those of the segment alone."""
        row = mapping(where, value)
        metrics = _metrics(where, mapping(where, row.get("agents")), num_agents)
        names = ["steps", "seconds", "steps_per_second"]
        _, *speed = numbers_of(where, f"[{', '.join(names)}]", [row.get(name) for name in names], 3)
        lists = [agents_of(where, row, name, num_agents) for name in ("diverged", "stopped")]
        written = [name for name in BOUNDS if row.get(name) is not None]
        bounds = {name: numbers_of(where, name, row[name], num_agents) for name in written}
        returns = updated_returns(metrics, np.full(num_agents, np.nan))
        return cls(steps_of(where, row), *map(float, speed), returns, metrics, *lists, **bounds)

    def after(self, before: np.ndarray) -> "Progress":
        """Return the progress with the returns `[N]` before the segment filled in."""
        return dataclasses.replace(self, returns=updated_returns(self.metrics, before))

    def facts(self) -> dict[str, Any]:
        """Return what a checkpoint stores beside the population's state, as plain values."""
        returns = [value if np.isfinite(value) else None for value in self.returns.tolist()]
        lists = {"diverged": self.diverged, "stopped": self.stopped}
        return {"returns": returns, "seconds": self.seconds, **lists}

    @classmethod
    def restored(cls, num_agents: int, facts: dict[str, Any]) -> "Progress":
        """Inverse of `facts`, with the steps, for N agents; metrics are NaN.

        Raises:
            DamagedError: If the facts are something else.
        """
        where = Path(MANIFEST)
        try:
            returns = numbers_of(where, "returns", facts.get("returns"), num_agents)
            (seconds,) = numbers_of(where, "[seconds]", [facts.get("seconds")], 1).tolist()
            lists = [agents_of(where, facts, name, num_agents) for name in ("diverged", "stopped")]
            steps = steps_of(where, facts)
        except checks.InputValueError as error:
            raise DamagedError(str(error)) from None
        if not np.isfinite(seconds):
            raise DamagedError(f"{MANIFEST}: seconds must be a number")
        return cls(steps, seconds, np.nan, returns, _no_metrics(num_agents), *lists)

    @classmethod
    def begin(cls, steps: int, num_agents: int) -> "Progress":
        """Progress of N agents before their first segment."""
        returns = np.full(num_agents, np.nan)
        return cls(steps, 0.0, np.nan, returns, _no_metrics(num_agents))


def updated_returns(metrics: Metrics | CostMetrics, before: np.ndarray) -> np.ndarray:
    """Return each agent's mean return over the episodes it finished last, `[N]`, after a segment."""
    ended = (metrics.episodes > 0) & np.isfinite(metrics.episode_return)
    return np.where(ended, metrics.episode_return, before)


def _metrics(where: Path, agents: dict[str, Any], num_agents: int) -> Metrics | CostMetrics:
    known = [name for name in Metrics._fields if name in agents]
    columns = {name: numbers_of(where, name, agents[name], num_agents) for name in known}
    if missing := [name for name in Metrics._fields if name not in agents]:
        raise checks.InputValueError(f"{where}: agents must have their {', '.join(missing)}")
    if "episode_cost" not in agents:
        return Metrics(**columns)
    costs = rows_of(where, "episode_cost", agents["episode_cost"], num_agents)
    return CostMetrics(**columns, episode_cost=costs)


def _no_metrics(num_agents: int) -> Metrics:
    return Metrics(*np.full((len(Metrics._fields), num_agents), np.nan))
