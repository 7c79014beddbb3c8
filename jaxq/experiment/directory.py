"""The run directory: where a run writes its configuration, its metrics and its report."""

import datetime
import json
import math
import platform
from importlib import metadata
from pathlib import Path
from typing import Any

import jax

from jaxq import checks

_PACKAGES = ("jaxq", "jax", "jaxlib", "flax", "optax", "gymnax", "numpy")


class RunDirectory:
    """A directory that one run owns.

    Attributes:
        path: Where it is.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    @classmethod
    def create(cls, path: Path) -> "RunDirectory":
        """Make a new directory, with its parents.

        Raises:
            InputValueError: If it exists already or cannot be written.
        """
        try:
            path.mkdir(parents=True)
            (path / "report").mkdir()
        except FileExistsError:
            raise checks.InputValueError(
                f"output directory {path} exists already; choose another --out"
            ) from None
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or error
            raise checks.InputValueError(
                f"output directory {path} cannot be written ({reason}); choose another --out"
            ) from None
        return cls(path)

    def write_config(self, described: dict[str, Any], command: list[str]) -> None:
        """Write what is trained, with what versions, on what."""
        device = jax.devices()[0]
        described = {
            **described,
            "command": command,
            "started": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
            "python": platform.python_version(),
            "versions": {name: metadata.version(name) for name in _PACKAGES},
            "devices": {"kind": device.device_kind, "number": jax.device_count()},
        }
        (self.path / "config.json").write_text(json.dumps(_finite(described), indent=2) + "\n")

    def append_metrics(self, row: dict[str, Any]) -> None:
        """Add one line of metrics; what is not a finite number is written as null."""
        with (self.path / "metrics.jsonl").open("a") as file:
            file.write(json.dumps(_finite(row), allow_nan=False) + "\n")

    def write_evaluation(self, evaluation: dict[str, Any]) -> None:
        """Write the final evaluation."""
        (self.path / "report" / "evaluation.json").write_text(
            json.dumps(_finite(evaluation), indent=2) + "\n"
        )

    @property
    def curve_path(self) -> Path:
        """Where the learning curve goes."""
        return self.path / "report" / "learning_curve.png"


def default_path(environment: str, algorithm: str) -> Path:
    """Name a new directory below `runs/` after what is trained and when."""
    stamp = datetime.datetime.now().strftime("%Y%m%d-%H%M%S-%f")
    return Path("runs") / f"{environment}-{algorithm}-{stamp}"


def _finite(value: Any) -> Any:
    """Replace what JSON cannot say, NaN and infinity, by null."""
    if isinstance(value, dict):
        return {key: _finite(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(part) for part in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
