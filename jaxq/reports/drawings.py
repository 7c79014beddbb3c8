"""Pictures of what an agent sees, for the environments where that shows what happens.

gymnax's own renderers need packages that it does not ask for, and make a new window for each frame of
CartPole; an observation says as much.
"""

import functools
import math
from collections.abc import Callable
from typing import Any, NamedTuple

import matplotlib as mpl
import numpy as np
from PIL import Image, ImageDraw

from jaxq.types import Environment

_SIZE = 320
# Lines are smooth when they are drawn larger.
_SMOOTH = 2
_BACKGROUND, _DARK, _BLUE, _ORANGE = "#ffffff", "#333333", "#1f5fbf", "#d9822b"
_TILES = {"#": "#444444", "G": "#3a9d5d", "S": "#cfdcf2", "C": "#c0503c", "H": "#7fb3d9"}
_AGENT = 0.32  # its radius, in cells
_LEAST_BOARD = 5


class Painter(NamedTuple):
    """How an environment is drawn.

    Attributes:
        paint: Makes a picture of one observation.
        milliseconds: How long each is shown.
    """

    paint: Callable[[np.ndarray], Image.Image]
    milliseconds: int


def painter(env: Environment) -> Painter | None:
    """Return how an environment is drawn, or `None` where it is not.

    Drawn are CartPole, MountainCar and Acrobot, grid worlds that are tables, gymnax's four rooms, and
    whatever is observed as a board, such as MinAtar and Catch.
    """
    shape = env.observation_spec.shape
    drawing = getattr(env, "drawing", None)
    if drawing is not None:
        return Painter(functools.partial(_table_cell, drawing), 200)
    if (env.name, shape) in _VECTORS:
        return _VECTORS[env.name, shape]
    if len(shape) in (2, 3) and min(shape[:2]) >= _LEAST_BOARD:
        return Painter(_board, 100)
    return None


def _cart_pole(observation: np.ndarray) -> Image.Image:
    position, _, angle, _ = observation
    canvas = _Canvas(width=6.0, height=3.0)
    hinge = position + 3.0, 1.0
    canvas.line([(0.0, 0.8), (6.0, 0.8)], _DARK, 0.02)
    canvas.box((hinge[0] - 0.4, 0.7), (hinge[0] + 0.4, 1.0), _DARK)
    tip = hinge[0] + 1.6 * math.sin(angle), hinge[1] + 1.6 * math.cos(angle)
    canvas.line([hinge, tip], _ORANGE, 0.12)
    return canvas.image()


def _mountain_car(observation: np.ndarray) -> Image.Image:
    def height(place: float) -> float:
        return 0.45 * math.sin(3 * place) + 0.6

    canvas = _Canvas(width=1.8, height=1.2)
    places = np.linspace(-1.2, 0.6, 60)
    canvas.line([(place + 1.2, height(place)) for place in places], _DARK, 0.015)
    canvas.line([(1.7, height(0.5)), (1.7, height(0.5) + 0.15)], _TILES["G"], 0.02)
    canvas.dot((observation[0] + 1.2, height(observation[0]) + 0.04), 0.05, _BLUE)
    return canvas.image()


def _acrobot(observation: np.ndarray) -> Image.Image:
    first = math.atan2(observation[1], observation[0])
    second = first + math.atan2(observation[3], observation[2])
    canvas = _Canvas(width=4.8, height=4.8)
    joints = [(2.4, 2.4)]
    for angle in (first, second):
        x, y = joints[-1]
        joints.append((x + math.sin(angle), y - math.cos(angle)))
    canvas.line([(0.2, 3.4), (4.6, 3.4)], _TILES["G"], 0.02)
    canvas.line(joints, _BLUE, 0.14)
    for joint in joints:
        canvas.dot(joint, 0.1, _DARK)
    return canvas.image()


def _four_rooms(observation: np.ndarray) -> Image.Image:
    row, column, *goal = (int(place) for place in observation)
    walls = _four_rooms_walls().copy()
    walls[tuple(goal)] = "G"
    return _cell(walls, row, column)


@functools.cache
def _four_rooms_walls() -> np.ndarray:
    from gymnax.environments.misc import rooms  # here, as importing gymnax fixes JAX's devices

    return np.where(rooms.FourRooms().env_map, ".", "#")


def _table_cell(drawing: np.ndarray, observation: np.ndarray) -> Image.Image:
    return _cell(drawing, *divmod(int(observation), drawing.shape[1]))


def _cell(drawing: np.ndarray, row: int, column: int) -> Image.Image:
    rows, columns = drawing.shape
    canvas = _Canvas(width=columns, height=rows)
    for (down, right), tile in np.ndenumerate(drawing):
        corner = right, rows - 1 - down
        canvas.box(corner, (right + 0.95, corner[1] + 0.95), _TILES.get(str(tile), "#eeeeee"))
    canvas.dot((column + 0.475, rows - row - 0.525), _AGENT, _ORANGE)
    return canvas.image()


def _board(observation: np.ndarray) -> Image.Image:
    """Give every plane of a board a color, or of a single one every strength."""
    board = np.asarray(observation, np.float64)
    if board.ndim == 2:
        colors = mpl.colormaps["gray"](np.clip(board, 0, 1))
    else:
        planes = np.arange(1, board.shape[2] + 1)
        top = np.max((board != 0) * planes, axis=2)
        colors = np.where(top[..., None] > 0, mpl.colormaps["tab20"](top % 20), (0, 0, 0, 1))
    pixels = np.uint8(255 * colors[..., :3])
    scale = max(_SIZE // max(board.shape[:2]), 1)
    return Image.fromarray(pixels.repeat(scale, axis=0).repeat(scale, axis=1))


_VECTORS: dict[tuple[str, Any], Painter] = {
    ("CartPole-v1", (4,)): Painter(_cart_pole, 20),
    ("MountainCar-v0", (2,)): Painter(_mountain_car, 30),
    ("Acrobot-v1", (6,)): Painter(_acrobot, 50),
    ("FourRooms-misc", (4,)): Painter(_four_rooms, 100),
}


class _Canvas:
    """A white picture in units of the world, from the bottom left on."""

    def __init__(self, width: float, height: float) -> None:
        self._scale = _SMOOTH * _SIZE / max(width, height)
        self._height = height
        size = max(round(width * self._scale), 1), max(round(height * self._scale), 1)
        self._image = Image.new("RGB", size, _BACKGROUND)
        self._draw = ImageDraw.Draw(self._image)

    def line(self, points: list[tuple[float, float]], color: str, width: float) -> None:
        """Draw a line through points."""
        pixels = max(round(width * self._scale), 1)
        self._draw.line([self._pixel(point) for point in points], color, pixels, joint="curve")

    def box(self, low: tuple[float, float], high: tuple[float, float], color: str) -> None:
        """Fill the box between two corners."""
        (left, bottom), (right, top) = self._pixel(low), self._pixel(high)
        self._draw.rectangle((left, top, right, bottom), color)

    def dot(self, center: tuple[float, float], radius: float, color: str) -> None:
        """Fill a circle."""
        x, y = self._pixel(center)
        radius *= self._scale
        self._draw.ellipse((x - radius, y - radius, x + radius, y + radius), color)

    def image(self) -> Image.Image:
        """Return the picture."""
        return self._image.reduce(_SMOOTH)

    def _pixel(self, point: tuple[float, float]) -> tuple[float, float]:
        return point[0] * self._scale, (self._height - point[1]) * self._scale
