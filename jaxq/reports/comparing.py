"""Comparing runs: how probably an agent of one does better than an agent of another."""

import dataclasses
import itertools
import math
from typing import Any

import numpy as np
from rich.markup import escape
from rich.table import Table

from jaxq import statistics
from jaxq.experiment.ranking import interval_text, number
from jaxq.reports.costs import cost_rows
from jaxq.reports.runs import Run
from jaxq.statistics import Interval
from jaxq.storage.json_values import finite


@dataclasses.dataclass(frozen=True)
class Pair:
    """One run held against another.

    Attributes:
        run: The run.
        over: The run that it is compared with.
        improvement: Probability that an agent of the first scores more than one of the other.
        improvement_interval: Its 95% bootstrap interval.
        difference: The first's IQM less the other's.
        difference_interval: Its 95% bootstrap interval.
        p_value: Two-sided p-value of Mann and Whitney's test.
        corrected: The same, corrected for the number of pairs.
    """

    run: Run
    over: Run
    improvement: float
    improvement_interval: Interval
    difference: float
    difference_interval: Interval
    p_value: float
    corrected: float

    @property
    def improves(self) -> bool:
        """Whether the interval of the probability leaves out 1/2."""
        return _leaves_out(self.improvement_interval, 0.5)

    @property
    def differs(self) -> bool:
        """Whether the interval of the difference leaves out 0."""
        return _leaves_out(self.difference_interval, 0.0)


def compare(runs: list[Run], *, all_pairs: bool = False) -> list[Pair]:
    """Compare runs by their agents' scores.

    Args:
        runs: The runs.
        all_pairs: Whether to compare each with each; otherwise all others with the first.

    Returns:
        The pairs, p-values corrected for their number.
    """
    chosen = itertools.combinations(runs, 2) if all_pairs else ((runs[0], run) for run in runs[1:])
    pairs = [_pair(run, over) for over, run in chosen]
    corrected = statistics.holm([pair.p_value for pair in pairs])
    return [
        dataclasses.replace(pair, corrected=float(value))
        for pair, value in zip(pairs, corrected, strict=True)
    ]


def notes(runs: list[Run]) -> list[str]:
    """Say what the reader of a comparison should know."""
    said = []
    for note in dict.fromkeys(note for run in runs for note in run.notes):
        names = [run.name for run in runs if note in run.notes]
        said.append(note if len(names) == len(runs) else f"{', '.join(names)}: {note}")
    environments = dict.fromkeys(run.config.environment for run in runs)
    if len(environments) > 1:
        said.append(
            f"The runs are on different environments ({', '.join(environments)}), "
            "whose scores have different scales."
        )
    steps = {run.name: run.steps for run in runs}
    if len({*steps.values()}) > 1:
        listed = ", ".join(f"{name} {number:,}" for name, number in steps.items())
        said.append(f"The agents trained for different numbers of env steps: {listed}.")
    return said + warnings(runs)


def warnings(runs: list[Run]) -> list[str]:
    """Say what the interquartile means leave out, and which intervals are of few agents."""
    return [
        f"{run.name}: {text}"
        for run in runs
        for text in statistics.caveats(run.scores if run.returns is None else run.returns)
    ]


def tables(runs: list[Run], pairs: list[Pair]) -> list[Table]:
    """Make the tables that the terminal shows: of runs, of pairs, and of costs if there are any."""
    of_runs = Table("", "run", "environment", "algorithm", box=None, padding=(0, 1, 0, 0))
    of_runs.columns[1].overflow = "fold"
    for name in ("N", "IQM", "95% interval"):
        of_runs.add_column(name, justify="right", no_wrap=True)
    for place, run in enumerate(runs, start=1):
        texts = run.name, run.config.environment, run.config.algorithm, *row(run.scores)
        of_runs.add_row(str(place), *map(escape, texts))
    of_pairs = Table(box=None, padding=(0, 1, 0, 0))
    for name in ("", "P(better)", "95% interval", "IQM gain", "95% interval", "p", "p, Holm"):
        of_pairs.add_column(name, justify="right")
    # Names may be too long for a line, and are in the table above.
    places = {id(run): place for place, run in enumerate(runs, start=1)}
    for pair in pairs:
        names = f"{places[id(pair.run)]} over {places[id(pair.over)]}"
        of_pairs.add_row(names, *map(escape, cells(pair)[2:]))
    return [of_runs, of_pairs, *_cost_tables(runs)]


