"""Env steps per second, training included, against rejax and PureJaxRL with the same hyperparameters.

CartPole-v1, 10 environments, batch 128, one update per 10 env steps, buffer 10,000; MLP 64x64 beside
rejax, and 120x84 beside PureJaxRL. They need an older gymnax, so they get virtual environments of their
own. All are run in turn, each in a process of its own, compilation left out; the median of the repeats
is reported. Another table sets gradient steps against a large matrix product. `--isa AVX2` measures as
on a processor without wider vectors.

    python benchmarks/throughput.py [--repeats 3] [--purejaxrl DIR] [--isa AVX2] [--write]
"""

import os
import statistics
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from limits import FLOPS_METHOD, iteration_flops, update_flops
from peer_venvs import measure, python_of, versions_of
from report import option_parser, report, spread, versions

# Agents, and env steps of each; rejax gets as many, so that both share the part that is warm-up.
CASES = {1: 200_000, 16: 50_000, 256: 10_000, 1_024: 3_000}
WARMUP, NUM_ENVS, BATCH_SIZE = 1_000, 10, 128

# The gradient step: agents, their widths, and env steps of each agent by env steps per update. With ten
# updates in the place of one, all else being the same, nine times an update is the difference.
AGENTS, NETWORKS = 256, ((4, 64, 64, 2), (4, 120, 84, 2))
SPARSE, DENSE = 10, 1
UPDATE_STEPS = {SPARSE: 5_000, DENSE: 2_000}


def ours(agents: int, steps: int, *options: Any) -> dict[str, Any]:
    measured = measure(sys.executable, "jaxq_dqn.py", agents, steps, *options)
    names = "steps_per_second", "training_steps_per_second"
    return {name: measured[name][0] for name in names}


