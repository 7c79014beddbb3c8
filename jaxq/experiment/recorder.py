"""What is done after every segment of a run: writing, showing, saving, and stopping when asked to."""

import time

from jaxq.experiment.checkpoints import Checkpoints
from jaxq.experiment.config import Config
from jaxq.experiment.directory import RunDirectory
from jaxq.experiment.display import Display, Voice
from jaxq.experiment.distributed import is_first, largest
from jaxq.experiment.halving import announcement
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
        voice: Voice,
        request: StopRequest,
        history: list[Progress],
    ) -> None:
        self.history = history
        self._config = config
        self._directory = directory
        self._checkpoints = checkpoints
        self._trackers = trackers
        self._voice = voice
        self._request = request
        self._segments = 0
        self._saved_at = time.monotonic()

    def segment(self, display: Display, progress: Progress, position: Position) -> None:
        """Record a segment.

        Raises:
            StoppedError: If somebody asked for it, when all is saved.
        """
        before = self.history[-1].stopped if self.history else []
        self.history.append(progress)
        self._segments += 1
        if is_first():
            self._directory.append_metrics(progress.row())
            self._trackers.segment(progress)
            display.update(progress)
            if progress.stopped != before:
                agents = self._config.agents
                self._voice.say(announcement(agents, progress.steps, before, progress.stopped))
        minutes = (time.monotonic() - self._saved_at) / 60
        late, stop = largest(minutes >= self._config.checkpoint_minutes, self._request.number)
        last = position.steps >= self._config.steps
        if stop or last or late or self._segments % self._config.checkpoint_segments == 0:
            self.save(position)
        if stop and not last:
            self._voice.warn(self._checkpoints.wait())
            raise StoppedError(stop, f"{position.steps:,} steps", self._directory.path)

    def save(self, position: Position) -> None:
        """Begin to write a checkpoint, and say so if the one before could not be written."""
        score = self.history[-1].iqm if self.history else float("nan")
        failed = self._checkpoints.save(position.state, position.steps, score, position.facts())
        self._voice.warn(failed)
        self._saved_at = time.monotonic()
