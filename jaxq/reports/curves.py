"""Learning curves: the interquartile mean over agents, its interval, and the agents behind it."""

from typing import NamedTuple

import numpy as np

from jaxq import statistics
from jaxq.experiment.ranking import Ranked
from jaxq.reports.plot import Figure, Plot, axis, color
from jaxq.reports.runs import Run

MOST_CURVES = 10
"""More curves in one figure cannot be told apart."""
MOST_BANDS = 5
"""Of more curves only the first one, which is the best, has a band."""
SHORT_FIRST = (
    "Short episodes end first: where a step costs reward the first points show them alone, so that a "
    "curve can start high and fall before it rises."
)
# More lines than this are a smear.
_MOST_LINES = 64
_RESAMPLES = 500


class Curve(NamedTuple):
    """Returns of some agents while they trained.

    Attributes:
        name: What to call them.
        steps: Env steps of each agent so far, `[T]`.
        returns: Mean return over the episodes that each agent finished last, `[T, n]`; NaN for none.
    """

    name: str
    steps: np.ndarray
    returns: np.ndarray


def learning_curves(curves: list[Curve]) -> Figure:
    """Draw the interquartile mean of each with its 95% bootstrap band; of one alone all agents too."""
    bands = [_band(curve) for curve in curves]
    seen = [low_high for band in bands for low_high in band]
    alone = len(curves) == 1
    if alone:
        seen.append(curves[0].returns[:, :_MOST_LINES].T)
    steps = np.concatenate([[0], *[curve.steps for curve in curves]])
    across = axis("env steps of each agent", steps)._replace(low=0, high=steps.max())
    plot = Plot(across, axis("return while training", np.concatenate([np.ravel(part) for part in seen])))
    if alone:
        for returns in curves[0].returns[:, :_MOST_LINES].T:
            plot.line(curves[0].steps, returns, "agent")
    for number, (curve, (low, middle, high)) in enumerate(zip(curves, bands, strict=True)):
        if not number or len(curves) <= MOST_BANDS:
            plot.band(curve.steps, low, high, color(number))
        plot.line(curve.steps, middle, color(number))
        plot.name(color(number), mean_label(curve.returns) if alone else curve.name)
    if alone:
        plot.name("agent", "single agents")
    return plot.drawn()


def curves_of(runs: list[Run], ranking: list[Ranked]) -> list[Curve]:
    """Return the curves of the best combinations, of the runs that have any.

    Args:
        runs: The runs.
        ranking: Their combinations, the best first, each of the run whose name it has.
    """
    histories = {run.name: run.history for run in runs}
    if len(runs) == 1:
        histories[""] = runs[0].history
    return [
        Curve(row.name or runs[0].name, history.steps, history.returns[:, row.agents])
        for row in ranking
        if (history := histories[row.group]) is not None
    ][:MOST_CURVES]


def mean_label(returns: np.ndarray) -> str:
    """Say what a curve is the mean of: all agents, but for those that have ended no episode yet.

    Args:
        returns: Returns of the curve, `[T, n]`; NaN for none.
    """
    counted = np.isfinite(returns).sum(axis=1)
    fewest, most = counted.min(), counted.max()
    agents = f"{most} agents" if fewest == most else f"{fewest} to {most} agents, those with a return"
    return f"interquartile mean of {agents}"


def _band(curve: Curve) -> np.ndarray:
    """Return the lower end of the interval, the interquartile mean and the upper end, `[3, T]`."""
    intervals = [statistics.bootstrap_interval(row, resamples=_RESAMPLES) for row in curve.returns]
    low, high = np.transpose(intervals)
    return np.stack([low, [statistics.iqm(row) for row in curve.returns], high])
