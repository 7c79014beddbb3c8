"""The command line: `jaxq train`, `jaxq envs` and `jaxq algorithms`."""

import contextlib
import dataclasses
import io
import os
import re
import sys
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import Annotated

import jax
import tyro
from rich.console import Console
from rich.table import Table

from jaxq import algorithms, envs
from jaxq.checks import InputError
from jaxq.training import use_all_cores

NameValues = Annotated[
    tuple[tuple[str, ...], ...],
    tyro.conf.arg(metavar="NAME=VALUE [NAME=VALUE ...]"),
    tyro.conf.UseAppendAction,
]


@dataclasses.dataclass(frozen=True)
class Train:
    """Train a population of agents on an environment, evaluate it, and write a run directory."""

    env: Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="ENV")]
    """A gymnax id such as CartPole-v1; `jaxq envs` lists them."""
    algorithm: str = "dqn"
    """A recipe; `jaxq algorithms` lists them."""
    agents: Annotated[int | None, tyro.conf.arg(metavar="N")] = None
    """Agents in all; by default 8, or 8 for each combination in the sweep."""
    steps: Annotated[int | None, tyro.conf.arg(metavar="N")] = None
    """Env steps of each agent; by default as many as the environment needs."""
    seed: Annotated[int, tyro.conf.arg(metavar="S")] = 0
    """Seed; the same seed gives the same numbers on the same machine."""
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
    distributed: bool = False
    """Spread the agents over several processes; SLURM, Open MPI, Kubernetes and TPU pods are found."""
    coordinator: Annotated[str | None, tyro.conf.arg(metavar="HOST:PORT")] = None
    """Where the first process waits for the others; for other clusters, with the next two."""
    num_processes: Annotated[int | None, tyro.conf.arg(metavar="N")] = None
    """Processes in all."""
    process_id: Annotated[int | None, tyro.conf.arg(metavar="I")] = None
    """Number of this process, from 0."""


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
        _COMMANDS[type(command)](command)
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
    return 0


def _parse(arguments: list[str]) -> Train | Envs | Algorithms | int:
    """Parse the words, or return the exit code where there is nothing to run."""
    commands = Annotated[Train, tyro.conf.subcommand("train")] | (
        Annotated[Envs, tyro.conf.subcommand("envs")]
        | Annotated[Algorithms, tyro.conf.subcommand("algorithms")]
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


def _train(command: Train) -> None:
    # Inside a process that has its devices already, those are what there is to use.
    with contextlib.suppress(RuntimeError):
        use_all_cores()
    # Imported here because drawing takes a while to import, which --help has no need of.
    from jaxq.experiment import Experiment, configure
    from jaxq.experiment.directory import default_path
    from jaxq.experiment.distributed import join
    from jaxq.experiment.parsing import parse_settings, parse_sweep
    from jaxq.experiment.programs import keep_programs

    keep_programs()
    process = command.coordinator, command.num_processes, command.process_id
    if command.distributed or any(value is not None for value in process):
        join(*process)
    config = configure(
        command.env,
        command.algorithm,
        command.agents,
        command.steps,
        command.seed,
        parse_settings(_flat(command.set)),
        parse_sweep(_flat(command.sweep)),
    )
    directory = command.out or default_path(command.env, command.algorithm)
    Experiment(config, directory).run(Console())


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
    Envs: _list_environments,
    Algorithms: _list_algorithms,
}


def _flat(groups: tuple[tuple[str, ...], ...]) -> list[str]:
    return [text for group in groups for text in group]


def _fail(message: str, code: int) -> int:
    print(f"jaxq: error: {message}", file=sys.stderr)
    return code


if __name__ == "__main__":
    sys.exit(main())
