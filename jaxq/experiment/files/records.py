"""What a run writes down, read back: its configuration, its metrics and its final evaluation.

Whoever reads a run directory reads it here, so that damage is found alike by all. Every function raises
`InputValueError` with the file, and the line, that is not what a run wrote.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from jaxq import checks
from jaxq.engine import Metrics
from jaxq.engine.memory_use import readable
from jaxq.experiment.costs import EpisodeCosts
from jaxq.experiment.files.access import open_to_read
from jaxq.experiment.files.json_values import (
    LONGEST,
    brief,
    json_of,
    mapping,
    names_of,
    numbers_of,
    object_of,
    printable,
)

# Of a line, beside what a number of each agent takes in all the lists it may have.
_LINE_BYTES = 2**20
_AGENT_BYTES = 2**9


class Row(NamedTuple):
    """One line of `metrics.jsonl`: what came of one segment.

    Attributes:
        steps: Env steps of each agent so far.
        seconds: Time since training began.
        steps_per_second: Env steps of all agents per second, over the segment.
        metrics: Each agent's metrics over the segment, float64 `[N]`; NaN for none.
        diverged: Numbers of the agents that have diverged so far.
        stopped: Numbers of the agents that train no further.
        written: The line as it stands in the file.
    """

    steps: int
    seconds: float
    steps_per_second: float
    metrics: Metrics
    diverged: list[int]
    stopped: list[int]
    written: dict[str, Any]


class RecordedMetrics(NamedTuple):
    """What `metrics.jsonl` holds.

    Attributes:
        rows: Its lines, in the order of their steps.
        cut: Whether the last line was cut off, and is left out.
    """

    rows: list[Row]
    cut: bool


class RecordedEvaluation(NamedTuple):
    """What `report/evaluation.json` holds.

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


def read_description(file: Path) -> dict[str, Any]:
    """Read a `config.json`, as far as it does not depend on what the names in it stand for."""
    return checked_description(file, object_of(file))


def checked_description(where: Path, described: dict[str, Any]) -> dict[str, Any]:
    """Return what a run says of itself, if all that is there has its type."""
    for name in ("keywords", "sweep", "sample"):
        mapping(Path(f"{where}: {name}"), described.get(name, {}))
    names_of(where, "only_in_python", described.get("only_in_python", []))
    checked_tracking(where, described.get("track", {}))
    resumed = described.get("resumed", [])
    if not isinstance(resumed, list) or not all(isinstance(part, dict) for part in resumed):
        raise checks.InputValueError(f"{where}: resumed must be a list of objects, got {brief(resumed)}")
    return described


def checked_tracking(where: Path, track: Any) -> dict[str, Any]:
    """Return the names of a run's trackers, and whether agents have runs of their own there."""
    track = {"names": [], "agents": False, **mapping(Path(f"{where}: track"), track)}
    names_of(where, "track's names", track["names"])
    if not isinstance(track["agents"], bool):
        agents = brief(track["agents"])
        raise checks.InputValueError(f"{where}: track's agents must be true or false, got {agents}")
    return track


def read_metrics(file: Path, num_agents: int) -> RecordedMetrics:
    """Read a `metrics.jsonl`, if there is one.

    The last line may be cut off, as a run may end at any time.

    Args:
        file: The file.
        num_agents: Number of agents N.
    """
    rows: list[Row] = []
    cut = False
    for where, line, last in _lines(file, _LINE_BYTES + num_agents * _AGENT_BYTES):
        try:
            value = json_of(where, line)
        except checks.InputValueError:
            if not last:
                raise
            cut = True
            break
        row = _row(where, value, num_agents)
        # A run that was resumed goes on from before where it had come to.
        while rows and rows[-1].steps >= row.steps:
            rows.pop()
        rows.append(row)
    return RecordedMetrics(rows, cut)


def _lines(file: Path, longest: int) -> Iterator[tuple[Path, bytes, bool]]:
    """Read the lines there are, each with its place and whether it is the last one."""
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


