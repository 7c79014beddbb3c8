"""Figures of what varies: scores over one or two names, and every agent on parallel coordinates."""

from typing import NamedTuple

import numpy as np

from jaxq.configuration.sampling import Distribution
from jaxq.experiment.ranking import number
from jaxq.reports.plot import (
    HEIGHT,
    WIDTH,
    Axis,
    Figure,
    Plot,
    axis,
    is_wide,
    joined_points,
    shortened,
    tenths,
    text_mark,
    title_mark,
)
from jaxq.reports.runs import Run

_MOST_ANNOTATED = 100
_MOST_LINES = 500
_MOST_MARKS = 8
# Of the parallel coordinates: from the first axis to the last, and from their tops to their bottoms.
_LEFT, _RIGHT, _TOP, _BOTTOM = 40, WIDTH - 60, 56, HEIGHT - 24


class _Column(NamedTuple):
    """One of the parallel axes: each agent's value, `[N]`, and its height in [0, 1], `[N]`."""

    name: str
    values: np.ndarray
    heights: np.ndarray


def scores_over(run: Run) -> Figure | None:
    """Draw the scores over what varies: a curve over one swept name, a heat map over two.

    Where one or two names vary of which some are sampled, every agent is a point.

    Returns:
        The figure; `None` where more or fewer names vary.
    """
    names = list(run.config.varied)
    if run.config.sample and len(names) <= 2:
        return _scatter(run)
    names = list(run.config.sweep)
    if len(names) == 1:
        return _curve(run, names[0])
    if len(names) == 2:
        return _heat_map(run, *names)
    return None


def parallel_coordinates(run: Run) -> Figure:
    """Draw every agent as a line over what varies and its score, the best one on top."""
    finite = np.flatnonzero(np.isfinite(run.scores))
    order = finite[np.argsort(run.scores[finite], kind="stable")][-_MOST_LINES:]
    columns = [
        _Column(name, values[order], _heights(run, name, values[order]))
        for name, values in run.config.varied.items()
    ]
    columns.append(_Column("score", run.scores[order], _to_unit(run.scores[order])))
    places = np.linspace(_LEFT, _RIGHT, len(columns))
    downs = np.stack([_BOTTOM - column.heights * (_BOTTOM - _TOP) for column in columns])
    parts = []
    for line, agent in enumerate(order):
        kind = "path best" if line == len(order) - 1 else "path"
        strength = 0.12 + 0.68 * columns[-1].heights[line] ** 2
        values = ", ".join(f"{column.name} {number(column.values[line])}" for column in columns)
        parts.append(
            f'<polyline class="{kind}" stroke-opacity="{1 if "best" in kind else strength:.2f}" '
            f'points="{joined_points(zip(places, downs[:, line], strict=True))}">'
            f"{title_mark(f'agent {agent}: {values}')}</polyline>"
        )
    for place, column in zip(places, columns, strict=True):
        parts.append(_upright(place, column, columns.index(column)))
    return Figure("".join(parts), WIDTH, HEIGHT, (("best", "the best agent"),))


def _upright(place: float, column: _Column, index: int) -> str:
    """Draw one of the parallel axes, with its values: all that differ if they are few, else the ends."""
    x = tenths(place)
    different, first = np.unique(column.values, return_index=True)
    few = different.size <= _MOST_MARKS and column.values.size > different.size
    chosen = [*range(different.size)] if few else [0, different.size - 1]
    kind = "start" if index == 0 else "mid"
    marks = [
        text_mark(place + 5, _BOTTOM - column.heights[first[mark]] * (_BOTTOM - _TOP) - 4, text, "start")
        for mark, text in {mark: number(different[mark]) for mark in chosen}.items()
    ]
    return (
        f'<line class="pole" x1="{x}" x2="{x}" y1="{_TOP}" y2="{_BOTTOM}"/>'
        + text_mark(place - 20 * (index == 0), 18, shortened(column.name), kind)
        + "".join(marks)
        + f'<rect class="brush" x="{tenths(place - 6)}" y="0" width="12" height="0"/>'
        f'<rect class="hold" data-axis="{index}" x="{tenths(place - 12)}" y="{_TOP - 8}" width="24" '
        f'height="{_BOTTOM - _TOP + 16}"/>'
    )


