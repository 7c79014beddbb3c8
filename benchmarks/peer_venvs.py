"""Peers: measured in processes of their own, with versions of their own where they need them."""

import json
import os
import subprocess
import tempfile
import venv
from pathlib import Path
from typing import Any

PEERS = Path(__file__).parent / "peers"
# What each peer is installed from. Where the package index has a build of torch for CPUs, it goes before
# the one for GPUs of the same version.
PACKAGES = {
    "rejax": ["rejax==0.1.3", "gymnax<1", "six"],
    "purejaxrl": ["flashbax==0.1.3", "gymnax<1", "optax", "six"],
    "flashbax": ["flashbax==0.1.3"],
    "stable-baselines3": ["stable-baselines3==2.9.2", "torch==2.13.0"],
    "sbx": ["sbx-rl==0.28.0", "torch==2.13.0"],
}


def python_of(peer: str, directory: Path | None = None) -> Path:
    """Return the interpreter of a peer's virtual environment, made if it is not there.

    Args:
        peer: Name in `PACKAGES`.
        directory: Where the virtual environment is; among temporary files if not given.
    """
    directory = directory or Path(tempfile.gettempdir()) / f"jaxq-{peer}"
    python = directory / "bin" / "python"
    if not python.exists():
        venv.create(directory, with_pip=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", *PACKAGES[peer]], check=True)
    return python


def measure(
    python: Path | str, script: str, *arguments: Any, source: Path | None = None
) -> dict[str, Any]:
    """Run a script of `peers/` in a process of its own, and return what its last line says.

    Args:
        python: The interpreter.
        script: Name of the script.
        arguments: What it is told.
        source: A directory whose packages come before those that are installed.

    Raises:
        RuntimeError: If the process fails, with the end of what it said.
    """
    command = [str(part) for part in (python, PEERS / script, *arguments)]
    environment = os.environ if source is None else {**os.environ, "PYTHONPATH": str(source)}
    result = subprocess.run(command, capture_output=True, text=True, env=environment)
    if result.returncode:
        raise RuntimeError(f"{' '.join(command)} failed:\n{result.stderr[-4_000:]}")
    return json.loads(result.stdout.splitlines()[-1])


def versions_of(python: Path, *packages: str) -> str:
    """List packages with the versions that an interpreter has."""
    show = "from importlib.metadata import version as v; print(*[f'{p} {v(p)}' for p in %r], sep=', ')"
    result = subprocess.run(
        [python, "-c", show % (packages,)], capture_output=True, text=True, check=True
    )
    return result.stdout.strip()
