"""The entry: words to a command, a command to an exit code."""

import argparse
import errno
import io
import os
import sys
from importlib import metadata

import jax

from jaxq import interruption
from jaxq.checks import InputError, one_of, shortened
from jaxq.cli import logging_commands, planning, showing, training, viewing
from jaxq.cli.messages import fail, in_options

COMMANDS = {
    command.name: command
    for command in (
        training.train,
        training.resume,
        training.evaluate,
        training.tune,
        showing.report,
        showing.compare,
        viewing.view,
        planning.plan,
        logging_commands.collect,
        logging_commands.ope,
        showing.envs,
        showing.algorithms,
    )
}
_HELP = {"-h", "--help"}


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
    if not arguments or arguments[0] in _HELP:
        print(_help(), end="")
        return 0
    options: dict = {}
    try:
        command = COMMANDS[one_of("command", arguments[0], COMMANDS)]
        if _HELP & {*arguments}:
            print(command.help(), end="")
            return 0
        args = command.parse(arguments[1:])
        options = vars(args)
        return command.run(args) or 0
    except InputError as error:
        return fail(in_options(str(error), options), 2)
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


def _help() -> str:
    parser = argparse.ArgumentParser(
        prog="jaxq", description="Train populations of Q-learning agents in one compiled program."
    )
    commands = parser.add_subparsers(title="commands", metavar="COMMAND")
    for name, command in COMMANDS.items():
        commands.add_parser(name, help=command.summary)
    return parser.format_help()
