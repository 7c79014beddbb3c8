"""The report: a page of figures and tables on one run, or on several side by side."""

import json
from pathlib import Path
from typing import Any

import numpy as np

from jaxq import checks, statistics
from jaxq.experiment.files import access
from jaxq.reports import comparing, figures, page, sweeps
from jaxq.reports.comparing import number
from jaxq.reports.page import Html
from jaxq.reports.runs import Run

# Of more runs than this not all pairs are shown, but all with the first.
_MOST_OF_ALL_PAIRS = 5
_MOST_EPISODE_BYTES = 2**25


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
            f"a report on {len(paths)} runs needs a directory of its own; for example --out report"
        )
    directory = paths[0] / "report" if out is None else out
    try:
        directory.mkdir(parents=True, exist_ok=True)
        occupied = out is not None and any(directory.iterdir())
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise checks.InputValueError(
            f"output directory {directory} cannot be written ({reason}); choose another --out"
        ) from None
    if occupied:
        raise checks.InputValueError(f"output directory {out} is not empty; choose another --out")
    return directory


def write_report(runs: list[Run], directory: Path) -> Path:
    """Write a report: `index.html`, which needs nothing beside it, and its figures as PNG.

    Args:
        runs: What it is about.
        directory: Where to write.

    Returns:
        The page.
    """
    report = _Report(directory)
    report.compare(runs)
    for place, run in enumerate(runs, start=1):
        report.describe(run, f"run{place}_" if len(runs) > 1 else "")
    title = runs[0].name if len(runs) == 1 else f"{len(runs)} runs"
    path = directory / "index.html"
    text = page.page(f"jaxq: {title}", report.parts, scripts=report.scripts)
    access.replace(path, text.encode(errors="replace"))
    return path