def _curve(run: Run, name: str) -> Figure:
    rows = sorted(run.ranking, key=lambda row: row.values[name])
    values = np.array([row.values[name] for row in rows])
    lows, highs = np.transpose([row.interval for row in rows])
    plot = Plot(_swept(name, values), axis("score", [*lows, *highs, *run.scores]))
    plot.band(values, lows, highs, "s0")
    plot.line(values, [row.iqm for row in rows], "s0")
    for row in rows:
        titles = _titles(row.agents.start + np.arange(row.scores.size), row.scores)
        plot.points(np.full(row.scores.size, row.values[name]), row.scores, "faint", titles=titles)
    titles = [f"{row.name}: {number(row.iqm)}" for row in rows]
    plot.points(values, [row.iqm for row in rows], "s0", titles=titles)
    plot.name("s0", "interquartile mean, with its 95% interval")
    plot.name("faint", "single agents")
    return plot.drawn()


def _heat_map(run: Run, down: str, right: str) -> Figure:
    ups, acrosses = (sorted(set(run.config.sweep[name])) for name in (down, right))
    best = run.ranking[0]
    shares = _to_unit(np.array([row.iqm for row in run.ranking]))
    plot = Plot(_cells(right, acrosses), _cells(down, ups), 120 + 40 * min(len(ups), 8))
    annotated = len(ups) * len(acrosses) <= _MOST_ANNOTATED
    for row, share in zip(run.ranking, shares, strict=True):
        x, y = acrosses.index(row.values[right]), ups.index(row.values[down])
        share = 0.0 if np.isnan(share) else float(share)
        plot.rectangle((x, y), (x + 1, y + 1), share, f"{row.name}: {number(row.iqm)}")
        if annotated:
            star = " ★" * (row is best)
            plot.text(x + 0.5, y + 0.5, number(row.iqm) + star, f"mid {'on' if share > 0.5 else 'off'}")
    return plot.drawn()


def _scatter(run: Run) -> Figure:
    """Draw every agent as a point: its score over one name, or two names with its score as strength."""
    (across, right), *others = run.config.varied.items()
    order = np.argsort(run.scores, kind="stable")
    order = order[np.isfinite(run.scores[order])]
    titles = _titles(order, run.scores[order])
    horizontal = axis(across, right, spread=_logarithmic(run, across))
    if not others:
        plot = Plot(horizontal, axis("score", run.scores))
        plot.points(right[order], run.scores[order], "s0", titles=titles)
        return plot.drawn()
    ((up, height),) = others
    plot = Plot(horizontal, axis(up, height, spread=_logarithmic(run, up)))
    strengths = _to_unit(run.scores[order])
    # The best ones on top.
    plot.points(right[order], height[order], "s0", titles=titles, shares=strengths)
    plot.points(right[order[-1:]], height[order[-1:]], "best", titles=titles[-1:])
    plot.name("s0 points", "agents, the stronger the higher their score")
    plot.name("best", "the best agent")
    return plot.drawn()


def _titles(agents: np.ndarray, scores: np.ndarray) -> list[str]:
    return [f"agent {agent}: {number(score)}" for agent, score in zip(agents, scores, strict=True)]


def _swept(name: str, values: np.ndarray) -> Axis:
    return axis(name, values, spread=True)._replace(ticks=tuple(values), texts=_texts(values))


def _cells(name: str, values: list[float]) -> Axis:
    places = tuple(place + 0.5 for place in range(len(values)))
    return Axis(name, 0, len(values), ticks=places, texts=_texts(values))


def _texts(values: object) -> tuple[str, ...]:
    return tuple(f"{value:g}" for value in values)


def _logarithmic(run: Run, name: str) -> bool:
    """Tell whether a name is drawn by its logarithm."""
    if name in run.config.sample:
        return Distribution.read(name, run.config.sample[name]).logarithmic
    return is_wide(np.array(run.config.sweep[name]))


def _heights(run: Run, name: str, values: np.ndarray) -> np.ndarray:
    return _to_unit(np.log10(values) if _logarithmic(run, name) else values)


def _to_unit(places: np.ndarray) -> np.ndarray:
    """Move places to between 0 and 1; those that are all the same to the middle."""
    if not np.isfinite(places).any():
        return np.full(places.shape, 0.5)
    low, high = np.nanmin(places), np.nanmax(places)
    return (places - low) / (high - low) if high > low else np.full(places.shape, 0.5)
