"""The command `jaxq view`."""

import webbrowser
from pathlib import Path

from jaxq.checks import InputValueError, whole_number
from jaxq.cli.commands import Processes, View
from jaxq.cli.training import prepare
from jaxq.experiment.files import access


def view(command: View) -> None:
    """Write the page of a run or of the lesson."""
    if command.lesson == (command.directory is not None):
        raise InputValueError("view needs a run directory or --lesson; jaxq view --lesson")
    whole_number("seed", command.seed, minimum=0)
    # Before anything is trained or played.
    _check_file(command.out)
    prepare(Processes())
    page = _lesson(command.seed) if command.lesson else _run(command)
    access.replace(command.out, page)
    print(f"written to {command.out}")
    if command.open:
        _open(command.out)


def _lesson(seed: int) -> str:
    from jaxq.view import train_lesson, view_page

    print("training a table and a DQN on a grid world", flush=True)
    return view_page(train_lesson(seed))


def _run(command: View) -> str:
    from jaxq.view import run_data, view_page

    print("playing the agents of the run", flush=True)
    data = run_data(command.directory, command.trust_imports)
    for note in data["notes"]:
        print(f"note: {note}")
    return view_page(data, title=f"{data['algorithm']} on {data['environment']}")


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
