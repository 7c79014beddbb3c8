"""The command `jaxq view`."""

import webbrowser
from pathlib import Path

from jaxq.checks import InputValueError, whole_number
from jaxq.cli.commands import Processes, View
from jaxq.cli.training import prepare


def view(command: View) -> None:
    """Train the lesson and write its page."""
    if not command.lesson:
        raise InputValueError("view needs --lesson; jaxq view --lesson")
    whole_number("seed", command.seed, minimum=0)
    # Before anything is trained.
    _check_file(command.out)
    prepare(Processes())
    from jaxq.view import train_lesson, view_page

    print("training a table and a DQN on a grid world", flush=True)
    command.out.write_text(view_page(train_lesson(command.seed)), encoding="utf-8")
    print(f"written to {command.out}")
    if command.open:
        _open(command.out)


def _check_file(path: Path) -> None:
    if path.is_dir():
        raise InputValueError(f"--out is a file, got the directory {path}; for example --out view.html")
    if not path.parent.is_dir():
        raise InputValueError(f"the directory {path.parent} of --out does not exist")


def _open(path: Path) -> None:
    """Open a file in the browser, where there is one."""
    try:
        webbrowser.open(path.resolve().as_uri())
    except webbrowser.Error as error:
        print(f"note: not opened: {error}")
