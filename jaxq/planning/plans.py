"""Plans: actions with what speaks for each of them, as values, as JSON, and to read."""

import dataclasses
import json
import math
from typing import Any

import numpy as np

_NOT_LEGAL = "not legal"
_UNKNOWN = "nobody said which actions are legal; give legal_actions= or env_state="


@dataclasses.dataclass(frozen=True)
class Estimate:
    """A number with its 95% interval.

    Attributes:
        value: The mean over the rollouts.
        low: Lower end of the interval.
        high: Upper end of it.
    """

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        """Write the number with its interval."""
        return f"{self.value:.3g} [{self.low:.3g}, {self.high:.3g}]"


@dataclasses.dataclass(frozen=True)
class PathStep:
    """A step of the path that most rollouts take.

    Attributes:
        action: The action taken most often in this step.
        name: What it does.
        share: Share of the episodes still going on that take it, in [0, 1].
        going_on: Share of all episodes still going on before the step, in [0, 1].
        reward: Mean reward of the step in them.
        total_reward: Mean reward up to this step, over all rollouts.
    """

    action: int
    name: str
    share: float
    going_on: float
    reward: float
    total_reward: float


@dataclasses.dataclass(frozen=True)
class Outlook:
    """What is to be expected of an action, with the greedy policy behind it.

    Attributes:
        horizon: Steps that were looked ahead.
        samples: Rollouts.
        path: The expected path, a step for each until all episodes have ended.
        total_reward: Undiscounted reward within the horizon.
        recovery: Probability to recover within the horizon; `None` where the environment does not say
            what recovery is.
        costs: Sum of each cost within the horizon by name; `None` where there are no costs.
        over_budget: Probability to break each budget within the horizon; `None` without budgets.
    """

    horizon: int
    samples: int
    path: tuple[PathStep, ...]
    total_reward: Estimate
    recovery: Estimate | None
    costs: dict[str, Estimate] | None
    over_budget: dict[str, Estimate] | None


@dataclasses.dataclass(frozen=True)
class PlannedAction:
    """One action of a plan.

    Attributes:
        action: Its number.
        name: What it does.
        q_value: Its value: the discounted reward that the agent expects of it; with budgets, less the
            costs at their prices.
        advantage: By how much that is more than the value of `Plan.advantage_over`; `None` where there
            is no other action.
        confidence: As `Plan.confidence_kind` says; `None` where the agent has no such number.
        legal: Whether it may be taken; `None` if nobody said which actions may.
        reason: Why it may not; `None` if it may.
        expected_costs: Discounted costs that the agent expects of it by name, those with budgets;
            `None` of agents without.
        outlook: What the simulator says of it; `None` if it was not asked.
    """

    action: int
    name: str
    q_value: float
    advantage: float | None
    confidence: float | None
    legal: bool | None
    reason: str | None
    expected_costs: dict[str, float] | None
    outlook: Outlook | None


