"""The commands that show: `jaxq report`, `compare`, `envs` and `algorithms`."""

import json
from pathlib import Path

from rich.console import Console
from rich.table import Table

from jaxq import agents, envs
from jaxq.checks import InputError, InputValueError
from jaxq.cli.commands import Algorithms, Compare, Envs, Processes, Report
from jaxq.cli.messages import warn
from jaxq.cli.training import prepare


def report(command: Report) -> None:
    """Write a page on runs."""
    from jaxq.reports import read_runs, report_directory, write_report

    if not command.runs:
        raise InputValueError("report needs a run directory; jaxq report DIR")
    runs = read_runs(list(command.runs))
    # Before an episode is played, which takes a while.
    directory = report_directory([*command.runs], command.out)
    for run in runs if command.watch else ():
        _watch(run.path)
    page = write_report(runs, directory)
    for note in (note for run in runs for note in run.notes):
        print(f"note: {note}")
    print(f"written to {page}")


def _watch(directory: Path) -> None:
    """Draw an episode of a run's best agent, where that is possible."""
    if (directory / "report" / "episode.gif").exists():
        return
    prepare(Processes())
    from jaxq.reports.watching import record_best

    try:
        record_best(directory, warn)
    except (InputError, OSError) as error:
        print(f"note: no episode is shown: {error}")


def compare_runs(command: Compare) -> None:
    """Print which runs score more than others."""
    from jaxq.reports import as_json, compare, notes, read_runs, tables

    runs = read_runs(list(command.runs))
    if len(runs) < 2:
        raise InputValueError("compare needs two runs at least; jaxq compare DIR DIR")
    pairs = compare(runs, all_pairs=command.all_pairs)
    if command.json:
        print(json.dumps(as_json(runs, pairs), allow_nan=False))
        return
    console = Console()
    for table in tables(runs, pairs):
        console.print(table)
    console.print("* the interval leaves out 1/2, or 0", highlight=False)
    for note in notes(runs):
        console.print(f"note: {note}", markup=False, highlight=False)


def list_environments(_: Envs) -> None:
    """Print the environments, and why some cannot be used."""
    table = Table("environment", "actions", "observation", "note", box=None)
    for info in envs.listing():
        actions = "" if info.actions is None else str(info.actions)
        table.add_row(info.id, actions, info.observation.replace("[", "\\["), info.note)
    Console().print(table)


def list_algorithms(_: Algorithms) -> None:
    """Print the recipes."""
    table = Table("algorithm", "", box=None)
    for name in agents.ALGORITHMS:
        table.add_row(name, agents.summary(name))
    Console().print(table)
