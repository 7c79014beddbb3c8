"""Grid worlds as tables: from a drawing, and those of the textbooks.

A grid's state is `row * columns + column`, walls counted. Its actions are 0 up, 1 right, 2 down, 3 left;
an action into a wall or off the grid stays where it is.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from jaxq import checks
from jaxq.envs.table import TableEnvironment, from_table
from jaxq.envs.words import ends_well

Cell = tuple[int, int]
Outcome = tuple[float, int, float, bool]

_MOVES = ((-1, 0), (0, 1), (1, 0), (0, -1))
_KINGS_MOVES = (*_MOVES, (-1, 1), (1, 1), (1, -1), (-1, -1))
_NAMES = ("up", "right", "down", "left", "up right", "down right", "down left", "up left")
_LEGEND = "'.' free, '#' wall, 'S' start, 'G' goal, 'C' cliff"

# Sutton and Barto, example 6.6.
_CLIFF = ("............", "............", "............", "SCCCCCCCCCCG")
# Sutton, Precup and Singh, 1999, figure 2, without the wall around it.
_FOUR_ROOMS = (
    ".....#.....",
    ".....#.....",
    "...........",
    ".....#.....",
    ".....#.....",
    "#.####.....",
    ".....###.##",
    ".....#.....",
    ".....#.....",
    "...........",
    ".....#.....",
)
# Sutton and Barto, example 6.5.
_WINDY = (
    "..........",
    "..........",
    "..........",
    "S......G..",
    "..........",
    "..........",
    "..........",
)
_WIND = (0, 0, 0, 1, 1, 1, 2, 2, 1, 0)


def from_map(
    rows: Sequence[str] | str,
    *,
    step_reward: float = -1.0,
    goal_reward: float | None = None,
    cliff_reward: float = -100.0,
    slip: float = 0.0,
    legal_moves_only: bool = False,
    max_steps: int = 200,
    name: str = "map",
) -> TableEnvironment:
    """Make a grid world from a drawing.

    Args:
        rows: Lines of equal length, of '.' free, '#' wall, 'S' start, 'G' goal and 'C' cliff. From the
            cliff one falls back to the start. With several starts one of them is drawn, with none
            any free cell; a cliff needs exactly one.
        step_reward: Reward of a step.
        goal_reward: Reward of the step that reaches a goal and ends the episode; as of any step if
            not given.
        cliff_reward: Reward of the step over the cliff.
        slip: Probability of moving in one of the three other directions instead, in [0, 1].
        legal_moves_only: Whether moves into walls and off the grid are illegal instead of in vain.
        max_steps: Steps after which an episode is truncated.
        name: What to call it.

    Returns:
        The environment.

    Raises:
        InputValueError: If the drawing or a number cannot be used.

    Example:
        >>> from_map(["S..", ".#G"], name="corner")
        corner(4 actions, 6 states)
    """
    grid = _grid(rows)
    goal_reward = step_reward if goal_reward is None else goal_reward
    rewards = {"G": goal_reward, "C": cliff_reward}
    checks.in_range("step_reward", step_reward, -np.inf, np.inf)
    for tile, what in (("G", "goal_reward"), ("C", "cliff_reward")):
        checks.in_range(what, rewards[tile], -np.inf, np.inf)
    starts = np.argwhere(grid == ("S" if (grid == "S").any() else "."))
    if not len(starts) or ((grid == "C").any() and len(starts) != 1):
        raise checks.InputValueError(
            f"the map needs a start, and with a cliff exactly one, got {len(starts)}; {_LEGEND}"
        )

    def arrive(cell: Cell, target: Cell) -> list[Outcome]:
        target = target if _inside(grid, target) and grid[target] != "#" else cell
        tile = grid[target]
        landed = tuple(starts[0]) if tile == "C" else target
        return [(1.0, _number(grid, landed), rewards.get(tile, step_reward), tile == "G")]

    initial = np.zeros(grid.shape)
    initial[tuple(starts.T)] = 1 / len(starts)
    table = _table(grid, _MOVES, slip, arrive)
    checks.true_or_false("legal_moves_only", legal_moves_only)
    legal = _legal_moves(grid) if legal_moves_only else None
    env = from_table(table, initial=initial.ravel(), legal_actions=legal, max_steps=max_steps, name=name)
    env.drawing = grid
    env.action_names, env.recovered = _NAMES[: len(_MOVES)], ends_well
    return env


def _legal_moves(grid: np.ndarray) -> np.ndarray:
    """Say which moves lead from a cell to another one, bool `[S, 4]`; from one without any, all."""
    legal = np.zeros((*grid.shape, len(_MOVES)), bool)
    for cell in np.ndindex(grid.shape):
        targets = [(cell[0] + move[0], cell[1] + move[1]) for move in _MOVES]
        legal[cell] = [_inside(grid, to) and grid[to] != "#" for to in targets]
    legal = legal.reshape(-1, len(_MOVES))
    return legal | ~legal.any(axis=1, keepdims=True)


def cliff(*, slip: float = 0.0, max_steps: int = 200) -> TableEnvironment:
    """Walk along a cliff: 4 by 12 cells, -1 a step, -100 and back to the start for falling.

    The shortest way takes 13 steps along the edge.

    Args:
        slip: Probability of moving in one of the three other directions instead, in [0, 1].
        max_steps: Steps after which an episode is truncated.

    Returns:
        The environment.

    References:
        Sutton and Barto, Reinforcement Learning, 2nd edition, 2018, example 6.6.
    """
    return from_map(_CLIFF, slip=slip, max_steps=max_steps, name="Cliff-grid")


def four_rooms(
    *,
    slip: float = 1 / 3,
    goal: Cell = (8, 8),
    start: Cell | None = (0, 0),
    max_steps: int = 500,
) -> TableEnvironment:
    """Find the goal through four rooms joined by hallways: 11 by 11 cells, 1 at the goal, else 0.

    Args:
        slip: Probability of moving in one of the three other directions instead, in [0, 1].
        goal: Row and column of the goal, counted from the top left.
        start: Row and column to begin in; `None` for any cell but the goal.
        max_steps: Steps after which an episode is truncated.

    Returns:
        The environment.

    Raises:
        InputValueError: If start or goal is a wall, off the grid, or both are one cell.

    References:
        Sutton, Precup and Singh, Between MDPs and semi-MDPs, 1999, section 3 (rooms and slip).
    """
    grid = _grid(_FOUR_ROOMS)
    for name, cell, mark in (("goal", goal, "G"), ("start", start, "S")):
        if cell is None and name == "start":
            continue
        if not _inside(grid, cell) or grid[tuple(cell)] != ".":
            raise checks.InputValueError(
                f"{name} must be a free cell, (row, column) from (0, 0) to (10, 10), got {cell!r}; "
                "for example goal=(8, 8), start=(0, 0)"
            )
        grid[tuple(cell)] = mark
    rows = ["".join(row) for row in grid]
    return from_map(
        rows, step_reward=0.0, goal_reward=1.0, slip=slip, max_steps=max_steps, name="FourRooms-grid"
    )


def windy_grid(
    *,
    kings_moves: bool = False,
    stochastic_wind: bool = False,
    slip: float = 0.0,
    max_steps: int = 500,
) -> TableEnvironment:
    """Cross a wind that blows upward: 7 by 10 cells, -1 a step.

    The wind of the column that is left shifts each step. The shortest way takes 15 steps, with king's
    moves 7.

    Args:
        kings_moves: Whether there are four diagonal actions besides, 4 to 7 clockwise from up right.
        stochastic_wind: Whether wind, where it blows, is one weaker or stronger, 1/3 of the time each.
        slip: Probability of moving in one of the other directions instead, in [0, 1].
        max_steps: Steps after which an episode is truncated.

    Returns:
        The environment.

    References:
        Sutton and Barto, Reinforcement Learning, 2nd edition, 2018, example 6.5, exercises 6.9 and 6.10.
    """
    grid = _grid(_WINDY)
    highest = np.array(grid.shape) - 1

    def arrive(cell: Cell, target: Cell) -> list[Outcome]:
        wind = _WIND[cell[1]]
        gusts = (wind - 1, wind, wind + 1) if stochastic_wind and wind else (wind,)
        landed = [tuple(np.clip((target[0] - gust, target[1]), 0, highest)) for gust in gusts]
        return [(1 / len(gusts), _number(grid, to), -1.0, grid[to] == "G") for to in landed]

    moves = _KINGS_MOVES if kings_moves else _MOVES
    table = _table(grid, moves, slip, arrive)
    start = int(np.flatnonzero(grid.ravel() == "S")[0])
    env = from_table(table, initial=start, max_steps=max_steps, name="WindyGrid-grid")
    env.drawing = grid
    env.action_names, env.recovered = _NAMES[: len(moves)], ends_well
    return env


BUILDERS: dict[str, Callable[..., TableEnvironment]] = {
    "Cliff-grid": cliff,
    "FourRooms-grid": four_rooms,
    "WindyGrid-grid": windy_grid,
}
"""The grids that `jaxq.envs.make` knows, by id."""


def _grid(rows: Any) -> np.ndarray:
    """Turn a drawing into characters `[rows, columns]`."""
    rows = rows.split() if isinstance(rows, str) else rows
    if not isinstance(rows, list | tuple) or not all(isinstance(row, str) for row in rows):
        raise checks.InputTypeError(
            f'a map is a list of lines, got {rows!r}; for example ["S..", ".#G"]'
        )
    tiles = set("".join(rows))
    if len({len(row) for row in rows}) != 1 or not tiles or not tiles <= set(".#SGC"):
        raise checks.InputValueError(
            f'a map has lines of equal length, of {_LEGEND}; got {rows!r}; for example ["S..", ".#G"]'
        )
    return np.array([list(row) for row in rows])


def _table(
    grid: np.ndarray,
    moves: Sequence[Cell],
    slip: float,
    arrive: Callable[[Cell, Cell], list[Outcome]],
) -> dict[int, dict[int, list[Outcome]]]:
    """List what each action does in each cell, given what comes of stepping from one to another.

    Nobody acts in goals, cliffs and walls; they stay where they are, for nothing.
    """
    checks.in_range("slip", slip, 0, 1)
    others = len(moves) - 1
    table: dict[int, dict[int, list[Outcome]]] = {}
    for row, column in np.ndindex(*grid.shape):
        s = _number(grid, (row, column))
        if grid[row, column] in "GC#":
            table[s] = {a: [(1.0, s, 0.0, True)] for a in range(len(moves))}
            continue
        by_move = [arrive((row, column), (row + down, column + right)) for down, right in moves]
        table[s] = {
            a: [
                ((1 - slip if a == b else slip / others) * probability, *rest)
                for b, outcomes in enumerate(by_move)
                for probability, *rest in outcomes
            ]
            for a in range(len(moves))
        }
    return table


def _inside(grid: np.ndarray, cell: Any) -> bool:
    if not isinstance(cell, tuple | list) or [isinstance(place, int) for place in cell] != [True, True]:
        return False
    return all(0 <= place < size for place, size in zip(cell, grid.shape, strict=True))


def _number(grid: np.ndarray, cell: Cell) -> int:
    return int(cell[0]) * grid.shape[1] + int(cell[1])
