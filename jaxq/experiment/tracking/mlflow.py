"""MLflow: one run for the population, and one nested in it for each agent."""

import os
import time
from pathlib import Path
from typing import Any

from jaxq.experiment.progress import Progress
from jaxq.experiment.tracking.code_version import code_version
from jaxq.experiment.tracking.resume_state import ResumeState
from jaxq.experiment.tracking.rows import Row, agent_hparams, evaluation_rows, segment_rows

# One write to SQLite takes 30 ms, of one number or of hundreds, so numbers wait for each other.
FLUSH_SECONDS = 10.0
# What MLflow takes at once.
_MOST_METRICS = 1_000
_LONGEST_PARAMETER = 6_000


class MLflow:
    """Logs to the server that `MLFLOW_TRACKING_URI` names, or else to `mlflow.db` in the run directory.

    The experiment is "jaxq" if `MLFLOW_EXPERIMENT_NAME` names no other.

    Args:
        agents: Whether each agent gets a run of its own.
        flush_seconds: Numbers are written together when so much time has passed.
    """

    def __init__(self, agents: bool = False, flush_seconds: float = FLUSH_SECONDS) -> None:
        self._agents = agents
        self._flush_seconds = flush_seconds
        self._flushed = -float("inf")
        self._waiting: list[list[Any]] = []
        self._steps = 0
        self._finished = False

    def start(self, described: dict[str, Any], directory: Path, resumed_at: int | None) -> None:
        """Begin the runs, or go on with those that the run directory names."""
        from mlflow import MlflowClient

        self._directory = directory = directory.resolve()
        local = f"sqlite:///{directory / 'mlflow.db'}"
        self._client = MlflowClient(os.environ.get("MLFLOW_TRACKING_URI") or local)
        self._state = ResumeState.open(directory, "mlflow")
        runs = self._state.runs
        for run in runs:
            self._client.update_run(run, status="RUNNING")
        experiment = self._experiment(directory)
        if not runs:
            tags = {f"jaxq.code.{name}": value for name, value in code_version().items()}
            runs.append(self._begin(experiment, directory.name, described, tags))
        if self._agents:
            for agent, hparams in list(enumerate(agent_hparams(described)))[len(runs) - 1 :]:
                tags = {"mlflow.parentRunId": runs[0]}
                runs.append(self._begin(experiment, f"agent {agent}", {"agent": agent, **hparams}, tags))
        self._state.save()
        self._waiting = [[] for _ in range(1 + self._agents * described["agents"])]
        self._steps = self._state.steps

    def segment(self, progress: Progress) -> None:
        """Take one row for each run, and write what has waited long enough."""
        if progress.steps <= self._steps:
            return
        self._steps = progress.steps
        self._add(segment_rows(progress, self._agents))
        if time.monotonic() - self._flushed > self._flush_seconds:
            self._flush()

    def finish(self, evaluation: dict[str, Any], artifacts: list[Path]) -> None:
        """Write the evaluation, and the artifacts with the population's run."""
        self._finished = True
        self._add(evaluation_rows(evaluation, self._agents))
        # Numbers first: a checkpoint may take long.
        self._flush()
        for path in artifacts:
            # Below what it is below in the run directory.
            parent = str(path.resolve().relative_to(self._directory).parent)
            below = None if parent == "." else parent
            self._client.log_artifact(self._state.runs[0], str(path), artifact_path=below)

    def close(self) -> None:
        """Write what still waits, and end the runs."""
        self._flush()
        for run in self._state.runs:
            self._client.set_terminated(run, "FINISHED" if self._finished else "KILLED")

    def _experiment(self, directory: Path) -> str:
        name = os.environ.get("MLFLOW_EXPERIMENT_NAME", "jaxq")
        found = self._client.get_experiment_by_name(name)
        if found is not None:
            return found.experiment_id
        remote = os.environ.get("MLFLOW_TRACKING_URI")
        # Otherwise artifacts would go below the current directory.
        where = None if remote else (directory / "mlflow-artifacts").as_uri()
        return self._client.create_experiment(name, artifact_location=where)

    def _begin(self, experiment: str, name: str, params: dict[str, Any], tags: dict[str, str]) -> str:
        from mlflow.entities import Param

        run = self._client.create_run(experiment, run_name=name, tags=tags).info.run_id
        values = [Param(key, str(value)[:_LONGEST_PARAMETER]) for key, value in _flat(params).items()]
        self._client.log_batch(run, params=values, synchronous=True)
        return run

    def _add(self, rows: list[Row]) -> None:
        from mlflow.entities import Metric

        now = int(1_000 * time.time())
        for waiting, row in zip(self._waiting, rows, strict=True):
            waiting += [Metric(name, value, now, self._steps) for name, value in row.items()]

    def _flush(self) -> None:
        for run, waiting in zip(self._state.runs, self._waiting, strict=False):
            for begin in range(0, len(waiting), _MOST_METRICS):
                batch = waiting[begin : begin + _MOST_METRICS]
                self._client.log_batch(run, metrics=batch, synchronous=True)
            waiting.clear()
        self._state.steps = self._steps
        self._state.save()
        self._flushed = time.monotonic()


def _flat(described: dict[str, Any]) -> dict[str, Any]:
    """Write nested names as one, `{"a": {"b": 1}}` as `{"a.b": 1}`."""
    flattened = {}
    for name, value in described.items():
        inner = _flat(value) if isinstance(value, dict) else {"": value}
        flattened |= {f"{name}.{key}" if key else name: part for key, part in inner.items()}
    return flattened
