"""State that a tracker needs to resume its runs in another process."""

import dataclasses
import json
from pathlib import Path

from jaxq import checks
from jaxq.experiment.files import access
from jaxq.experiment.files.json_values import names_of, object_of


@dataclasses.dataclass
class ResumeState:
    """Runs of a tracker, and the steps logged so far; a file in the run directory.

    Attributes:
        path: The file.
        runs: Names that the tracker knows its runs by: the population's, then each agent's.
        steps: Env steps of each agent that have been logged.
    """

    path: Path
    runs: list[str] = dataclasses.field(default_factory=list)
    steps: int = 0

    @classmethod
    def open(cls, directory: Path, tracker: str) -> "ResumeState":
        """Read the state in a run directory, or create an empty one."""
        path = directory / "tracking" / f"{tracker}.json"
        path.parent.mkdir(exist_ok=True)
        if not path.exists():
            return cls(path)
        kept = object_of(path)
        runs = names_of(path, "runs", kept.get("runs"))
        return cls(path, runs, checks.whole_number("steps", kept.get("steps"), minimum=0))

    def save(self) -> None:
        """Write it atomically."""
        access.replace(self.path, json.dumps({"runs": self.runs, "steps": self.steps}) + "\n")
