"""Manifests: what a directory holds, with checksums, so that damage is found by the name of the file.

A manifest ends with a checksum of itself. What is read must be to the letter what would be written, so
that not one bit of it changes unnoticed.
"""

import hashlib
import json
import os
from pathlib import Path
from typing import Any

from jaxq.experiment.files.access import read_text
from jaxq.experiment.files.json_values import json_of

NAME = "manifest.json"
_FORMAT = 2
_CHECKSUM = "sha256"
_BLOCK = 2**20


class DamagedError(Exception):
    """A directory does not hold what its manifest says, or has none that can be read."""


def write_manifest(directory: Path, facts: dict[str, Any]) -> None:
    """List all files of a directory with sizes and checksums, and bring all of it to disk.

    Args:
        directory: The directory, complete but for its manifest.
        facts: What else to keep there, as JSON has it.
    """
    files = {
        path.relative_to(directory).as_posix(): _described(path) for path in sorted(_files(directory))
    }
    manifest = directory / NAME
    manifest.write_text(_text({"format": _FORMAT, **facts, "files": files}))
    for path in (manifest, directory):
        _to_disk(path)


def read_manifest(directory: Path) -> dict[str, Any]:
    """Read what a manifest says, without looking at the files.

    Raises:
        DamagedError: If it cannot be read, was changed, or is of a format that this version does not
            know.
    """
    if directory.is_symlink():
        raise DamagedError("it is a link")
    try:
        text = read_text(directory / NAME)
        manifest = json_of(directory / NAME, text)
    except (OSError, ValueError) as error:
        raise DamagedError(f"{NAME} cannot be read ({error})") from error
    if not isinstance(manifest, dict) or not isinstance(manifest.get("files"), dict):
        raise DamagedError(f"{NAME} is no manifest")
    if manifest.get("format") != _FORMAT:
        raise DamagedError(
            f"it has format {manifest.get('format')!r}, and this version of jaxq reads {_FORMAT}; "
            f"it was written by {manifest.get('versions', 'an unknown version')}"
        )
    manifest.pop(_CHECKSUM, None)
    if text != _text(manifest):
        raise DamagedError(f"{NAME} is not what was written")
    return manifest


def verify(directory: Path) -> dict[str, Any]:
    """Check every file of a directory against its manifest, and return what the manifest says.

    Raises:
        DamagedError: If a file is missing, changed, or not listed, or is not a plain file inside; or if
            the manifest is damaged itself.
    """
    if directory.is_symlink():
        raise DamagedError("it is a link")
    manifest = read_manifest(directory)
    found = {}
    for path in _files(directory):
        if path.is_symlink() or not path.is_file():
            raise DamagedError(f"{path.relative_to(directory)} is not a plain file")
        found[path.relative_to(directory).as_posix()] = path
    found.pop(NAME, None)
    listed = manifest["files"]
    for name in sorted({*found, *listed}):
        if name not in found:
            raise DamagedError(f"{name!r} is missing")
        if name not in listed:
            raise DamagedError(f"{name!r} is not listed in {NAME}")
        if listed[name] != _described(found[name]):
            raise DamagedError(f"{name!r} is not what was written")
    return manifest


def _text(manifest: dict[str, Any]) -> str:
    """Write a manifest with its checksum at the end."""
    digest = hashlib.sha256(json.dumps(manifest, indent=1).encode()).hexdigest()
    return json.dumps({**manifest, _CHECKSUM: digest}, indent=1) + "\n"


def _files(directory: Path) -> list[Path]:
    """List what is below a directory, without following links out of it."""
    paths = []
    for parent, folders, names in os.walk(directory, followlinks=False):
        links = [name for name in folders if (Path(parent) / name).is_symlink()]
        paths += [Path(parent) / name for name in [*names, *links]]
    return paths


def _described(path: Path) -> dict[str, Any]:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            digest.update(block)
        size = file.tell()
    return {"bytes": size, "sha256": digest.hexdigest()}


def _to_disk(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
