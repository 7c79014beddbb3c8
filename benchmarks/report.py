"""How a benchmark tells its result: with the machine and the versions it was measured on."""

import argparse
import os
import platform
import statistics
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results"


def option_parser(
    doc: str, *, repeats: int | None = None, tiny: bool = False
) -> argparse.ArgumentParser:
    """Make the parser of a benchmark's command line.

    Args:
        doc: The script's docstring, whose first line is shown.
        repeats: How often things are measured unless asked otherwise; `None` for what is measured once.
        tiny: Whether there is a size that only shows whether it works.
    """
    parser = _Parser(description=doc.splitlines()[0])
    parser.add_argument("--write", action="store_true", help="keep the result below results/")
    if repeats is not None:
        parser.add_argument("--repeats", type=int, default=repeats, help="how often to measure")
    if tiny:
        parser.add_argument("--tiny", action="store_true", help="only see whether it works")
    return parser


class _Parser(argparse.ArgumentParser):
    """Reads options, and keeps no result of a size that only shows whether it works."""

    def parse_args(self, *arguments: Any) -> argparse.Namespace:
        options = super().parse_args(*arguments)
        options.write &= not getattr(options, "tiny", False)
        return options


def processor() -> str:
    """Name the processor, its widest vectors, and the cores that this process may use."""
    known = {}
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        name, _, value = line.partition(":")
        known.setdefault(name.strip(), value.strip())
    flags = known.get("flags", "").split()
    vectors = [name for name, flag in {"AVX512": "avx512f", "AVX2": "avx2"}.items() if flag in flags]
    parts = [known.get("model name") or platform.processor(), *vectors[:1]]
    return ", ".join([*parts, f"{len(os.sched_getaffinity(0))} cores"])


def accelerator() -> str:
    """Name the accelerator that JAX computes on; empty where there is none."""
    import jax

    return "" if jax.default_backend() == "cpu" else jax.devices()[0].device_kind


def computes_on() -> str:
    """Name what JAX computes on: the accelerator, or the processor where there is none."""
    return accelerator() or processor()


def versions(*packages: str) -> str:
    """List packages with the versions installed beside this script."""
    return ", ".join(f"{package} {metadata.version(package)}" for package in packages)


def spread(values: Sequence[float], digits: str = ",.0f") -> str:
    """Write the median of repeats, with the smallest and the largest in brackets."""
    median, low, high = (f"{x:{digits}}" for x in (statistics.median(values), min(values), max(values)))
    return f"{median} [{low}, {high}]"


def report(
    script: str,
    title: str,
    method: list[str],
    measured_with: list[str],
    table: list[str],
    write: bool,
    variant: str = "",
) -> None:
    """Print a result, and keep it as `results/NAME.md` if asked.

    Args:
        script: The benchmark's `__file__`, whose name the result gets.
        title: Heading.
        method: Lines that say what was measured and how.
        measured_with: Versions of what was measured.
        table: Lines in Markdown.
        write: Whether to keep it.
        variant: The option that it was made with, such as "--isa AVX2", where it has a file of its own.
    """
    command = f"python benchmarks/{Path(script).name} {variant}".strip()
    name = "_".join([Path(script).stem, *variant.lower().split()[1:]])
    lines = [
        f"# {title}",
        "",
        *method,
        f"Made by `{command} --write`.",
        "",
        *(f"- {line}" for line in [f"machine: {processor()}", *measured_with]),
        "",
        *table,
    ]
    print("\n".join(lines))
    if write:
        (RESULTS / f"{name}.md").write_text("\n".join(lines) + "\n")
