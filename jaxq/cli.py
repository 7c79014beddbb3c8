"""The command line: training, going on, evaluating, reporting and comparing runs."""

import contextlib
import dataclasses
import functools
import io
import json
import operator
import os
import re
import sys
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import Annotated, Any

import jax
import tyro
from rich.console import Console
from rich.table import Table

from jaxq import algorithms, envs
from jaxq.checks import InputError, InputValueError
from jaxq.training import use_all_cores

NameValues = Annotated[
    tuple[tuple[str, ...], ...],
    tyro.conf.arg(metavar="NAME=VALUE [NAME=VALUE ...]"),
    tyro.conf.UseAppendAction,
]


@dataclasses.dataclass(frozen=True)
class Processes:
    """How a run is spread over several processes."""

    distributed: bool = False
    """Spread the agents over several processes; SLURM, Open MPI, Kubernetes and TPU pods are found."""
    coordinator: Annotated[str | None, tyro.conf.arg(metavar="HOST:PORT")] = None
    """Where the first process waits for the others; for other clusters, with the next two."""
    num_processes: Annotated[int | None, tyro.conf.arg(metavar="N")] = None
    """Processes in all."""
    process_id: Annotated[int | None, tyro.conf.arg(metavar="I")] = None
    """Number of this process, from 0."""


@dataclasses.dataclass(frozen=True)
class Train:
    """Train a population of agents on an environment, evaluate it, and write a run directory."""

    env: Annotated[tyro.conf.Positional[str | None], tyro.conf.arg(metavar="ENV")] = None
    """A gymnax id such as CartPole-v1; `jaxq envs` lists them."""
    config: Annotated[Path | None, tyro.conf.arg(metavar="FILE")] = None
    """A TOML file with what is not given here, or the config.json of a run, to repeat it."""
    algorithm: Annotated[str | None, tyro.conf.arg(metavar="NAME")] = None
    """A recipe, by default dqn; `jaxq algorithms` lists them."""
    agents: Annotated[int | None, tyro.conf.arg(metavar="N")] = None
    """Agents in all; by default 8, or 8 for each combination in the sweep."""
    steps: Annotated[int | None, tyro.conf.arg(metavar="N")] = None
    """Env steps of each agent; by default as many as the environment needs."""
    seed: Annotated[int | None, tyro.conf.arg(metavar="S")] = None
    """Seed, by default 0; the same seed gives the same numbers on the same machine."""
    set: NameValues = ()
    """Settings and hyperparameters for all agents, such as learning_rate=0.001 double=true."""
    sweep: Annotated[
        tuple[tuple[str, ...], ...],
        tyro.conf.arg(metavar="NAME=V1,V2,... [NAME=V1,V2,... ...]"),
        tyro.conf.UseAppendAction,
    ] = ()
    """Hyperparameters that differ between agents; every combination gets as many agents."""
    out: Annotated[Path | None, tyro.conf.arg(metavar="DIR")] = None
    """A directory to make and write to; by default one below runs/."""
    segments: Annotated[int | None, tyro.conf.arg(metavar="N")] = None
    """Times that metrics are written over the run; by default 50."""
    checkpoint_segments: Annotated[int | None, tyro.conf.arg(metavar="N")] = None
    """Write a checkpoint after every so many segments; by default 10."""
    checkpoint_minutes: Annotated[float | None, tyro.conf.arg(metavar="M")] = None
    """Write one also where the last one is older than this; by default 10."""
    on_divergence: Annotated[str | None, tyro.conf.arg(metavar="freeze|restart|stop")] = None
    """What to do with agents whose values diverge; by default freeze."""
    track: Annotated[
        tuple[str, ...], tyro.conf.arg(metavar="wandb|mlflow"), tyro.conf.UseAppendAction
    ] = ()
    """Where to log, beside the TensorBoard files in the run directory; may be given several times."""
    track_agents: bool = False
    """Log a run for each agent, beside the one of the population."""
    processes: tyro.conf.OmitArgPrefixes[Processes] = Processes()


@dataclasses.dataclass(frozen=True)
class Resume:
    """Go on with a run that was interrupted, or to more steps, from its newest checkpoint."""

    directory: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="DIR")]
    """A run directory."""
    steps: Annotated[int | None, tyro.conf.arg(metavar="N")] = None
    """Env steps of each agent in all; by default as many as were planned."""
    processes: tyro.conf.OmitArgPrefixes[Processes] = Processes()


