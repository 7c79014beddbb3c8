"""What may be typed behind a command: its arguments, their types, and what is said of any other word."""

import argparse
import dataclasses
import inspect
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from jaxq.checks import InputValueError, nearest

# An argument and its help: "--agents N", "--json" that is on or off, "--out DATA!" that has to be given,
# "--track NAME*" that may be given several times, "--set NAME=VALUE+" that also takes several words at
# once, "DIR", "ENV?" that may be left out, and "DIR*" of any number.
_ARGUMENT = re.compile(r"(--[\w-]+)? ?([^\s?*+!]*)([?*+!]?): (.*)", re.DOTALL)


def _path(text: str) -> Path:
    if "\0" in text:
        raise ValueError
    return Path(text)


_KINDS = {
    **dict.fromkeys(("N", "I", "S", "R", "K"), (int, "a whole number")),
    **dict.fromkeys(("SHARE", "MINUTES", "SECONDS", "E", "GAMMA"), (float, "a number")),
    **dict.fromkeys(("DIR", "FILE", "DATA"), (_path, "a path")),
}
"""What a word is read as, and called, by how the help calls it; any other one is text."""


@dataclasses.dataclass(frozen=True)
class Command:
    """A command of `jaxq`.

    Attributes:
        run: What it does with its values. Its name is the command's, and its docstring the help of the
            command and of each argument.
        shared: Arguments that other commands have too, in the same form.
        defaults: Values of arguments that are not given, by name; `None` or off for all others.
    """

    run: Callable[[argparse.Namespace], int | None]
    shared: Sequence[str]
    defaults: Mapping[str, Any]

    @property
    def name(self) -> str:
        """The word that calls it."""
        return self.run.__name__

    @property
    def summary(self) -> str:
        """The line that says what it does."""
        return (inspect.getdoc(self.run) or "").partition("\n")[0]

    def help(self) -> str:
        """Say what may be typed behind it."""
        return self._parser().format_help()

    def parse(self, words: Sequence[str]) -> argparse.Namespace:
        """Read the words behind the command.

        Raises:
            InputValueError: If a word cannot be read, or one is missing.
        """
        words = [re.sub(r"^--[\w-]+", lambda found: found[0].replace("_", "-"), text) for text in words]
        try:
            values, others = self._parser().parse_known_intermixed_args(words)
        except argparse.ArgumentError as error:
            if error.argument_name is not None:
                raise InputValueError(f"{error.argument_name} {error.message}") from None
            raise InputValueError(f"{error.message}; see jaxq {self.name} --help") from None
        unknown = [text for text in others if text.startswith("-")]
        if unknown:
            options = ["--help", *(option for option, *_ in self._arguments() if option)]
            option = unknown[0].partition("=")[0]
            raise InputValueError(f"unknown option {option!r}; {nearest(option, options)}")
        if others:
            raise InputValueError(f"no use for {others[0]!r}; see jaxq {self.name} --help")
        return values

    def _arguments(self) -> list[tuple[str, str, str, str]]:
        """List option, metavar, mark and help of each argument."""
        _, _, own = (inspect.getdoc(self.run) or "").partition("\n")
        texts = re.split(r"\n(?=\S)", "\n".join([own.strip(), *map(str.strip, self.shared)]).strip())
        return [_ARGUMENT.fullmatch(text).groups("") for text in texts if text]

    def _parser(self) -> argparse.ArgumentParser:
        arguments = self._arguments()
        places = [metavar for option, metavar, *_ in arguments if not option]
        parser = _Parser(
            usage=" ".join(["jaxq", self.name, "[options]", *places]),
            description=self.summary,
            allow_abbrev=False,
            exit_on_error=False,
        )
        for option, metavar, mark, help in arguments:
            name = (option or metavar).lstrip("-").lower().replace("-", "_")
            default = self.defaults.get(name)
            if not metavar:
                how = {"action": argparse.BooleanOptionalAction, "default": bool(default)}
            else:
                how = {"metavar": metavar, "type": _reader(option, metavar), "default": default}
                help = help if default is None else f"{help} (default: {default})"
            if mark == "!":
                how["required"] = True
            elif mark and option:
                how |= {"action": "extend", "nargs": "*" if mark == "+" else 1, "default": []}
            elif mark:
                how["nargs"] = mark
            parser.add_argument(option or name, help=help.replace("%", "%%"), **how)
        return parser


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> None:
        """Leave it to the command line to say what is wrong, as where it knows the argument."""
        raise argparse.ArgumentError(None, message)


def _reader(option: str, metavar: str) -> Callable[[str], Any]:
    kind, what = _KINDS.get(metavar, (str, "a word"))

    def read(text: str) -> Any:
        # So is called in Python what an option is that is not given.
        if option and text == "None":
            raise argparse.ArgumentTypeError("takes a value, got None; leave it out for the default")
        try:
            return kind(text)
        except ValueError:
            raise argparse.ArgumentTypeError(f"takes {what}, got {text!r}") from None

    return read


def command(*shared: str, **defaults: Any) -> Callable[[Callable], Command]:
    """Make a command of a function; see `Command`."""
    return lambda run: Command(run, shared, defaults)


TRUST_IMPORTS = (
    "--trust-imports: Import what the directory names by import path, which runs those modules."
)
