"""An experiment: a configuration and a directory, and the run that fills it."""

import contextlib
import dataclasses
import functools
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np
from rich.console import Console

from jaxq.agents import Agent, Algorithm
from jaxq.callbacks import Callback, Run, UserCallbacks, checked_callbacks
from jaxq.configuration.config import Config
from jaxq.configuration.config_file import checked_tracking, config_of
from jaxq.configuration.configuring import checked_kind, extended
from jaxq.configuration.logged_data import LOG
from jaxq.configuration.preset_notice import preset_notice
from jaxq.engine import AgentState
from jaxq.engine.memory_use import readable
from jaxq.experiment.checkpoints import Checkpoints
from jaxq.experiment.directory import RunDirectory, checked_path
from jaxq.experiment.display import ConsoleLogger, Display, evaluation_tables, write_own_report
from jaxq.experiment.distributed import broadcast_from_primary, gathered, is_primary
from jaxq.experiment.evaluating import Evaluated, evaluate
from jaxq.experiment.halving import Halving
from jaxq.experiment.highest_values import HighestValues
from jaxq.experiment.impossible_values import DivergenceError, DivergenceMonitor, ValueMonitor
from jaxq.experiment.plan import check_steps_done, describe, prepare
from jaxq.experiment.runner import Checkpointer, MetricsWriter, begin, stop_requests, train
from jaxq.experiment.snapshots import TableSnapshots
from jaxq.experiment.starting import with_start
from jaxq.hparams import schedules
from jaxq.precision import in_32_bits
from jaxq.progress import Progress
from jaxq.tracking import Tracker, Trackers
from jaxq.types import Environment

MOST_TRACKED = 2**30
"""Largest final checkpoint that trackers get, in bytes."""


