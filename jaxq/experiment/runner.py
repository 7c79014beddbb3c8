"""The run loop: segments of training, with callbacks between them."""

import contextlib
import contextvars
import shlex
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import jax
import numpy as np

from jaxq.callbacks import Callback, Run, UserCallbacks
from jaxq.engine import AgentState
from jaxq.experiment.checkpoints import Checkpoints
from jaxq.experiment.directory import RunDirectory
from jaxq.experiment.distributed import all_reduce_max, gathered
from jaxq.experiment.halving import ActiveSubset
from jaxq.experiment.plan import Plan, segment_steps
from jaxq.progress import Progress, updated_returns

SIGNALS = (signal.SIGINT, signal.SIGTERM)
_ELSEWHERE = "a callback stopped it in another process of this run"


def train(run: Run, callbacks: Sequence[Callback]) -> None:
    """Train a population in segments, from wherever it is, and call callbacks after each of them.

    Args:
        run: The run.
        callbacks: What is called, in this order; what one raises ends the training.
    """
    config, trainer = run.config, run.population.trainer
    subset, segment, compiled = ActiveSubset(run.population), segment_steps(config, trainer), None
    while run.steps < config.steps and run.stopped is None:
        if run.progress.stopped != compiled:
            # A run from the same state compiles; it is thrown away, and the clock starts behind it.
            stopped = run.progress.mask(run.progress.stopped)
            jax.block_until_ready(subset.run(run.state, trainer.iteration_steps, stopped))
            compiled = run.progress.stopped
        # Where segments end depends on the configuration alone, not on where the run began.
        length = segment - (run.steps - trainer.warmup_steps) % segment
        _train_segment(run, subset, min(length, config.steps - run.steps))
        for callback in callbacks:
            callback.on_segment(run, run.progress)


def _train_segment(run: Run, subset: ActiveSubset, num_steps: int) -> None:
    before, began = run.progress, time.perf_counter()
    run.before = run.state, before
    stopped = before.mask(before.stopped)
    state, metrics = subset.run(run.state, num_steps, stopped)
    # It waits for the segment to end.
    metrics = gathered(metrics)
    seconds = time.perf_counter() - began
    speed = (int(state.steps) - before.steps) * np.count_nonzero(~stopped) / seconds
    returns = updated_returns(metrics, before.returns)
    lists = before.diverged, before.stopped
    run.state = state
    run.progress = Progress(run.steps, before.seconds + seconds, speed, returns, metrics, *lists)


class StoppedError(Exception):
    """A signal ended a run early.

    Attributes:
        number: Number of the signal.
        reached: Progress so far, such as "400 steps".
    """

    def __init__(self, number: int, reached: str, directory: Path) -> None:
        super().__init__(
            f"stopped by {signal.Signals(number).name} after {reached}; "
            f"go on with: jaxq resume {shlex.quote(str(directory))}"
        )
        self.number = number
        self.reached = reached


class StopRequest:
    """Request to stop at the end of the segment.

    Attributes:
        number: Number of the signal, or 0.
    """

    def __init__(self) -> None:
        self.number = 0

    def note(self, number: int, _: object) -> None:
        """Signal handler: record the signal; a second Ctrl-C interrupts at once."""
        if self.number == signal.SIGINT == number:
            raise KeyboardInterrupt
        self.number = number


_REQUEST: contextvars.ContextVar[StopRequest | None] = contextvars.ContextVar("request", default=None)


@contextlib.contextmanager
def stop_requests() -> Iterator[StopRequest]:
    """Handle Ctrl-C and SIGTERM as requests to stop; a second Ctrl-C ends at once.

    A nested call shares the request of the outer one, so that a signal stops a run and the sweep around
    it. Only the main thread can handle signals; elsewhere they are left alone.
    """
    outer, request = _REQUEST.get(), StopRequest()
    if outer is not None or threading.current_thread() is not threading.main_thread():
        yield outer or request
        return
    token = _REQUEST.set(request)
    before = {number: signal.signal(number, request.note) for number in SIGNALS}
    try:
        yield request
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        _REQUEST.reset(token)


class MetricsWriter(Callback):
    """Writes `metrics.jsonl`.

    Args:
        directory: The run directory.
    """

    def __init__(self, directory: RunDirectory) -> None:
        self._directory = directory

    def on_segment(self, run: Run, progress: Progress) -> None:
        """Append the segment's line."""
        self._directory.append_metrics(progress.row())


class Checkpointer(Callback):
    """Writes periodic checkpoints, and one before a run ends early; all processes do so together.

    Args:
        checkpoints: Checkpoints of the run.
        warn: Takes the reason why one could not be written, or `None`.
        request: Request to stop.
        users: The user's callbacks, called before this one.
    """

    def __init__(
        self,
        checkpoints: Checkpoints,
        warn: Callable[[str | None], None],
        request: StopRequest,
        users: UserCallbacks,
    ) -> None:
        self._checkpoints = checkpoints
        self._warn = warn
        self._request = request
        self._users = users
        self._segments = 0
        self._saved_at = time.monotonic()

    def on_start(self, run: Run) -> None:
        """Save a run that is stopped before its first segment."""
        if all_reduce_max(run.stopped is not None)[0]:
            run.stop(_ELSEWHERE)
            self.save(run)

    def on_segment(self, run: Run, progress: Progress) -> None:
        """Save if a checkpoint is due or the run ends here, and end it on request.

        Raises:
            StoppedError: On a signal.
            Exception: The exception of a user's callback.
        """
        self._segments += 1
        minutes = (time.monotonic() - self._saved_at) / 60
        late, number, failed, stopped = all_reduce_max(
            minutes >= run.config.checkpoint_minutes,
            self._request.number,
            self._users.error is not None,
            run.stopped is not None,
        )
        last = run.steps >= run.config.steps
        due = self._segments % run.config.checkpoint_segments == 0
        if number or failed or stopped or last or late or due:
            self.save(run)
        if failed:
            raise self._users.error or RuntimeError("a callback failed in another process of this run")
        if number and not last:
            self._warn(self._checkpoints.wait())
            raise StoppedError(number, f"{run.steps:,} steps", run.directory)
        if stopped:
            run.stop(_ELSEWHERE)

    def save(self, run: Run) -> None:
        """Start writing a checkpoint, and warn if the previous one failed."""
        progress = run.progress
        failed = self._checkpoints.save(run.state, run.steps, progress.iqm, progress.facts())
        self._warn(failed)
        self._saved_at = time.monotonic()


def begin(plan: Plan) -> AgentState:
    """Initialize the population."""
    learner = None if plan.start is None else plan.start.learner
    return plan.population.init(jax.random.key(plan.config.seed), plan.hparams, learner=learner)
