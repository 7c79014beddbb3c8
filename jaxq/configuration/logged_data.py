"""Logged data that a configuration learns from: read once, and known again by what it holds."""

import functools
import hashlib
from pathlib import Path
from typing import Any

from jaxq import checks, dataset, envs
from jaxq.dataset import Dataset
from jaxq.replay import DatasetReplay
from jaxq.storage.json_values import brief
from jaxq.types import Environment

LOG = "log"
"""The environment of a configuration that has data alone."""


def read_logged(path: Any) -> tuple[Dataset, str]:
    """Read logged data, and the SHA-256 digest of its file.

    Raises:
        InputTypeError: If `path` is no path.
        InputValueError: If the file cannot be read, or its data cannot be used.
    """
    if not isinstance(path, str | Path):
        raise checks.InputTypeError(
            f"offline must be the path of logged data, got {brief(path)}; for example 'log.npz'"
        )
    file = Path(path).resolve()
    try:
        found = file.stat()
    except (OSError, ValueError):
        raise checks.InputValueError(f"offline: there is no file {path}") from None
    return _read(file, found.st_mtime_ns, found.st_size)


def logged_fields(path: Any) -> dict[str, str]:
    """Return what a new configuration says of its logged data; raises as `read_logged` does."""
    digest = read_logged(path)[1]
    return {"offline": str(Path(path).resolve()), "offline_digest": digest}


@functools.lru_cache(maxsize=2)
def _read(file: Path, changed: int, size: int) -> tuple[Dataset, str]:
    with file.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    return dataset.load(file), digest


def check_logged(path: Any, share: Any, digest: str | None) -> None:
    """Check that logged data can be learned from, and is what a run began with.

    Args:
        path: The file.
        share: The part of each batch that is drawn from it.
        digest: What the run began with; `None` of a new one.

    Raises:
        InputTypeError: If a value is of another kind.
        InputValueError: If the data cannot be used, or is not the same any more.
    """
    data, found = read_logged(path)
    DatasetReplay(data, share)
    if digest is not None and found != digest:
        raise checks.InputValueError(
            f"offline: {path} is not what this run learned from: its SHA-256 begins with {found[:12]}, "
            f"and was {brief(digest)[:14]}; put the data back as it was"
        )


def recipe_keywords(keywords: dict[str, Any], offline: str | None, share: float) -> dict[str, Any]:
    """Return keywords with logged data as the replay, where there is any.

    Raises:
        InputValueError: If a replay is given besides, or the data cannot be used.
    """
    if offline is None:
        return keywords
    if keywords.get("replay") is not None:
        raise checks.InputValueError("logged data is the replay; leave out replay, or the data")
    return {**keywords, "replay": DatasetReplay(read_logged(offline)[0], share)}


def environment_of(environment: str | Environment, offline: str | None) -> Environment:
    """Make a configuration's environment: of data alone, what its log says."""
    if environment == LOG and offline is not None:
        return envs.from_dataset(read_logged(offline)[0])
    return envs.make(environment) if isinstance(environment, str) else environment