def against(
    peer: str, theirs: Callable, widths: tuple[int, ...], cases: dict[int, int], repeats: int
) -> list[str]:
    """Measure all cases, and write them as a table.

    Args:
        peer: Its name.
        theirs: Measures it, for a number of agents and of env steps of each.
        widths: Of the hidden layers.
        cases: Env steps of each agent, by the number of agents.
        repeats: How often to measure.
    """
    lines = [
        f"| agents | env steps each | of these warm-up | jaxq | {peer} | ratio | jaxq without warm-up |",
        "| ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for agents, steps in cases.items():
        jaxq, alone, others = [], [], []
        for _ in range(repeats):
            measured = ours(agents, steps, "--hidden", *widths)
            jaxq.append(measured["steps_per_second"])
            alone.append(measured["training_steps_per_second"])
            others.append(theirs(agents, steps)["steps_per_second"][0])
            print(f"{agents} agents: jaxq {jaxq[-1]:,.0f}, {peer} {others[-1]:,.0f}", flush=True)
        ratio = statistics.median(jaxq) / statistics.median(others)
        lines.append(
            f"| {agents:,} | {steps:,} | {WARMUP / steps:.1%} | {spread(jaxq)} | {spread(others)} "
            f"| {ratio:.1f} | {spread(alone)} |"
        )
    return lines


def update_rates(widths: tuple[int, ...], agents: int, steps: dict[int, int], repeats: int) -> list[str]:
    """Measure how fast a network learns, and write it as a table."""
    hidden = "x".join(map(str, widths[1:-1]))
    rates: dict[str, list[float]] = {name: [] for name in ("steps", "training", "update", "product")}
    for _ in range(repeats):
        rates["product"].append(measure(sys.executable, "machine.py")["flops_per_second"])
        iterations = {}
        for interval in SPARSE, DENSE:
            options = "--hidden", *widths[1:-1], "--train-interval", interval
            measured = ours(agents, steps[interval], *options)
            iterations[interval] = measured["training_steps_per_second"] / NUM_ENVS
            if interval == SPARSE:
                rates["steps"].append(measured["steps_per_second"])
        more = NUM_ENVS // DENSE - NUM_ENVS // SPARSE
        update = (1 / iterations[DENSE] - 1 / iterations[SPARSE]) / more
        rates["training"].append(iterations[SPARSE] * iteration_flops(widths, BATCH_SIZE, NUM_ENVS))
        rates["update"].append(update_flops(widths, BATCH_SIZE) / update)
        print(f"MLP {hidden}: " + ", ".join(f"{k} {v[-1]:,.4g}" for k, v in rates.items()), flush=True)
    product = statistics.median(rates["product"])
    giga = {name: [value / 1e9 for value in values] for name, values in rates.items()}
    lines = [
        f"MLP {hidden}, {agents} agents: {spread(rates['steps'])} env steps/s, warm-up included.",
        "",
        "| | GFLOP/s | share of a large matrix product |",
        "| --- | ---: | ---: |",
    ]
    names = {"product": "large matrix product", "update": "gradient step", "training": "whole training"}
    for name, words in names.items():
        share = statistics.median(rates[name]) / product
        lines.append(f"| {words} | {spread(giga[name], '.1f')} | {share:.0%} |")
    return lines


def main() -> None:
    parser = option_parser(__doc__, repeats=3, tiny=True)
    parser.add_argument("--peer-venv", type=Path, help="where rejax is")
    parser.add_argument("--purejaxrl", type=Path, help="a clone of PureJaxRL, to measure that too")
    parser.add_argument("--isa", help="the widest vectors that XLA may use, such as AVX2")
    options = parser.parse_args()
    if options.isa:
        flags = os.environ.get("XLA_FLAGS", ""), f"--xla_cpu_max_isa={options.isa}"
        os.environ["XLA_FLAGS"] = " ".join(flags).strip()  # of all processes that measure
    rejax = python_of("rejax", options.peer_venv)
    cases = {2: 3_000} if options.tiny else CASES
    agents, steps = (2, {SPARSE: 2_000, DENSE: 2_000}) if options.tiny else (AGENTS, UPDATE_STEPS)
    table = against("rejax", partial(measure, rejax, "rejax_dqn.py"), (64, 64), cases, options.repeats)
    measured_with = [
        f"jaxq: {versions('jaxq', 'jax', 'flax', 'gymnax')}",
        f"rejax: {versions_of(rejax, 'rejax', 'jax', 'flax', 'gymnax')}",
    ]
    if options.purejaxrl:
        python = python_of("purejaxrl")

        def theirs(agents: int, steps: int) -> dict[str, Any]:
            return measure(python, "purejaxrl_dqn.py", agents, steps, "--checkout", options.purejaxrl)

        found = theirs(2, 2_000)
        measured_with.append(
            f"PureJaxRL: commit {found['commit'][:10]}, {versions_of(python, 'jax', 'flax', 'gymnax')}; "
            f"patched: {', '.join(found['patched']) or 'nothing'}"
        )
        table += ["", "## MLP 120x84", ""]
        table += against("PureJaxRL", theirs, (120, 84), cases, options.repeats)
    table += ["", "## Gradient steps", ""]
    for widths in NETWORKS:
        table += [*update_rates(widths, agents, steps, options.repeats), ""]
    if options.isa:
        measured_with.append(f"XLA on the CPU: no wider vectors than {options.isa}, for all of them")
    variant = f"--isa {options.isa}" if options.isa else ""
    report(__file__, "Throughput", METHOD, measured_with, table[:-1], options.write, variant)


METHOD = [
    "Env steps of all agents per second, training and warm-up included, compilation left out.",
    "CartPole-v1, 10 environments, batch 128, one update per 10 env steps, buffer 10,000; the first",
    "table with an MLP of 64x64. During the warm-up jaxq does not learn; rejax, mapped over agents,",
    "works out updates all the same, and throws them away. Peers are run in turn with jaxq, several",
    "times; medians, smallest and largest in brackets.",
    "",
    *FLOPS_METHOD,
    "The time of a gradient step, sampling, Adam and target network included, is a ninth of what an",
    "iteration with ten of them takes longer than one with a single one. Whole training is the",
    "iteration with one, and its operations those of the update and of choosing ten actions.",
    "The large matrix product is float32, 4,096 x 4,096, on all threads, measured in the same run.",
    "",
]


if __name__ == "__main__":
    main()
