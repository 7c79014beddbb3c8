"""A sweep over what shapes the program: a queue of groups, each of them an experiment of its own."""

import dataclasses
import gc
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np
from rich.console import Console

from jaxq import checks
from jaxq.configuration.config import Config
from jaxq.configuration.config_file import config_of, written
from jaxq.configuration.configuring import extended
from jaxq.configuration.groups import check_name, each
from jaxq.experiment.directory import (
    SWEEP,
    RunDirectory,
    checked_path,
    has_begun,
    read_queue,
    write_queue,
)
from jaxq.experiment.display import ConsoleLogger, sweep_table, write_own_report
from jaxq.experiment.experiment import Experiment
from jaxq.experiment.impossible_values import DivergenceError
from jaxq.experiment.plan import check_steps_done, prepare
from jaxq.experiment.runner import StoppedError, StopRequest, stop_requests
from jaxq.experiment.starting import with_start
from jaxq.tracking import Tracker, Trackers


class Sweep:
    """Trains one population after another, each with a program and a run directory of its own.

    Attributes:
        groups: The configurations by the groups' names, in the order in which they are trained.
        directory: Where it writes.

    Args:
        groups: The configurations by names, from `configure_sweep` or of one's own.
        directory: Where to write; it must not exist yet. It holds `sweep.json` with the queue, and a
            run directory for each group.
        track: Trackers of each group, as `Experiment` takes them.
        track_agents: Whether trackers get a run for each agent beside the population's.

    Raises:
        InputTypeError: If a keyword does not exist or has the wrong type.
        InputValueError: If a value is out of range in any group, a name cannot be a directory's, or
            the directory exists or cannot be written.

    Example:
        >>> import jaxq, tempfile
        >>> groups = jaxq.configure_sweep(
        ...     "FrozenLake-v1", algorithm="q_learning", agents=2, steps=100, sweep={"num_envs": [2]}
        ... )
        >>> with tempfile.TemporaryDirectory() as parent:
        ...     returns = jaxq.Sweep(groups, parent + "/sweep").run()
        >>> {name: scores.shape for name, scores in returns.items()}
        {'num_envs=2': (2, 32)}
    """

    def __init__(
        self,
        groups: dict[str, Config],
        directory: Path | str,
        track: Sequence[str | Tracker] = (),
        track_agents: bool = False,
    ) -> None:
        self._set_track(track, track_agents)
        path = checked_path(directory)
        self.groups = _checked(groups)
        self.directory = RunDirectory.create(path)
        self._write()

    @classmethod
    def resume(
        cls,
        directory: Path | str,
        *,
        steps: int | None = None,
        groups: dict[str, Config] | None = None,
        track: Sequence[str | Tracker] | None = None,
        trust_imports: bool = False,
    ) -> "Sweep":
        """Go on with a queue: groups that ended are passed over, and one that had begun goes on.

        Args:
            directory: The directory of a sweep.
            steps: Env steps of each agent in all, of every group; as many as were planned if not given.
            groups: What was trained, where it holds what cannot be read from a file, such as a network
                of one's own; from the directory if not given.
            track: Trackers as in the constructor; the same ones as before if not given.
            trust_imports: Whether to import what the directory holds by import path, which runs that
                module.

        Raises:
            InputValueError: If it is no directory of a sweep, a configuration cannot be read, or fewer
                steps are asked for than are done in any group.
        """
        sweep = cls.__new__(cls)
        sweep.directory = RunDirectory(checked_path(directory))
        content = read_queue(sweep.directory.path)
        if groups is None:
            how = {"call": "jaxq.Sweep.resume(directory, groups=groups)", "trust_imports": trust_imports}
            groups = each(content["groups"], lambda _, described: config_of(described, SWEEP, **how))
        elif not isinstance(groups, dict) or [*groups] != [*content["groups"]]:
            raise checks.InputValueError(
                f"groups must be those of the sweep by their names, {', '.join(content['groups'])}, "
                f"got {', '.join(map(str, groups)) if isinstance(groups, dict) else repr(groups)}"
            )
        sweep._set_track(
            content["track"]["names"] if track is None else track, content["track"]["agents"]
        )
        groups = {name: extended(config, steps) for name, config in groups.items()}
        sweep.groups = _checked(groups, sweep.directory.path)
        return sweep

    def run(self, console: Console | None = None, *, report: bool = True) -> dict[str, np.ndarray]:
        """Train, evaluate and report on one group after another.

        Args:
            console: Where progress is shown; nowhere if not given.
            report: Whether to draw the report of each group, and of all of them at the end.

        Returns:
            Undiscounted returns of each group's final evaluation, `[N, episodes]`.

        Raises:
            StoppedError: If a signal asked for it; what was trained is in a checkpoint.
            SweepError: If groups failed; the others were trained all the same.
            InputValueError: If another process runs in the directory.
        """
        log = ConsoleLogger(console)
        returns: dict[str, np.ndarray] = {}
        failed: dict[str, str] = {}
        with self.directory.locked(), stop_requests() as request:
            self._write()
            for name in self.groups:
                self._begin(log, name, request)
                try:
                    returns[name] = self._returns(name, console, report)
                except StoppedError as stopped:
                    reached = f"{stopped.reached} of {name}"
                    raise StoppedError(stopped.number, reached, self.directory.path) from None
                except (DivergenceError, checks.InputError, jax.errors.JaxRuntimeError) as error:
                    # The device may be too small for one group, and not for the next.
                    failed[name] = str(error).partition("\n")[0]
                    log.warn(f"{name} failed: {failed[name]}")
                # The next group needs the memory.
                gc.collect()
                jax.clear_caches()
        table, said = sweep_table(self.groups, returns)
        log.console.print(table)
        if said:
            log.say(said)
        if report and returns:
            write_own_report(self.directory.path, log)
        log.say(f"written to {self.directory.path}")
        if failed:
            raise SweepError(failed, returns)
        return returns

    def _set_track(self, track: Sequence[str | Tracker], track_agents: bool) -> None:
        self._track, self._track_agents = track, track_agents
        self._tracked = Trackers(track, track_agents).described

    def _write(self) -> None:
        described = {name: written(config) for name, config in self.groups.items()}
        write_queue(self.directory.path, described, self._tracked)

    def _begin(self, log: ConsoleLogger, name: str, request: StopRequest) -> None:
        """Say which group is next, unless somebody has asked to stop."""
        place, number = [*self.groups].index(name), len(self.groups)
        if request.number:
            raise StoppedError(request.number, f"{place} of {number} groups", self.directory.path)
        log.say(f"group {place + 1} of {number}: {name}")

    def _returns(self, name: str, console: Console | None, report: bool) -> np.ndarray:
        """Return what a group comes to: its final evaluation, trained for unless it has ended before."""
        config = self.groups[name]
        evaluation = RunDirectory(self.directory.path / name).read_evaluation(config.agents)
        if evaluation is not None and evaluation.steps >= config.steps:
            return evaluation.returns.astype(np.float32)
        return self._experiment(name).run(console, report=report)

    def _experiment(self, name: str) -> Experiment:
        config, path = self.groups[name], self.directory.path / name
        if not has_begun(path):
            return Experiment(config, path, self._track, self._track_agents)
        # Of a configuration that cannot be read back there is only the one that was given.
        given = config if written(config)["only_in_python"] else None
        return Experiment.resume(path, steps=config.steps, config=given, track=self._track)


