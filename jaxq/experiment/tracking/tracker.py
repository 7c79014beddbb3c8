"""What a tracker is."""

from pathlib import Path
from typing import Any, Protocol

from jaxq.experiment.progress import Progress


class Tracker(Protocol):
    """Takes what a run does, in the order of these methods, and may raise whatever it likes."""

    def start(self, described: dict[str, Any], directory: Path, resumed_at: int | None) -> None:
        """Begin, or go on with what an earlier process began in the same directory.

        Args:
            described: What is trained, from `jaxq.experiment.config.describe`.
            directory: The run directory.
            resumed_at: Env steps of each agent at which training goes on; `None` for a new run.
        """

    def segment(self, progress: Progress) -> None:
        """Take one more segment of training."""

    def finish(self, evaluation: dict[str, Any], artifacts: list[Path]) -> None:
        """Take the end of a run that reached it.

        Args:
            evaluation: The final evaluation: `iqm`, `interval` and `returns` `[N][episodes]`.
            artifacts: Files and directories to keep with the run.
        """

    def close(self) -> None:
        """Give everything back; called once, whether the run reached its end or not."""
