"""The commands that show: `jaxq report`, `compare`, `envs` and `algorithms`."""

import json
from argparse import Namespace
from pathlib import Path

from rich.console import Console
from rich.table import Table

from jaxq.checks import InputError, InputValueError
from jaxq.cli.arguments import command
from jaxq.cli.messages import warn
from jaxq.cli.training import prepare


@command(watch=True)
def report(args: Namespace) -> None:
    """Write a page with the curves and scores of one run, or of several side by side.

    DIR*: Directories that `jaxq train` has written, also that of a sweep; a run may still go on.
    --out DIR: Where to write: a new or empty directory; by default the report/ of the run, if it is one.
    --watch: Play and draw an episode of each run's best agent, where its environment can be drawn.
    """
    from jaxq.reports import read_runs, report_directory, write_report

    if not args.dir:
        raise InputValueError("report needs a run directory; jaxq report DIR")
    runs = read_runs(list(args.dir))
    # Before an episode is played, which takes a while.
    directory = report_directory([*args.dir], args.out)
    for run in runs if args.watch else ():
        _watch(run.path)
    page = write_report(runs, directory)
    for note in (note for run in runs for note in run.notes):
        print(f"note: {note}")
    print(f"written to {page}")


def _watch(directory: Path) -> None:
    """Draw an episode of a run's best agent, where that is possible."""
    if (directory / "report" / "episode.gif").exists():
        return
    prepare()
    from jaxq.reports.watching import record_best

    try:
        record_best(directory, warn)
    except (InputError, OSError) as error:
        print(f"note: no episode is shown: {error}")


@command()
def compare(args: Namespace) -> None:
    """Compare the scores of runs, each with the first, and say which differences are significant.

    DIR*: Directories that `jaxq train` has written, also that of a sweep; a run may still go on.
    --all-pairs: Compare each run with each, not only with the first.
    --json: Print one JSON object instead of tables.
    """
    from jaxq.reports import as_json, notes, read_runs, tables
    from jaxq.reports import compare as compare_scores

    runs = read_runs(list(args.dir))
    if len(runs) < 2:
        raise InputValueError("compare needs two runs at least; jaxq compare DIR DIR")
    pairs = compare_scores(runs, all_pairs=args.all_pairs)
    if args.json:
        print(json.dumps(as_json(runs, pairs), allow_nan=False))
        return
    console = Console()
    for table in tables(runs, pairs):
        console.print(table)
    console.print("* the interval leaves out 1/2, or 0", highlight=False)
    for note in notes(runs):
        console.print(f"note: {note}", markup=False, highlight=False)


@command()
def envs(_: Namespace) -> None:
    """List the environments."""
    from jaxq.envs import listing

    table = Table("environment", "actions", "observation", "note", box=None)
    for info in listing():
        actions = "" if info.actions is None else str(info.actions)
        table.add_row(info.id, actions, info.observation.replace("[", "\\["), info.note)
    Console().print(table)


@command()
def algorithms(_: Namespace) -> None:
    """List the algorithms."""
    from jaxq.agents import ALGORITHMS, summary

    table = Table("algorithm", "", box=None)
    for name in ALGORITHMS:
        table.add_row(name, summary(name))
    Console().print(table)