class SweepError(Exception):
    """Groups of a sweep have failed, and all others were trained.

    Attributes:
        failed: Why, by the groups' names.
        returns: What `Sweep.run` returns, of the others.
    """

    def __init__(self, failed: dict[str, str], returns: dict[str, np.ndarray]) -> None:
        reasons = " | ".join(f"{name}: {reason}" for name, reason in failed.items())
        super().__init__(f"{len(failed)} of {len(failed) + len(returns)} groups failed: {reasons}")
        self.failed = failed
        self.returns = returns


def _checked(groups: dict[str, Config], begun: Path | None = None) -> dict[str, Config]:
    """Return the groups if nothing is wrong with any of them, before the first is compiled.

    Args:
        groups: The groups.
        begun: Where they are gone on with, if they have begun.
    """
    if jax.process_count() > 1:
        raise checks.InputValueError(
            "a sweep over static settings runs in one process; leave out distributed=True, or sweep "
            "over leaves only and start one run for each static value"
        )
    known = isinstance(groups, dict) and all(isinstance(group, Config) for group in groups.values())
    if not known or not groups:
        raise checks.InputTypeError(
            f"groups must be configurations by their names, got {type(groups).__name__}; for example "
            "jaxq.configure_sweep('CartPole-v1', sweep={'batch_size': [32, 64]})"
        )

    def check(name: Any, config: Config) -> Config:
        check_name(name)
        plan = prepare(config)
        if begun is None:
            config = with_start(plan).config
        else:
            check_steps_done(plan, RunDirectory(begun / name))
        # What this machine remembers may change before the group's turn comes.
        return dataclasses.replace(config, chunk=plan.population.chunk)

    return each(groups, check)
