"""Plots as SVG that the page's style sheet colours: axes, lines, bands, points and cells."""

import html
import math
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

WIDTH, HEIGHT = 560, 300
COLORS = 10
"""Colours that the style sheet has, `s0` to `s9`."""
MOST_TICKS = 6
_TOP, _RIGHT, _BOTTOM = 34, 20, 56
# What a letter takes at most, and the gap beside a number; letters grow on narrow screens.
_LETTER, _GAP = 11, 12
_LONGEST = 40
# From this ratio of the largest to the smallest value on, their order of magnitude is what counts.
_WIDE = 8.0


class Figure(NamedTuple):
    """A plot that is drawn.

    Attributes:
        content: What stands inside the `svg` element.
        width: Its width in units of its own.
        height: Its height.
        legend: The classes and the names of what it shows.
    """

    content: str
    width: float
    height: float
    legend: tuple[tuple[str, str], ...] = ()


class Axis(NamedTuple):
    """One axis.

    Attributes:
        name: What it shows.
        low: Its lower end.
        high: Its upper end.
        logarithmic: Whether orders of magnitude are what counts.
        ticks: Values to mark; round ones if not given.
        texts: What stands there; the values themselves if not given.
    """

    name: str
    low: float
    high: float
    logarithmic: bool = False
    ticks: tuple[float, ...] | None = None
    texts: tuple[str, ...] = ()

    def shares(self, values: object) -> np.ndarray:
        """Place values on the axis: 0 at its lower end, 1 at its upper one."""
        values = np.asarray(values, np.float64)
        low, high = self.low, self.high
        if self.logarithmic:
            values, low, high = np.log10(values), math.log10(low), math.log10(high)
        return (values - low) / (high - low)

    @property
    def marks(self) -> list[tuple[float, str]]:
        """The values that are marked, and what stands there."""
        if self.ticks is None:
            values = _powers(self.low, self.high) if self.logarithmic else _round(self.low, self.high)
        else:
            values = self.ticks
        texts = self.texts or [compact(value) for value in values]
        every = max(-(-len(values) // MOST_TICKS), 1)
        return [*zip(values, texts, strict=True)][::every]


def axis(name: str, values: object, *, spread: bool = False) -> Axis:
    """Make an axis that has room for all values that are finite.

    Args:
        name: What it shows.
        values: Numbers of any shape.
        spread: Whether to go by orders of magnitude where the values span some.
    """
    known = np.asarray(values, np.float64)
    known = known[np.isfinite(known)]
    low, high = (float(known.min()), float(known.max())) if known.size else (0.0, 1.0)
    if spread and is_wide(known):
        margin = (high / low) ** 0.05
        return Axis(name, low / margin, high * margin, True)
    margin = 0.05 * (high - low) or 0.1 * abs(high) or 0.5
    return Axis(name, low - margin, high + margin)


def is_wide(values: np.ndarray) -> bool:
    """Tell whether positive values span orders of magnitude."""
    return values.size > 0 and values.min() > 0 and values.max() / values.min() >= _WIDE


class Plot:
    """A plot that is being drawn.

    Args:
        across: The horizontal axis.
        up: The vertical axis.
        height: Its height, in units of which it is `WIDTH` wide.
    """

    def __init__(self, across: Axis, up: Axis, height: float = HEIGHT) -> None:
        self._across, self._up, self._height = across, up, height
        widest = max((len(text) for _, text in up.marks), default=0)
        self._left = _GAP + _LETTER * widest
        self._marks: list[str] = []
        self._legend: list[tuple[str, str]] = []

    def x(self, values: object) -> np.ndarray:
        """Place values from left to right, in the plot's units."""
        return self._left + self._across.shares(values) * (WIDTH - _RIGHT - self._left)

    def y(self, values: object) -> np.ndarray:
        """Place values from the bottom up, in the plot's units."""
        bottom = self._height - _BOTTOM
        return bottom - self._up.shares(values) * (bottom - _TOP)

    def line(self, xs: object, ys: object, kind: str, *, steps: bool = False) -> None:
        """Draw a line, interrupted where there is no number; a single point as a dot."""
        x, y = self.x(xs), self.y(ys)
        if x.size == 1:
            self.points(xs, ys, kind)
            return
        if steps:
            x, y = np.repeat(x, 2)[1:], np.repeat(y, 2)[:-1]
        known = np.isfinite(x) & np.isfinite(y)
        pens = np.where(known & np.roll(~known, 1), "M", "L")
        pens[:1] = "M"
        path = "".join(
            f"{pen}{tenths(a)} {tenths(b)}"
            for pen, a, b in zip(pens[known], x[known], y[known], strict=True)
        )
        if path:
            # A run of numbers begins with a move, whatever stood before it.
            self._add(f'<path class="line {kind}" d="M{path[1:]}"/>')

    def band(self, xs: object, low: object, high: object, kind: str) -> None:
        """Fill what is between two lines."""
        x, bottom, top = self.x(xs), self.y(low), self.y(high)
        known = np.isfinite(bottom) & np.isfinite(top)
        if known.sum() < 2:
            return
        x, bottom, top = x[known], bottom[known], top[known]
        corners = [*zip(x, top, strict=True), *zip(x[::-1], bottom[::-1], strict=True)]
        self._add(f'<polygon class="band {kind}" points="{joined_points(corners)}"/>')

    def points(
        self, xs: object, ys: object, kind: str, *, titles: Iterable[str] = (), shares: object = ()
    ) -> None:
        """Draw points.

        Args:
            xs: Where they are from left to right.
            ys: Where they are from the bottom up.
            kind: Their class.
            titles: What is said of each of them under the pointer.
            shares: How strong each of them is, in [0, 1].
        """
        x, y = np.broadcast_arrays(np.atleast_1d(self.x(xs)), self.y(ys))
        titles, strengths = [*titles] or [""] * x.size, np.asarray(shares)
        for index in np.flatnonzero(np.isfinite(x) & np.isfinite(y)):
            strength = f' fill-opacity="{0.12 + 0.88 * strengths[index]:.2f}"' if strengths.size else ""
            self._add(
                f'<circle class="point {kind}" cx="{tenths(x[index])}" cy="{tenths(y[index])}" r="4"'
                f"{strength}>{title_mark(titles[index])}</circle>"
            )

    def rectangle(self, corner: tuple, opposite: tuple, share: float, title: str) -> None:
        """Fill a cell, the stronger the larger its share in [0, 1] is."""
        (x1, x2), (y1, y2) = self.x([corner[0], opposite[0]]), self.y([corner[1], opposite[1]])
        self._add(
            f'<rect class="cell" x="{tenths(x1 + 1)}" y="{tenths(y2 + 1)}" rx="4" '
            f'width="{tenths(x2 - x1 - 2)}" height="{tenths(y1 - y2 - 2)}" '
            f'fill-opacity="{0.08 + 0.84 * share:.2f}">{title_mark(title)}</rect>'
        )

    def text(self, x: float, y: float, text: str, kind: str = "mid") -> None:
        """Write a text at a place of the axes."""
        self._add(text_mark(float(self.x(x)), float(self.y(y)) + 5, text, kind))

    def upright(self, x: float, kind: str) -> None:
        """Draw a line from the bottom to the top."""
        place = tenths(float(self.x(x)))
        self._add(
            f'<line class="{kind}" x1="{place}" x2="{place}" y1="{_TOP}" y2="{self._height - _BOTTOM}"/>'
        )

    def level(self, y: float, low: float, high: float, kind: str) -> None:
        """Draw a line at one height."""
        (left, right), place = self.x([low, high]), tenths(float(self.y(y)))
        self._add(
            f'<line class="{kind}" x1="{tenths(left)}" x2="{tenths(right)}" y1="{place}" y2="{place}"/>'
        )

    def name(self, kind: str, label: str) -> None:
        """Say in the legend what a class stands for."""
        self._legend.append((kind, label))

    def drawn(self) -> Figure:
        """Return what was drawn, on its axes."""
        bottom, parts = self._height - _BOTTOM, []
        for value, text in self._up.marks:
            place = float(self.y(value))
            # Where only some values can be, there is nothing to read off between them.
            if self._up.ticks is None:
                parts.append(
                    f'<line class="gridline" x1="{self._left}" x2="{WIDTH - _RIGHT}" '
                    f'y1="{tenths(place)}" y2="{tenths(place)}"/>'
                )
            parts.append(text_mark(self._left - _GAP / 2, place + 5, text, "end"))
        for value, text in self._across.marks:
            parts.append(text_mark(float(self.x(value)), bottom + 22, text, "mid"))
        parts.append(
            text_mark(WIDTH - _RIGHT, self._height - 8, f"{shortened(self._across.name)} →", "end")
        )
        parts.append(text_mark(2, 18, f"↑ {shortened(self._up.name)}" if self._up.name else "", "start"))
        return Figure("".join([*parts, *self._marks]), WIDTH, self._height, tuple(self._legend))

    def _add(self, mark: str) -> None:
        self._marks.append(mark)


def color(number: int) -> str:
    """Return the class of a series: a colour, and dashes where all colours are in use."""
    return f"s{number % COLORS}" + " dashed" * (number // COLORS % 2)


def shortened(text: str) -> str:
    """Shorten what labels something."""
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"


def compact(value: float) -> str:
    """Write a number of an axis: thousands as k, millions as M, a true minus."""
    size = abs(value)
    for unit, name in ((1e9, "G"), (1e6, "M"), (1e4, "k")):
        if size >= unit:
            # Ten thousand and more, so that returns of thousands stay as they are.
            scale = 1e3 if name == "k" else unit
            text = f"{size / scale:.4g}{name}"
            break
    else:
        text = f"{size:.4g}"
    return "\N{MINUS SIGN}" * (value < 0) + text


def _round(low: float, high: float) -> list[float]:
    """Return at most five round numbers in a range."""
    rough = (high - low) / 4
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in (1, 2, 2.5, 5, 10) if factor * power >= rough * 0.999)
    first = math.ceil(low / step - 1e-9)
    return [index * step for index in range(first, math.floor(high / step + 1e-9) + 1)]


def _powers(low: float, high: float) -> list[float]:
    """Return powers of ten in a range, and what is between them where they are few."""
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    for factors in ((1,), (1, 3), (1, 2, 5)):
        found = [factor * 10.0**power for power in range(first, last + 1) for factor in factors]
        found = [value for value in found if low <= value <= high]
        if len(found) >= 3:
            break
    return found or [low, high]


def text_mark(x: float, y: float, text: str, kind: str) -> str:
    """Write a text at a place in units of the plot."""
    return f'<text class="{kind}" x="{tenths(x)}" y="{tenths(y)}">{html.escape(text)}</text>'


def title_mark(text: str) -> str:
    """Say something under the pointer."""
    return f"<title>{html.escape(text)}</title>" if text else ""


def joined_points(points: Iterable[tuple[float, float]]) -> str:
    """Write points as SVG has them."""
    return " ".join(f"{tenths(x)},{tenths(y)}" for x, y in points)


def tenths(value: float) -> str:
    """Write a place to a tenth of a unit."""
    return f"{value:.1f}".removesuffix(".0")
