"""The report: a page of figures and tables on one run, or on several side by side."""

from pathlib import Path

import numpy as np

from jaxq import checks
from jaxq.experiment.ranking import outcome, ranked
from jaxq.reports import comparing, costs, curves, figures, page, report_tables, sweeps
from jaxq.reports.page import Html
from jaxq.reports.plot import Figure
from jaxq.reports.runs import Run
from jaxq.storage import access

# Of more runs than this not all pairs are shown, but all with the first.
_MOST_OF_ALL_PAIRS = 5
_MOST_COSTS = 3
# Of all episodes together; written as text they take a third more.
_MOST_EPISODE_BYTES = 1_000_000
_PARALLEL = "Every agent over what varies, the stronger the higher its score."


def report_directory(paths: list[Path], out: Path | None) -> Path:
    """Return where a report goes, made if it is not there.

    Args:
        paths: Directories of the runs or sweeps that it is about.
        out: Where the user wants it; below the directory if there is one and nothing is said.

    Raises:
        InputValueError: If nothing is said of several runs, or the directory holds something or
            cannot be written.
    """
    if out is None and len(paths) > 1:
        raise checks.InputValueError(
            f"a report on {len(paths)} runs needs a directory of its own; for example out='report'"
        )
    directory = paths[0] / "report" if out is None else out
    try:
        directory.mkdir(parents=True, exist_ok=True)
        occupied = out is not None and any(directory.iterdir())
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise checks.InputValueError(
            f"output directory {directory} cannot be written ({reason}); choose another directory"
        ) from None
    if occupied:
        raise checks.InputValueError(f"output directory {out} is not empty; choose another directory")
    return directory


def write_report(runs: list[Run], directory: Path) -> Path:
    """Write a report: `index.html`, which needs nothing beside it, and its figures as SVG.

    Args:
        runs: What it is about.
        directory: Where to write.

    Returns:
        The page.
    """
    report = _Report(runs, directory)
    single = runs[0] if len(runs) == 1 else None
    title = f"{len(runs)} runs"
    if single:
        title = f"{single.config.algorithm} on {single.config.environment}"
    kicker = f"jaxq · {single.name}" if single else "jaxq report"
    sections = [*report.compared(), *report.described()]
    text = page.page(title, kicker, report.lead(), sections)
    path = directory / "index.html"
    access.replace(path, text.encode(errors="replace"))
    return path


