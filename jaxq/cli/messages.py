"""What is said when something goes wrong: one line on standard error."""

import ast
import contextlib
import re
import sys
from collections.abc import Iterable, Iterator

from rich.console import Console


def in_options(message: str, names: Iterable[str]) -> str:
    """Say keyword arguments that an error names as options of the command line."""
    message = re.sub(r"\bsweep=\{'(\w+)': \[([^]]*)\]\}", r"--sweep \1=\2", message)
    if not names:
        return message
    message = re.sub(r"\bkeywords=(\{[^}]*\})", _settings, message)
    named = re.compile(rf"\b(example|leave out|use|or) ({'|'.join(names)})=('?)([\w.:/+-]+)\3")

    def option(found: re.Match) -> str:
        name = f"{found[1]} --{found[2].replace('_', '-')}"
        return name if found[4] == "True" else f"{name} {found[4]}"

    return named.sub(option, message)


def _settings(found: re.Match) -> str:
    from jaxq.configuration.groups import label

    keywords = ast.literal_eval(found[1])
    return " ".join(["--set", *(f"{name}={label(value)}" for name, value in keywords.items())])


def fail(message: str, code: int) -> int:
    """Say what went wrong, and return the exit code."""
    # One line, whatever names and paths it holds.
    print(f"jaxq: error: {' '.join(message.splitlines())}", file=sys.stderr)
    return code


def warn(message: str) -> None:
    """Say what the user should know of a result, beside it on standard error."""
    print(f"jaxq: warning: {' '.join(message.splitlines())}", file=sys.stderr)


@contextlib.contextmanager
def working(what: str) -> Iterator[None]:
    """Say on a terminal what takes a while, as long as it does; a log has no need of it."""
    console = Console(stderr=True)
    with console.status(what) if console.is_terminal else contextlib.nullcontext():
        yield
