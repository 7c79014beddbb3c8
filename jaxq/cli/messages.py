"""What is said when something goes wrong: one line on standard error."""

import re
import sys
from collections.abc import Iterable


def one_line(box: str) -> str:
    """Take the message out of the frame that tyro draws, without the help that follows below it."""
    message = []
    for line in box.splitlines()[1:]:
        text = line.strip("│╰╯╭╮─ \t")
        if not text.strip("-") or not text:
            if message:
                break
            continue
        message.append(text)
    return re.sub(r"\s+", " ", " ".join(message)).strip() or "see jaxq --help"


def in_options(message: str, names: Iterable[str]) -> str:
    """Say keyword arguments that an error names as options of the command line."""
    message = re.sub(r"\bsweep=\{'(\w+)': \[([^]]*)\]\}", r"--sweep \1=\2", message)
    named = re.compile(rf"\b(example|leave out|use|or) ({'|'.join(names)})=('?)([\w.:/+-]+)\3")

    def option(found: re.Match) -> str:
        name = f"{found[1]} --{found[2].replace('_', '-')}"
        return name if found[4] == "True" else f"{name} {found[4]}"

    return named.sub(option, message)


def fail(message: str, code: int) -> int:
    """Say what went wrong, and return the exit code."""
    # One line, whatever names and paths it holds.
    print(f"jaxq: error: {' '.join(message.splitlines())}", file=sys.stderr)
    return code


def warn(message: str) -> None:
    """Say what the user should know of a result, beside it on standard error."""
    print(f"jaxq: warning: {' '.join(message.splitlines())}", file=sys.stderr)
