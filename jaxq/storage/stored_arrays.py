"""Directories of arrays, stored by orbax, with a manifest of checksums.

A manifest ends with a checksum of itself, and must equal what would be written byte for byte, so that no
bit of it changes unnoticed.
"""

import hashlib
import json
import os
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxq.storage.access import read_text
from jaxq.storage.json_values import json_of
from jaxq.types import PyTree

MANIFEST = "manifest.json"
_FORMAT = 2
_CHECKSUM = "sha256"


class DamagedError(Exception):
    """A directory differs from its manifest, or the manifest is unreadable."""


class OtherArraysError(DamagedError):
    """Arrays have other names, shapes or types than are asked for."""


def checkpointer() -> Any:
    """Return orbax's checkpointer."""
    # Imported here because it takes a while, which --help has no need of.
    import orbax.checkpoint as ocp

    return ocp.PyTreeCheckpointer()


def read_arrays(path: Path, like: PyTree) -> PyTree:
    """Read arrays of given names, shapes and types.

    Args:
        path: Directory of the arrays.
        like: Shapes, types and shardings of all of them; or of parts by name, which are read to numpy,
            with PRNG keys as key data.

    Raises:
        OtherArraysError: If the arrays are others.
        DamagedError: If they cannot be read.
    """
    numbers, parts = jax.eval_shape(plain, like), isinstance(like, dict)
    try:
        import orbax.checkpoint as ocp

        stored = _by_name(checkpointer().metadata(path).item_metadata.tree)
        if parts:
            stored = {name: leaf for name, leaf in stored.items() if name.split("/")[0] in like}
            arguments = jax.tree.map(lambda _: ocp.RestoreArgs(restore_type=np.ndarray), numbers)
        else:
            arguments = ocp.checkpoint_utils.construct_restore_args(
                jax.tree.map(lambda leaf, like: leaf.update(sharding=like.sharding), numbers, like)
            )
        _check_same(stored, _by_name(numbers))
        restored = checkpointer().restore(
            path, item=numbers, restore_args=arguments, partial_restore=parts
        )
    except DamagedError:
        raise
    except Exception as error:
        raise DamagedError(str(error).strip().splitlines()[0]) from error
    return restored if parts else with_keys(restored, like)


def plain(tree: PyTree) -> PyTree:
    """Replace PRNG keys by their key data."""
    return jax.tree.map(lambda leaf: jax.random.key_data(leaf) if _is_key(leaf) else leaf, tree)


def with_keys(numbers: PyTree, like: PyTree) -> PyTree:
    """Inverse of `plain`."""

    def leaf(numbers: jax.Array, like: Any) -> jax.Array:
        if not _is_key(like):
            return numbers
        return jax.random.wrap_key_data(numbers, impl=jax.random.key_impl(jnp.zeros((), like.dtype)))

    return jax.tree.map(leaf, numbers, like)


def write_manifest(directory: Path, facts: dict[str, Any]) -> None:
    """Write sizes and checksums of all files, and `facts`, to a manifest, and sync it to disk."""
    files = {name: _described(path) for name, path in sorted(_files(directory).items())}
    manifest = directory / MANIFEST
    manifest.write_text(_text({"format": _FORMAT, **facts, "files": files}))
    for path in (manifest, directory):
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def read_manifest(directory: Path) -> dict[str, Any]:
    """Read a manifest without checking the files.

    Raises:
        DamagedError: If it cannot be read, was changed, or is of another format.
    """
    if directory.is_symlink():
        raise DamagedError("it is a link")
    try:
        text = read_text(directory / MANIFEST)
        manifest = json_of(directory / MANIFEST, text)
    except (OSError, ValueError) as error:
        raise DamagedError(f"{MANIFEST} cannot be read ({error})") from error
    if not isinstance(manifest, dict) or not isinstance(manifest.get("files"), dict):
        raise DamagedError(f"{MANIFEST} is no manifest")
    if manifest.get("format") != _FORMAT:
        raise DamagedError(
            f"it has format {manifest.get('format')!r}, and this version of jaxq reads {_FORMAT}; "
            f"it was written by {manifest.get('versions', 'an unknown version')}"
        )
    manifest.pop(_CHECKSUM, None)
    if text != _text(manifest):
        raise DamagedError(f"{MANIFEST} is not what was written")
    return manifest


def verify(directory: Path) -> dict[str, Any]:
    """Check every file of a directory against its manifest, and return the manifest.

    Raises:
        DamagedError: If a file is missing, changed, not listed, or not a plain file inside the
            directory; or if the manifest is damaged itself.
    """
    manifest, found = read_manifest(directory), _files(directory)
    for name, path in found.items():
        if path.is_symlink() or not path.is_file():
            raise DamagedError(f"{name} is not a plain file")
    del found[MANIFEST]
    listed = manifest["files"]
    for name in sorted({*found, *listed}):
        if name not in found:
            raise DamagedError(f"{name!r} is missing")
        if name not in listed:
            raise DamagedError(f"{name!r} is not listed in {MANIFEST}")
        if listed[name] != _described(found[name]):
            raise DamagedError(f"{name!r} is not what was written")
    return manifest


def _by_name(tree: PyTree) -> dict[str, Any]:
    """Return leaves by name, as orbax reads back dictionaries and lists instead of named tuples."""
    return {
        jax.tree_util.keystr(path, simple=True, separator="/"): leaf
        for path, leaf in jax.tree_util.tree_leaves_with_path(tree)
    }


def _check_same(stored: dict[str, Any], wanted: dict[str, Any]) -> None:
    def shape(leaf: Any) -> str:
        return "nothing" if leaf is None else f"{np.dtype(leaf.dtype).name}{list(leaf.shape)}"

    for name in sorted({*stored, *wanted}):
        found, expected = shape(stored.get(name)), shape(wanted.get(name))
        if found != expected:
            raise OtherArraysError(f"{name} is {found} where {expected} is expected")


def _is_key(leaf: Any) -> bool:
    return jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)


def _text(manifest: dict[str, Any]) -> str:
    """Write a manifest with its checksum at the end."""
    digest = hashlib.sha256(json.dumps(manifest, indent=1).encode()).hexdigest()
    return json.dumps({**manifest, _CHECKSUM: digest}, indent=1) + "\n"


def _files(directory: Path) -> dict[str, Path]:
    """Return what is below a directory by its name there, without following links out of it."""
    paths = []
    for parent, folders, names in os.walk(directory, followlinks=False):
        links = [name for name in folders if (Path(parent) / name).is_symlink()]
        paths += [Path(parent) / name for name in [*names, *links]]
    return {path.relative_to(directory).as_posix(): path for path in paths}


def _described(path: Path) -> dict[str, Any]:
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        return {"bytes": file.tell(), "sha256": digest}
