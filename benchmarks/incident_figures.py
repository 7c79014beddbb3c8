"""Figures of the incident benchmark, one for each finding, drawn from what was kept of it.

python benchmarks/incident_figures.py [--write]
"""

import json

import numpy as np
from incident_players import BUDGETED, BUDGETS, COLUMNS, constrained
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from report import RESULTS, option_parser

KEPT = RESULTS / "incident.json"  # means of each seed, by row and column
BASELINES = ("never act", "random legal", "always restart", "runbook", "omniscient repairer")
CONSTRAINED = tuple(constrained(budget) for budget in BUDGETS)
AGENTS = ("r2d2", "rainbow", "dqn, 4 frames", "dqn", *CONSTRAINED)
OFFLINE = ("behaviour_cloning", "conservative_dqn", "bcq")
LOGS = {"runbook": "log of runbook, 20% random", "random legal": "log of random legal, 100% random"}
BASELINE_COLOR, AGENT_COLOR = "0.6", "C0"


class Kept:
    """What was kept: means over the episodes of each seed.

    Args:
        rows: By the name of a policy, `{"steps": ..., "seeds": [seed][column]}`.
    """

    def __init__(self, rows: dict[str, dict]) -> None:
        self._rows = rows

    def present(self, names: tuple[str, ...]) -> list[str]:
        """Return those of some policies that were measured."""
        return [name for name in names if name in self._rows]

    def seeds(self, name: str, column: str) -> np.ndarray:
        """Return a column of a policy, a number for each seed without those that have none."""
        values = np.array([seed[COLUMNS.index(column)] for seed in self._rows[name]["seeds"]], float)
        return values[np.isfinite(values)]

    def mean(self, name: str, column: str) -> tuple[float, float]:
        """Return the mean over seeds, and half of its 95% interval."""
        values = self.seeds(name, column)
        half = 1.96 * values.std(ddof=1) / np.sqrt(len(values)) if len(values) > 1 else 0.0
        return float(values.mean()), float(half)

    def label(self, name: str) -> str:
        """Name a policy, with what is different about how it was trained."""
        steps, usual = self._rows[name]["steps"], max(row["steps"] for row in self._rows.values())
        return f"{name}\n({steps:,} env steps)" if name in AGENTS and steps < usual else name


def bars(axes: Axes, kept: Kept, names: list[str], column: str, digits: str) -> None:
    """Draw a column of some policies: its means as bars, with 95% intervals."""
    means, halves = np.array([kept.mean(name, column) for name in names]).T
    places = np.arange(len(names))[::-1]
    colors = [AGENT_COLOR if name in AGENTS else BASELINE_COLOR for name in names]
    axes.barh(places, means, xerr=halves, color=colors, error_kw={"elinewidth": 1, "capsize": 2})
    for place, mean, half in zip(places, means, halves, strict=True):
        text = f" {mean:{digits}}"
        axes.text(mean + half, place, text, va="center", fontsize=7)
    axes.set_yticks(places, [kept.label(name) for name in names], fontsize=8)
    axes.tick_params(axis="x", labelsize=8)
    axes.margins(x=0.18)
    axes.set_xlim(left=0)
    axes.spines[["top", "right"]].set_visible(False)


def panels(kept: Kept, columns: dict[str, str], digits: str = ".2f") -> Figure:
    """Draw columns of all baselines and agents beside each other, by what stands below them."""
    names = kept.present(BASELINES + AGENTS)
    figure = Figure(figsize=(4 + 2.6 * (len(columns) - 1), 3.6), dpi=150, layout="constrained")
    for axes, (column, title) in zip(
        figure.subplots(1, len(columns), sharey=True, squeeze=False)[0], columns.items(), strict=True
    ):
        bars(axes, kept, names, column, digits)
        axes.set_xlabel(title, fontsize=8)
    return figure


def recovery(kept: Kept) -> Figure:
    """How many episodes end with every service healthy, and after how many steps."""
    columns = {"recovered": "share of episodes that recover", "steps to recovery": "steps to recovery"}
    return panels(kept, columns)


def price(kept: Kept) -> Figure:
    """What the actions of an episode cost."""
    return panels(kept, {"price": "price of an episode, in steps of complete outage"})


