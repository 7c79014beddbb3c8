"""Reading run directories, those of unfinished runs too, and one clear line where one cannot be read."""

import dataclasses
import functools
import itertools
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from jaxq import checks
from jaxq.experiment.config import Config
from jaxq.experiment.reports.values import (
    LONGEST,
    brief,
    json_of,
    mapping,
    numbers_of,
    printable,
    text_of,
)
from jaxq.experiment.sampling import Distribution
from jaxq.experiment.sweep_directory import with_runs


@dataclasses.dataclass(frozen=True)
class History:
    """What was written while training, T segments of N agents.

    Attributes:
        steps: Env steps of each agent so far, `[T]`.
        seconds: Time since training began, `[T]`.
        speed: Env steps of all agents per second, `[T]`.
        returns: Mean return over the episodes that each agent finished last, `[T, N]`; NaN for none.
        not_finite: Whether an agent's loss or values were no finite number, bool `[T, N]`.
    """

    steps: np.ndarray
    seconds: np.ndarray
    speed: np.ndarray
    returns: np.ndarray
    not_finite: np.ndarray


@dataclasses.dataclass(frozen=True)
class Run:
    """What there is of a run.

    Attributes:
        path: Its directory.
        name: What to call it.
        config: What was trained, as far as a report needs it.
        written: All of `config.json`.
        history: What was written while training; `None` if nothing was.
        returns: Undiscounted returns of the final evaluation, `[N, episodes]`; `None` if unfinished.
        diverged: Numbers of the agents that diverged.
        stopped: Numbers of the agents that were halved away.
        notes: What the reader should know, one sentence each.
    """

    path: Path
    name: str
    config: Config
    written: dict[str, Any]
    history: History | None
    returns: np.ndarray | None
    diverged: list[int]
    stopped: list[int]
    notes: list[str]

    @functools.cached_property
    def scores(self) -> np.ndarray:
        """One score per agent, `[N]`: of the final evaluation, or else of training so far."""
        return self.history.returns[-1] if self.returns is None else self.returns.mean(axis=1)

    @property
    def scored_by(self) -> str:
        """What the scores are."""
        if self.returns is None:
            return "return while training"
        return f"greedy evaluation, {self.returns.shape[1]} episodes"

    @property
    def seeds(self) -> int:
        """Number of agents that share a combination of swept values."""
        return self.config.agents // len(self.config.combinations)

    def agents_of(self, combination: int) -> slice:
        """Return which agents have a combination of swept values."""
        return slice(combination * self.seeds, (combination + 1) * self.seeds)


def read_runs(paths: list[Path]) -> list[Run]:
    """Read run directories, and give each a name of its own; of a sweep, those of its groups in order.

    Raises:
        InputValueError: If one is no run directory, or what it holds cannot be read.
    """
    runs = []
    for path, notes in with_runs(paths):
        run = read_run(path)
        runs.append(dataclasses.replace(run, notes=[*run.notes, *notes]))
    names = [run.name for run in runs]
    return [
        run if names.count(run.name) == 1 else dataclasses.replace(run, name=f"{run.name} ({number})")
        for number, run in enumerate(runs, start=1)
    ]


def read_run(path: Path) -> Run:
    """Read a run directory.

    Args:
        path: The directory, of a run that may still go on or was interrupted.

    Returns:
        What there is of the run.

    Raises:
        InputValueError: If it is no run directory, or what it holds cannot be read.
    """
    try:
        if not path.is_dir():
            raise checks.InputValueError(f"{path} is no directory; give one that jaxq train has written")
        if not (path / "config.json").is_file():
            raise checks.InputValueError(
                f"{path} is no run directory, as it has no config.json; "
                "give one that jaxq train has written"
            )
        return _read(path)
    except checks.InputTypeError as error:
        raise checks.InputValueError(str(error)) from None
    except (OSError, ValueError) as error:
        if isinstance(error, checks.InputError):
            raise
        reason = getattr(error, "strerror", None) or error
        raise checks.InputValueError(f"{path} cannot be read: {reason}") from None


def _read(path: Path) -> Run:
    file = path / "config.json"
    written = mapping(file, json_of(file, text_of(file)))
    config = _config(file, written)
    notes: list[str] = []
    listed: dict[str, set[int]] = {"diverged": set(), "stopped": set()}
    history = _history(path / "metrics.jsonl", config, notes, listed)
    returns = _evaluation(path / "report" / "evaluation.json", config, listed)
    if returns is None and history is None:
        raise checks.InputValueError(
            f"{path} holds no results yet: neither metrics.jsonl nor report/evaluation.json; "
            "wait for the first segment to end"
        )
    if returns is None:
        notes.append(
            f"The run is not finished ({history.steps[-1]:,} of {config.steps:,} steps of each agent): "
            "its scores are returns while training."
        )
    if not listed["diverged"] and history is not None:
        listed["diverged"] = set(np.flatnonzero(history.not_finite.any(axis=0)).tolist())
    if listed["stopped"]:
        notes.append(
            f"The worse {len(listed['stopped'])} of {config.agents} agents were stopped on the way, and "
            "count with the scores they had come to."
        )
    without = 0 if history is None else np.isnan(history.returns).sum(axis=1)
    if np.any(without):
        notes.append(
            f"Curves leave out agents that have ended no episode yet: {without[0]} of {config.agents} "
            f"at the first point, {without[-1]} at the last."
        )
    name = printable(path.resolve().name or str(path))[:LONGEST]
    numbers = [sorted(listed[what]) for what in ("diverged", "stopped")]
    return Run(path, name, config, written, history, returns, *numbers, notes)


