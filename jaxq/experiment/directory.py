"""The run directory: configuration, metrics, checkpoints and report of a run."""

import contextlib
import datetime
import errno
import json
import math
import os
import platform
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import Any

import jax

from jaxq import checks
from jaxq.experiment.files import access
from jaxq.experiment.files.records import (
    RecordedEvaluation,
    RecordedMetrics,
    read_description,
    read_evaluation,
    read_metrics,
)

SWEEP = "sweep.json"
"""File that marks the directory of a sweep."""

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
        if (path / SWEEP).is_file():
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
        _replace(self.path / "config.json", described)

    def read_config(self) -> dict[str, Any]:
        """Inverse of `write_config`, checked."""
        return read_description(self.path / "config.json")

    def note_resumed(self, described: dict[str, Any], resumed_at: int, command: list[str]) -> None:
        """Record that the run is resumed, and fields of the configuration that its length changes."""
        config = self.read_config()
        resumed = {"at": resumed_at, "time": _now(), "command": command}
        config |= {name: described[name] for name in _STRETCHED}
        config |= {"resumed": [*config.get("resumed", []), resumed]}
        _replace(self.path / "config.json", config)

    def append_metrics(self, row: dict[str, Any]) -> None:
        """Append a line of metrics; non-finite numbers are written as null."""
        self._check_present()
        access.append(self.path / "metrics.jsonl", json.dumps(finite(row), allow_nan=False) + "\n")

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
        _replace(self.path / "report" / "evaluation.json", evaluation)

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


def _replace(path: Path, value: dict[str, Any]) -> None:
    access.replace(path, json.dumps(finite(value), indent=2) + "\n")


def finite(value: Any) -> Any:
    """Replace NaN and infinity, which JSON lacks, by null."""
    if isinstance(value, dict):
        return {key: finite(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [finite(part) for part in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
