"""Reports: what run directories hold, as figures, tables and a page."""

from jaxq.reports.comparing import as_json, compare, notes, tables
from jaxq.reports.report import report_directory, write_report
from jaxq.reports.runs import Run, read_run, read_runs
from jaxq.reports.watching import record

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
