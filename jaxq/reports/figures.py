"""Figures of runs and of their comparison: learning curves, profiles, improvement and throughput."""

import contextlib
import io
from collections.abc import Iterator

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from jaxq import statistics
from jaxq.reports.comparing import Pair
from jaxq.reports.runs import Run

# More curves in one figure cannot be told apart.
MOST_CURVES = 10
_RESAMPLES = 500
_LONGEST_LABEL = 40
_STYLE = {
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    # Names come from users, and a dollar sign in one begins no formula.
    "text.parse_math": False,
}


class Drawing:
    """A figure that is being drawn, and then the PNG that came of it.

    Attributes:
        axes: What to draw on.
        png: The image, once the drawing is closed.
    """

    def __init__(self, height: float = 3.6) -> None:
        self._figure = Figure(figsize=(7.2, height), dpi=150, layout="constrained")
        FigureCanvasAgg(self._figure)
        self.axes: Axes = self._figure.add_subplot()
        self.png = b""

    def colorbar(self, image: mpl.cm.ScalarMappable, label: str) -> None:
        """Say what the colors stand for."""
        self._figure.colorbar(image, ax=self.axes, label=label)

    def close(self) -> None:
        """Make the image."""
        file = io.BytesIO()
        self._figure.savefig(file, format="png")
        self.png = file.getvalue()


@contextlib.contextmanager
def drawing(height: float = 3.6) -> Iterator[Drawing]:
    """Draw a figure in the style of all of them."""
    with mpl.rc_context(_STYLE):
        made = Drawing(height)
        yield made
        made.close()


def label(text: str) -> str:
    """Make a text fit to label something."""
    text = text if len(text) <= _LONGEST_LABEL else text[: _LONGEST_LABEL - 1] + "…"
    # A legend leaves out what begins with an underscore, and fonts have no letters of every script.
    return " " * text.startswith("_") + text.encode("latin-1", "replace").decode("latin-1")


def learning_curves(runs: list[Run]) -> bytes:
    """Draw each run's interquartile mean over agents, with its 95% bootstrap band."""
    with drawing() as made:
        for number, run in enumerate(run for run in runs if run.history is not None):
            _curve(made.axes, number, run, slice(None), run.name)
        _finish_curves(made.axes)
    return made.png


def sweep_curves(run: Run) -> bytes:
    """Draw the learning curve of each combination of a sweep, or of the best if they are many."""
    combinations = run.config.combinations
    final = np.array(
        [statistics.iqm(run.scores[run.agents_of(number)]) for number in range(len(combinations))]
    )
    best = np.argsort(np.where(np.isnan(final), -np.inf, final), kind="stable")[::-1][:MOST_CURVES]
    with drawing() as made:
        for color, number in enumerate(sorted(best)):
            text = ", ".join(f"{name}={value:g}" for name, value in combinations[number].items())
            _curve(made.axes, color, run, run.agents_of(number), text)
        _finish_curves(made.axes)
    return made.png


def performance_profiles(runs: list[Run]) -> bytes:
    """Draw the fraction of agents that score more than a threshold, with 95% bootstrap bands."""
    scores = np.concatenate([run.scores for run in runs])
    scores = scores[np.isfinite(scores)]
    margin = 0.03 * np.ptp(scores) or 0.5
    thresholds = np.linspace(scores.min() - margin, scores.max() + margin, 201)
    with drawing() as made:
        for number, run in enumerate(runs):
            color, style = _look(number)
            profile = statistics.performance_profile(run.scores, thresholds)
            band = statistics.profile_interval(run.scores, thresholds, resamples=_RESAMPLES)
            made.axes.fill_between(thresholds, *band, color=color, alpha=0.2, linewidth=0, step="mid")
            made.axes.step(
                thresholds, profile, where="mid", color=color, linestyle=style, label=label(run.name)
            )
        made.axes.set_xlabel("score tau")
        made.axes.set_ylabel("fraction of agents above tau")
        made.axes.set_ylim(-0.02, 1.02)
        _legend(made.axes)
    return made.png


def improvements(pairs: list[Pair]) -> bytes:
    """Draw each pair's probability of improvement, with its 95% bootstrap interval."""
    with drawing(1.2 + 0.34 * len(pairs)) as made:
        for number, pair in enumerate(pairs):
            color = _look(0)[0] if pair.improves else "0.55"
            made.axes.plot(pair.improvement_interval, [number] * 2, color=color, linewidth=5, alpha=0.35)
            made.axes.plot(pair.improvement, number, "o", color=color)
        made.axes.axvline(0.5, color="0.3", linewidth=0.8, linestyle="--")
        made.axes.set_yticks(
            range(len(pairs)),
            [f"{label(pair.run.name)} over {label(pair.over.name)}" for pair in pairs],
        )
        made.axes.set_xlim(-0.02, 1.02)
        made.axes.set_ylim(len(pairs) - 0.5, -0.5)
        made.axes.set_xlabel("probability that an agent scores more")
    return made.png


def throughput(runs: list[Run]) -> bytes:
    """Draw the env steps per second of each segment."""
    with drawing(2.6) as made:
        for number, run in enumerate(run for run in runs if run.history is not None):
            color, style = _look(number)
            made.axes.plot(
                run.history.steps,
                run.history.speed,
                color=color,
                linestyle=style,
                marker="." if run.history.steps.size == 1 else None,
                label=label(run.name),
            )
        made.axes.set_xlabel("env steps of each agent")
        made.axes.set_ylabel("env steps/s of all agents")
        made.axes.set_ylim(bottom=0)
        _thousands(made.axes.xaxis)
        _thousands(made.axes.yaxis)
        _legend(made.axes)
    return made.png


def _curve(axes: Axes, number: int, run: Run, agents: slice, text: str) -> None:
    color, style = _look(number)
    returns = run.history.returns[:, agents]
    intervals = [statistics.bootstrap_interval(row, resamples=_RESAMPLES) for row in returns]
    steps = run.history.steps
    axes.fill_between(steps, *np.array(intervals).T, color=color, alpha=0.2, linewidth=0)
    axes.plot(
        steps,
        [statistics.iqm(row) for row in returns],
        color=color,
        linestyle=style,
        marker="." if steps.size == 1 else None,
        label=label(text),
    )


def _finish_curves(axes: Axes) -> None:
    axes.set_xlabel("env steps of each agent")
    axes.set_ylabel("return while training, IQM")
    _thousands(axes.xaxis)
    _legend(axes)


def _legend(axes: Axes) -> None:
    if len(axes.lines) > 1:
        axes.legend(frameon=False, fontsize=8)


def _thousands(axis: mpl.axis.Axis) -> None:
    axis.set_major_formatter(mpl.ticker.StrMethodFormatter("{x:,.0f}"))


def _look(number: int) -> tuple[tuple[float, float, float, float], str]:
    """Return the color and the line style of a curve."""
    styles = ("-", "--", ":", "-.")
    return mpl.colormaps["tab10"](number % 10), styles[number // 10 % len(styles)]
