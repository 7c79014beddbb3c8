"""What a figure was measured on: printed beside every result."""

import os
import platform
from importlib import metadata
from pathlib import Path


def processor() -> str:
    """Name the processor and count the cores that this process may use."""
    names = [
        line.partition(":")[2].strip()
        for line in Path("/proc/cpuinfo").read_text().splitlines()
        if line.startswith("model name")
    ]
    return f"{names[0] if names else platform.processor()}, {len(os.sched_getaffinity(0))} cores"


def versions(*packages: str) -> str:
    """List packages with the versions installed beside this script."""
    return ", ".join(f"{package} {metadata.version(package)}" for package in packages)
