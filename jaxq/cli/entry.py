"""The entry: words to a command, a command to an exit code."""

import contextlib
import functools
import io
import operator
import os
import sys
from collections.abc import Callable
from importlib import metadata
from typing import Annotated, Any

import jax
import tyro

from jaxq.checks import InputError
from jaxq.cli import commands, showing, training
from jaxq.cli.messages import fail, one_line

COMMANDS: dict[type, Callable] = {
    commands.Train: training.train,
    commands.Resume: training.resume,
    commands.Evaluate: training.evaluate,
    commands.Tune: training.tune,
    commands.Report: showing.report,
    commands.Compare: showing.compare_runs,
    commands.Envs: showing.list_environments,
    commands.Algorithms: showing.list_algorithms,
}


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
        return COMMANDS[type(command)](command) or 0
    except InputError as error:
        return fail(str(error), 2)
    except OSError as error:
        return fail(f"{error.strerror or error}: {error.filename or 'output'}", 1)
    except jax.errors.JaxRuntimeError as error:
        if jax.process_count() == 1:
            raise
        reason = str(error).splitlines()[0]
        fail(f"another process of this run stopped or cannot be reached: {reason}", 1)
        # An orderly end would wait for the process that is gone.
        sys.stdout.flush()
        os._exit(1)
    except KeyboardInterrupt:
        return fail("interrupted; what was written stays where it is", 130)


def _parse(arguments: list[str]) -> Any:
    """Parse the words, or return the exit code where there is nothing to run."""
    kinds = functools.reduce(
        operator.or_,
        [Annotated[kind, tyro.conf.subcommand(kind.__name__.lower())] for kind in COMMANDS],
    )
    errors = io.StringIO()
    try:
        with contextlib.redirect_stderr(errors):
            return tyro.cli(
                kinds,
                prog="jaxq",
                description="Train populations of Q-learning agents in one compiled program.",
                args=arguments,
            )
    except SystemExit as exit:
        if not exit.code:
            return 0
    return fail(one_line(errors.getvalue()), 2)
