"""The command line: training, going on, evaluating, reporting and comparing runs."""

from jaxq.cli.entry import main

__all__ = ["main"]
