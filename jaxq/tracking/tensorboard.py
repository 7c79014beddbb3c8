"""TensorBoard: event files in the run directory."""

import json
import textwrap
import time
from pathlib import Path
from typing import Any, BinaryIO

from tensorboardX import RecordWriter, summary
from tensorboardX.proto.event_pb2 import Event, SessionLog
from tensorboardX.proto.summary_pb2 import Summary
from tensorboardX.record_writer import register_writer_factory

from jaxq.progress import Progress
from jaxq.storage import access
from jaxq.tracking.logged import (
    Row,
    agent_hparams,
    code_version,
    evaluation_rows,
    segment_rows,
)


class TensorBoard:
    """Writes one run for the population and, on request, one for each agent.

    The population's is `tensorboard/` in the run directory, those of agents are
    `tensorboard/agents/0`, `1` and so on. The x axis is env steps of each agent.

    Args:
        agents: Whether each agent gets a run of its own.
    """

    def __init__(self, agents: bool = False) -> None:
        self._agents = agents
        self._runs: list[_EventFile] = []
        self._steps = 0

    def start(self, described: dict[str, Any], directory: Path, resumed_at: int | None) -> None:
        """Begin new event files; of earlier ones, what lies beyond `resumed_at` no longer counts."""
        directory = directory / "tensorboard"
        number = described["agents"] if self._agents else 0
        paths = [directory, *(directory / "agents" / str(agent) for agent in range(number))]
        self._runs = [_EventFile(path, resumed_at) for path in paths]
        if resumed_at is not None:
            self._steps = resumed_at
            return
        text = json.dumps({**described, "code": code_version()}, indent=2)
        # Indented text is code in Markdown.
        self._runs[0].write(summary.text("config", textwrap.indent(text, "    ")))
        hparams = [{**described["settings"], **described["hparams"]}, *agent_hparams(described)]
        for run, values in zip(self._runs, hparams, strict=False):
            run.write_hparams(values)

    def segment(self, progress: Progress) -> None:
        """Append one event to each run."""
        self._steps = progress.steps
        self._write(segment_rows(progress, self._agents))

    def finish(self, evaluation: dict[str, Any], artifacts: list[Path]) -> None:
        """Append the evaluation; artifacts stay where they are, beside the event files."""
        self._write(evaluation_rows(evaluation, self._agents))

    def close(self) -> None:
        """Nothing to release."""

    def _write(self, rows: list[Row]) -> None:
        for run, row in zip(self._runs, rows, strict=True):
            scalars = [Summary.Value(tag=tag, simple_value=value) for tag, value in row.items()]
            run.write(Summary(value=scalars), self._steps)


class _EventFile:
    """The events of one run.

    A `SummaryWriter` has a thread, a queue and an open file for each run: with a run per agent there may
    be thousands, and a full disk would block it for ever. This file is closed in between.
    """

    def __init__(self, directory: Path, resumed_at: int | None) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        number = len(list(directory.glob("events.*")))
        # Read in the order of their names, so that a later process comes later.
        self._path = directory / f"events.out.tfevents.{int(time.time())}.{number}"
        self._append(Event(file_version="brain.Event:2"))
        if resumed_at is not None:
            # Whoever reads this drops the events from that step on.
            began = SessionLog(status=SessionLog.START)
            self._append(Event(step=resumed_at + 1, session_log=began))

    def write(self, what: Summary, steps: int = 0) -> None:
        self._append(Event(step=steps, summary=what))

    def write_hparams(self, hparams: dict[str, Any]) -> None:
        plain = {
            name: value if isinstance(value, bool | int | float) else str(value)
            for name, value in hparams.items()
        }
        # Only that the session begins: what columns there are, TensorBoard finds out from all runs.
        _, began, _ = summary.hparams(plain, {})
        self.write(began)

    def _append(self, event: Event) -> None:
        event.wall_time = time.time()
        writer = RecordWriter(f"{_Appending.PREFIX}:{self._path}")
        writer.write(event.SerializeToString())
        writer.close()


class _Appending:
    """Opens files of a `RecordWriter` for appending."""

    PREFIX = "jaxq-append"

    @staticmethod
    def open(path: str) -> BinaryIO:
        return access.open_to_append(Path(path.partition(":")[2]))

    @staticmethod
    def directory_check(path: str) -> None:
        """Do nothing: the directory is there."""


register_writer_factory(_Appending.PREFIX, _Appending)
