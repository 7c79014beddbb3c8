"""The commands that show: `jaxq report`, `compare`, `envs` and `algorithms`."""

import json
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from jaxq import agents, envs
from jaxq.agents.catalogue import keywords_of
from jaxq.checks import InputError, InputValueError, one_of
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
    """Print the environments: what there is to do and to get, and why some cannot be used."""
    table = Table("environment", "actions", "observation", "random", "best", "what it is", box=None)
    for info in envs.listing():
        actions = "" if info.actions is None else str(info.actions)
        returns = ["" if value is None else f"{value:.3g}" for value in (info.random, info.best)]
        about = ". ".join(text for text in (info.about, info.note) if text)
        table.add_row(info.id, actions, escape(info.observation), *returns, escape(about))
    console = Console()
    console.print(table)
    console.print(
        "random: mean return of random legal actions, measured over 1,024 episodes; "
        "best: the largest mean return that there can be, where it is known",
        highlight=False,
    )


def list_algorithms(command: Algorithms) -> None:
    """Print the recipes, and what they take if that is asked for."""
    names = [*agents.ALGORITHMS]
    if command.name is not None:
        names = [one_of("algorithm", command.name, names)]
    console = Console()
    if command.verbose or command.name is not None:
        for name in names:
            console.print(_keywords(name))
        return
    table = Table("algorithm", "", box=None)
    for name in names:
        table.add_row(name, agents.summary(name))
    console.print(table)


def _keywords(name: str) -> Table:
    """Make the table of all that a recipe takes; a star marks what may vary over a population."""
    title = f"{name}: {agents.summary(name)}"
    table = Table("keyword", "default", "range", "meaning", title=title, title_justify="left", box=None)
    table.caption = "* a hyperparameter: --sweep and --sample vary it within one program"
    for keyword in keywords_of(agents.recipe(name)()):
        star = " *" if keyword.is_leaf else ""
        texts = keyword.name + star, keyword.default, keyword.range, keyword.meaning
        table.add_row(*map(escape, texts))
    return table
