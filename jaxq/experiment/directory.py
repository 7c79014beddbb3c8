"""Directories: of a run, and of a sweep, which has a file of its groups beside their run directories."""

import contextlib
import datetime
import errno
import json
import os
import platform
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import Any

import jax

from jaxq import checks
from jaxq.configuration.config_file import checked_description, checked_tracking, read_description
from jaxq.configuration.groups import check_name
from jaxq.experiment.records import (
    RecordedEvaluation,
    RecordedMetrics,
    read_evaluation,
    read_metrics,
)
from jaxq.storage import access
from jaxq.storage.json_values import check_format, finite, mapping, object_of, write_json

SWEEP = "sweep.json"
"""File that marks the directory of a sweep."""

_SWEEP_FORMAT = 1
# What a run that was ended before it wrote its configuration may have left.
_EMPTY = {"report", ".lock", "config.json.new"}

# What is different in a run that was made longer.
_STRETCHED = ("steps", "keywords", "sweep", "sample", "sampled", "hparams")

_PACKAGES = ("jaxq", "jax", "jaxlib", "flax", "optax", "gymnax", "numpy")


class RunDirectory:
    """A directory that one run owns.

    Attributes:
        path: Where it is.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock: int | None = None

    @classmethod
    def create(cls, path: Path) -> "RunDirectory":
        """Create a new directory, with its parents."""
        made: list[Path] = []
        try:
            # Taken literally, x/.. makes x, to find that its parent is there.
            path = path.resolve() if ".." in path.parts else path
            made = [parent for parent in (path, *path.parents) if not parent.exists()]
            path.mkdir(parents=True)
            (path / "report").mkdir()
        except FileExistsError:
            raise checks.InputValueError(
                f"output directory {path} exists already; choose another directory"
            ) from None
        except (OSError, RuntimeError, ValueError) as error:
            for parent in made:
                with contextlib.suppress(OSError):
                    parent.rmdir()
            reason = getattr(error, "strerror", None) or error
            raise checks.InputValueError(
                f"output directory {path} cannot be written ({reason}); choose another directory"
            ) from None
        return cls(path)

    @classmethod
    def open(cls, path: Path) -> "RunDirectory":
        """Open an existing run directory."""
        access.check_no_links(path)
        if is_sweep(path):
            runs = ", ".join(str(file.parent) for file in sorted(path.glob("*/config.json")))
            raise checks.InputValueError(
                f"{path} holds a sweep of several runs; give one of them: {runs or 'none has begun yet'}"
            )
        if not (path / "config.json").is_file():
            raise checks.InputValueError(
                f"{path} is no run directory: it has no config.json; `jaxq train` makes one"
            )
        return cls(path)

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Lock the directory against other processes; the lock ends with this process."""
        with access.locked(self.path / ".lock") as lock:
            if lock is None:
                raise checks.InputValueError(
                    f"another process is running in {self.path}; wait for it, or stop it first"
                )
            self._lock = lock
            try:
                yield
            finally:
                self._lock = None

    def _check_present(self) -> None:
        """Check that a locked directory still exists, and is the same one."""
        lock = self.path / ".lock"
        if self._lock is None:
            return
        # What writes checkpoints would make it again, for nobody.
        if not lock.exists() or not os.path.samestat(os.fstat(self._lock), lock.stat()):
            raise FileNotFoundError(errno.ENOENT, "the run directory was deleted", str(self.path))

    def write_config(self, described: dict[str, Any], command: list[str]) -> None:
        """Write the configuration, with versions and devices."""
        device = jax.devices()[0]
        described = {
            **described,
            "command": command,
            "started": _now(),
            "python": platform.python_version(),
            "versions": {name: metadata.version(name) for name in _PACKAGES},
            "devices": {"kind": device.device_kind, "number": jax.device_count()},
        }
        write_json(self.path / "config.json", described)

    def read_config(self) -> dict[str, Any]:
        """Inverse of `write_config`, checked."""
        return read_description(self.path / "config.json")

    def note_resumed(self, described: dict[str, Any], resumed_at: int, command: list[str]) -> None:
        """Record that the run is resumed, and fields of the configuration that its length changes."""
        config = self.read_config()
        resumed = {"at": resumed_at, "time": _now(), "command": command}
        config |= {name: described[name] for name in _STRETCHED}
        config |= {"resumed": [*config.get("resumed", []), resumed]}
        write_json(self.path / "config.json", config)

    def append_metrics(self, row: dict[str, Any]) -> None:
        """Append a line of metrics; non-finite numbers are written as null."""
        self._check_present()
        with access.open_to_append(self.path / "metrics.jsonl") as stream:
            stream.write(json.dumps(finite(row), allow_nan=False).encode() + b"\n")

    def read_metrics(self, num_agents: int) -> RecordedMetrics:
        """Read the metrics of N agents."""
        return read_metrics(self.path / "metrics.jsonl", num_agents)

    def rewind_metrics(self, steps: int, num_agents: int) -> None:
        """Drop lines after so many env steps, and a truncated last line."""
        rows, lines, _ = self.read_metrics(num_agents)
        kept = [line for row, line in zip(rows, lines, strict=True) if row.steps <= steps]
        access.replace(self.path / "metrics.jsonl", b"".join(line.rstrip() + b"\n" for line in kept))

    def write_evaluation(self, evaluation: dict[str, Any]) -> None:
        """Write the final evaluation."""
        write_json(self.path / "report" / "evaluation.json", evaluation)

    def read_evaluation(self, num_agents: int) -> RecordedEvaluation | None:
        """Read the final evaluation; `None` if there is none or it is unreadable."""
        try:
            return read_evaluation(self.path / "report" / "evaluation.json", num_agents)
        except (OSError, ValueError):
            return None

    @property
    def checkpoints(self) -> Path:
        """Directory of checkpoints."""
        return self.path / "checkpoints"


