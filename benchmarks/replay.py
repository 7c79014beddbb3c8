"""Replays against flashbax: time of a call, and memory.

Of each agent ten environments add one step each, and a batch of 128 is drawn; where draws are
prioritized, the priorities of the batch are set too. Ours and flashbax run the same loop in turn, each
in a process of its own, compilation left out; the median of the repeats is reported.

    python benchmarks/replay.py [--repeats 3] [--peer-venv DIR] [--write]
"""

import itertools
import statistics
import sys
from pathlib import Path

from peer_venvs import measure, python_of, versions_of
from report import option_parser, report, spread, versions

CAPACITIES = (10_000, 100_000)
OBSERVATIONS = {"CartPole": "float32 [4]", "MinAtar": "bool [10, 10, 4]"}
# Agents side by side, and calls that are timed.
CALLS = {1: 5_000, 16: 500}
OURS, THEIRS = "jaxq", "flashbax"
# Draws, and what of each peer makes them.
KINDS = {
    "uniform": {(OURS, "uniform"), (THEIRS, "flat"), (THEIRS, "item")},
    "prioritized": {(OURS, "prioritized"), (THEIRS, "prioritized")},
}
SCRIPTS = {OURS: "jaxq_replay.py", THEIRS: "flashbax_replay.py"}

Measured = dict[tuple[str, str], list[dict]]


def measure_all(python: Path, peers: set, case: tuple, repeats: int) -> Measured:
    """Measure the peers of a case in turn."""
    interpreters = {OURS: sys.executable, THEIRS: python}
    results: Measured = {peer: [] for peer in sorted(peers)[::-1]}
    for _ in range(repeats):
        for name, kind in results:
            measured = measure(interpreters[name], SCRIPTS[name], kind, *case)
            results[name, kind].append(measured)
            numbers = ", ".join(f"{key} {value:,.1f}" for key, value in measured.items())
            print(f"{name} {kind} {' '.join(map(str, case))}: {numbers}", flush=True)
    return results


def rows(case: tuple, results: Measured) -> list[str]:
    observation, capacity, agents, _ = case
    ours = next(repeats for (name, _), repeats in results.items() if name == OURS)
    lines = []
    for (name, kind), repeats in results.items():
        adding, step = ([measured[part] for measured in repeats] for part in ("add", "step"))
        ratio = statistics.median(step) / statistics.median(measured["step"] for measured in ours)
        cells = [
            OBSERVATIONS[observation],
            f"{capacity:,}",
            str(agents),
            f"{name}, {kind}",
            spread(adding, ",.1f"),
            spread(step, ",.1f"),
            f"{ratio:.1f}",
            f"{repeats[0]['bytes'] / 2**20:,.2f}",
        ]
        lines.append("| " + " | ".join(cells) + " |")
    return lines


def main() -> None:
    parser = option_parser(__doc__, repeats=3, tiny=True)
    parser.add_argument("--peer-venv", type=Path)
    options = parser.parse_args()
    python = python_of(THEIRS, options.peer_venv)
    capacities, calls = ((1_000,), {1: 20, 2: 20}) if options.tiny else (CAPACITIES, CALLS)
    table: list[str] = []
    for draws, peers in KINDS.items():
        table += [
            f"## {draws.capitalize()} draws",
            "",
            "| observation | capacity | agents | | adding, us | adding and learning, us "
            "| times jaxq | MiB per agent |",
            "| --- | ---: | ---: | --- | ---: | ---: | ---: | ---: |",
        ]
        for observation, capacity, agents in itertools.product(OBSERVATIONS, capacities, calls):
            case = observation, capacity, agents, calls[agents]
            table += rows(case, measure_all(python, peers, case, options.repeats))
        table.append("")
    method = [
        "Microseconds of one call for all agents side by side, in a `lax.fori_loop` whose carry is the",
        "memory and the last batch, after the memory has been filled. Adding is a step of ten",
        "environments; learning is to draw a batch of 128 and, where draws are prioritized, to work out",
        "its weights and to set its priorities. Both are given the same rows and as many calls, with",
        "JAX's default threads. flashbax's flat buffers keep each observation once, and take the next",
        "one for what a step led to, also where an episode was cut off; its item buffer keeps what a",
        "step led to beside it. jaxq keeps observations once, those in which an episode was cut off",
        "besides, and booleans as bits.",
        f"Median of {options.repeats} processes in turn; smallest and largest in brackets.",
    ]
    measured_with = [
        f"jaxq: {versions('jaxq', 'jax')}",
        f"flashbax: {versions_of(python, 'flashbax', 'jax')}",
    ]
    report(__file__, "Replay", method, measured_with, table[:-1], options.write)


if __name__ == "__main__":
    main()
