"""The commands that show: `jaxq report`, `compare`, `envs` and `algorithms`."""

import json
from argparse import Namespace
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from jaxq.checks import InputError, InputValueError, one_of
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
    """List the environments: what there is to do and to get, and why some cannot be used."""
    from jaxq.envs import listing

    table = Table("environment", "actions", "observation", "random", "best", "what it is", box=None)
    for info in listing():
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


@command()
def algorithms(args: Namespace) -> None:
    """List the algorithms.

    NAME?: An algorithm to list alone, with all that it takes.
    --verbose: List every keyword and hyperparameter of each, with range, default and meaning.
    """
    from jaxq.agents import ALGORITHMS, summary

    names = [*ALGORITHMS] if args.name is None else [one_of("algorithm", args.name, ALGORITHMS)]
    console = Console()
    if args.verbose or args.name is not None:
        for name in names:
            console.print(_keywords(name))
        return
    table = Table("algorithm", "", box=None)
    for name in names:
        table.add_row(name, summary(name))
    console.print(table)


def _keywords(name: str) -> Table:
    """Make the table of all that a recipe takes; a star marks what may vary over a population."""
    from jaxq.agents import recipe, summary
    from jaxq.agents.catalogue import keywords_of

    table = Table("keyword", "default", "range", "meaning", box=None)
    table.title, table.title_justify = f"{name}: {summary(name)}", "left"
    table.caption = "* a hyperparameter: --sweep and --sample vary it within one program"
    for keyword in keywords_of(recipe(name)()):
        star = " *" if keyword.is_leaf else ""
        texts = keyword.name + star, keyword.default, keyword.range, keyword.meaning
        table.add_row(*map(escape, texts))
    return table