def _cost_tables(runs: list[Run]) -> list[Table]:
    """Make the table of what the runs' episodes cost, where any has costs."""
    table = Table("", "cost", box=None, padding=(0, 1, 0, 0))
    for name in ("IQM per episode", "95% interval", "budget", "agents within", "episodes over"):
        table.add_column(name, justify="right")
    for place, run in enumerate(runs, start=1):
        for row in cost_rows(run):
            texts = row.cost, number(row.iqm), interval_text(row.interval), *row.cells
            table.add_row(str(place), *map(escape, texts))
    return [table] if table.row_count else []


def row(scores: np.ndarray) -> list[str]:
    """Write the number of scores, their IQM and its interval."""
    interval = statistics.bootstrap_interval(scores)
    finite = int(np.isfinite(scores).sum())
    return [str(finite), number(statistics.iqm(scores)), interval_text(interval)]


def cells(pair: Pair) -> list[str]:
    """Write a pair; a star marks an interval that tells the two apart."""
    return [
        pair.run.name,
        pair.over.name,
        number(pair.improvement, 3),
        interval_text(pair.improvement_interval, 3) + (" *" if pair.improves else ""),
        number(pair.difference),
        interval_text(pair.difference_interval) + (" *" if pair.differs else ""),
        number(pair.p_value, 2),
        number(pair.corrected, 2),
    ]


def as_json(runs: list[Run], pairs: list[Pair]) -> dict[str, Any]:
    """Return a comparison as plain values, null for what there is not."""
    return {
        "runs": [
            {
                "name": run.name,
                "path": str(run.path),
                "environment": run.config.environment,
                "algorithm": run.config.algorithm,
                "scores_are": run.scored_by,
                "agents": int(np.isfinite(run.scores).sum()),
                "iqm": _plain(statistics.iqm(run.scores)),
                "interval": [_plain(end) for end in statistics.bootstrap_interval(run.scores)],
                **_costs(run),
            }
            for run in runs
        ],
        "pairs": [
            {
                "run": pair.run.name,
                "over": pair.over.name,
                "probability_of_improvement": _plain(pair.improvement),
                "probability_interval": [_plain(end) for end in pair.improvement_interval],
                "probability_significant": pair.improves,
                "iqm_difference": _plain(pair.difference),
                "difference_interval": [_plain(end) for end in pair.difference_interval],
                "difference_significant": pair.differs,
                "p_value": _plain(pair.p_value),
                "p_value_holm": _plain(pair.corrected),
            }
            for pair in pairs
        ],
        "confidence": 0.95,
        "notes": notes(runs),
        "warnings": warnings(runs),
    }


def _pair(run: Run, over: Run) -> Pair:
    x, y = run.scores, over.scores
    p_value = statistics.mann_whitney(x, y)
    return Pair(
        run=run,
        over=over,
        improvement=statistics.probability_of_improvement(x, y),
        improvement_interval=statistics.improvement_interval(x, y),
        difference=statistics.iqm(x) - statistics.iqm(y),
        difference_interval=statistics.difference_interval(x, y),
        p_value=p_value,
        corrected=p_value,
    )


def _leaves_out(interval: Interval, value: float) -> bool:
    return interval.low > value or interval.high < value


def _costs(run: Run) -> dict[str, Any]:
    rows = cost_rows(run)
    return {"costs": finite({row.cost: row.plain() for row in rows})} if rows else {}


def _plain(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None
