"""Console output of a run: live progress, tables of the final evaluation, and where the report is."""

import datetime
import shlex
from pathlib import Path

import numpy as np
from rich.console import Console, Group
from rich.live import Live
from rich.progress import BarColumn, TextColumn
from rich.progress import Progress as Bar
from rich.table import Table
from rich.text import Text

from jaxq.callbacks import Callback, Run
from jaxq.configuration.config import Config
from jaxq.experiment.costs import EpisodeCosts
from jaxq.experiment.evaluating import Evaluated
from jaxq.experiment.halving import steps_left
from jaxq.experiment.ranking import Ranked, outcome, ranked
from jaxq.experiment.tuning import Tuning
from jaxq.progress import Progress
from jaxq.statistics import Interval, bootstrap_interval, iqm

_MOST_NAMED = 16
_SCORE = "IQM [95% interval]"


class ConsoleLogger:
    """Prints messages and warnings, each in one line.

    Args:
        console: Where to; nowhere if `None`.
    """

    def __init__(self, console: Console | None) -> None:
        self.console = console or Console(quiet=True)
        self._errors = Console(stderr=True, quiet=self.console.quiet)

    def say(self, text: str) -> None:
        """Print a line."""
        self.console.print(text, highlight=False, soft_wrap=True, markup=False)

    def warn(self, reason: str | None) -> None:
        """Print a warning, unless `reason` is `None`."""
        if reason:
            self.say(f"warning: {reason}")

    def alert(self, reason: str) -> None:
        """Print a warning on standard error, for results that are not those asked for."""
        text = f"jaxq: warning: {' '.join(reason.splitlines())}"
        self._errors.print(text, highlight=False, soft_wrap=True, markup=False)


class Display(Callback):
    """Progress display: live on a terminal, a line for each tenth of the run elsewhere."""

    def __init__(self, console: Console, config: Config) -> None:
        self._console = console
        self._config = config
        self._bar = Bar(TextColumn("{task.description}"), BarColumn(None), console=console)
        self._task = self._bar.add_task("compiling", total=config.steps)
        self._live = Live(self._bar, console=console, refresh_per_second=4)
        self._lines = 0
        self._stopped: list[int] = []

    def __enter__(self) -> "Display":
        """Start the live display."""
        if self._console.is_terminal:
            self._live.start()
        else:
            self._console.print("compiling", highlight=False)
        return self

    def __exit__(self, *_: object) -> None:
        """Stop the live display, and leave its last state."""
        if self._console.is_terminal:
            self._live.stop()

    def on_start(self, run: Run) -> None:
        """Remember the agents that have stopped before."""
        self._stopped = run.progress.stopped

    def on_segment(self, run: Run, progress: Progress) -> None:
        """Show the segment, and announce agents that a halving has stopped."""
        self.update(progress)
        if progress.stopped != self._stopped:
            line = _announcement(progress, self._stopped)
            self._console.print(line, highlight=False, soft_wrap=True, markup=False)
            self._stopped = progress.stopped

    def update(self, progress: Progress) -> None:
        """Show the progress."""
        if self._console.is_terminal:
            self._bar.update(self._task, completed=progress.steps, description="training")
            self._live.update(Group(self._table(progress), self._bar))
            return
        # A log keeps every line, so it gets one for each tenth of the run.
        tenth = 10 * progress.steps // self._config.steps
        if tenth > self._lines:
            self._lines = tenth
            self._console.print(
                f"{progress.steps:,} steps  {progress.steps_per_second:,.0f} steps/s  "
                f"IQM {_score(progress)}  "
                f"{time_left(progress, self._config)} left",
                highlight=False,
                soft_wrap=True,
            )

    def _table(self, progress: Progress) -> Table:
        config, returns = self._config, progress.returns
        table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
        active = f"{config.agents - len(progress.stopped)} of " if progress.stopped else ""
        steps = f"{progress.steps:,} of {config.steps:,} x {active}{config.agents} agents"
        table.add_row("steps", steps)
        table.add_row("steps/s", f"{progress.steps_per_second:,.0f} in all")
        table.add_row("return, IQM", _score(progress))
        if np.isfinite(returns).any():
            for label, agent in ("best", np.nanargmax(returns)), ("worst", np.nanargmin(returns)):
                table.add_row(f"{label} agent", f"{returns[agent]:.1f} (agent {agent})")
        table.add_row("time left", time_left(progress, config))
        return table


def _announcement(progress: Progress, before: list[int]) -> str:
    """Announcement of agents that have stopped since `before`."""
    now, agents = sorted({*progress.stopped} - {*before}), progress.returns.size
    named = ", ".join(map(str, now[:_MOST_NAMED])) + (", ..." if len(now) > _MOST_NAMED else "")
    worse = f"the worse {len(now)} of {agents - len(before)} agents stop ({named})"
    return f"{progress.steps:,} steps: {worse}; {agents - len(progress.stopped)} train on"


def evaluation_tables(evaluated: Evaluated) -> list[Table | Text]:
    """Tables of an evaluation: returns and, if the environment has them, costs; then the outcome."""
    config, returns, stopped, costs, *_ = evaluated
    ranking = ranked([("", config, returns.mean(axis=1))])
    tables = [_return_table(config, returns, stopped, ranking)]
    said = [Text(outcome(ranking))] if len(ranking) > 1 else []
    return [*tables, *said] if costs is None else [*tables, _cost_table(config, returns, costs), *said]


