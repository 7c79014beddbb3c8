"""The report that a run, or a sweep, writes of itself when it has come to its end."""

import shlex
from pathlib import Path

from jaxq.experiment.display import ConsoleLogger


def write_own_report(directory: Path, log: ConsoleLogger) -> None:
    """Draw the report of what a directory holds; whatever fails ends in a warning, never in an error.

    Args:
        directory: The directory of a run or of a sweep, with results.
        log: Who says what is done.
    """
    log.say("drawing the report")
    try:
        # Imported here: reports are about what runs have written, and come after them.
        from jaxq.reports import read_runs, write_report

        page = write_report(read_runs([directory]), directory / "report")
    except Exception as error:
        reason = str(error).partition("\n")[0] or type(error).__name__
        again = f"jaxq report {shlex.quote(str(directory))}"
        log.warn(f"the report was not drawn ({reason}), and nothing else is lost; again with: {again}")
    else:
        log.say(f"report: {page}")
