"""Readers of what a run comes to: its metrics and its final evaluation.

Whoever reads a run directory reads it here, so that damage is found alike by all. Every function raises
`InputValueError` with the file, and the line, that is not what a run wrote.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from jaxq import checks
from jaxq.engine.memory_use import readable
from jaxq.experiment.costs import EpisodeCosts
from jaxq.progress import Progress
from jaxq.storage.access import open_to_read
from jaxq.storage.json_values import (
    LONGEST,
    agents_of,
    json_of,
    mapping,
    numbers_of,
    object_of,
    printable,
    rows_of,
    steps_of,
)

# Of a line, beside what a number of each agent takes in all the lists it may have.
_LINE_BYTES = 2**20
_AGENT_BYTES = 2**9


class RecordedMetrics(NamedTuple):
    """Content of `metrics.jsonl`.

    Attributes:
        rows: Its lines, in the order of their steps.
        lines: The lines as they stand in the file.
        cut: Whether a truncated last line is left out.
    """

    rows: list[Progress]
    lines: list[bytes]
    cut: bool


class RecordedEvaluation(NamedTuple):
    """Content of `report/evaluation.json`.

    Attributes:
        steps: Env steps of each agent before.
        returns: Undiscounted returns, float64 `[N, episodes]`; NaN for an episode given up.
        diverged: Numbers of the agents that diverged.
        stopped: Numbers of the agents that were halved away.
        costs: What the episodes cost; `None` where the environment has no costs.
    """

    steps: int
    returns: np.ndarray
    diverged: list[int]
    stopped: list[int]
    costs: EpisodeCosts | None = None


def read_metrics(file: Path, num_agents: int) -> RecordedMetrics:
    """Read a `metrics.jsonl` of N agents, if there is one; its last line may be truncated."""
    rows: list[Progress] = []
    lines: list[bytes] = []
    for where, line, last in _lines(file, _LINE_BYTES + num_agents * _AGENT_BYTES):
        try:
            value = json_of(where, line)
        except checks.InputValueError:
            if not last:
                raise
            return RecordedMetrics(rows, lines, cut=True)
        row = Progress.read(where, value, num_agents)
        # A run that was resumed goes on from before where it had come to.
        while rows and rows[-1].steps >= row.steps:
            rows.pop()
            lines.pop()
        rows.append(row.after(rows[-1].returns) if rows else row)
        lines.append(line)
    return RecordedMetrics(rows, lines, cut=False)


def _lines(file: Path, longest: int) -> Iterator[tuple[Path, bytes, bool]]:
    """Yield lines, each with its place and whether it is the last one."""
    if not (file.is_file() or file.is_symlink()):
        return
    with open_to_read(file) as stream:
        number, line = 0, stream.readline(longest + 1)
        while line:
            number += 1
            where = Path(f"{file}, line {number}")
            if len(line) > longest:
                raise checks.InputValueError(
                    f"{where}: longer than {readable(longest)}, which no run wrote"
                )
            following = stream.readline(longest + 1)
            if line.strip():
                yield where, line, not following
            line = following


def read_evaluation(file: Path, num_agents: int) -> RecordedEvaluation | None:
    """Read a `report/evaluation.json` of N agents, or return `None` where there is none."""
    if not (file.is_file() or file.is_symlink()):
        return None
    evaluation = object_of(file)
    lists = [agents_of(file, evaluation, what, num_agents) for what in ("diverged", "stopped")]
    returns, costs = rows_of(file, "returns", evaluation.get("returns"), num_agents), None
    if evaluation.get("costs") is not None:
        costs = _costs(file, mapping(Path(f"{file}: costs"), evaluation["costs"]), returns.shape)
    return RecordedEvaluation(steps_of(file, evaluation), returns, *lists, costs)


def _costs(file: Path, costs: dict[str, Any], shape: tuple[int, int]) -> EpisodeCosts:
    """Read the costs of an evaluation of N agents, `shape` being `(N, episodes)`."""
    episodes, budgets = np.zeros((*shape, len(costs))), np.full((shape[0], len(costs)), np.nan)
    for k, (name, found) in enumerate(costs.items()):
        where = f"{printable(name)[:LONGEST]} of costs"
        cost = mapping(Path(f"{file}: {where}"), found)
        episodes[..., k] = rows_of(file, f"episodes of {where}", cost.get("episodes"), *shape)
        if "budget" in cost:
            budgets[:, k] = numbers_of(file, f"budget of {where}", cost["budget"], shape[0])
    return EpisodeCosts(tuple(printable(name) for name in costs), episodes, budgets)
