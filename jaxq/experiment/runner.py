"""The run loop: segments of training, and between them callbacks, which do everything else."""

import time
from collections.abc import Callable, Sequence

import jax
import numpy as np

from jaxq import checks
from jaxq.checks import INT32_MAX
from jaxq.engine import AgentState
from jaxq.envs import LoggedEnvironment
from jaxq.experiment.callbacks import Callback, Run, UserCallbacks
from jaxq.experiment.checkpoints import Checkpoints
from jaxq.experiment.costs import EpisodeCosts, budgets_of
from jaxq.experiment.directory import RunDirectory
from jaxq.experiment.distributed import all_reduce_max, gathered
from jaxq.experiment.halving import ActiveSubset
from jaxq.experiment.plan import Plan, segment_steps
from jaxq.experiment.progress import Progress, updated_returns
from jaxq.experiment.stopping import StoppedError, StopRequest

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


class MetricsWriter(Callback):
    """Writes a line of metrics for every segment.

    Args:
        directory: The run directory.
    """

    def __init__(self, directory: RunDirectory) -> None:
        self._directory = directory

    def on_segment(self, run: Run, progress: Progress) -> None:
        """Append a line to `metrics.jsonl`."""
        self._directory.append_metrics(progress.row())


class Checkpointer(Callback):
    """Writes checkpoints where it is time, and before a run ends early, which all processes do together.

    Args:
        checkpoints: Where they go.
        warn: Told why one could not be written, or `None`.
        request: Who may ask to stop.
        users: The user's callbacks, which have been called when this one is.
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
        """Save if it is time or the run ends here, and end it where somebody has asked for it.

        Raises:
            StoppedError: If a signal has.
            Exception: What a callback of the user has raised.
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
        """Begin to write a checkpoint, and say so if the one before could not be written."""
        progress = run.progress
        failed = self._checkpoints.save(run.state, run.steps, progress.iqm, progress.facts())
        self._warn(failed)
        self._saved_at = time.monotonic()


def begin(plan: Plan) -> AgentState:
    """Make the population that a run begins with."""
    return plan.population.init(jax.random.key(plan.config.seed), plan.hparams)


def evaluate(
    plan: Plan, state: AgentState, episodes: int, seed: int | None = None
) -> tuple[np.ndarray, EpisodeCosts | None]:
    """Play whole episodes with every agent.

    Args:
        plan: What was trained.
        state: The population.
        episodes: Episodes of each agent.
        seed: Seed of the episodes; one that goes with the run's if not given.

    Returns:
        Undiscounted returns, `[N, episodes]`, all NaN of a log, which cannot be played; and what the
        episodes cost, `None` where the environment has no costs.
    """
    agents, env = plan.config.agents, plan.population.trainer.env
    if isinstance(env, LoggedEnvironment):
        return np.full((agents, episodes), np.nan), None
    if seed is None:
        # Agent i was trained with number i folded in; no population has as many agents as this number.
        key = jax.random.fold_in(jax.random.key(plan.config.seed), INT32_MAX)
    else:
        key = jax.random.key(checks.whole_number("seed", seed, minimum=0))
    if not env.cost_names:
        return gathered(plan.population.evaluate(state, key, num_episodes=episodes)), None
    outcomes = gathered(plan.population.evaluate_episodes(state, key, num_episodes=episodes))
    budgets = budgets_of(env.cost_names, gathered(state.hparams), agents)
    return outcomes.returns, EpisodeCosts(env.cost_names, outcomes.costs, budgets)
