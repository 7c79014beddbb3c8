"""The entry: words to a command, a command to an exit code."""

import contextlib
import dataclasses
import errno
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

from jaxq import interruption
from jaxq.checks import InputError, shortened
from jaxq.cli import commands, logging_commands, planning, showing, training, viewing
from jaxq.cli.messages import fail, in_options, one_line

COMMANDS: dict[type, Callable] = {
    commands.Train: training.train,
    commands.Resume: training.resume,
    commands.Evaluate: training.evaluate,
    commands.Tune: training.tune,
    commands.Report: showing.report,
    commands.Compare: showing.compare_runs,
    commands.View: viewing.view,
    planning.Plan: planning.plan,
    logging_commands.Collect: logging_commands.collect,
    logging_commands.Ope: logging_commands.ope,
    commands.Envs: showing.list_environments,
    commands.Algorithms: showing.list_algorithms,
}
_TAKES_A_VALUE = {
    f"--{field.name.replace('_', '-')}"
    for kind in (*COMMANDS, commands.Processes)
    for field in dataclasses.fields(kind)
    if field.name not in ("set", "sweep", "sample", "track", "lesson", "open")
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
    _say_what_can_be_said()
    if arguments == ["--version"]:
        print(f"jaxq {metadata.version('jaxq')}")
        return 0
    command = _parse(arguments or ["--help"])
    if isinstance(command, int):
        return command
    try:
        return COMMANDS[type(command)](command) or 0
    except InputError as error:
        return fail(in_options(str(error), vars(command)), 2)
    except OSError as error:
        # A name that no file can have is the user's mistake, and what the machine refused is not.
        code = 2 if error.errno in (errno.ENAMETOOLONG, errno.EILSEQ) else 1
        return fail(shortened(f"{error.strerror or error}: {error.filename or 'output'}"), code)
    except jax.errors.JaxRuntimeError as error:
        if jax.process_count() == 1:
            raise
        reason = str(error).splitlines()[0]
        fail(f"another process of this run stopped or cannot be reached: {reason}", 1)
        # An orderly end would wait for the process that is gone.
        sys.stdout.flush()
        os._exit(1)
    except KeyboardInterrupt:
        return fail(interruption.MESSAGE, interruption.INTERRUPTED)


def _say_what_can_be_said() -> None:
    """Print a question mark for what the output's encoding has no character for, and do not fail."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")


def _parse(arguments: list[str]) -> Any:
    """Parse the words, or return the exit code where there is nothing to run."""
    for option, value in zip(["", *arguments], [*arguments, ""], strict=True):
        # To tyro it is the value of an option that is not given.
        name = option if value == "None" and option in _TAKES_A_VALUE else value.removesuffix("=None")
        if name in _TAKES_A_VALUE and name != value:
            return fail(f"{name} takes a value, got None; leave it out for the default", 2)
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
    return fail(shortened(one_line(errors.getvalue())), 2)