def violations(kept: Kept) -> Figure:
    """In how many steps of an episode each of the costs was 1."""
    names = ("availability", "needless_action", "restart_limit")
    return panels(kept, {name: f"{name.replace('_', ' ')}, steps of an episode" for name in names})


def offline(kept: Kept) -> Figure:
    """What agents get that learned from a log alone, against what made the log."""
    figure = Figure(figsize=(8, 2.8), dpi=150, layout="constrained")
    for axes, (rule, behaviour) in zip(figure.subplots(1, 2), LOGS.items(), strict=True):
        names = [f"{recipe}, from the log of {rule}" for recipe in OFFLINE]
        # The log of random actions is all of one policy, which is a baseline by itself.
        others = ("dqn",) if rule == "random legal" else (rule, "dqn")
        names = kept.present((behaviour, *names, *others))
        means, halves = np.array([kept.mean(name, "return") for name in names]).T
        colors = [AGENT_COLOR if " from " in name else BASELINE_COLOR for name in names]
        places = np.arange(len(names))[::-1]
        for place, mean, half, color in zip(places, means, halves, colors, strict=True):
            axes.errorbar(mean, place, xerr=half, fmt="o", color=color, markersize=5, capsize=2)
            axes.annotate(f"{mean:.2f}", (mean, place), (0, 6), textcoords="offset points",
                          ha="center", fontsize=7)  # fmt: skip
        axes.axvline(means[0], color="0.6", linestyle=":", linewidth=1)
        other = {behaviour: "the log itself", "dqn": "dqn, in the simulator"}
        texts = [other.get(name, name.split(", from")[0]) for name in names]
        axes.set_yticks(places, texts, fontsize=8)
        axes.tick_params(axis="x", labelsize=8)
        axes.set_ylim(-0.6, len(names) - 0.2)
        axes.margins(x=0.1)
        axes.set_xlabel("return of an episode", fontsize=8)
        axes.set_title(f"from the log of {rule}", fontsize=9)
        axes.spines[["top", "right"]].set_visible(False)
    return figure


def budget(kept: Kept) -> Figure:
    """What each seed spends of what there is a budget for, and what it gets."""
    figure = Figure(figsize=(6, 3.4), dpi=150, layout="constrained")
    axes = figure.subplots()
    budgets, colors = dict(zip(CONSTRAINED, BUDGETS, strict=True)), iter(("0.6", "C1", "C0", "C2", "C4"))
    for name in kept.present(("runbook", "dqn", *CONSTRAINED)):
        spent, returns = kept.seeds(name, BUDGETED), kept.seeds(name, "return")
        label, color = name, next(colors)
        if name in budgets:
            label += f": {int((spent <= budgets[name]).sum())} of {len(spent)} within it"
            axes.axvline(budgets[name], color=color, linestyle=":", linewidth=1)
        axes.scatter(spent, returns, s=14, label=label, color=color)
    axes.tick_params(labelsize=8)
    axes.set_xscale("symlog", linthresh=0.05)
    ticks = (0, 0.05, 0.1, 0.2, 0.5, 1, 2)
    axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    axes.set_xlim(left=0)
    axes.set_xlabel("needless actions of an episode, mean of each seed; dotted: budgets", fontsize=8)
    axes.set_ylabel("return, mean of each seed", fontsize=8)
    axes.legend(fontsize=7, framealpha=1, edgecolor="none")
    axes.spines[["top", "right"]].set_visible(False)
    return figure


FIGURES = {
    "recovery": recovery,
    "price": price,
    "violations": violations,
    "offline": offline,
    "budget": budget,
}


def write(rows: dict[str, dict]) -> None:
    """Draw every figure, and keep it as `results/incident_NAME.png`."""
    kept = Kept(rows)
    for name, figure in FIGURES.items():
        figure(kept).savefig(RESULTS / f"incident_{name}.png", metadata={"Software": None})


def main() -> None:
    options = option_parser(__doc__).parse_args()
    rows = json.loads(KEPT.read_text())
    print("\n".join(f"{name}: {figure.__doc__}" for name, figure in FIGURES.items()))
    if options.write:
        write(rows)


if __name__ == "__main__":
    main()