class Experiment:
    """Trains what a configuration describes, and writes it to a directory of its own.

    Args:
        config: What to train, from `configure`.
        directory: Where to write; it must not exist yet.
        track: Trackers beside TensorBoard, which is always on: "wandb", "mlflow", or objects of the
            user's own.
        track_agents: Whether trackers get a run for each agent beside the population's.
        callbacks: Objects with the methods of `jaxq.Callback`, called in this order.

    Attributes:
        config: What is trained.
        directory: Where it is written.
        stopped: Why a callback stopped the last `run` early; `None` if none did.

    Raises:
        InputTypeError: If a keyword does not exist or has the wrong type.
        InputValueError: If a value is out of range, a tracker is not installed, the directory
            exists or cannot be written, or agents cannot begin with what the run in `config.start` has
            learned.

    Example:
        >>> import jaxq, tempfile
        >>> config = jaxq.configure("FrozenLake-v1", "q_learning", agents=2, steps=200)
        >>> with tempfile.TemporaryDirectory() as parent:
        ...     jaxq.Experiment(config, parent + "/run").run().shape
        (2, 32)
    """

    def __init__(
        self,
        config: Config,
        directory: Path | str,
        track: Sequence[str | Tracker] = (),
        track_agents: bool = False,
        callbacks: Sequence[Callback] = (),
    ) -> None:
        checked_kind(config)
        self.stopped: str | None = None
        self._callbacks = checked_callbacks(callbacks)
        path = checked_path(directory)
        self._trackers = Trackers(track, track_agents)
        self._plan = with_start(prepare(config))
        self.config = self._plan.config
        self._resumes = False
        path = Path(broadcast_from_primary(str(path)))
        self.directory = RunDirectory.create(path) if is_primary() else RunDirectory(path)

    @classmethod
    def resume(
        cls,
        directory: Path | str,
        *,
        steps: int | None = None,
        config: Config | None = None,
        environment: Environment | None = None,
        algorithm: Algorithm | Agent | None = None,
        track: Sequence[str | Tracker] | None = None,
        callbacks: Sequence[Callback] = (),
        trust_imports: bool = False,
    ) -> "Experiment":
        """Go on with what a directory holds, from its newest checkpoint that is whole.

        On CPU, and on as many devices, the results are bit for bit those of a run that was never
        interrupted.

        Args:
            directory: A run directory.
            steps: Env steps of each agent in all; as many as were planned if not given. All schedules
                stretch with the run, and keep their shares of it.
            config: What was trained, where it holds what cannot be read from a file, such as a network
                of one's own; from the directory if not given.
            environment: The environment, where only that was given in Python.
            algorithm: The algorithm, where only that was given in Python.
            track: Trackers as in the constructor; the same ones as before if not given.
            callbacks: As in the constructor; those of before are in no file.
            trust_imports: Whether to import what the directory holds by import path, which runs that
                module.

        Raises:
            InputValueError: If it is no run directory, its configuration cannot be read, or fewer steps
                are asked for than are done.
        """
        experiment = cls.__new__(cls)
        experiment.stopped = None
        experiment._callbacks = checked_callbacks(callbacks)
        experiment.directory = RunDirectory.open(checked_path(directory))
        described = experiment.directory.read_config()
        if config is None:
            objects = {"environment": environment, "algorithm": algorithm}
            config = config_of(described, **objects, trust_imports=trust_imports)
        checked_kind(config)
        if config.chunk is None:
            config = dataclasses.replace(config, chunk=described.get("chunk"))
        tracked = checked_tracking(Path("config.json"), described.get("track", {}))
        experiment._trackers = Trackers(tracked["names"] if track is None else track, tracked["agents"])
        experiment.config = config = extended(config, steps)
        experiment._plan = prepare(config)
        check_steps_done(experiment._plan, experiment.directory)
        experiment._resumes = True
        return experiment

    @in_32_bits()
    def run(self, console: Console | None = None, *, report: bool = True) -> np.ndarray:
        """Train, evaluate and report.

        A run that a callback stops is evaluated and reported like one that came to its end, and can be
        resumed; `stopped` says why.

        Args:
            console: Where progress is shown; nowhere if not given.
            report: Whether to draw `report/index.html` at the end; what fails there is a warning.

        Returns:
            Undiscounted returns of the final evaluation, `[N, episodes]`.

        Raises:
            StoppedError: If a signal asked for it; what was trained is in a checkpoint.
            DivergenceError: If an agent has, and the configuration says to stop then.
            InputValueError: If another process runs in the directory, or it has no usable checkpoint; or
                if it has none yet, and the agent that it begins with is gone or has learned since.
        """
        log = ConsoleLogger(console if is_primary() else None)
        with contextlib.ExitStack() as stack:
            if is_primary():
                stack.enter_context(self.directory.locked())
            request = stack.enter_context(stop_requests())
            checkpoints = Checkpoints(self.directory.checkpoints, self.config.keep_checkpoints)
            stack.callback(lambda: log.warn(checkpoints.close()))
            stack.callback(self._trackers.close)
            log.say(f"writing to {self.directory.path}")
            log.say(f"memory: {self._plan.population.memory()}")
            run = self._resume(log, checkpoints) if self._resumes else self._begin(log)

            users, display = UserCallbacks(self._callbacks), Display(log.console, self.config)
            checkpointer = Checkpointer(checkpoints, log.warn, request, users)
            callbacks = [DivergenceMonitor(run.population), Halving(), HighestValues()]
            if is_primary():
                callbacks += [MetricsWriter(self.directory), ValueMonitor(log.warn)]
                callbacks += [self._trackers, display]
            callbacks += [TableSnapshots(log.warn), users, checkpointer]
            for callback in callbacks:
                callback.on_start(run)
                stack.callback(callback.on_end, run)
            try:
                with display:
                    train(run, callbacks)
            except DivergenceError:
                checkpointer.save(run)
                raise
            self.stopped = run.stopped
            log.warn(checkpoints.wait())
            self._finish(log, run, checkpoints.at(run.steps), report)
        return run.returns

    def _begin(self, log: ConsoleLogger) -> Run:
        """Initialize the population, and write the configuration."""
        if notice := preset_notice(self.config):
            log.say(notice)
        self._say_start(log)
        if is_primary():
            described = describe(self._plan)
            self.directory.write_config(described | {"track": self._trackers.described}, sys.argv)
            self._trackers.start(described, self.directory.path, log.warn)
        return Run(self.config, self.directory.path, self._plan.population, begin(self._plan))

    def _say_start(self, log: ConsoleLogger) -> None:
        """Say what the agents begin with, if another agent has learned it."""
        if self._plan.start is not None:
            for reason in self._plan.start.warnings:
                log.warn(reason)
            log.say(f"beginning with {self._plan.start.origin}, of {self.config.start}")

    def _resume(self, log: ConsoleLogger, checkpoints: Checkpoints) -> Run:
        """Restore the population from the newest usable checkpoint, and record that the run resumes."""
        population = self._plan.population
        restored = functools.partial(Progress.restored, self.config.agents)
        saved = checkpoints.restore(population.template, restored)
        if saved is None:
            log.warn("there is no checkpoint yet: this begins anew")
            self._plan = with_start(self._plan)
            self._say_start(log)
            state, progress = begin(self._plan), None
        else:
            for reason in saved.passed_over:
                log.alert(reason)
            state = self._rescheduled(log, saved.state)
            progress = restored(saved.facts)
        run = Run(self.config, self.directory.path, population, state, progress)
        log.say(f"going on from {run.steps:,} of {self.config.steps:,} steps")
        if is_primary():
            described = describe(self._plan)
            self.directory.rewind_metrics(run.steps, self.config.agents)
            self.directory.note_resumed(described, run.steps, sys.argv)
            self._trackers.start(described, self.directory.path, log.warn, run.steps)
        return run

    def _rescheduled(self, log: ConsoleLogger, state: AgentState) -> AgentState:
        """Stretch the schedules of the state to the planned lengths, where the run became longer."""
        planned, lengths = self._plan.hparams, {}
        for name in schedules(planned):
            new, old = np.asarray(getattr(planned, name)), getattr(state.hparams, name)
            if not np.array_equal(new, gathered(old)):
                lengths[name] = jax.make_array_from_callback(new.shape, old.sharding, new.__getitem__)
        if lengths:
            names = ", ".join(lengths)
            log.say(f"schedules stretch with the run to {self.config.steps:,} steps: {names}")
        return state._replace(hparams=state.hparams.replace(**lengths))

    def _artifacts(self, log: ConsoleLogger, checkpoint: Path | None) -> list[Path]:
        """Return the artifacts for trackers: the report and, unless too large, the final checkpoint."""
        paths = [self.directory.path / "report"]
        if checkpoint is None:
            return paths
        size = sum(file.stat().st_size for file in checkpoint.rglob("*") if file.is_file())
        if size <= MOST_TRACKED:
            return [*paths, checkpoint]
        if self._trackers.described["names"]:
            log.say(f"the final checkpoint takes {readable(size)} and is not tracked: {checkpoint}")
        return paths

    def _finish(self, log: ConsoleLogger, run: Run, checkpoint: Path | None, report: bool) -> None:
        """Evaluate, print the result, and write the report."""
        if run.stopped is not None:
            again = f"jaxq resume {shlex.quote(str(self.directory.path))}"
            log.say(f"stopped after {run.steps:,} steps: {run.stopped}; go on with: {again}")
        log.say("evaluating")
        evaluated = evaluate(self._plan, run, self.config.evaluation_episodes)
        run.returns = evaluated.returns
        evaluation = self._write_evaluation(run, evaluated) if is_primary() else {}
        self._show(log, run, evaluated)
        if is_primary():
            if report:
                write_own_report(self.directory.path, log)
            self._trackers.finish(evaluation, self._artifacts(log, checkpoint))
        log.say(
            f"trained {self.config.agents} agents in {run.progress.seconds:.1f} s after compilation; "
            f"written to {self.directory.path}"
        )

    def _show(self, log: ConsoleLogger, run: Run, evaluated: Evaluated) -> None:
        """Print the evaluation, and what the reader should know of it."""
        if self.config.environment == LOG:
            log.say("not evaluated, as a log cannot be played; off-policy evaluation: jaxq ope")
        else:
            log.console.print(*evaluation_tables(evaluated))
            for reason in evaluated.warnings:
                log.warn(reason)
        if run.progress.diverged:
            log.warn(f"agents {run.progress.diverged} have diverged")

    def _write_evaluation(self, run: Run, evaluated: Evaluated) -> dict[str, Any]:
        """Write `evaluation.json`, with which a run counts as finished."""
        evaluation = {
            "steps": run.steps,
            **evaluated.summary(),
            "training_seconds": run.progress.seconds,
            "diverged": run.progress.diverged,
        }
        self.directory.write_evaluation(evaluation)
        return evaluation
