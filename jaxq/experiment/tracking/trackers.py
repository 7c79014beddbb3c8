"""All trackers of a run behind one."""

import importlib.util
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from jaxq import checks
from jaxq.experiment.callbacks import Callback, Run
from jaxq.experiment.progress import Progress
from jaxq.experiment.tracking.background import BackgroundTracker
from jaxq.experiment.tracking.mlflow import MLflow
from jaxq.experiment.tracking.tensorboard import TensorBoard
from jaxq.experiment.tracking.tracker import Tracker
from jaxq.experiment.tracking.wandb import Wandb

TRACKERS: dict[str, Callable[[bool], Tracker]] = {
    "tensorboard": TensorBoard,
    "wandb": Wandb,
    "mlflow": MLflow,
}
# What has to be there for those that are not part of every installation.
_PACKAGES = {"wandb": ("wandb",), "mlflow": ("mlflow", "sqlalchemy", "alembic")}


class Trackers(Callback):
    """Passes a run on to TensorBoard and whatever else was asked for.

    Whatever a tracker raises ends in one line for the user, and that tracker is switched off.

    Attributes:
        described: What was asked for, as plain values; objects of the user's own are not among them.

    Args:
        track: Further trackers: "wandb", "mlflow", or objects of the user's own.
        track_agents: Whether each agent gets a run of its own beside the population's.

    Raises:
        InputTypeError: If `track` is no sequence of trackers.
        InputValueError: If a name is unknown, or what it needs is not installed.
    """

    def __init__(self, track: Sequence[str | Tracker] = (), track_agents: bool = False) -> None:
        if isinstance(track, str) or not isinstance(track, Sequence):
            raise checks.InputTypeError(
                f"track must be a sequence of names, got {track!r}; for example ['wandb']"
            )
        checks.true_or_false("track_agents", track_agents)
        own = [tracker for tracker in track if hasattr(tracker, "segment")]
        # In the order given, and each once.
        names = dict.fromkeys(["tensorboard", *(tracker for tracker in track if tracker not in own)])
        for name in names:
            _check_installed(checks.known("tracker", name, TRACKERS))
        self._trackers = [(name, TRACKERS[name](track_agents)) for name in names]
        self._trackers += [(type(tracker).__name__, tracker) for tracker in own]
        self._running: list[BackgroundTracker] = []
        self.described = {"names": [*names][1:], "agents": track_agents}

    def start(
        self,
        described: dict[str, Any],
        directory: Path,
        warn: Callable[[str], None],
        resumed_at: int | None = None,
    ) -> None:
        """Begin, or go on with what an earlier process began in the same directory.

        Args:
            described: What is trained, from `jaxq.experiment.plan.describe`.
            directory: The run directory.
            warn: Told of a tracker that fails.
            resumed_at: Env steps of each agent at which training goes on; `None` for a new run.
        """
        self._running = [BackgroundTracker(name, tracker, warn) for name, tracker in self._trackers]
        for tracker in self._running:
            tracker.start(described, directory, resumed_at)

    def on_segment(self, run: Run, progress: Progress) -> None:
        """Pass on one more segment."""
        for tracker in self._running:
            tracker.segment(progress)

    def finish(self, evaluation: dict[str, Any], artifacts: list[Path]) -> None:
        """Pass on the end of a run that reached it."""
        for tracker in self._running:
            tracker.finish(evaluation, artifacts)

    def close(self) -> None:
        """Wait until everything is tracked; a second call does nothing."""
        for tracker in self._running:
            tracker.close()
        self._running = []


def _check_installed(name: str) -> None:
    for package in _PACKAGES.get(name, ()):
        spec = importlib.util.find_spec(package)
        # A directory of that name, such as wandb leaves behind, passes for a package without origin.
        if spec is None or spec.origin is None:
            raise checks.InputValueError(
                f"tracking with {name} needs the package {package}, which is not installed; "
                f"pip install 'jaxq[{name}]'"
            )