def checked_path(directory: Any) -> Path:
    """Return `directory` as a path, after a type check."""
    if not isinstance(directory, str | os.PathLike):
        raise checks.InputTypeError(
            f"directory must be a path, got {directory!r}; for example 'runs/first'"
        )
    return Path(directory)


def default_path(environment: str, algorithm: str) -> Path:
    """Default directory below `runs/`, named by environment, algorithm and time."""
    stamp = datetime.datetime.now().strftime("%Y%m%d-%H%M%S-%f")
    return Path("runs") / f"{environment}-{algorithm}-{stamp}"


def _now() -> str:
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")


def is_sweep(path: Path) -> bool:
    """Tell whether a directory is that of a sweep."""
    return (path / SWEEP).is_file()


def write_queue(path: Path, groups: dict[str, dict[str, Any]], track: dict[str, Any]) -> None:
    """Write what is trained in a directory, and who is told of it.

    Args:
        path: The directory.
        groups: The configurations as plain values by the groups' names, in the order of the queue.
        track: What `Trackers.described` says.
    """
    write_json(path / SWEEP, {"format": _SWEEP_FORMAT, "track": track, "groups": groups})


def read_queue(path: Path) -> dict[str, Any]:
    """Return what `write_queue` wrote to a directory.

    Raises:
        InputValueError: If nothing was written, or it is not that any more.
    """
    access.check_no_links(path)
    if not is_sweep(path):
        raise checks.InputValueError(f"{path} holds no sweep: it has no {SWEEP}; jaxq.Sweep makes one")
    file = path / SWEEP
    content = object_of(file)
    groups = content.get("groups")
    if not isinstance(groups, dict) or not groups:
        raise checks.InputValueError(f"{file} is not what a sweep wrote: it has no groups")
    check_format(file, content, _SWEEP_FORMAT)
    for name, described in groups.items():
        check_name(name)
        where = Path(f"{file}: {name}")
        checked_description(where, mapping(where, described))
    content["track"] = checked_tracking(file, content.get("track"))
    return content


def has_begun(path: Path) -> bool:
    """Tell whether a group's run has written its configuration; where not, make place for it.

    Args:
        path: The directory of the group's run.

    Raises:
        InputValueError: If something else is there.
    """
    if (path / "config.json").is_file():
        return True
    if path.is_symlink() or path.exists():
        others = {other.name for other in path.iterdir()} - _EMPTY if path.is_dir() else {path.name}
        if path.is_symlink() or others:
            raise checks.InputValueError(
                f"{path} is no run directory: it has no config.json, and holds something else; "
                "move it away"
            )
        access.remove(path)
    return False


def with_runs(paths: list[Path]) -> list[tuple[Path, list[str]]]:
    """Put the runs of a sweep that have results in the place of its directory.

    Args:
        paths: Directories of runs, and of sweeps.

    Returns:
        Directories of runs, each with what the reader should know of the sweep that it is of.

    Raises:
        InputValueError: If no run of a sweep has results yet, or what it holds cannot be read.
    """
    found: list[tuple[Path, list[str]]] = []
    for path in paths:
        if not is_sweep(path):
            found.append((path, []))
            continue
        names = [*read_queue(path)["groups"]]
        ready = [name for name in names if _has_results(path / name)]
        if not ready:
            raise checks.InputValueError(
                f"{path} holds no results yet, of {len(names)} groups; wait for the first segment to end"
            )
        left_out = [name for name in names if name not in ready]
        note = f"Of the sweep's {len(names)} groups {len(left_out)} have no results yet"
        notes = [f"{note}: {', '.join(left_out)}."] if left_out else []
        found += [(path / name, notes if name == ready[0] else []) for name in ready]
    return found


def _has_results(path: Path) -> bool:
    files = path / "metrics.jsonl", path / "report" / "evaluation.json"
    return any(file.is_file() and file.stat().st_size for file in files)
