"""The learning curve: the interquartile mean over agents, its interval, and every agent behind it."""

import io
from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from jaxq.experiment.files import access
from jaxq.experiment.progress import Progress

# More lines than this are a smear.
_MOST_LINES = 64
_COLOR = "#1f5fbf"


def draw_learning_curve(history: list[Progress], title: str, path: Path) -> None:
    """Draw returns against env steps.

    Args:
        history: The run's segments in order.
        title: What stands above the axes.
        path: The PNG to write.
    """
    steps = [progress.steps for progress in history]
    returns = np.array([progress.returns for progress in history])
    intervals = np.array([progress.interval for progress in history])
    with mpl.rc_context({"font.size": 9, "axes.spines.top": False, "axes.spines.right": False}):
        figure = Figure(figsize=(6.4, 4.0), dpi=150, layout="constrained")
        FigureCanvasAgg(figure)
        axes = figure.add_subplot()
        axes.plot(steps, returns[:, :_MOST_LINES], color="0.75", linewidth=0.5, zorder=1)
        axes.fill_between(steps, *intervals.T, color=_COLOR, alpha=0.25, linewidth=0, zorder=2)
        axes.plot(steps, [progress.iqm for progress in history], color=_COLOR, zorder=3)
        axes.set_title(title)
        axes.set_xlabel("env steps of each agent")
        axes.set_ylabel("return while training")
        axes.xaxis.set_major_formatter(mpl.ticker.StrMethodFormatter("{x:,.0f}"))
        axes.legend(
            handles=[axes.lines[-1], axes.collections[0], axes.lines[0]],
            labels=[mean_label(history), "95% bootstrap interval", "single agents"],
            frameon=False,
        )
        png = io.BytesIO()
        figure.savefig(png, format="png")
    access.replace(path, png.getvalue())


def mean_label(history: list[Progress]) -> str:
    """Say what the curve is the mean of: all agents, but for those that have ended no episode yet."""
    counted = [progress.returns.size - progress.without_return for progress in history]
    fewest, most = min(counted), max(counted)
    agents = f"{most} agents" if fewest == most else f"{fewest} to {most} agents, those with a return"
    return f"interquartile mean of {agents}"
