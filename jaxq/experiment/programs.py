"""What is kept between runs, for this machine: compiled programs, and what was found to be fast."""

import hashlib
import os
import platform
from pathlib import Path

import jax


def keep_programs() -> None:
    """Keep compiled programs below the user's cache directory, unless JAX was given another place.

    What was compiled once starts at once the next time. Without a place to write to, programs are
    compiled anew each time.
    """
    if jax.config.jax_compilation_cache_dir is not None:
        return
    directory = machine_directory("programs")
    if directory is not None:
        jax.config.update("jax_compilation_cache_dir", str(directory))
        # The many small programs around the large ones take seconds together.
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)


def machine_directory(name: str) -> Path | None:
    """Make a directory below the user's cache directory, for this kind of machine alone.

    Returns:
        The directory; `None` if it cannot be written to.
    """
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    directory = cache / "jaxq" / name / _processor()
    try:
        directory.mkdir(parents=True, exist_ok=True)
        (directory / "writable").touch()
    except OSError:
        return None
    return directory


def _processor() -> str:
    """Tell processors apart: a program for one may use instructions that another one lacks."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        traits = {platform.processor()}
    else:
        traits = {line for line in lines if line.startswith(("model name", "flags", "Features"))}
    return hashlib.sha256("\n".join([platform.machine(), *sorted(traits)]).encode()).hexdigest()[:16]
