"""Keeping trackers away from training: each works in a thread of its own, and may fail there."""

import contextlib
import queue
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from jaxq.experiment.progress import Progress
from jaxq.experiment.tracking.tracker import Tracker

# A server that does not answer, or is slow to take a checkpoint, holds up the end of a run for so long,
# and training not at all.
CLOSE_SECONDS = 300.0


class BackgroundTracker:
    """Runs one tracker beside the training, and switches it off when it fails.

    It begins in the thread of the caller, where it may ask for a password; everything else waits in a
    queue.

    Args:
        name: What the tracker is called.
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
        self._calls: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        # A thread that hangs must not keep the process from ending.
        self._thread = threading.Thread(target=self._work, name=f"jaxq-{name}", daemon=True)

    def start(self, described: dict[str, Any], directory: Path, resumed_at: int | None) -> None:
        """Begin, before this returns."""
        self._attempt(lambda: self._tracker.start(described, directory, resumed_at))
        self._thread.start()

    def segment(self, progress: Progress) -> None:
        """Hand over one more segment."""
        self._calls.put(lambda: self._tracker.segment(progress))

    def finish(self, evaluation: dict[str, Any], artifacts: list[Path]) -> None:
        """Hand over the end of the run."""
        self._calls.put(lambda: self._tracker.finish(evaluation, artifacts))

    def close(self) -> None:
        """Wait until everything is tracked, but not for ever."""
        if not self._thread.is_alive():
            return
        self._calls.put(self._tracker.close)
        self._calls.put(None)
        self._thread.join(self._close_seconds)
        if self._thread.is_alive() and not self._failed:
            self._warn(
                f"{self._name} did not take everything within {self._close_seconds:g} s; "
                "what it misses is in the run directory"
            )

    def _work(self) -> None:
        while (call := self._calls.get()) is not None:
            self._attempt(call)

    def _attempt(self, call: Callable[[], None]) -> None:
        if self._failed:
            return
        try:
            call()
        except Exception as error:
            self._failed = True
            reason = " ".join(f"{type(error).__name__}: {error}".split())
            self._warn(f"tracking with {self._name} is switched off ({reason[:200]}); training goes on")
            with contextlib.suppress(Exception):
                self._tracker.close()