def _row(where: Path, value: Any, num_agents: int) -> Row:
    row = mapping(where, value)
    agents = mapping(where, row.get("agents"))
    metrics = {
        name: numbers_of(where, name, agents[name], num_agents)
        for name in Metrics._fields
        if name in agents
    }
    missing = [name for name in Metrics._fields if name not in metrics]
    if missing:
        raise checks.InputValueError(f"{where}: agents must have their {', '.join(missing)}")
    plain = [row.get(name) for name in ("steps", "seconds", "steps_per_second")]
    _, seconds, speed = numbers_of(where, "[steps, seconds, steps_per_second]", plain, 3).tolist()
    lists = [_agents(where, row, num_agents, what) for what in ("diverged", "stopped")]
    return Row(_steps(where, row), seconds, speed, Metrics(**metrics), *lists, row)


def read_evaluation(file: Path, num_agents: int) -> RecordedEvaluation | None:
    """Read a `report/evaluation.json`, or return `None` where there is none.

    Args:
        file: The file.
        num_agents: Number of agents N.
    """
    if not (file.is_file() or file.is_symlink()):
        return None
    evaluation = object_of(file)
    lists = [_agents(file, evaluation, num_agents, what) for what in ("diverged", "stopped")]
    returns = evaluation.get("returns")
    if not isinstance(returns, list) or len(returns) != num_agents:
        raise checks.InputValueError(f"{file}: returns must have one list for each of the agents")
    episodes = len(returns[0]) if isinstance(returns[0], list) else 0
    if not episodes:
        raise checks.InputValueError(f"{file}: returns must have at least one episode of each agent")
    shape = num_agents, episodes
    returns = _table(file, "returns", returns, shape)
    costs = evaluation.get("costs")
    return RecordedEvaluation(
        _steps(file, evaluation),
        returns,
        *lists,
        None if costs is None else _costs(file, mapping(Path(f"{file}: costs"), costs), shape),
    )


def _costs(file: Path, costs: dict[str, Any], shape: tuple[int, int]) -> EpisodeCosts:
    """Read the costs of an evaluation of N agents, `shape` being `(N, episodes)`."""
    episodes, budgets = np.zeros((*shape, len(costs))), np.full((shape[0], len(costs)), np.nan)
    for k, (name, found) in enumerate(costs.items()):
        where = f"{printable(name)[:LONGEST]} of costs"
        cost = mapping(Path(f"{file}: {where}"), found)
        episodes[..., k] = _table(file, f"episodes of {where}", cost.get("episodes"), shape)
        if "budget" in cost:
            budgets[:, k] = numbers_of(file, f"budget of {where}", cost["budget"], shape[0])
    return EpisodeCosts(tuple(printable(name) for name in costs), episodes, budgets)


def _table(file: Path, name: str, rows: Any, shape: tuple[int, int]) -> np.ndarray:
    if not isinstance(rows, list) or len(rows) != shape[0]:
        raise checks.InputValueError(f"{file}: {name} must have one list for each of the agents")
    return np.stack([numbers_of(file, name, row, shape[1]) for row in rows])


def _steps(where: Path, record: dict[str, Any]) -> int:
    try:
        return checks.whole_number("steps", record.get("steps"), minimum=0)
    except checks.InputError:
        steps = brief(record.get("steps"))
        raise checks.InputValueError(
            f"{where}: steps must be a whole number from 0 to {checks.INT32_MAX}, got {steps}"
        ) from None


def _agents(where: Path, record: dict[str, Any], num_agents: int, what: str) -> list[int]:
    """Return the numbers of the agents that a record says have diverged, or have stopped."""
    listed = record.get(what)
    numbers = numbers_of(where, what, [] if listed is None else listed)
    if not np.isin(numbers, np.arange(num_agents)).all():
        raise checks.InputValueError(f"{where}: {what} must list numbers of agents")
    return sorted({*numbers.astype(int).tolist()})