@dataclasses.dataclass(frozen=True)
class Evaluate:
    """Play whole episodes greedily with the agents of a run's newest checkpoint."""

    directory: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="DIR")]
    """A run directory."""
    episodes: Annotated[int, tyro.conf.arg(metavar="N")] = 32
    """Episodes of each agent."""
    seed: Annotated[int | None, tyro.conf.arg(metavar="S")] = None
    """Seed of the episodes; by default those that the run itself was evaluated on."""
    json: bool = False
    """Print one JSON object: returns [N][episodes], iqm and interval."""


RunDirectories = Annotated[
    tyro.conf.Positional[tuple[Path, ...]],
    tyro.conf.arg(metavar="DIR [DIR ...]", help_behavior_hint=""),
]


@dataclasses.dataclass(frozen=True)
class Report:
    """Write a page with the curves and scores of one run, or of several side by side."""

    runs: RunDirectories
    """Directories that `jaxq train` has written; a run may still go on."""
    out: Annotated[Path | None, tyro.conf.arg(metavar="DIR")] = None
    """Where to write: a new or empty directory; by default the report/ of the run, if it is one."""
    watch: bool = True
    """Play and draw an episode of each run's best agent, where its environment can be drawn."""


@dataclasses.dataclass(frozen=True)
class Compare:
    """Compare the scores of runs, each with the first, and say which differences are significant."""

    runs: RunDirectories
    """Directories that `jaxq train` has written, two at least."""
    all_pairs: bool = False
    """Compare each run with each, not only with the first."""
    json: bool = False
    """Print one JSON object instead of tables."""


@dataclasses.dataclass(frozen=True)
class Envs:
    """List the environments."""


@dataclasses.dataclass(frozen=True)
class Algorithms:
    """List the algorithms."""


def main(arguments: list[str] | None = None) -> int:
    """Run one command.

    Args:
        arguments: Words after `jaxq`; those of the process if not given.

    Returns:
        0 if all went well, 2 if the user has something to correct, 1 if the machine failed, 130
        if the user interrupted.
    """
    arguments = sys.argv[1:] if arguments is None else arguments
    if arguments == ["--version"]:
        print(f"jaxq {metadata.version('jaxq')}")
        return 0
    command = _parse(arguments or ["--help"])
    if isinstance(command, int):
        return command
    try:
        return _COMMANDS[type(command)](command) or 0
    except InputError as error:
        return _fail(str(error), 2)
    except OSError as error:
        return _fail(f"{error.strerror or error}: {error.filename or 'output'}", 1)
    except jax.errors.JaxRuntimeError as error:
        if jax.process_count() == 1:
            raise
        reason = str(error).splitlines()[0]
        _fail(f"another process of this run stopped or cannot be reached: {reason}", 1)
        # An orderly end would wait for the process that is gone.
        sys.stdout.flush()
        os._exit(1)
    except KeyboardInterrupt:
        return _fail("interrupted; what was written stays where it is", 130)


def _parse(arguments: list[str]) -> Any:
    """Parse the words, or return the exit code where there is nothing to run."""
    commands = functools.reduce(
        operator.or_,
        [Annotated[kind, tyro.conf.subcommand(kind.__name__.lower())] for kind in _COMMANDS],
    )
    errors = io.StringIO()
    try:
        with contextlib.redirect_stderr(errors):
            return tyro.cli(
                commands,
                prog="jaxq",
                description="Train populations of Q-learning agents in one compiled program.",
                args=arguments,
            )
    except SystemExit as exit:
        if not exit.code:
            return 0
    return _fail(_one_line(errors.getvalue()), 2)


def _one_line(box: str) -> str:
    """Take the message out of the frame that tyro draws, without the help that follows below it."""
    message = []
    for line in box.splitlines()[1:]:
        text = line.strip("│╰╯╭╮─ \t")
        if not text and message:
            break
        message.append(text)
    return re.sub(r"\s+", " ", " ".join(message)).strip() or "see jaxq --help"


def _train(command: Train) -> int:
    _prepare(command.processes)
    from jaxq.experiment import Experiment, configure, read_config
    from jaxq.experiment.directory import default_path
    from jaxq.experiment.parsing import parse_settings, parse_sweep

    given = {
        "environment": command.env,
        "keywords": parse_settings(_flat(command.set)) or None,
        "sweep": parse_sweep(_flat(command.sweep)) or None,
        **{name: getattr(command, name) for name in _FIELDS},
    }
    given = {name: value for name, value in given.items() if value is not None}
    if command.config is not None:
        config = read_config(command.config, given)
    elif command.env is None:
        raise InputValueError("jaxq train takes an environment, for example jaxq train CartPole-v1")
    else:
        config = configure(**given)
    directory = command.out or default_path(config.environment, config.algorithm)
    return _run(Experiment(config, directory, command.track, command.track_agents))


