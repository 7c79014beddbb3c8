"""Trackers of experiments, each in a background thread, where it may fail."""

import contextlib
import importlib.util
import queue
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol

from jaxq import checks
from jaxq.callbacks import Callback, Run
from jaxq.progress import Progress
from jaxq.tracking.services import MLflow, Wandb
from jaxq.tracking.tensorboard import TensorBoard


class Tracker(Protocol):
    """Logs a run; methods are called in this order, and may raise anything."""

    def start(self, described: dict[str, Any], directory: Path, resumed_at: int | None) -> None:
        """Begin, or go on with what an earlier process began in the same directory.

        Args:
            described: What is trained, from `jaxq.experiment.plan.describe`.
            directory: The run directory.
            resumed_at: Env steps of each agent at which training goes on; `None` for a new run.
        """

    def segment(self, progress: Progress) -> None:
        """Log a segment."""

    def finish(self, evaluation: dict[str, Any], artifacts: list[Path]) -> None:
        """Log the final evaluation of a run that was not interrupted.

        Args:
            evaluation: The final evaluation: `iqm`, `interval` and `returns` `[N][episodes]`.
            artifacts: Files and directories to keep with the run.
        """

    def close(self) -> None:
        """Release all resources; called once, however the run ends."""


TRACKERS: dict[str, Callable[[bool], Tracker]] = {
    "tensorboard": TensorBoard,
    "wandb": Wandb,
    "mlflow": MLflow,
}
# What those need that are not part of every installation.
_PACKAGES = {"wandb": ("wandb",), "mlflow": ("mlflow", "sqlalchemy", "alembic")}
# A server that does not answer, or is slow to take a checkpoint, holds up the end of a run for so long.
CLOSE_SECONDS = 300.0


class Trackers(Callback):
    """TensorBoard and further trackers as one callback.

    Attributes:
        described: Names and options as plain values, without objects of the user's own.

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
            _check_installed(checks.one_of("tracker", name, TRACKERS))
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
        """Start all, as `Tracker.start` says; `warn` takes the reason why one fails."""
        self._running = [BackgroundTracker(name, tracker, warn) for name, tracker in self._trackers]
        for tracker in self._running:
            tracker.start(described, directory, resumed_at)

    def on_segment(self, run: Run, progress: Progress) -> None:
        """Log a segment."""
        for tracker in self._running:
            tracker.call("segment", progress)

    def finish(self, evaluation: dict[str, Any], artifacts: list[Path]) -> None:
        """Log the final evaluation."""
        for tracker in self._running:
            tracker.call("finish", evaluation, artifacts)

    def close(self) -> None:
        """Wait for all; a second call does nothing."""
        for tracker in self._running:
            tracker.close()
        self._running = []


class BackgroundTracker:
    """Runs one tracker in a background thread, and switches it off when it fails.

    It starts in the thread of the caller, where it may ask for a password; everything else waits in a
    queue.

    Args:
        name: Name of the tracker.
        tracker: The tracker.
        warn: Takes one line for the user.
        close_seconds: How long `close` waits for what is still in the queue.
    """

    def __init__(
        self,
        name: str,
        tracker: Tracker,
        warn: Callable[[str], None],
        close_seconds: float = CLOSE_SECONDS,
    ) -> None:
        self._name = name
        self._tracker = tracker
        self._warn = warn
        self._close_seconds = close_seconds
        self._failed = False
        self._calls: queue.SimpleQueue[tuple[Any, ...] | None] = queue.SimpleQueue()
        # A thread that hangs must not keep the process from ending.
        self._thread = threading.Thread(target=self._work, name=f"jaxq-{name}", daemon=True)

    def start(self, *arguments: Any) -> None:
        """Start the tracker, before this returns."""
        self._attempt("start", *arguments)
        self._thread.start()

    def call(self, method: str, *arguments: Any) -> None:
        """Queue a call of a method of the tracker."""
        self._calls.put((method, *arguments))

    def close(self) -> None:
        """Wait until the queue is empty, but not for ever."""
        self.call("close")
        self._calls.put(None)
        self._thread.join(self._close_seconds)
        if self._thread.is_alive() and not self._failed:
            self._warn(
                f"{self._name} did not take everything within {self._close_seconds:g} s; "
                "what it misses is in the run directory"
            )

    def _work(self) -> None:
        while (call := self._calls.get()) is not None:
            self._attempt(*call)

    def _attempt(self, method: str, *arguments: Any) -> None:
        if self._failed:
            return
        try:
            getattr(self._tracker, method)(*arguments)
        except Exception as error:
            self._failed = True
            reason = " ".join(f"{type(error).__name__}: {error}".split())
            self._warn(f"tracking with {self._name} is switched off ({reason[:200]}); training goes on")
            with contextlib.suppress(Exception):
                self._tracker.close()


def _check_installed(name: str) -> None:
    for package in _PACKAGES.get(name, ()):
        spec = importlib.util.find_spec(package)
        # A directory of that name, such as wandb leaves behind, passes for a package without origin.
        if spec is None or spec.origin is None:
            raise checks.InputValueError(
                f"tracking with {name} needs the package {package}, which is not installed; "
                f"pip install 'jaxq[{name}]'"
            )
