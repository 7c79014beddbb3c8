"""Reading run directories, those of unfinished runs too, and one clear line where one cannot be read."""

import dataclasses
import functools
import itertools
import math
from pathlib import Path
from typing import Any

import numpy as np

from jaxq import checks
from jaxq.configuration.config import Config
from jaxq.configuration.config_file import read_description
from jaxq.configuration.sampling import Distribution
from jaxq.experiment.costs import EpisodeCosts
from jaxq.experiment.directory import with_runs
from jaxq.experiment.impossible_values import warning
from jaxq.experiment.ranking import Ranked, ranked
from jaxq.experiment.records import (
    RecordedMetrics,
    read_evaluation,
    read_metrics,
)
from jaxq.storage import access
from jaxq.storage.json_values import LONGEST, brief, mapping, numbers_of, printable


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
        costs: What its episodes cost; `None` if unfinished, or where the environment has no costs.
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
    costs: EpisodeCosts | None
    diverged: list[int]
    stopped: list[int]
    notes: list[str]

    @functools.cached_property
    def scores(self) -> np.ndarray:
        """One score per agent, `[N]`: of the final evaluation, or else of training so far."""
        return self.history.returns[-1] if self.returns is None else self.returns.mean(axis=1)

    @functools.cached_property
    def ranking(self) -> list[Ranked]:
        """The combinations of swept values, the best first."""
        return ranked([("", self.config, self.scores)])

    @property
    def steps(self) -> int:
        """Env steps that each agent has done."""
        return self.config.steps if self.history is None else int(self.history.steps[-1])

    @property
    def scored_by(self) -> str:
        """What the scores are."""
        if self.returns is None:
            return "return while training"
        return f"greedy evaluation, {self.returns.shape[1]} episodes"


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
        access.check_no_links(path)
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
    written = read_description(file)
    config = _config(file, written)
    recorded = read_metrics(path / "metrics.jsonl", config.agents)
    evaluation = read_evaluation(path / "report" / "evaluation.json", config.agents)
    notes = ["The last line of metrics.jsonl is cut off, and left out."] if recorded.cut else []
    notes += _start(written)
    history = _history(recorded)
    returns = None if evaluation is None else evaluation.returns
    diverged = {agent for row in recorded.rows for agent in row.diverged}
    stopped = {*recorded.rows[-1].stopped} if recorded.rows else set()
    if evaluation is not None:
        diverged |= {*evaluation.diverged}
        stopped |= {*evaluation.stopped}
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
    if not diverged and history is not None:
        diverged = set(np.flatnonzero(history.not_finite.any(axis=0)).tolist())
    if stopped:
        notes.append(
            f"The worse {len(stopped)} of {config.agents} agents were stopped on the way, and "
            "count with the scores they had come to."
        )
    without = 0 if history is None else np.isnan(history.returns).sum(axis=1)
    if np.any(without):
        notes.append(
            f"Curves leave out agents that have ended no episode yet: {without[0]} of {config.agents} "
            f"at the first point, {without[-1]} at the last."
        )
    if recorded.rows and recorded.rows[-1].largest_values is not None:
        last = recorded.rows[-1]
        said = warning(last.metrics.q_value, last.largest_values, last.highest_values)
        notes += [f"At the end of training {said}."] if said else []
    name = printable(path.resolve().name or str(path))[:LONGEST]
    costs = None if evaluation is None else evaluation.costs
    agents = sorted(diverged), sorted(stopped)
    return Run(path, name, config, written, history, returns, costs, *agents, notes)


def _start(written: dict[str, Any]) -> list[str]:
    """Say what the agents began with, if another agent had learned it."""
    if not isinstance(written.get("start"), str):
        return []
    agent, path = brief(written.get("start_agent")), printable(written["start"])
    return [f"The agents began with what agent {agent} of {path} had learned before."]


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


def _history(recorded: RecordedMetrics) -> History | None:
    rows = recorded.rows
    if not rows:
        return None
    returns = np.stack([row.metrics.episode_return for row in rows])
    for before, now in itertools.pairwise(returns):
        now[:] = np.where(np.isnan(now), before, now)
    columns = zip(*[(row.steps, row.seconds, row.steps_per_second) for row in rows], strict=True)
    not_finite = np.stack([np.isnan(row.metrics.loss) | np.isnan(row.metrics.q_value) for row in rows])
    for row, later in zip(rows, not_finite[1:], strict=False):
        # Of agents that have stopped nothing was measured since.
        later[row.stopped] = False
    return History(*map(np.array, columns), returns=returns, not_finite=not_finite)
