"""An experiment: a configuration and a directory, and the run that fills it."""

import contextlib
import dataclasses
import functools
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from jaxq.agents import Agent, Algorithm
from jaxq.engine.memory_use import readable
from jaxq.experiment.callbacks import Callback, Run, RunningCallbacks, checked_callbacks
from jaxq.experiment.checkpoints import Checkpoints
from jaxq.experiment.config import Config
from jaxq.experiment.config_file import config_of
from jaxq.experiment.configuring import checked_kind, extended
from jaxq.experiment.directory import RunDirectory, checked_path
from jaxq.experiment.display import Display, Voice, evaluation_tables
from jaxq.experiment.distributed import gathered, is_first, of_first
from jaxq.experiment.evaluating import Evaluated
from jaxq.experiment.files.records import checked_tracking
from jaxq.experiment.logged_data import LOG
from jaxq.experiment.objects import name_of
from jaxq.experiment.plan import check_steps_done, describe, prepare
from jaxq.experiment.recorder import Recorder
from jaxq.experiment.runner import (
    DivergenceError,
    Position,
    Progress,
    begin,
    check_facts,
    evaluate,
    train,
)
from jaxq.experiment.stopping import stop_requests
from jaxq.experiment.tracking import Tracker, Trackers
from jaxq.hparams import schedules
from jaxq.precision import in_32_bits
from jaxq.types import Environment

