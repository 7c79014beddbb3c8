"""Env steps per second of environments alone: jaxq's adapter, bare gymnax, gymnasium.

A random policy, nothing learned. What the adapter costs is what its step takes longer than that of the
gymnax environment inside it, both in one process and in turn; gymnasium's get processes of their own.
Compilation is left out, and the median of the repeats reported.

    python benchmarks/environments.py [--repeats 5] [--write]
"""

import sys
from typing import NamedTuple

from peer_venvs import measure
from report import option_parser, report, spread, versions

# Environments side by side, and steps of each; gymnasium does as many in all, up to its limit.
CASES = {16: 100_000, 256: 20_000, 4_096: 2_000}
GYMNASIUM_STEPS = 100_000


class Peer(NamedTuple):
    """Who steps environments: its script, what that is told, the environments that it has.

    Of what the script prints, `columns` has the names in the table.
    """

    script: str
    kind: tuple[str, ...]
    environments: tuple[str, ...]
    columns: dict[str, str]


ENVIRONMENTS = ("CartPole-v1", "Acrobot-v1", "Breakout-MinAtar", "Incident-v0")
ADAPTER, BARE = "jaxq's adapter", "bare gymnax"
ONE_BY_ONE, VECTORIZED = "gymnasium, one by one", "gymnasium, vectorized"
GYMNASIUM = "gymnasium_steps.py"
PEERS = (
    # Both in one process: with few environments one process may be twice as fast as the next.
    Peer("gymnax_steps.py", (), ENVIRONMENTS, {"adapter": ADAPTER, "bare": BARE}),
    Peer(GYMNASIUM, ("sync",), ENVIRONMENTS[:2], {"steps_per_second": ONE_BY_ONE}),
    Peer(GYMNASIUM, ("vector_entry_point",), ENVIRONMENTS[:1], {"steps_per_second": VECTORIZED}),
)
COLUMNS = [column for peer in PEERS for column in peer.columns.values()]


def measure_all(environment: str, count: int, steps: int, repeats: int) -> dict[str, list[float]]:
    """Measure all peers that have the environment, in turn."""
    peers = [peer for peer in PEERS if environment in peer.environments]
    results: dict[str, list[float]] = {column: [] for peer in peers for column in peer.columns.values()}
    for _ in range(repeats):
        for script, kind, _, columns in peers:
            each = max(min(steps, GYMNASIUM_STEPS // count), 1) if script == GYMNASIUM else steps
            measured = measure(sys.executable, script, *kind, environment, count, each)
            for name, column in columns.items():
                results[column].append(measured[name])
        rates = ", ".join(f"{name} {values[-1]:,.0f}" for name, values in results.items())
        print(f"{environment}, {count} environments: {rates}", flush=True)
    return results


def row(environment: str, count: int, results: dict[str, list[float]]) -> str:
    pairs = zip(results[BARE], results[ADAPTER], strict=True)
    costs = [bare / adapter - 1 for bare, adapter in pairs]
    cells = [spread(results[name]) if name in results else "" for name in COLUMNS]
    return f"| {environment} | {count:,} | " + " | ".join(cells) + f" | {spread(costs, '+.1%')} |"


def main() -> None:
    options = option_parser(__doc__, repeats=5, tiny=True).parse_args()
    table = [
        "| | environments | " + " | ".join(COLUMNS) + " | what the adapter costs |",
        "| --- | ---: |" + " ---: |" * (len(COLUMNS) + 1),
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
        "how much longer a step takes with it, in the same process, in which the two are run in turn.",
        "gymnasium's, in processes of their own, are stepped one by one in Python",
        "(SyncVectorEnv), or by the environment's own version in numpy, which only CartPole has.",
        f"Median of {options.repeats} processes; smallest and largest in brackets.",
    ]
    measured_with = [versions("jaxq", "jax", "gymnax", "gymnasium", "numpy")]
    report(__file__, "Environments", method, measured_with, table, options.write)


if __name__ == "__main__":
    main()
