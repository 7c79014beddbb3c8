"""Reading back what trackers wrote."""

import struct
from collections import defaultdict
from pathlib import Path

from tensorboardX.proto.event_pb2 import Event, SessionLog
from tensorboardX.proto.plugin_hparams_pb2 import HParamsPluginData
from tensorboardX.record_writer import masked_crc32c

Scalars = dict[str, list[tuple[int, float]]]


def events(directory: Path) -> list[Event]:
    """Read a run's event files in the order in which TensorBoard does, checksums included."""
    found = []
    for path in sorted(directory.glob("events.out.tfevents.*")):
        data = path.read_bytes()
        while data:
            (length,) = struct.unpack_from("<Q", data)
            payload = data[12 : 12 + length]
            (first,) = struct.unpack_from("<I", data, 8)
            (second,) = struct.unpack_from("<I", data, 12 + length)
            assert (first, second) == (masked_crc32c(data[:8]), masked_crc32c(payload))
            found.append(Event.FromString(payload))
            data = data[16 + length :]
    return found


def scalars(directory: Path) -> Scalars:
    """Read a run's scalars as `(step, value)`, without those that a resumed run took back."""
    read: Scalars = defaultdict(list)
    for event in events(directory):
        if event.session_log.status == SessionLog.START:
            read = defaultdict(list, {tag: [p for p in read[tag] if p[0] < event.step] for tag in read})
        for value in event.summary.value:
            if value.HasField("simple_value"):
                read[value.tag].append((event.step, value.simple_value))
    return dict(read)


def hparams(directory: Path) -> dict[str, float]:
    """Read the numbers among a run's hyperparameters."""
    read = {}
    for event in events(directory):
        for value in event.summary.value:
            if value.tag == "_hparams_/session_start_info":
                content = HParamsPluginData.FromString(value.metadata.plugin_data.content)
                info = content.session_start_info.hparams
                read |= {name: info[name].number_value for name in info}
    return read


def wandb_records(path: Path) -> list:
    """Read the records of an offline run: LevelDB's log format behind a header of seven bytes."""
    from wandb.proto.wandb_internal_pb2 import Record

    block = 32_768
    data, position, parts, found = path.read_bytes(), 7, b"", []
    while position + 7 <= len(data):
        if block - position % block < 7:
            position += block - position % block
            continue
        _, length, kind = struct.unpack_from("<IHB", data, position)
        if position + 7 + length > len(data):  # not all of it is written yet
            break
        parts += data[position + 7 : position + 7 + length]
        position += 7 + length
        if kind in (1, 4):  # whole, or the last part
            found.append(Record.FromString(parts))
            parts = b""
    return found


def of_kind(records: list, kind: str) -> list:
    """Choose records by what they hold."""
    return [getattr(record, kind) for record in records if record.WhichOneof("record_type") == kind]


def items(entries) -> dict[str, str]:
    """Read wandb's named values, each still as JSON."""
    return {"/".join(entry.nested_key) or entry.key: entry.value_json for entry in entries}
