"""wandb: one run for the population, and one for each agent in the same group."""

import os
import uuid
from pathlib import Path
from typing import Any

from jaxq.experiment.progress import Progress
from jaxq.experiment.tracking.code_version import code_version
from jaxq.experiment.tracking.resume_state import ResumeState
from jaxq.experiment.tracking.rows import agent_hparams, evaluation_rows, segment_rows

# What wandb takes as a name.
_LONGEST_NAME = 128
# What says how agents differ; each one's run has its own values instead.
_OF_ALL = ("sweep", "sample", "sampled")


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
            self._runs.append(_begin(run_id, {**config, "code": code}, self._directory))
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


def _begin(run_id: str, config: dict[str, Any], directory: Path) -> Any:
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
