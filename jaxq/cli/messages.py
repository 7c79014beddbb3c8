"""What is said when something goes wrong: one line on standard error."""

import re
import sys


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


def fail(message: str, code: int) -> int:
    """Say what went wrong, and return the exit code."""
    # One line, whatever names and paths it holds.
    print(f"jaxq: error: {' '.join(message.splitlines())}", file=sys.stderr)
    return code


def warn(message: str) -> None:
    """Say what the user should know of a result, beside it on standard error."""
    print(f"jaxq: warning: {' '.join(message.splitlines())}", file=sys.stderr)
