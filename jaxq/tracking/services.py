"""Trackers that keep their runs elsewhere: wandb and MLflow.

Each has one run for the population and, on request, one for each agent: of the same group in wandb,
nested in the population's run in MLflow.
"""

import dataclasses
import json
import os
import time
import uuid
from pathlib import Path
from typing import Any

from jaxq import checks
from jaxq.progress import Progress
from jaxq.storage import access
from jaxq.storage.json_values import names_of, object_of
from jaxq.tracking.logged import (
    Row,
    agent_hparams,
    code_version,
    evaluation_rows,
    segment_rows,
)

# One write to SQLite takes 30 ms, of one number or of hundreds, so numbers wait for each other.
FLUSH_SECONDS = 10.0
# What MLflow takes at once.
_MOST_METRICS = 1_000
_LONGEST_PARAMETER = 6_000
# What wandb takes as a name.
_LONGEST_NAME = 128
# What says how agents differ; each one's run has its own values instead.
_OF_ALL = ("sweep", "sample", "sampled")


@dataclasses.dataclass
class ResumeState:
    """Runs of a tracker, and the steps logged so far; a file in the run directory.

    Attributes:
        path: The file.
        runs: Names that the tracker knows its runs by: the population's, then each agent's.
        steps: Env steps of each agent that have been logged.
    """

    path: Path
    runs: list[str] = dataclasses.field(default_factory=list)
    steps: int = 0

    @classmethod
    def open(cls, directory: Path, tracker: str) -> "ResumeState":
        """Read the state in a run directory, or create an empty one."""
        path = directory / "tracking" / f"{tracker}.json"
        path.parent.mkdir(exist_ok=True)
        if not path.exists():
            return cls(path)
        kept = object_of(path)
        runs = names_of(path, "runs", kept.get("runs"))
        return cls(path, runs, checks.whole_number("steps", kept.get("steps"), minimum=0))

    def save(self) -> None:
        """Write it atomically."""
        access.replace(self.path, json.dumps({"runs": self.runs, "steps": self.steps}) + "\n")


class Wandb:
    """Logs to wandb as it is configured, `WANDB_MODE=offline` and `WANDB_PROJECT` included.

    What wandb writes lies in the run directory. The project is "jaxq" if no other is configured.

    Args:
        agents: Whether each agent gets a run of its own.
    """

    def __init__(self, agents: bool = False) -> None:
        self._agents = agents
        self._runs: list[Any] = []
        self._finished = False

    def start(self, described: dict[str, Any], directory: Path, resumed_at: int | None) -> None:
        """Begin the runs, or go on with those that the run directory names."""
        self._directory = directory.resolve()
        self._state = ResumeState.open(directory, "wandb")
        configs = [described]
        if self._agents:
            rest = {name: value for name, value in described.items() if name not in _OF_ALL}
            configs += [
                {**rest, "agent": agent, "hparams": hparams}
                for agent, hparams in enumerate(agent_hparams(described))
            ]
        code, ids = code_version(), self._state.runs
        ids += [uuid.uuid4().hex[:16] for _ in configs[len(ids) :]]
        for run_id, config in zip(ids, configs, strict=False):
            self._runs.append(_wandb_run(run_id, {**config, "code": code}, self._directory))
        self._state.save()

    def segment(self, progress: Progress) -> None:
        """Log one row to each run."""
        if progress.steps <= self._state.steps:
            return
        for run, row in zip(self._runs, segment_rows(progress, self._agents), strict=True):
            run.log(row, step=progress.steps)
        self._state.steps = progress.steps
        self._state.save()

    def finish(self, evaluation: dict[str, Any], artifacts: list[Path]) -> None:
        """Log the evaluation as each run's summary, and the artifacts with the population's run."""
        import wandb

        self._finished = True
        for run, row in zip(self._runs, evaluation_rows(evaluation, self._agents), strict=True):
            run.summary.update(row)
        artifact = wandb.Artifact(f"run-{self._runs[0].id}", type="run")
        for path in artifacts:
            # One by one, as wandb tells of whole directories on the terminal.
            path = path.resolve()
            for file in sorted(path.rglob("*")) if path.is_dir() else [path]:
                if file.is_file():
                    artifact.add_file(str(file), name=str(file.relative_to(self._directory)))
        self._runs[0].log_artifact(artifact)

    def close(self) -> None:
        """End the runs, as failed if they did not reach their end."""
        for run in self._runs:
            run.finish(exit_code=0 if self._finished else 1)


def _wandb_run(run_id: str, config: dict[str, Any], directory: Path) -> Any:
    import wandb

    name = directory.name
    agent = f"agent {config['agent']}" if "agent" in config else None
    return wandb.init(
        project=os.environ.get("WANDB_PROJECT", "jaxq"),
        group=name[:_LONGEST_NAME],
        name=(agent or name)[:_LONGEST_NAME],
        job_type="agent" if agent else "population",
        id=run_id,
        resume="allow",
        config=config,
        dir=str(directory),
        # Runs side by side in one process.
        reinit="create_new",
        # The terminal is taken: progress is shown there.
        settings=wandb.Settings(silent=True, console="off"),
    )


class MLflow:
    """Logs to the server that `MLFLOW_TRACKING_URI` names, or else to `mlflow.db` in the run directory.

    The experiment is "jaxq" if `MLFLOW_EXPERIMENT_NAME` names no other.

    Args:
        agents: Whether each agent gets a run of its own.
    """

    def __init__(self, agents: bool = False) -> None:
        self._agents = agents
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
        if time.monotonic() - self._flushed > FLUSH_SECONDS:
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
