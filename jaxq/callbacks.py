"""Callbacks: hooks at the start of a run, after every segment, and at its end."""

import contextlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from jaxq import checks
from jaxq.configuration.config import Config
from jaxq.engine import AgentState, Population
from jaxq.engine.state import describe
from jaxq.progress import Progress


class Run:
    """A run between its segments, as callbacks see it.

    Attributes:
        config: What is trained.
        directory: The run directory.
        population: The population, whose methods take `state`.
        state: All its agents as they are now, leaves `[N, ...]` with their replays. Whoever keeps it
            keeps the memory of all of it.
        progress: Progress after the last segment.
        stopped: Why a callback stops the run; `None` if none does.
        returns: Undiscounted returns of the final evaluation, `[N, episodes]`; `None` before it.

    """

    def __init__(
        self,
        config: Config,
        directory: Path,
        population: Population,
        state: AgentState,
        progress: Progress | None = None,
    ) -> None:
        self.config = config
        self.directory = directory
        self.population = population
        self.state = state
        self.progress = progress or Progress.begin(self.steps, config.agents)
        # Until agents that have diverged in a segment are set back.
        self.before: tuple[AgentState, Progress] | None = None
        self.stopped: str | None = None
        self.returns: np.ndarray | None = None

    @property
    def steps(self) -> int:
        """Env steps of each agent so far."""
        return int(self.state.steps)

    def stop(self, reason: str = "a callback asked for it") -> None:
        """Stop when the callbacks of this segment have been called; the first reason is kept.

        Args:
            reason: Why, in words.
        """
        if self.stopped is None:
            self.stopped = str(reason)


class Callback(Protocol):
    """What is done beside training, on the host, between compiled segments.

    Subclass it and override what is needed. A run has `config.segments` segments. After each of them
    its line of metrics is written, callbacks are called in their order, and where it is time for a
    checkpoint it is written. What a callback raises ends the run and is not swallowed: the segment is in
    a checkpoint then, and `jaxq.Experiment.resume` goes on behind it. In a run over several processes
    each of them calls its callbacks, and stops if those of any process stop.

    Example:
        >>> import jaxq, tempfile
        >>> class Enough(jaxq.Callback):
        ...     def on_segment(self, run, progress):
        ...         return progress.steps >= 400
        >>> config = jaxq.configure("FrozenLake-v1", "q_learning", agents=2, steps=1_000, segments=5)
        >>> with tempfile.TemporaryDirectory() as parent:
        ...     experiment = jaxq.Experiment(config, parent + "/run", callbacks=[Enough()])
        ...     returns = experiment.run()
        >>> experiment.stopped
        'Enough.on_segment returned True'
    """

    def on_start(self, run: Run) -> None:
        """Begin; in a run that is resumed `run.steps` says from where.

        Args:
            run: The run.
        """

    def on_segment(self, run: Run, progress: Progress) -> bool | None:
        """Look at one more segment of training.

        Args:
            run: The run; `run.state` is the population after the segment.
            progress: What came of the segment: `steps`, `seconds`, `steps_per_second`; `returns`, each
                agent's mean return over the episodes it finished last, `[N]`, with their `iqm` and
                `interval`; `metrics`, such as `metrics.loss`, leaves `[N]`; and which agents have
                `diverged` or `stopped`. All of it is plain numbers and numpy arrays, to be read only.

        Returns:
            `True` to stop the run, as `run.stop(reason)` does.
        """

    def on_end(self, run: Run) -> None:
        """End, in whatever way the run does, if `on_start` has returned.

        Args:
            run: The run; `run.returns` is `None` where a signal or an exception ends it.
        """


class UserCallbacks(Callback):
    """The user's callbacks as one, whose `on_segment` keeps the exception instead of raising it.

    Attributes:
        error: Exception of a callback in the last segment.

    Args:
        callbacks: The callbacks.
    """

    def __init__(self, callbacks: Sequence[Callback]) -> None:
        self.error: Exception | None = None
        self._callbacks = callbacks
        self._started = contextlib.ExitStack()

    def on_start(self, run: Run) -> None:
        """Start all; if one fails, those that have started end."""
        with contextlib.ExitStack() as started:
            for callback in self._callbacks:
                callback.on_start(run)
                started.callback(callback.on_end, run)
            self._started = started.pop_all()

    def on_segment(self, run: Run, progress: Progress) -> None:
        """Call all, up to the first that fails."""
        try:
            for callback in self._callbacks:
                if _is_true(callback, callback.on_segment(run, progress)):
                    run.stop(f"{type(callback).__name__}.on_segment returned True")
        except Exception as error:
            self.error = error

    def on_end(self, run: Run) -> None:
        """End all, the last one first."""
        self._started.close()


def checked_callbacks(callbacks: Any) -> list[Callback]:
    """Return callbacks as a list.

    Raises:
        InputTypeError: If there is something else among them.
    """
    needed = [name for name in vars(Callback) if name.startswith("on_")]
    if isinstance(callbacks, str) or not isinstance(callbacks, Sequence):
        raise checks.InputTypeError(
            f"callbacks must be a sequence of jaxq.Callback, got {describe(callbacks)}; "
            "for example callbacks=[MyCallback()]"
        )
    for callback in callbacks:
        missing = [name for name in needed if not callable(getattr(callback, name, None))]
        if missing or isinstance(callback, type):
            what = f"the class {callback.__name__}" if isinstance(callback, type) else describe(callback)
            raise checks.InputTypeError(
                f"a callback must be an object with {', '.join(needed)}, got {what}; "
                "subclass jaxq.Callback, which has all of them: callbacks=[MyCallback()]"
            )
    return [*callbacks]


def _is_true(callback: Callback, returned: Any) -> bool:
    if returned is None:
        return False
    if np.shape(returned) != () or np.asarray(returned).dtype != bool:
        raise checks.InputTypeError(
            f"{type(callback).__name__}.on_segment must return None, True or False, "
            f"got {describe(returned)}; return True stops the run"
        )
    return bool(returned)
