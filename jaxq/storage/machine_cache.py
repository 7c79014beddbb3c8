"""Cache of this machine between runs: compiled programs and tuned chunks."""

import contextlib
import hashlib
import itertools
import os
import platform
from pathlib import Path

import jax

MOST_KEPT = 2**30
"""Largest size of the compilation cache, in bytes."""


def enable_compilation_cache() -> None:
    """Cache compiled programs below the user's cache directory, unless JAX has another cache.

    Beyond `MOST_KEPT` bytes the least recently used are removed. Without a writable directory, programs
    are compiled anew each time.
    """
    if jax.config.jax_compilation_cache_dir is not None:
        return
    directory = machine_directory("programs")
    if directory is not None:
        prune(directory, MOST_KEPT)
        jax.config.update("jax_compilation_cache_dir", str(directory))
        # The many small programs around the large ones take seconds together.
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)


def prune(directory: Path, most: int) -> None:
    """Remove the least recently used files, until at most `most` bytes remain."""
    # JAX can do this too, but only with a further package, and by looking at all files for each new one.
    files = []
    for path in directory.iterdir():
        # Another process may remove the same ones.
        with contextlib.suppress(OSError):
            found = path.stat()
            files.append((max(found.st_atime, found.st_mtime), found.st_size, path))
    files.sort(reverse=True)
    kept = itertools.accumulate(size for _, size, _ in files)
    for (_, _, path), total in zip(files, kept, strict=True):
        if total > most:
            with contextlib.suppress(OSError):
                path.unlink()


def machine_path(name: str) -> Path | None:
    """Directory below the user's cache for this kind of machine; `None` without a home."""
    try:
        cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    except RuntimeError:
        return None
    return cache / "jaxq" / name / _processor()


def machine_directory(name: str) -> Path | None:
    """Create the directory of `machine_path`; `None` if it is not writable."""
    directory = machine_path(name)
    if directory is None:
        return None
    try:
        directory.mkdir(parents=True, exist_ok=True)
        (directory / "writable").touch()
    except OSError:
        return None
    return directory


def _processor() -> str:
    """Hash of the processor: a program for one may use instructions that another lacks."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        traits = {platform.processor()}
    else:
        traits = {line for line in lines if line.startswith(("model name", "flags", "Features"))}
    return hashlib.sha256("\n".join([platform.machine(), *sorted(traits)]).encode()).hexdigest()[:16]
