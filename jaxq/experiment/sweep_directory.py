"""The directory of a sweep: one file that lists its groups, and a run directory for each of them."""

import json
from pathlib import Path
from typing import Any

from jaxq import checks
from jaxq.experiment.directory import SWEEP, finite
from jaxq.experiment.files import access
from jaxq.experiment.files.json_values import brief, mapping, object_of
from jaxq.experiment.files.records import checked_description, checked_tracking
from jaxq.experiment.groups import check_name

_FORMAT = 1
# What a run that was ended before it wrote its configuration may have left.
_EMPTY = {"report", ".lock", "config.json.new"}


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
    content = {"format": _FORMAT, "track": track, "groups": groups}
    access.replace(path / SWEEP, json.dumps(finite(content), indent=2) + "\n")


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
    if content.get("format") != _FORMAT:
        raise checks.InputValueError(
            f"{file} has format {brief(content.get('format'))}, and this version of jaxq reads {_FORMAT}"
        )
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
