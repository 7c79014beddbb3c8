"""What is done after every segment of a run: writing, showing, saving, and stopping when asked to."""

import time

from jaxq.experiment.callbacks import RunningCallbacks
from jaxq.experiment.checkpoints import Checkpoints
from jaxq.experiment.config import Config
from jaxq.experiment.directory import RunDirectory
from jaxq.experiment.display import Display, Voice
from jaxq.experiment.distributed import is_first, largest
from jaxq.experiment.halving import announcement
from jaxq.experiment.overestimation import warning
from jaxq.experiment.runner import Position, Progress
from jaxq.experiment.stopping import StoppedError, StopRequest
from jaxq.experiment.tracking import Trackers


class Recorder:
    """Keeps what a run did, and where it is.

    Attributes:
        history: The run's segments in order.

    Args:
        config: What is trained.
        directory: Where it is written.
        checkpoints: Where the population is kept.
        trackers: Who else is told.
        callbacks: What the user wants to be done after a segment.
        voice: Who says what went wrong.
        request: Who may ask to stop.
        history: Segments before this process took over.
    """

    def __init__(
        self,
        config: Config,
        directory: RunDirectory,
        checkpoints: Checkpoints,
        trackers: Trackers,
        callbacks: RunningCallbacks,
        voice: Voice,
        request: StopRequest,
        history: list[Progress],
    ) -> None:
        self.history = history
        self._config = config
        self._directory = directory
        self._checkpoints = checkpoints
        self._trackers = trackers
        self._callbacks = callbacks
        self._voice = voice
        self._request = request
        self._segments = 0
        self._warned = False
        self._saved_at = time.monotonic()

    def segment(self, display: Display, progress: Progress, position: Position) -> bool:
        """Record a segment, and return whether a callback wants to stop after it.

        Raises:
            StoppedError: If somebody asked for it, when all is saved.
            Exception: What a callback has raised, when all is saved.
        """
        self._record(display, progress)
        error = self._callbacks.segment(progress, position.state)
        minutes = (time.monotonic() - self._saved_at) / 60
        late, number, failed, stopped = largest(
            minutes >= self._config.checkpoint_minutes,
            self._request.number,
            error is not None,
            self._callbacks.stopped,
        )
        last = position.steps >= self._config.steps
        due = self._segments % self._config.checkpoint_segments == 0
        if number or failed or stopped or last or late or due:
            self.save(position)
        if failed:
            raise error or RuntimeError("a callback has failed in another process of this run")
        if number and not last:
            self._voice.warn(self._checkpoints.wait())
            raise StoppedError(number, f"{position.steps:,} steps", self._directory.path)
        return bool(stopped)

    def _record(self, display: Display, progress: Progress) -> None:
        before = self.history[-1].stopped if self.history else []
        self.history.append(progress)
        self._segments += 1
        if not is_first():
            return
        self._directory.append_metrics(progress.row())
        self._trackers.segment(progress)
        display.update(progress)
        self._warn_of_values(progress)
        if progress.stopped != before:
            agents = self._config.agents
            self._voice.say(announcement(agents, progress.steps, before, progress.stopped))

    def _warn_of_values(self, progress: Progress) -> None:
        """Say once that values are above any possible return."""
        if self._warned or progress.largest_values is None:
            return
        said = warning(progress.metrics.q_value, progress.largest_values)
        self._warned = said is not None
        self._voice.warn(f"after {progress.steps:,} steps {said}" if said else None)

    def save(self, position: Position) -> None:
        """Begin to write a checkpoint, and say so if the one before could not be written."""
        score = self.history[-1].iqm if self.history else float("nan")
        failed = self._checkpoints.save(position.state, position.steps, score, position.facts())
        self._voice.warn(failed)
        self._saved_at = time.monotonic()
