"""Which code a run came from."""

import subprocess
from importlib import metadata


def code_version() -> dict[str, str]:
    """Return the version of jaxq and, where the current directory is a repository, its commit.

    The commit ends in `-dirty` where files differ from it.
    """
    version = {"jaxq": metadata.version("jaxq")}
    command = "git describe --always --abbrev=40 --dirty --exclude=*"
    try:
        result = subprocess.run(command.split(), capture_output=True, text=True, timeout=10, check=True)
    except (OSError, subprocess.SubprocessError):
        return version
    return {**version, "commit": result.stdout.strip()}