class _Report:
    """A report that is being written."""

    def __init__(self, runs: list[Run], directory: Path) -> None:
        self._runs = runs
        self._directory = directory
        self._episode_bytes = _MOST_EPISODE_BYTES
        several = len(runs) > 1
        self._ranking = ranked((run.name * several, run.config, run.scores) for run in runs)

    def lead(self) -> list[Html]:
        """Say what came out, and what the reader should know."""
        runs = self._runs
        if len(runs) == 1 and runs[0].config.sample and not runs[0].config.sweep:
            said = report_tables.best_of_samples(runs[0])
        else:
            said = outcome(self._ranking)
        facts = dict.fromkeys(
            f"{run.config.algorithm} on {run.config.environment}: {run.config.agents:,} agents, "
            f"{report_tables.steps(run)} env steps each; "
            f"scores are of {run.scored_by}."
            for run in runs
        )
        kept = [(run.name, costs.within_budgets(run)) for run in runs]
        budgets = [f"{name}: {text}" if len(runs) > 1 else text for name, text in kept if text]
        lead = Html(f'<p class="lead">{page.escaped(said)}</p>')
        return [lead, *map(page.paragraph, [*facts, *budgets]), *map(page.note, comparing.notes(runs))]

    def compared(self) -> list[Html]:
        """Return what puts the runs, or the combinations of one, side by side."""
        runs, sections = self._runs, [page.section("Scores", *self._scores())]
        if any(run.history is not None for run in runs):
            sections.append(page.section("Learning curves", *self._curves()))
        if any(run.costs is not None for run in runs):
            sections.append(page.section("Costs", *self._costs()))
        if len(runs) > 1:
            sections.append(page.section("Probability of improvement", *self._improvement()))
        return sections

    def described(self) -> list[Html]:
        """Return what is about each run alone, and how fast they were."""
        several = len(self._runs) > 1
        sections = []
        for place, run in enumerate(self._runs, start=1):
            prefix = f"run{place}_" if several else ""
            title = f"Run: {run.name}" if several else "The agents"
            sections.append(page.section(title, *self._agents(run, prefix)))
        if any(run.history is not None for run in self._runs):
            caption = "Env steps per second of all agents, segment by segment."
            drawn = self._figure("throughput", figures.throughput(self._runs), caption)
            parts = page.panel(page.pair(drawn, report_tables.throughput(self._runs)))
            sections.append(page.section("Throughput", parts))
        for run in self._runs:
            name = f"Configuration of {run.name}" if several else "Configuration"
            sections.append(
                Html(f"<section>{page.folded(name, report_tables.configuration(run))}</section>")
            )
        return sections

    def _scores(self) -> list[Html]:
        runs, single = self._runs, self._runs[0] if len(self._runs) == 1 else None
        shown = []
        if any(np.isfinite(run.scores).any() for run in runs):
            caption = f"Fraction of agents that score more than τ, with {self._bands}."
            profiles = figures.performance_profiles(self._ranking)
            shown.append(self._figure("performance_profiles", profiles, caption))
            over = sweeps.scores_over(single) if single else None
            if over is not None:
                caption = "Scores over what varies between agents."
                shown.insert(0, self._figure("sweep", over, caption))
        table = report_tables.scores(runs, self._ranking)
        if not shown:
            return [table]
        return [table, page.panel(page.pair(*shown) if len(shown) > 1 else shown[0])]

    def _curves(self) -> list[Html]:
        caption = f"Interquartile mean over agents of the return while training, with {self._bands}."
        if len(self._ranking) > curves.MOST_CURVES:
            caption += f" The best {curves.MOST_CURVES} of {len(self._ranking)} combinations."
        drawn = curves.learning_curves(curves.curves_of(self._runs, self._ranking))
        shown = self._figure("learning_curves", drawn, caption)
        return [page.panel(shown, page.paragraph(curves.SHORT_FIRST))]

    @property
    def _bands(self) -> str:
        many = len(self._ranking) > curves.MOST_BANDS
        return "the 95% bootstrap band of the best" if many else "95% bootstrap bands"

    def _costs(self) -> list[Html]:
        """Show what episodes cost, and of costs with budgets what return they buy."""
        parts = [report_tables.costs(self._runs, self._ranking)]
        budgeted = [
            name
            for run in self._runs
            if run.costs is not None
            for name, has_budget in zip(run.costs.names, run.costs.budgeted, strict=True)
            if has_budget
        ]
        for number, cost in enumerate([*dict.fromkeys(budgeted)][:_MOST_COSTS], start=1):
            spent = costs.spent_on(cost, self._runs, self._ranking)
            drawn = costs.return_against_cost(spent, self._ranking)
            caption = f"Return of every agent against its mean {cost} per episode."
            parts.append(page.panel(self._figure(f"cost_{number}", drawn, caption)))
        return parts

    def _improvement(self) -> list[Html]:
        pairs = comparing.compare(self._runs, all_pairs=len(self._runs) <= _MOST_OF_ALL_PAIRS)
        caption = "Probability that an agent of one run scores more than an agent of another."
        header = ["run", "over", "P(better)", "95% interval", "IQM gain", "95% interval", "p", "p, Holm"]
        legend = (
            "A star marks an interval that leaves out 1/2, or 0. p is of Mann and Whitney's two-sided "
            "test, alone and with Holm's correction for the number of pairs."
        )
        return [
            page.panel(self._figure("improvement", figures.improvements(pairs), caption)),
            page.table(header, [comparing.cells(pair) for pair in pairs]),
            page.paragraph(legend),
        ]

    def _agents(self, run: Run, prefix: str) -> list[Html]:
        parts = self._sweep(run, prefix)
        parts += [page.heading(3, "Best agent"), report_tables.best_agent(run), *self._episode(run)]
        if run.stopped:
            parts += [page.heading(3, "Stopped on the way"), report_tables.stopped(run)]
        return [*parts, page.heading(3, "Divergences"), report_tables.diverged(run)]

    def _sweep(self, run: Run, prefix: str) -> list[Html]:
        """Show what varies in a run, agent by agent."""
        parts: list[Html] = []
        if prefix and run.config.sweep:
            over = sweeps.scores_over(run)
            if over is not None:
                caption = "Scores over what varies between agents."
                parts.append(page.panel(self._figure(f"{prefix}sweep", over, caption)))
        if len(run.config.varied) > 1 and np.isfinite(run.scores).any():
            drawn = sweeps.parallel_coordinates(run)
            parts.append(page.panel(self._figure(f"{prefix}parallel", drawn, _PARALLEL)))
        return parts

    def _episode(self, run: Run) -> list[Html]:
        path = run.path / "report" / "episode.gif"
        if not path.is_file() or path.stat().st_size > self._episode_bytes:
            return []
        with access.open_to_read(path) as stream:
            content = stream.read(self._episode_bytes)
        self._episode_bytes -= len(content)
        if not content.startswith(b"GIF8"):
            return []
        shown = page.image(content, "The best agent plays greedily.", "gif")
        return [page.heading(3, "An episode"), shown]

    def _figure(self, name: str, drawn: Figure, caption: str) -> Html:
        access.replace(self._directory / f"{name}.svg", page.standalone(drawn, caption))
        return page.figure(drawn, caption, "parallel" if name.endswith("parallel") else "")
