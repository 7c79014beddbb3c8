"""Reports: what run directories hold, as figures, tables and a page."""

from jaxq.experiment.reports.comparing import as_json, compare, notes, tables
from jaxq.experiment.reports.report import report_directory, write_report
from jaxq.experiment.reports.runs import Run, read_run, read_runs
from jaxq.experiment.reports.watching import record

__all__ = [
    "Run",
    "as_json",
    "compare",
    "notes",
    "read_run",
    "read_runs",
    "record",
    "report_directory",
    "tables",
    "write_report",
]
