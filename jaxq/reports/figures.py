"""Figures that put runs side by side: performance profiles, improvement and throughput."""

import numpy as np

from jaxq import statistics
from jaxq.experiment.ranking import Ranked
from jaxq.reports.comparing import Pair
from jaxq.reports.curves import MOST_BANDS, MOST_CURVES
from jaxq.reports.plot import Axis, Figure, Plot, axis, color, shortened
from jaxq.reports.runs import Run

_RESAMPLES = 500


def performance_profiles(ranking: list[Ranked]) -> Figure:
    """Draw the fraction of agents that score more than a threshold, with 95% bootstrap bands.

    Args:
        ranking: Combinations, of which the first ones are drawn.
    """
    shown = [row for row in ranking if np.isfinite(row.scores).any()][:MOST_CURVES]
    across = axis("score τ", np.concatenate([row.scores for row in shown]))
    plot = Plot(across, Axis("fraction of agents above τ", 0, 1))
    thresholds = np.linspace(across.low, across.high, 201)
    for number, row in enumerate(shown):
        kind = color(number)
        profile = statistics.performance_profile(row.scores, thresholds)
        if not number or len(shown) <= MOST_BANDS:
            band = statistics.profile_interval(row.scores, thresholds, resamples=_RESAMPLES)
            plot.band(thresholds, *band, kind)
        plot.line(thresholds, profile, kind, steps=True)
        if len(shown) > 1:
            plot.name(kind, row.name)
    return plot.drawn()


def improvements(pairs: list[Pair]) -> Figure:
    """Draw each pair's probability of improvement, with its 95% bootstrap interval."""
    rows = Axis("", 0, len(pairs), ticks=())
    plot = Plot(Axis("probability that an agent scores more", 0, 1), rows, 110 + 52 * len(pairs))
    plot.upright(0.5, "even")
    for number, pair in enumerate(pairs):
        place, kind = len(pairs) - number - 0.7, "s0" if pair.improves else "undecided"
        plot.level(place, *pair.improvement_interval, f"reach {kind}")
        plot.points(pair.improvement, place, kind)
        names = f"{shortened(pair.run.name)} over {shortened(pair.over.name)}"
        plot.text(0, place + 0.42, names, "start")
    return plot.drawn()


def throughput(runs: list[Run]) -> Figure:
    """Draw the env steps per second of each segment."""
    shown = [run for run in runs if run.history is not None]
    steps = np.concatenate([[0], *[run.history.steps for run in shown]])
    across = axis("env steps of each agent", steps)._replace(low=0, high=steps.max())
    fastest = np.nanmax(np.concatenate([run.history.speed for run in shown]), initial=1)
    plot = Plot(across, Axis("env steps/s of all agents", 0, 1.08 * fastest), 230)
    for number, run in enumerate(shown):
        plot.line(run.history.steps, run.history.speed, color(number))
        if len(runs) > 1:
            plot.name(color(number), run.name)
    return plot.drawn()