@dataclasses.dataclass(frozen=True)
class Plan:
    """Corrective actions, best first, and illegal ones behind all others.

    Attributes:
        actions: The actions.
        advantage_over: What advantages compare with: the name of the action that does nothing, or
            "the best other action".
        confidence_kind: What the confidence of an action is: "ensemble spread", the standard deviation
            of the members' values; "return spread", that of the return by its distribution; "visits",
            the updates of a table's entry; or `None`. Of spreads less is surer, of visits more.
    """

    actions: tuple[PlannedAction, ...]
    advantage_over: str
    confidence_kind: str | None

    @property
    def best(self) -> PlannedAction:
        """The best action."""
        return self.actions[0]

    @property
    def legal_actions(self) -> np.ndarray:
        """Which actions may be taken, bool `[A]`; all of them where nobody said."""
        mask = np.ones(len(self.actions), bool)
        mask[[action.action for action in self.actions if action.legal is False]] = False
        return mask

    def to_dict(self) -> dict[str, Any]:
        """Return plain values that strict JSON can hold: `None` for what is not finite."""
        return _plain(dataclasses.asdict(self))

    def to_json(self, indent: int | None = None) -> str:
        """Return strict JSON."""
        return json.dumps(self.to_dict(), allow_nan=False, indent=indent)

    def __str__(self) -> str:
        """Write the plan as a table, and what is to be expected of the best action below it."""
        header, rows = self._cells()
        lines = _aligned([header, *rows])
        return "\n".join([*lines, *self._notes()])

    def __rich__(self) -> Any:
        """Return the same for a rich console."""
        # Here, as importing them takes a while.
        from rich.console import Group
        from rich.table import Table
        from rich.text import Text

        header, rows = self._cells()
        table = Table(box=None)
        for number, title in enumerate(header):
            table.add_column(title, justify="left" if number in (1, len(header) - 1) else "right")
        for action, row in zip(self.actions, rows, strict=True):
            table.add_row(*map(Text, row), style="dim" if action.legal is False else "")
        return Group(table, *map(Text, self._notes()))

    def _cells(self) -> tuple[list[str], list[list[str]]]:
        costs = [*(self.best.expected_costs or {})]
        simulated = any(action.outlook is not None for action in self.actions)
        header = ["", "action", "value", "advantage"]
        header += [self.confidence_kind] if self.confidence_kind else []
        header += costs + (["reward", "recovery"] if simulated else []) + [""]
        rows = []
        for place, action in enumerate(self.actions, 1):
            row = [str(place), action.name, _number(action.q_value), _number(action.advantage, "+")]
            counts = self.confidence_kind == "visits"
            sure = f"{action.confidence:,.0f}" if counts else _number(action.confidence)
            row += [sure] if self.confidence_kind else []
            row += [_number(action.expected_costs[name]) for name in costs]
            if simulated:
                outlook = action.outlook
                row += [_mean(outlook and outlook.total_reward), _mean(outlook and outlook.recovery)]
            row += [f"{_NOT_LEGAL}: {action.reason}" if action.legal is False else ""]
            rows.append(row)
        return header, rows

    def _notes(self) -> list[str]:
        notes = [f"advantage over {self.advantage_over}"]
        if self.best.legal is None:
            notes.append(_UNKNOWN)
        if self.best.outlook is not None:
            notes += ["", *_told(self.best.name, self.best.outlook)]
        return notes


def _told(name: str, outlook: Outlook) -> list[str]:
    """Tell what is to be expected of an action."""
    lines = [f"{name}, and on: {outlook.samples} rollouts of at most {outlook.horizon} steps"]
    table = [["step", "action", "share", "going on", "reward", "total"]]
    for number, step in enumerate(outlook.path, 1):
        numbers = f"{step.share:.0%}", f"{step.going_on:.0%}", f"{step.reward:.3g}"
        table.append([str(number), step.name, *numbers, f"{step.total_reward:.3g}"])
    lines += _aligned(table)
    lines.append(f"reward: {outlook.total_reward}")
    if outlook.recovery is not None:
        lines.append(f"probability of recovery: {outlook.recovery}")
    lines += [f"cost {name}: {cost}" for name, cost in (outlook.costs or {}).items()]
    budgets = (outlook.over_budget or {}).items()
    return lines + [f"probability to break the budget on {name}: {chance}" for name, chance in budgets]


def _aligned(rows: list[list[str]]) -> list[str]:
    """Align cells in columns: names, in the second and in a last one without a title, to the left."""
    left = {1} if rows[0][-1] else {1, len(rows[0]) - 1}
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]

    def line(row: list[str]) -> str:
        cells = zip(row, widths, strict=True)
        aligned = (c.ljust(w) if i in left else c.rjust(w) for i, (c, w) in enumerate(cells))
        return "  ".join(aligned).rstrip()

    return [line(row) for row in rows]


def _number(value: float | None, sign: str = "") -> str:
    return "" if value is None else f"{value:{sign}.4g}"


def _mean(estimate: Estimate | None) -> str:
    return "" if estimate is None else f"{estimate.value:.3g}"


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _plain(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(part) for part in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
