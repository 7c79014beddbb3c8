"""Tables of the report: combinations, the best agent, who diverged, throughput, configuration."""

import json
from typing import Any

import numpy as np

from jaxq import statistics
from jaxq.experiment.ranking import Ranked, interval_text, number
from jaxq.reports import page
from jaxq.reports.costs import cost_rows
from jaxq.reports.page import Html
from jaxq.reports.runs import Run

_SUMMARY = ["N", "IQM", "95% interval", "", "mean", "median", "best", "worst"]

_LONGEST = 1_000
# What a setting is that chooses nothing: a part of the recipe that is left out.
_OFF = (None, False, [], {}, "{}", "")


def scores(runs: list[Run], rows: list[Ranked]) -> Html:
    """Make the table of the combinations of all runs, ranked as given."""
    by_name = {run.name if len(runs) > 1 else "": run.config for run in runs}
    names = [*dict.fromkeys(name for row in rows for name in row.values)]
    columns = {"run": lambda row: row.group} if len(runs) > 1 else {}
    for what in ("environment", "algorithm"):
        if len({getattr(config, what) for config in by_name.values()}) > 1:
            columns[what] = lambda row, what=what: getattr(by_name[row.group], what)
    low, high = _scale(rows)
    cells = []
    for row in rows:
        values = [f"{row.values[name]:g}" if name in row.values else "" for name in names]
        cells.append([*[of(row) for of in columns.values()], *values, *_summary(row, low, high)])
    return page.table([*columns, *names, *_SUMMARY], cells, best=len(rows) > 1)


def costs(runs: list[Run], rows: list[Ranked]) -> Html:
    """Make the table of what episodes cost, in the order of the ranking."""
    by_name = {run.name if len(runs) > 1 else "": run for run in runs}
    cells = [
        [row.name, found.cost, number(found.iqm), interval_text(found.interval), *found.cells]
        for row in rows
        for found in cost_rows(by_name[row.group], row.agents)
    ]
    header = ["", "cost", "IQM per episode", "95% interval", "budget", "agents within", "episodes over"]
    return page.table(header, cells)


def steps(run: Run) -> str:
    """Say how many env steps each agent has done, and how many are planned if these are more."""
    return f"{run.steps:,}" + f" of {run.config.steps:,}" * (run.returns is None)


def best_of_samples(run: Run) -> str:
    """Say which agent scored best where each has drawn its own values."""
    if not np.isfinite(run.scores).any():
        return "No agent has a score."
    agent = int(np.nanargmax(run.scores))
    drawn = ", ".join(f"{name} {values[agent]:.4g}" for name, values in run.config.varied.items())
    return f"Agent {agent} scored best: {number(run.scores[agent])}; it drew {drawn}."


def best_agent(run: Run) -> Html:
    """Make the table of the agent that scores best: what it varies, and all that applies to it."""
    if not np.isfinite(run.scores).any():
        return page.paragraph("No agent has a score.")
    agent = int(np.nanargmax(run.scores))
    stopped = " (stopped on the way)" * (agent in run.stopped)
    rows = [("agent", f"{agent}{stopped}"), ("score", number(run.scores[agent]))]
    rows += [
        (f"{name} ({'sampled' if name in run.config.sample else 'swept'})", f"{values[agent]:g}")
        for name, values in run.config.varied.items()
    ]
    hparams, settings = (_part(run, name) for name in ("hparams", "settings"))
    rows += [*hparams.items(), *((name, value) for name, value in settings.items() if value not in _OFF)]
    return page.facts((name, plain_text(value)) for name, value in rows)


def diverged(run: Run) -> Html:
    """Say which agents diverged."""
    if not run.diverged:
        return page.paragraph("No agent diverged.")
    text = f"{len(run.diverged)} of {run.config.agents} agents: their losses or values were not finite."
    return page.joined([page.paragraph(text), _agents(run, run.diverged)])


def stopped(run: Run) -> Html:
    """Say which agents were halved away."""
    text = f"{len(run.stopped)} of {run.config.agents} agents, as others had higher returns."
    return page.joined([page.paragraph(text), page.folded("Which ones", _agents(run, run.stopped))])


def throughput(runs: list[Run]) -> Html:
    """Make the table of how long runs took, and how fast they were."""
    rows = []
    for run in runs:
        if run.history is None:
            continue
        speed = statistics.iqm(run.history.speed)
        typical = f"{speed:,.0f}" if np.isfinite(speed) else "-"
        rows.append([run.name, run.config.agents, number(run.history.seconds[-1]), typical])
    return page.table(["run", "agents", "seconds", "env steps/s, typical"], rows)


def configuration(run: Run) -> Html:
    """Make the table of all that `config.json` holds."""
    return page.table(
        ["name", "value"], [(name, _cut(plain_text(value))) for name, value in run.written.items()]
    )


def plain_text(value: Any) -> str:
    """Write a value out of a file."""
    if isinstance(value, float):
        return f"{value:g}"
    try:
        return value if isinstance(value, str) else json.dumps(value)
    except RecursionError:
        return "..."


def _cut(text: str) -> str:
    """Leave out the end of a long text, such as what each of many agents has drawn."""
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}… ({len(text):,} characters)"


def _part(run: Run, name: str) -> dict[str, Any]:
    values = run.written.get(name)
    return values if isinstance(values, dict) else {}


def _scale(rows: list[Ranked]) -> tuple[float, float]:
    """Return the ends of the scale that all intervals are drawn on."""
    ends = np.array([[row.iqm, *row.interval] for row in rows])
    ends = ends[np.isfinite(ends)]
    return (float(ends.min()), float(ends.max())) if ends.size else (0.0, 1.0)


def _summary(row: Ranked, low: float, high: float) -> list[object]:
    finite = row.scores[np.isfinite(row.scores)]
    width = high - low or 1.0
    ends = np.array([row.interval.low, row.iqm, row.interval.high])
    shares = np.clip((np.where(np.isfinite(ends), ends, row.iqm) - low) / width, 0, 1)
    mark = page.interval(*shares) if np.isfinite(row.iqm) else Html("")
    functions = (np.mean, np.median, np.max, np.min)
    measures = [number(of(finite)) if finite.size else "-" for of in functions]
    return [finite.size, number(row.iqm), interval_text(row.interval), mark, *measures]


def _agents(run: Run, agents: list[int]) -> Html:
    varied = run.config.varied
    rows = [
        [agent, *[f"{values[agent]:g}" for values in varied.values()], number(run.scores[agent])]
        for agent in agents
    ]
    return page.table(["agent", *varied, "score"], rows)