class _Report:
    """A report that is being written."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self.parts: list[Html] = []
        self.scripts = False

    def compare(self, runs: list[Run]) -> None:
        """Add what puts the runs side by side."""
        self.parts += [page.note(text) for text in comparing.notes(runs)]
        self._heading(2, "Scores")
        self.parts.append(_scores(runs))
        if any(run.history is not None for run in runs):
            self._heading(2, "Learning curves")
            caption = "Interquartile mean over agents of the return while training, with its 95% band."
            self._image("learning_curves", figures.learning_curves(runs), caption)
        if any(np.isfinite(run.scores).any() for run in runs):
            self._heading(2, "Performance profiles")
            caption = "Fraction of agents that score more than tau, with 95% bootstrap bands."
            self._image("performance_profiles", figures.performance_profiles(runs), caption)
        if len(runs) > 1:
            self._improvement(runs)
        if any(run.history is not None for run in runs):
            self._heading(2, "Throughput")
            caption = "Env steps per second of all agents, segment by segment."
            self._image("throughput", figures.throughput(runs), caption)
            self.parts.append(_throughput(runs))

    def describe(self, run: Run, prefix: str) -> None:
        """Add what is about one run alone."""
        self._heading(2, f"Run: {run.name}")
        self._sweep(run, prefix)
        self._heading(3, "Best agent")
        self.parts.append(_best(run))
        self._episode(run)
        if run.stopped:
            self._heading(3, "Stopped on the way")
            self.parts.append(_stopped(run))
        self._heading(3, "Divergences")
        self.parts.append(_diverged(run))
        rows = [(name, _plain_text(value)) for name, value in run.written.items()]
        self.parts.append(page.folded("Configuration", page.table(["name", "value"], rows)))

    def _improvement(self, runs: list[Run]) -> None:
        self._heading(2, "Probability of improvement")
        pairs = comparing.compare(runs, all_pairs=len(runs) <= _MOST_OF_ALL_PAIRS)
        caption = "Probability that an agent of one run scores more than an agent of another."
        self._image("improvement", figures.improvements(pairs), caption)
        header = ["run", "over", "P(better)", "95% interval", "IQM gain", "95% interval", "p", "p, Holm"]
        self.parts.append(page.table(header, [comparing.cells(pair) for pair in pairs]))
        self.parts.append(
            page.paragraph(
                "A star marks an interval that leaves out 1/2, or 0. p is of Mann and Whitney's "
                "two-sided test, alone and with Holm's correction for the number of pairs."
            )
        )

    def _sweep(self, run: Run, prefix: str) -> None:
        if not (run.config.sweep or run.config.sample):
            return
        self._heading(3, "Sweep" if run.config.sweep else "Samples")
        self.parts.append(_combinations(run))
        if run.history is not None and run.config.sweep:
            many = len(run.config.combinations) > figures.MOST_CURVES
            which = f"The best {figures.MOST_CURVES} combinations" if many else "The combinations"
            caption = f"{which} while training, with 95% bands."
            self._image(f"{prefix}sweep_curves", figures.sweep_curves(run), caption)
        if not np.isfinite(run.scores).any():
            return
        over = sweeps.scores_over(run)
        if over is not None:
            self._image(f"{prefix}sweep", over, "Scores over what varies between agents.")
        caption = "Every agent over what varies, colored by its score."
        if not sweeps.has_plotly():
            self._image(f"{prefix}parallel", sweeps.parallel_coordinates(run), caption)
            return
        access.replace(self._directory / f"{prefix}parallel.png", sweeps.parallel_coordinates(run))
        moving = sweeps.moving_parallel_coordinates(run, script=not self.scripts)
        self.parts += [Html(moving), page.paragraph(caption)]
        self.scripts = True

    def _episode(self, run: Run) -> None:
        path = run.path / "report" / "episode.gif"
        if not path.is_file() or path.stat().st_size > _MOST_EPISODE_BYTES:
            return
        with access.open_to_read(path) as stream:
            content = stream.read(_MOST_EPISODE_BYTES)
        if content.startswith(b"GIF8"):
            self._heading(3, "An episode")
            self.parts.append(page.image(content, "The best agent plays greedily.", "gif"))

    def _heading(self, level: int, text: str) -> None:
        self.parts.append(page.heading(level, text))

    def _image(self, name: str, png: bytes, caption: str) -> None:
        access.replace(self._directory / f"{name}.png", png)
        self.parts.append(page.image(png, caption))


def _scores(runs: list[Run]) -> Html:
    header = ["run", "environment", "algorithm", "scores", *_SUMMARY]
    rows = [
        [run.name, run.config.environment, run.config.algorithm, run.scored_by, *_summary(run.scores)]
        for run in runs
    ]
    return page.table(header, rows)


_SUMMARY = ["N", "IQM", "95% interval", "mean", "median", "best", "worst"]


def _summary(scores: np.ndarray) -> list[str]:
    finite = scores[np.isfinite(scores)]
    measures = (np.mean, np.median, np.max, np.min)
    return [*comparing.row(scores), *[number(of(finite)) if finite.size else "-" for of in measures]]


def _combinations(run: Run) -> Html:
    rows = [
        [*[f"{value:g}" for value in combination.values()], *_summary(run.scores[run.agents_of(place)])]
        for place, combination in enumerate(run.config.combinations)
    ]
    return page.table([*run.config.sweep, *_SUMMARY], rows)


def _best(run: Run) -> Html:
    if not np.isfinite(run.scores).any():
        return page.paragraph("No agent has a score.")
    agent = int(np.nanargmax(run.scores))
    stopped = " (stopped on the way)" * (agent in run.stopped)
    rows = [("agent", f"{agent}{stopped}"), ("score", number(run.scores[agent]))]
    rows += [
        (f"{name} ({'sampled' if name in run.config.sample else 'swept'})", f"{values[agent]:g}")
        for name, values in run.config.varied.items()
    ]
    for part in ("hparams", "settings"):
        values = run.written.get(part)
        if isinstance(values, dict):
            rows += [(name, _plain_text(value)) for name, value in values.items()]
    return page.table(["name", "value"], rows)


def _diverged(run: Run) -> Html:
    if not run.diverged:
        return page.paragraph("No agent diverged.")
    text = f"{len(run.diverged)} of {run.config.agents} agents: their losses or values were not finite."
    return page.joined([page.paragraph(text), _agents(run, run.diverged)])


def _stopped(run: Run) -> Html:
    text = f"{len(run.stopped)} of {run.config.agents} agents, as others had higher returns."
    return page.joined([page.paragraph(text), page.folded("Which ones", _agents(run, run.stopped))])


def _agents(run: Run, agents: list[int]) -> Html:
    varied = run.config.varied
    rows = [
        [agent, *[f"{values[agent]:g}" for values in varied.values()], number(run.scores[agent])]
        for agent in agents
    ]
    return page.table(["agent", *varied, "score"], rows)


def _throughput(runs: list[Run]) -> Html:
    rows = []
    for run in runs:
        if run.history is None:
            continue
        speed = statistics.iqm(run.history.speed)
        rows.append(
            [
                run.name,
                f"{run.history.steps[-1]:,} of {run.config.steps:,}",
                run.config.agents,
                number(run.history.seconds[-1]),
                f"{speed:,.0f}" if np.isfinite(speed) else "-",
            ]
        )
    header = [
        "run",
        "steps of each agent",
        "agents",
        "seconds",
        "env steps/s, typical",
    ]
    return page.table(header, rows)


def _plain_text(value: Any) -> str:
    try:
        return value if isinstance(value, str) else json.dumps(value)
    except RecursionError:
        return "..."