MOST_TRACKED = 2**30
"""Bytes of a final checkpoint that trackers are still given."""


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
        InputValueError: If a value is out of range, a tracker is not installed, or the directory
            exists or cannot be written.

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
        self.config = checked_kind(config)
        self.stopped: str | None = None
        self._callbacks = checked_callbacks(callbacks)
        path = checked_path(directory)
        self._trackers = Trackers(track, track_agents)
        self._plan = prepare(config)
        self._resumes = False
        path = Path(of_first(str(path)))
        self.directory = RunDirectory.create(path) if is_first() else RunDirectory(path)

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
    def run(self, console: Console | None = None) -> np.ndarray:
        """Train, evaluate and report.

        A run that a callback stops is evaluated and reported like one that came to its end, and can be
        resumed; `stopped` says why.

        Args:
            console: Where progress is shown; nowhere if not given.

        Returns:
            Undiscounted returns of the final evaluation, `[N, episodes]`.

        Raises:
            StoppedError: If a signal asked for it; what was trained is in a checkpoint.
            DivergenceError: If an agent has, and the configuration says to stop then.
            InputValueError: If another process runs in the directory, or it has no usable checkpoint.
        """
        shown = console is not None and is_first()
        voice = Voice(console if shown else Console(quiet=True))
        alone = self.directory.locked() if is_first() else contextlib.nullcontext()
        with alone, stop_requests() as request:
            checkpoints = Checkpoints(self.directory.checkpoints, self.config.keep_checkpoints)
            try:
                position, history = self._begin(voice, checkpoints)
                run = Run(self.config, self.directory.path, self._plan.population, position.state)
                with RunningCallbacks(self._callbacks, run) as callbacks:
                    told = self._trackers, callbacks, voice, request
                    recorder = Recorder(self.config, self.directory, checkpoints, *told, history)
                    position = self._train(voice, recorder, run, position)
                    voice.warn(checkpoints.wait())
                    artifacts = self._artifacts(voice, checkpoints.at(position.steps))
                    run.returns = self._finish(voice, position, history, artifacts)
                return run.returns
            finally:
                self._trackers.close()
                voice.warn(checkpoints.close())

    def _begin(self, voice: Voice, checkpoints: Checkpoints) -> tuple[Position, list[Progress]]:
        """Make the population, or find it, and say what this run is."""
        voice.say(f"writing to {self.directory.path}")
        voice.say(f"memory: {self._plan.population.memory()}")
        if not self._resumes:
            if is_first():
                described = describe(self._plan) | {"track": self._trackers.described}
                self.directory.write_config(described, sys.argv)
                self._trackers.start(describe(self._plan), self.directory.path, voice.console)
            return begin(self._plan), []
        check = functools.partial(check_facts, self.config)
        saved = checkpoints.restore(self._plan.population.template, check)
        for reason in saved.passed_over if saved else ():
            voice.alert(reason)
        voice.warn(None if saved else "there is no checkpoint yet: this begins anew")
        position = Position.of(saved.state, saved.facts) if saved else begin(self._plan)
        position = self._rescheduled(voice, position)
        voice.say(f"going on from {position.steps:,} of {self.config.steps:,} steps")
        return position, self._history(voice, position) if is_first() else []

    def _rescheduled(self, voice: Voice, position: Position) -> Position:
        """Let schedules be as long as planned, also where the run was made longer since they began."""
        planned, own = self._plan.hparams, position.state.hparams
        changed = [
            name
            for name in schedules(planned)
            if not np.array_equal(np.asarray(getattr(planned, name)), gathered(getattr(own, name)))
        ]
        if not changed:
            return position
        voice.say(f"schedules stretch with the run to {self.config.steps:,} steps: {', '.join(changed)}")
        return position.rescheduled(planned)

    def _history(self, voice: Voice, position: Position) -> list[Progress]:
        """Read back what was recorded up to a checkpoint, and note that the run goes on from there."""
        history: list[Progress] = []
        returns = np.full(self.config.agents, np.nan)
        for row in self.directory.rewind_metrics(position.steps, self.config.agents):
            history.append(Progress.of(row, returns))
            returns = history[-1].returns
        described = describe(self._plan)
        self.directory.note_resumed(described, position.steps, sys.argv)
        self._trackers.start(described, self.directory.path, voice.console, position.steps)
        return history

    def _train(self, voice: Voice, recorder: Recorder, run: Run, position: Position) -> Position:
        with Display(voice.console, self.config) as display:
            try:
                if run.stopped is None:
                    after = functools.partial(recorder.segment, display)
                    position = train(self._plan, position, after)
                else:
                    recorder.save(position)
            except DivergenceError as error:
                recorder.save(error.before)
                raise
        self.stopped = run.stopped
        if run.stopped is not None:
            again = f"jaxq resume {shlex.quote(str(self.directory.path))}"
            voice.say(f"stopped after {position.steps:,} steps: {run.stopped}; go on with: {again}")
        return position

    def _artifacts(self, voice: Voice, checkpoint: Path | None) -> list[Path]:
        """Return what trackers get besides numbers: the report, and the final checkpoint."""
        paths = [self.directory.path / "report"]
        if checkpoint is None or not is_first():
            return paths
        size = sum(file.stat().st_size for file in checkpoint.rglob("*") if file.is_file())
        if size <= MOST_TRACKED:
            return [*paths, checkpoint]
        if self._trackers.described["names"]:
            voice.say(f"the final checkpoint takes {readable(size)} and is not tracked: {checkpoint}")
        return paths

    def _finish(
        self, voice: Voice, position: Position, history: list[Progress], artifacts: list[Path]
    ) -> np.ndarray:
        returns, costs = evaluate(self._plan, position.state, self.config.evaluation_episodes)
        evaluated = Evaluated(self.config, returns, position.stopped, costs)
        if is_first():
            evaluation = self._report(position, history, evaluated)
            self._trackers.finish(evaluation, artifacts)
        if self.config.environment == LOG:
            voice.say("not evaluated, as a log cannot be played; off-policy evaluation: jaxq ope")
        else:
            voice.console.print(*evaluation_tables(evaluated))
            for reason in evaluated.warnings:
                voice.warn(reason)
        if position.diverged.any():
            voice.warn(f"agents {np.flatnonzero(position.diverged).tolist()} have diverged")
        voice.say(
            f"trained {self.config.agents} agents in {position.seconds:.1f} s after compilation; "
            f"written to {self.directory.path}"
        )
        return returns

    def _report(
        self, position: Position, history: list[Progress], evaluated: Evaluated
    ) -> dict[str, Any]:
        evaluation = {
            "steps": position.steps,
            **evaluated.summary(),
            "training_seconds": position.seconds,
            "diverged": np.flatnonzero(position.diverged).tolist(),
        }
        # Imported here, as drawing takes a while to import, which a run that is stopped has no need of.
        from jaxq.experiment.curves import draw_learning_curve

        config = self.config
        title = f"{name_of(config.algorithm)} on {name_of(config.environment)}, {config.agents} agents"
        # A run that is stopped before its first segment has none.
        if history:
            draw_learning_curve(history, title, self.directory.curve_path)
        # Last, as a run that has it counts as finished.
        self.directory.write_evaluation(evaluation)
        return evaluation
