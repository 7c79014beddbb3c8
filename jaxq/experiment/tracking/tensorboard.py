"""TensorBoard: event files in the run directory.

Events are appended by hand instead of through a writer, which has a thread, a queue and open files for
each run: with a run per agent there may be thousands, and a full disk would block it for ever.
"""

import json
import struct
import textwrap
import time
from pathlib import Path
from typing import Any

from tensorboardX import summary
from tensorboardX.proto.event_pb2 import Event, SessionLog
from tensorboardX.proto.summary_pb2 import Summary
from tensorboardX.record_writer import masked_crc32c

from jaxq.experiment.files import access
from jaxq.experiment.progress import Progress
from jaxq.experiment.tracking.code_version import code_version
from jaxq.experiment.tracking.values import (
    agent_evaluations,
    agent_hparams,
    agent_values,
    evaluation_values,
    population_values,
)


class TensorBoard:
    """Writes one run for the population and, on request, one for each agent.

    The population's is `tensorboard/` in the run directory, those of agents are
    `tensorboard/agents/0`, `1` and so on. The x axis is env steps of each agent.

    Args:
        agents: Whether each agent gets a run of its own.
    """

    def __init__(self, agents: bool = False) -> None:
        self._with_agents = agents
        self._agents: list[_Events] = []
        self._steps = 0

    def start(self, described: dict[str, Any], directory: Path, resumed_at: int | None) -> None:
        """Begin new event files; of earlier ones, what lies beyond `resumed_at` no longer counts."""
        directory = directory / "tensorboard"
        self._population = _Events(directory, resumed_at)
        if self._with_agents:
            paths = [directory / "agents" / str(agent) for agent in range(described["agents"])]
            self._agents = [_Events(path, resumed_at) for path in paths]
        if resumed_at is not None:
            self._steps = resumed_at
            return
        text = json.dumps({**described, "code": code_version()}, indent=2)
        # Indented text is code in Markdown.
        self._population.write(summary.text("config", textwrap.indent(text, "    ")))
        self._population.write_hparams({**described["settings"], **described["hparams"]})
        for events, hparams in zip(self._agents, agent_hparams(described), strict=False):
            events.write_hparams(hparams)

    def segment(self, progress: Progress) -> None:
        """Append one event to each run."""
        self._steps = progress.steps
        self._population.write_values(population_values(progress), progress.steps)
        if self._agents:
            for events, values in zip(self._agents, agent_values(progress), strict=True):
                events.write_values(values, progress.steps)

    def finish(self, evaluation: dict[str, Any], artifacts: list[Path]) -> None:
        """Append the evaluation; artifacts stay where they are, beside the event files."""
        self._population.write_values(evaluation_values(evaluation), self._steps)
        if self._agents:
            for events, values in zip(self._agents, agent_evaluations(evaluation), strict=True):
                events.write_values(values, self._steps)

    def close(self) -> None:
        """Do nothing: what was written is in the files."""


class _Events:
    """The events of one run, in a file that is closed in between."""

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

    def write_values(self, values: dict[str, float], steps: int) -> None:
        scalars = [Summary.Value(tag=tag, simple_value=value) for tag, value in values.items()]
        self.write(Summary(value=scalars), steps)

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
        data = event.SerializeToString()
        length = struct.pack("<Q", len(data))
        record = (length, _checksum(length), data, _checksum(data))
        access.append(self._path, b"".join(record))


def _checksum(data: bytes) -> bytes:
    return struct.pack("<I", masked_crc32c(data))
