"""Env steps per second, training included, and compile time, against the number of agents.

CartPole-v1, MLP 64x64, 10 environments, batch 128, one update per 10 env steps, buffer 2,000 so that
4,096 agents fit; against rejax with the same hyperparameters. The two are run in turn, each in a process
of its own; the median of the repeats is reported.

    python benchmarks/scaling.py [--repeats 3] [--peer-venv DIR] [--peer-limit 4096] [--write]
"""

import statistics
import sys
from pathlib import Path

from matplotlib.figure import Figure
from peer_venvs import measure, python_of, versions_of
from report import RESULTS, option_parser, report, spread, versions

# Agents, and env steps of each; rejax gets as many, so that both share the part that is warm-up.
CASES = {1: 200_000, 4: 100_000, 16: 50_000, 64: 20_000, 256: 8_000, 1_024: 2_000, 4_096: 800}
BUFFER_SIZE, WARMUP = 2_000, 100
OURS, THEIRS = "jaxq", "rejax"
SCRIPTS = {OURS: "jaxq_dqn.py", THEIRS: "rejax_dqn.py"}

# Of each case: by peer, what the repeats gave.
Measured = dict[int, dict[str, list[dict]]]


def measure_all(cases: dict[int, int], python: Path, limit: int, repeats: int) -> Measured:
    """Measure both in turn, rejax up to a number of agents."""
    interpreters = {OURS: sys.executable, THEIRS: python}
    options = "--buffer-size", BUFFER_SIZE, "--learning-starts", WARMUP
    results: Measured = {}
    for agents, steps in cases.items():
        peers = [OURS, THEIRS] if agents <= limit else [OURS]
        results[agents] = {peer: [] for peer in peers}
        for _ in range(repeats):
            for peer in peers:
                measured = measure(interpreters[peer], SCRIPTS[peer], agents, steps, *options)
                results[agents][peer].append(measured)
                rate, compiling = measured["steps_per_second"][0], measured["compile_seconds"]
                print(f"{agents} agents: {peer} {rate:,.0f}, compiled in {compiling:.1f} s", flush=True)
    return results


def rates(repeats: list[dict]) -> list[float]:
    return [measured["steps_per_second"][0] for measured in repeats]


def compile_times(repeats: list[dict]) -> list[float]:
    return [measured["compile_seconds"] for measured in repeats]


def table(results: Measured, cases: dict[int, int]) -> list[str]:
    lines = [
        "| agents | env steps each | jaxq, env steps/s | rejax, env steps/s | ratio "
        "| jaxq, compiling, s | rejax, compiling, s |",
        "| ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for agents, peers in results.items():
        ratio, skipped = "", "not run"
        if THEIRS in peers:
            ours, theirs = (statistics.median(rates(peers[peer])) for peer in (OURS, THEIRS))
            ratio = f"{ours / theirs:.1f}"
        speeds, compiling = (
            [spread(of(peers[peer]), digits) if peer in peers else skipped for peer in (OURS, THEIRS)]
            for of, digits in ((rates, ",.0f"), (compile_times, ".1f"))
        )
        cells = [f"{agents:,}", f"{cases[agents]:,}", *speeds, ratio, *compiling]
        lines.append("| " + " | ".join(cells) + " |")
    return lines


def draw(results: Measured) -> Figure:
    """Draw env steps per second over the number of agents, and the time to compile below."""
    figure = Figure(figsize=(7, 6), dpi=150, layout="constrained")
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=(3, 2))
    for peer in OURS, THEIRS:
        measured = {agents: peers[peer] for agents, peers in results.items() if peer in peers}
        for axes, of in ((above, rates), (below, compile_times)):
            values = [of(repeats) for repeats in measured.values()]
            line = axes.plot(list(measured), [statistics.median(x) for x in values], "o-", label=peer)[0]
            low, high = ([end(x) for x in values] for end in (min, max))
            axes.fill_between(list(measured), low, high, color=line.get_color(), alpha=0.2, linewidth=0)
    above.set_xscale("log", base=2)
    above.set_yscale("log")
    above.set_ylabel("env steps/s of all agents,\ntraining included")
    above.legend(frameon=False)
    below.set_ylim(bottom=0)
    below.set_ylabel("compiling, s")
    below.set_xlabel("agents")
    below.set_xticks(list(results), [f"{agents:,}" for agents in results])
    return figure


def main() -> None:
    parser = option_parser(__doc__, repeats=3, tiny=True)
    parser.add_argument("--peer-venv", type=Path)
    parser.add_argument("--peer-limit", type=int, default=4_096, help="run rejax up to so many agents")
    options = parser.parse_args()
    python = python_of(THEIRS, options.peer_venv)
    cases = {1: 1_000, 4: 1_000, 16: 1_000} if options.tiny else CASES
    results = measure_all(cases, python, options.peer_limit, options.repeats)
    method = [
        f"Env steps of all agents per second, training and the warm-up of {WARMUP} env steps included,",
        "compilation left out, and how long compiling took. CartPole-v1, MLP 64x64, 10 environments,",
        f"batch 128, one update per 10 env steps, buffer {BUFFER_SIZE:,}.",
        f"Median of {options.repeats} runs, jaxq and rejax in turn; smallest and largest in brackets.",
        "Compiling: of jaxq, what making the agents and a first short training take longer than doing",
        "them again; of rejax, tracing and compiling alone.",
    ]
    if options.peer_limit < max(cases):
        method.append(f"rejax was not run with more than {options.peer_limit:,} agents.")
    measured_with = [
        f"jaxq: {versions('jaxq', 'jax', 'flax', 'gymnax')}",
        f"rejax: {versions_of(python, 'rejax', 'jax', 'flax', 'gymnax')}",
    ]
    lines = ["![Env steps per second and compile time](scaling.png)", "", *table(results, cases)]
    report(__file__, "Scaling with the number of agents", method, measured_with, lines, options.write)
    if options.write:
        draw(results).savefig(RESULTS / "scaling.png")


if __name__ == "__main__":
    main()
