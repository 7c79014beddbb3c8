"""Env steps per second of environments alone: jaxq's adapter, bare gymnax, gymnasium.

A random policy, nothing learned. What the adapter costs is what its step takes longer than that of the
gymnax environment inside it. All are run in turn, each in a process of its own, compilation left out;
the median of the repeats is reported.

    python benchmarks/environments.py [--repeats 5] [--write]
"""

import statistics
import sys
from typing import NamedTuple

from peer_venvs import measure
from report import option_parser, report, spread, versions

# Environments side by side, and steps of each; gymnasium does as many in all, up to its limit.
CASES = {16: 100_000, 256: 20_000, 4_096: 2_000}
GYMNASIUM_STEPS = 100_000


class Peer(NamedTuple):
    """Who steps environments: its script, what it is told, and the environments it has."""

    script: str
    kind: str
    environments: tuple[str, ...]


ENVIRONMENTS = ("CartPole-v1", "Acrobot-v1", "Breakout-MinAtar")
ADAPTER, BARE = "jaxq's adapter", "bare gymnax"
PEERS = {
    ADAPTER: Peer("gymnax_steps.py", "adapter", ENVIRONMENTS),
    BARE: Peer("gymnax_steps.py", "bare", ENVIRONMENTS),
    "gymnasium, one by one": Peer("gymnasium_steps.py", "sync", ENVIRONMENTS[:2]),
    "gymnasium, vectorized": Peer("gymnasium_steps.py", "vector_entry_point", ENVIRONMENTS[:1]),
}


def measure_all(environment: str, count: int, steps: int, repeats: int) -> dict[str, list[float]]:
    """Measure all peers that have the environment, in turn."""
    peers = {name: peer for name, peer in PEERS.items() if environment in peer.environments}
    results: dict[str, list[float]] = {name: [] for name in peers}
    for _ in range(repeats):
        for name, (script, kind, _) in peers.items():
            slow = script == "gymnasium_steps.py"
            each = max(min(steps, GYMNASIUM_STEPS // count), 1) if slow else steps
            measured = measure(sys.executable, script, kind, environment, count, each)
            results[name].append(measured["steps_per_second"])
        rates = ", ".join(f"{name} {values[-1]:,.0f}" for name, values in results.items())
        print(f"{environment}, {count} environments: {rates}", flush=True)
    return results


def row(environment: str, count: int, results: dict[str, list[float]]) -> str:
    medians = {name: statistics.median(values) for name, values in results.items()}
    cost = medians[BARE] / medians[ADAPTER] - 1
    cells = [spread(results[name]) if name in results else "" for name in PEERS]
    return f"| {environment} | {count:,} | " + " | ".join(cells) + f" | {cost:+.1%} |"


def main() -> None:
    options = option_parser(__doc__, repeats=5, tiny=True).parse_args()
    table = [
        "| | environments | " + " | ".join(PEERS) + " | what the adapter costs |",
        "| --- | ---: |" + " ---: |" * (len(PEERS) + 1),
    ]
    for environment in ENVIRONMENTS:
        for count, steps in CASES.items():
            steps = 100 if options.tiny else steps
            results = measure_all(environment, count, steps, options.repeats)
            table.append(row(environment, count, results))
    method = [
        "Env steps of all environments per second under a random policy, compilation left out.",
        "The adapter and bare gymnax are stepped by the same program, one `jax.vmap` in one `lax.scan`,",
        "which keeps state, observation, reward, both flags and the observation before the reset; the",
        "adapter keeps Breakout's board as bool, where gymnax has float32. What the adapter costs is",
        "how much longer a step takes with it. gymnasium's are stepped one by one in Python",
        "(SyncVectorEnv), or by the environment's own version in numpy, which only CartPole has.",
        f"Median of {options.repeats} runs in turn, each in a process of its own; smallest and largest",
        "in brackets. With few environments a step takes microseconds, and a process comes to one of",
        "two speeds, with the adapter or without; their medians say little there.",
    ]
    measured_with = [versions("jaxq", "jax", "gymnax", "gymnasium", "numpy")]
    report(__file__, "Environments", method, measured_with, table, options.write)


if __name__ == "__main__":
    main()
