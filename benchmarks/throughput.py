"""Env steps per second, training included, against rejax with the same hyperparameters.

CartPole-v1, MLP 64x64, 10 environments, batch 128, one update per 10 env steps, buffer 10,000. rejax
needs an older gymnax, so it gets a virtual environment of its own. The two are run in turn, each in a
process of its own, compilation left out; the median of the repeats is reported.

    python benchmarks/throughput.py [--repeats 3] [--peer-venv DIR] [--write]
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

from report import report, versions

HERE = Path(__file__).parent
# Agents, and env steps of each; rejax gets as many, so that both share the part that is warm-up.
CASES = {1: 200_000, 16: 50_000, 256: 10_000}


def peer_python(directory: Path) -> Path:
    """Return the interpreter of rejax's environment, made if it is not there."""
    python = directory / "bin" / "python"
    if not python.exists():
        venv.create(directory, with_pip=True)
        packages = ["rejax==0.1.3", "gymnax<1", "six"]
        subprocess.run([python, "-m", "pip", "install", "--quiet", *packages], check=True)
    return python


def measure(python: Path | str, script: str, agents: int, steps: int) -> float:
    result = subprocess.run(
        [python, HERE / "peers" / script, str(agents), str(steps)],
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(result.stdout.splitlines()[-1])["steps_per_second"]


def peer_versions(python: Path) -> str:
    show = "from importlib.metadata import version as v; print(*[f'{p} {v(p)}' for p in %r], sep=', ')"
    packages = ["rejax", "jax", "flax", "gymnax"]
    result = subprocess.run([python, "-c", show % packages], capture_output=True, text=True, check=True)
    return result.stdout.strip()


def table(results: dict[int, tuple[list[float], list[float]]]) -> list[str]:
    lines = [
        "| agents | env steps each | jaxq | rejax | ratio |",
        "| ---: | ---: | ---: | ---: | ---: |",
    ]
    for agents, (ours, theirs) in results.items():
        cells = [
            f"{statistics.median(values):,.0f} [{min(values):,.0f}, {max(values):,.0f}]"
            for values in (ours, theirs)
        ]
        ratio = statistics.median(ours) / statistics.median(theirs)
        lines.append(f"| {agents} | {CASES[agents]:,} | {cells[0]} | {cells[1]} | {ratio:.1f} |")
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--peer-venv", type=Path, default=Path(tempfile.gettempdir()) / "jaxq-rejax")
    parser.add_argument("--write", action="store_true", help="write results/throughput.md")
    options = parser.parse_args()
    python = peer_python(options.peer_venv)
    results = {}
    for agents, steps in CASES.items():
        ours, theirs = [], []
        for _ in range(options.repeats):
            ours.append(measure(sys.executable, "jaxq_dqn.py", agents, steps))
            theirs.append(measure(python, "rejax_dqn.py", agents, steps))
            print(f"{agents} agents: jaxq {ours[-1]:,.0f}, rejax {theirs[-1]:,.0f}", flush=True)
        results[agents] = ours, theirs
    method = [
        "Env steps of all agents per second, training and warm-up included, compilation left out.",
        "CartPole-v1, MLP 64x64, 10 environments, batch 128, one update per 10 env steps,",
        "buffer 10,000.",
        f"Median of {options.repeats} runs, jaxq and rejax in turn; smallest and largest in brackets.",
    ]
    measured_with = [
        f"jaxq: {versions('jaxq', 'jax', 'flax', 'gymnax')}",
        f"rejax: {peer_versions(python)}",
    ]
    report(__file__, "Throughput", method, measured_with, table(results), options.write)


if __name__ == "__main__":
    main()
