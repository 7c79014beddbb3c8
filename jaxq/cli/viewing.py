"""The command `jaxq view`."""

import webbrowser
from argparse import Namespace
from pathlib import Path

from jaxq.checks import InputValueError, whole_number
from jaxq.cli.arguments import TRUST_IMPORTS, command
from jaxq.cli.training import prepare


@command(TRUST_IMPORTS, out=Path("view.html"), seed=0, open=True)
def view(args: Namespace) -> None:
    """Write an interactive page of a run or of a lesson: one HTML file that opens without a network.

    DIR?: A run directory, of a run that may still go on.
    --lesson: Train a table and a DQN on a small grid world, in seconds, and show how they learn.
    --out FILE: The file to write; one that is there is replaced.
    --seed S: Seed of the lesson's training.
    --open: Open the page where there is a browser.
    """
    if args.lesson == (args.dir is not None):
        raise InputValueError("view needs a run directory or --lesson; jaxq view --lesson")
    whole_number("seed", args.seed, minimum=0)
    # Before anything is trained or played.
    _check_file(args.out)
    prepare()
    page = _lesson(args.seed) if args.lesson else _run(args.dir, args.trust_imports)
    from jaxq.storage import access

    access.replace(args.out, page)
    print(f"written to {args.out}")
    if args.open:
        _open(args.out)


def _lesson(seed: int) -> str:
    from jaxq.view import train_lesson, view_page

    print("training a table and a DQN on a grid world", flush=True)
    return view_page(train_lesson(seed))


def _run(directory: Path, trust_imports: bool) -> str:
    from jaxq.view import run_data, view_page

    print("playing the agents of the run", flush=True)
    data = run_data(directory, trust_imports)
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
