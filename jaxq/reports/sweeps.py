"""Figures of what varies: scores over one or two names, and every agent on parallel coordinates."""

import html
import importlib.util
import itertools
from collections.abc import Callable
from typing import NamedTuple

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.ticker import LogFormatter

from jaxq import statistics
from jaxq.experiment.sampling import Distribution
from jaxq.reports.comparing import number
from jaxq.reports.figures import drawing, label
from jaxq.reports.runs import Run

# From this ratio of the largest to the smallest value on, their order of magnitude is what counts.
_WIDE = 8.0
_MOST_ANNOTATED = 100
_MOST_LINES = 2_000
_MOST_TICKS = 12


class _Column(NamedTuple):
    """One axis of the parallel coordinates: each agent's value, `[N]`, and where it is drawn, `[N]`."""

    name: str
    values: np.ndarray
    places: np.ndarray


def scores_over(run: Run) -> bytes | None:
    """Draw the scores over what varies: a curve over one swept name, a heat map over two.

    Where one or two names vary of which some are sampled, every agent is a point.

    Returns:
        The image; `None` where more or fewer names vary.
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


def parallel_coordinates(run: Run) -> bytes:
    """Draw every agent as a line over what varies and its score, the best ones on top."""
    finite = np.flatnonzero(np.isfinite(run.scores))
    order = finite[np.argsort(run.scores[finite], kind="stable")][-_MOST_LINES:]
    columns = [*_columns(run), _Column("score", run.scores, run.scores)]
    heights = np.stack([_to_unit(column.places[order]) for column in columns])
    colors = mpl.colormaps["viridis"](heights[-1])
    with drawing() as made:
        axes, places = made.axes, range(len(columns))
        for agent, color in enumerate(colors):
            axes.plot(places, heights[:, agent], color=color, linewidth=0.8, alpha=0.7)
        for place, (column, height) in enumerate(zip(columns, heights, strict=True)):
            axes.axvline(place, color="0.3", linewidth=0.8)
            _mark(axes, place, column.values[order], height)
        axes.set_xticks(places, [label(column.name) for column in columns])
        axes.set_yticks([])
        axes.spines[["left", "bottom"]].set_visible(False)
    return made.png


def has_plotly() -> bool:
    """Tell whether parallel coordinates can be made that the reader can move."""
    try:
        return importlib.util.find_spec("plotly") is not None
    except ValueError:
        return False


def moving_parallel_coordinates(run: Run, *, script: bool) -> str:
    """Make parallel coordinates that the reader can filter, as HTML that asks nothing of the network.

    Args:
        run: The run.
        script: Whether to put plotly's own script in; a page needs it once.

    Returns:
        The HTML.
    """
    import plotly.graph_objects as plotly  # here, as it is an extra

    finite = np.isfinite(run.scores)
    dimensions = []
    for column in _columns(run):
        places, first = np.unique(column.places, return_index=True)
        if places.size == column.places.size:
            # Every agent has a value of its own, more than can be written beside an axis.
            chosen = np.linspace(0, places.size - 1, min(places.size, _MOST_TICKS)).astype(int)
            places, first = places[chosen], first[chosen]
        dimensions.append(
            {
                "label": html.escape(label(column.name)),
                "values": column.places[finite].tolist(),
                "tickvals": places.tolist(),
                "ticktext": [f"{value:.4g}" for value in column.values[first]],
            }
        )
    scores = run.scores[finite].tolist()
    dimensions.append({"label": "score", "values": scores})
    line = {"color": scores, "colorscale": "Viridis", "showscale": True}
    figure = plotly.Figure(plotly.Parcoords(dimensions=dimensions, line=line))
    figure.update_layout(height=420, margin={"t": 60, "b": 30})
    return figure.to_html(full_html=False, include_plotlyjs=script, config={"displaylogo": False})


def _curve(run: Run, name: str) -> bytes:
    values = np.array(run.config.sweep[name])
    order = np.argsort(values, kind="stable")
    values, scores = values[order], run.scores.reshape(values.size, run.seeds)[order]
    places = _places(values)
    intervals = np.array([statistics.bootstrap_interval(row) for row in scores])
    with drawing() as made:
        axes = made.axes
        axes.fill_between(places, *intervals.T, alpha=0.2, linewidth=0)
        axes.plot(places, [statistics.iqm(row) for row in scores], marker="o")
        axes.plot(np.repeat(places, run.seeds), scores.ravel(), ".", color="0.6", markersize=4, zorder=0)
        axes.set_xticks(*_ticks(places, values))
        axes.set_xlabel(label(name))
        axes.set_ylabel("score: IQM, and single agents")
    return made.png


def _heat_map(run: Run, rows: str, columns: str) -> bytes:
    down, right = np.array(run.config.sweep[rows]), np.array(run.config.sweep[columns])
    scores = run.scores.reshape(down.size * right.size, run.seeds)
    grid = np.array([statistics.iqm(row) for row in scores]).reshape(down.size, right.size)
    by_row, by_column = np.argsort(down, kind="stable"), np.argsort(right, kind="stable")
    grid = grid[np.ix_(by_row, by_column)]
    with drawing() as made:
        axes = made.axes
        image = axes.imshow(grid, cmap="viridis", aspect="auto", origin="lower")
        made.colorbar(image, "score, IQM")
        if grid.size <= _MOST_ANNOTATED:
            for row, column in itertools.product(range(down.size), range(right.size)):
                color = "k" if image.norm(grid[row, column]) > 0.6 else "w"
                text = number(grid[row, column])
                axes.text(column, row, text, ha="center", va="center", color=color)
        axes.set_xticks(*_ticks(np.arange(right.size), right[by_column]))
        axes.set_yticks(*_ticks(np.arange(down.size), down[by_row]))
        axes.set_xlabel(label(columns))
        axes.set_ylabel(label(rows))
        axes.spines[:].set_visible(False)
    return made.png


def _scatter(run: Run) -> bytes:
    """Draw every agent as a point: its score over one name, or two names with its score as color."""
    (across, right), *others = run.config.varied.items()
    with drawing() as made:
        axes = made.axes
        if others:
            ((up, height),) = others
            # The best ones on top.
            order = np.argsort(run.scores, kind="stable")
            order = order[np.isfinite(run.scores[order])]
            points = axes.scatter(right[order], height[order], c=run.scores[order], s=14)
            made.colorbar(points, "score")
            axes.set_ylabel(label(up))
            _scale(axes.set_yscale, axes.yaxis, run, up)
        else:
            axes.scatter(right, run.scores, s=14, alpha=0.7)
            axes.set_ylabel("score")
        axes.set_xlabel(label(across))
        _scale(axes.set_xscale, axes.xaxis, run, across)
    return made.png


def _scale(set_scale: Callable[[str], None], axis: Axis, run: Run, name: str) -> None:
    if _logarithmic(run, name):
        set_scale("log")
        # Those that come with the scale write formulas.
        axis.set_major_formatter(LogFormatter())
        axis.set_minor_formatter(LogFormatter(minor_thresholds=(1, 0.5)))


def _columns(run: Run) -> list[_Column]:
    return [
        _Column(name, values, np.log10(values) if _logarithmic(run, name) else values)
        for name, values in run.config.varied.items()
    ]


def _logarithmic(run: Run, name: str) -> bool:
    """Tell whether a name is drawn by its logarithm."""
    if name in run.config.sample:
        return Distribution.read(name, run.config.sample[name]).logarithmic
    return _is_wide(np.array(run.config.sweep[name]))


def _places(values: np.ndarray) -> np.ndarray:
    """Place values on an axis: by their logarithm where they span orders of magnitude."""
    return np.log10(values) if _is_wide(values) else values


def _is_wide(values: np.ndarray) -> bool:
    return values.min() > 0 and values.max() / values.min() >= _WIDE


def _to_unit(places: np.ndarray) -> np.ndarray:
    """Move places to between 0 and 1; those that are all the same to the middle."""
    low, high = places.min(), places.max()
    return (places - low) / (high - low) if high > low else np.full(places.shape, 0.5)


def _mark(axes: Axes, place: int, values: np.ndarray, heights: np.ndarray) -> None:
    """Write values beside an axis: all that differ if they are few, else the lowest and the highest."""
    different, first = np.unique(values, return_index=True)
    few = different.size <= _MOST_TICKS and values.size > different.size
    chosen = range(different.size) if few else (0, -1)
    for value, height in ((different[index], heights[first[index]]) for index in chosen):
        axes.annotate(
            number(value), (place, height), xytext=(4, 2), textcoords="offset points", fontsize=8
        )


def _ticks(places: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, list[str]]:
    """Choose places to mark, and what to write there."""
    every = -(-places.size // _MOST_TICKS)
    return places[::every], [f"{value:g}" for value in values[::every]]