def _config(file: Path, written: dict[str, Any]) -> Config:
    def number(name: str, minimum: int) -> int:
        try:
            return checks.whole_number(name, written.get(name), minimum)
        except checks.InputError as error:
            raise checks.InputValueError(f"{file}: {str(error).split(';')[0]}") from None

    agents = number("agents", 1)
    sweep = mapping(file, written.get("sweep", {}))
    values = {printable(name): numbers_of(file, name, column) for name, column in sweep.items()}
    if not all(column.size and np.isfinite(column).all() for column in values.values()):
        raise checks.InputValueError(f"{file}: sweep must hold a list of finite numbers for each name")
    sample = mapping(file, written.get("sample", {}))
    for name, text in sample.items():
        try:
            Distribution.read(printable(name), text)
        except checks.InputError as error:
            raise checks.InputValueError(f"{file}: {printable(str(error).split(';')[0])}") from None
    combinations = math.prod(column.size for column in values.values())
    if agents % combinations:
        raise checks.InputValueError(
            f"{file}: agents must be a multiple of the {combinations} combinations in the sweep, "
            f"got {agents}"
        )
    for name in ("environment", "algorithm"):
        if not isinstance(written.get(name), str):
            raise checks.InputValueError(
                f"{file}: {name} must be a name, got {brief(written.get(name))}"
            )
    return Config(
        environment=printable(written["environment"]),
        algorithm=printable(written["algorithm"]),
        agents=agents,
        steps=number("steps", 1),
        seed=number("seed", 0),
        keywords={},
        sweep={name: column.tolist() for name, column in values.items()},
        sample={printable(name): text for name, text in sample.items()},
    )


def _history(
    file: Path, config: Config, notes: list[str], listed: dict[str, set[int]]
) -> History | None:
    rows: list[dict[str, Any]] = []
    for number, row in _lines(file, notes):
        where = Path(f"{file}, line {number}")
        row = _row(where, row, config.agents)
        listed["diverged"] |= _agents(where, row, config.agents, "diverged")
        row["stopped"] = _agents(where, row, config.agents, "stopped")
        # A run that was resumed goes on from before where it had come to.
        while rows and rows[-1]["steps"] >= row["steps"]:
            rows.pop()
        rows.append(row)
    if not rows:
        return None
    returns = np.stack([row["returns"] for row in rows])
    for before, now in itertools.pairwise(returns):
        now[:] = np.where(np.isnan(now), before, now)
    columns = {name: np.array([row[name] for row in rows]) for name in ("steps", "seconds", "speed")}
    not_finite = np.stack([row["not_finite"] for row in rows])
    for row, later in zip(rows, not_finite[1:], strict=False):
        # Of agents that have stopped nothing was measured since.
        later[[*row["stopped"]]] = False
    listed["stopped"] |= rows[-1]["stopped"]
    return History(**columns, returns=returns, not_finite=not_finite)


def _lines(file: Path, notes: list[str]) -> Iterator[tuple[int, Any]]:
    """Read the lines there are; the last one may be cut off where the run was."""
    lines = text_of(file).splitlines() if file.is_file() else []
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            yield number, json_of(Path(f"{file}, line {number}"), line)
        except checks.InputValueError:
            if number < len(lines):
                raise
            notes.append(f"The last line of {printable(file.name)} is cut off, and left out.")


def _row(where: Path, row: Any, num_agents: int) -> dict[str, Any]:
    row = mapping(where, row)
    agents = mapping(where, row.get("agents"))
    metrics = {
        name: numbers_of(where, name, agents[name], num_agents)
        for name in ("episode_return", "loss", "q_value")
        if name in agents
    }
    if "episode_return" not in metrics:
        raise checks.InputValueError(f"{where}: agents must have their episode_return")
    plain = [row.get(name) for name in ("steps", "seconds", "steps_per_second")]
    steps, seconds, speed = numbers_of(where, "[steps, seconds, steps_per_second]", plain, 3)
    if not steps >= 0:
        raise checks.InputValueError(f"{where}: steps must be a number, got {brief(row.get('steps'))}")
    others = [values for name, values in metrics.items() if name != "episode_return"]
    return {
        **row,
        "steps": int(steps),
        "seconds": seconds,
        "speed": speed,
        "returns": metrics["episode_return"],
        "not_finite": np.isnan(others).any(axis=0) if others else np.zeros(num_agents, bool),
    }


def _evaluation(file: Path, config: Config, listed: dict[str, set[int]]) -> np.ndarray | None:
    if not file.is_file():
        return None
    evaluation = mapping(file, json_of(file, text_of(file)))
    for what, numbers in listed.items():
        numbers |= _agents(file, evaluation, config.agents, what)
    returns = evaluation.get("returns")
    if not isinstance(returns, list) or len(returns) != config.agents:
        raise checks.InputValueError(f"{file}: returns must have one list for each of the agents")
    episodes = len(returns[0]) if isinstance(returns[0], list) else 0
    if not episodes:
        raise checks.InputValueError(f"{file}: returns must have at least one episode of each agent")
    return np.stack([numbers_of(file, "returns", row, episodes) for row in returns])


def _agents(where: Path, row: dict[str, Any], num_agents: int, what: str) -> set[int]:
    """Return the numbers of the agents that a row says have diverged, or have stopped."""
    listed = row.get(what)
    numbers = numbers_of(where, what, [] if listed is None else listed)
    if not np.isin(numbers, np.arange(num_agents)).all():
        raise checks.InputValueError(f"{where}: {what} must list numbers of agents")
    return set(numbers.astype(int).tolist())