def _return_table(
    config: Config, returns: np.ndarray, stopped: np.ndarray, ranking: list[Ranked]
) -> Table:
    """Table of returns, one row per combination of a sweep, the best first.

    Agents that were halved away count as they are, from where they stopped: without them the scores
    would be those of agents that were chosen for their scores.
    """
    halved = ["stopped"] if config.halvings else []
    table = Table(title=f"Greedy evaluation, {returns.shape[1]} episodes per agent")
    _add_columns(table, [*config.sweep, "agents", *halved, _SCORE, "mean", "best", "worst"])
    # Returns of at most a few, as on grids, differ in their decimals.
    digits = 1 if np.nanmax(np.abs(returns), initial=0) >= 10 else 2
    for row in ranking:
        table.add_row(
            *[f"{value:g}" for value in row.values.values()],
            str(row.scores.size),
            *[str(stopped[row.agents].sum()) for _ in halved],
            with_interval(row.iqm, row.interval, digits),
            *[f"{of(row.scores):.{digits}f}" for of in (np.mean, np.max, np.min)],
        )
    if config.sample or config.halvings:
        table.caption = f"best agent: {best_agent(config, returns)}"
    return table


def _cost_table(config: Config, returns: np.ndarray, costs: EpisodeCosts) -> Table:
    """Table of costs, one row per cost and combination of a sweep."""
    table = Table(title="Costs per episode")
    _add_columns(table, [*config.sweep, "cost", _SCORE])
    _add_columns(table, ["budget", "agents within", "episodes over"], no_wrap=False)
    size = config.agents // len(config.combinations)
    for number, combination in enumerate(config.combinations):
        values = [f"{value:g}" for value in combination.values()]
        for row in costs.of_agents(slice(number * size, (number + 1) * size)).rows():
            score = with_interval(row.iqm, row.interval, digits=2)
            table.add_row(*values, row.cost, score, *row.cells)
    if costs.budgeted.any():
        within = costs.returns_within_budget(returns)
        kept = within[np.isfinite(within)]
        score = with_interval(iqm(kept), bootstrap_interval(kept)) if kept.size else "none"
        table.caption = f"return of the {kept.size} agents within all budgets: {score}"
    return table


def sweep_table(groups: dict[str, Config], returns: dict[str, np.ndarray]) -> tuple[Table, str]:
    """Table of a sweep, the combinations of all groups that ended, best first; and the outcome."""
    ranking = ranked((name, groups[name], found.mean(axis=1)) for name, found in returns.items())
    leaves = [*dict.fromkeys(name for config in groups.values() for name in config.sweep)]
    table = Table(title="All groups, greedy evaluation", box=None, padding=(0, 2, 0, 0))
    table.add_column("")
    table.add_column("group", overflow="fold")
    _add_columns(table, [*leaves, "agents", _SCORE])
    for place, row in enumerate(ranking):
        values = [f"{row.values[leaf]:g}" if leaf in row.values else "" for leaf in leaves]
        score = with_interval(row.iqm, row.interval)
        table.add_row("best" if place == 0 else "", row.group, *values, str(row.scores.size), score)
    for name in groups:
        if name not in returns:
            table.add_row("", name, *[""] * len(leaves), str(groups[name].agents), "failed")
    return table, outcome(ranking)


def best_agent(config: Config, returns: np.ndarray) -> str:
    """Best agent, with its values of the leaves that vary."""
    scores = returns.mean(axis=1)
    if np.isnan(scores).all():
        return "none"
    best = int(np.nanargmax(scores))
    values = [f"{name}={values[best]:.4g}" for name, values in config.varied.items()]
    return ", ".join([str(best), *values])


def _add_columns(table: Table, names: list[str], no_wrap: bool = True) -> None:
    for name in names:
        table.add_column(name.replace("[", "\\["), justify="right", no_wrap=no_wrap)


def with_interval(value: float, interval: Interval, digits: int = 1) -> str:
    """A value, followed by its interval if it has one."""
    if np.isnan(value):
        return "no episode has ended"
    if np.isnan(interval.low):
        return f"{value:.{digits}f}"
    return f"{value:.{digits}f} \\[{interval.low:.{digits}f}, {interval.high:.{digits}f}]"


def _score(progress: Progress) -> str:
    """Score while training, and the number of agents it leaves out."""
    text, agents = with_interval(progress.iqm, progress.interval), progress.returns.size
    if progress.without_return in (0, agents):
        return text
    return f"{text}, without {progress.without_return} of {agents} agents that have ended no episode"


def time_left(progress: Progress, config: Config) -> str:
    """Remaining time at the speed of the last segment."""
    rest = steps_left(config, progress.steps) / progress.steps_per_second
    return str(datetime.timedelta(seconds=round(max(rest, 0))))


def tuning_table(tuning: Tuning) -> Table:
    """Table of a tuning, one row per chunk."""
    table = Table("agents side by side", "env steps/s", "", box=None)
    for chunk, speed in sorted(tuning.speeds.items()):
        notes = ["fastest"] * (chunk == tuning.best) + ["default"] * (chunk == tuning.default)
        table.add_row(str(chunk), f"{speed:,.0f}", ", ".join(notes))
    return table


def write_own_report(directory: Path, log: ConsoleLogger) -> None:
    """Draw the report of what a directory holds; whatever fails ends in a warning, never in an error.

    Args:
        directory: The directory of a run or of a sweep, with results.
        log: Who says what is done.
    """
    log.say("drawing the report")
    try:
        # Imported here: reports are about what runs have written, and come after them.
        from jaxq.reports import read_runs, write_report

        page = write_report(read_runs([directory]), directory / "report")
    except Exception as error:
        reason = str(error).partition("\n")[0] or type(error).__name__
        again = f"jaxq report {shlex.quote(str(directory))}"
        log.warn(f"the report was not drawn ({reason}), and nothing else is lost; again with: {again}")
    else:
        log.say(f"report: {page}")