_FIELDS = (
    "algorithm", "agents", "steps", "seed", "segments",
    "checkpoint_segments", "checkpoint_minutes", "on_divergence",
)  # fmt: skip


def _resume(command: Resume) -> int:
    _prepare(command.processes)
    from jaxq.experiment import Experiment

    return _run(Experiment.resume(command.directory, steps=command.steps))


def _run(experiment: Any) -> int:
    from jaxq.experiment import DivergenceError, StoppedError

    try:
        experiment.run(Console())
    except StoppedError as stopped:
        return _fail(str(stopped), 128 + stopped.number)
    except DivergenceError as diverged:
        return _fail(str(diverged), 1)
    return 0


def _prepare(processes: Processes) -> None:
    """Set JAX up for a command that computes."""
    # Inside a process that has its devices already, those are what there is to use.
    with contextlib.suppress(RuntimeError):
        use_all_cores()
    # Imported here because drawing takes a while to import, which --help has no need of.
    from jaxq.experiment.distributed import join
    from jaxq.experiment.programs import keep_programs

    keep_programs()
    process = processes.coordinator, processes.num_processes, processes.process_id
    if processes.distributed or any(value is not None for value in process):
        join(*process)


def _evaluate(command: Evaluate) -> None:
    _prepare(Processes())
    from jaxq.experiment.display import evaluation_table
    from jaxq.experiment.experiment import evaluate_directory

    evaluated = evaluate_directory(command.directory, command.episodes, command.seed)
    if command.json:
        print(json.dumps(evaluated.summary()))
    else:
        Console().print(evaluation_table(evaluated.config, evaluated.returns))


def _report(command: Report) -> None:
    from jaxq.experiment.reports import read_runs, report_directory, write_report

    if not command.runs:
        raise InputValueError("report needs a run directory; jaxq report DIR")
    runs = read_runs(list(command.runs))
    for run in runs if command.watch else ():
        _watch(run.path)
    page = write_report(runs, report_directory(runs, command.out))
    for note in (note for run in runs for note in run.notes):
        print(f"note: {note}")
    print(f"written to {page}")


def _watch(directory: Path) -> None:
    """Draw an episode of a run's best agent, where that is possible."""
    if (directory / "report" / "episode.gif").exists():
        return
    _prepare(Processes())
    from jaxq.experiment.experiment import record_best

    try:
        record_best(directory)
    except (InputError, OSError) as error:
        print(f"note: no episode is shown: {error}")


def _compare(command: Compare) -> None:
    from jaxq.experiment.reports import as_json, compare, notes, read_runs, tables

    if len(command.runs) < 2:
        raise InputValueError("compare needs two run directories at least; jaxq compare DIR DIR")
    runs = read_runs(list(command.runs))
    pairs = compare(runs, all_pairs=command.all_pairs)
    if command.json:
        print(json.dumps(as_json(runs, pairs), allow_nan=False))
        return
    console = Console()
    for table in tables(runs, pairs):
        console.print(table)
    console.print("* the interval leaves out 1/2, or 0", highlight=False)
    for note in notes(runs):
        console.print(f"note: {note}", markup=False, highlight=False)


def _list_environments(_: Envs) -> None:
    table = Table("environment", "actions", "observation", "note", box=None)
    for info in envs.listing():
        actions = "" if info.actions is None else str(info.actions)
        table.add_row(info.id, actions, info.observation.replace("[", "\\["), info.note)
    Console().print(table)


def _list_algorithms(_: Algorithms) -> None:
    table = Table("algorithm", "", box=None)
    for name in algorithms.ALGORITHMS:
        table.add_row(name, algorithms.summary(name))
    Console().print(table)


_COMMANDS: dict[type, Callable] = {
    Train: _train,
    Resume: _resume,
    Evaluate: _evaluate,
    Report: _report,
    Compare: _compare,
    Envs: _list_environments,
    Algorithms: _list_algorithms,
}


def _flat(groups: tuple[tuple[str, ...], ...]) -> list[str]:
    return [text for group in groups for text in group]


def _fail(message: str, code: int) -> int:
    # One line, whatever names and paths it holds.
    print(f"jaxq: error: {' '.join(message.splitlines())}", file=sys.stderr)
    return code


if __name__ == "__main__":
    sys.exit(main())
