"""Env steps per second, training included, against rejax with the same hyperparameters.

CartPole-v1, MLP 64x64, 10 environments, batch 128, one update per 10 env steps, buffer 10,000. rejax
needs an older gymnax, so it gets a virtual environment of its own. The two are run in turn, each in a
process of its own, compilation left out; the median of the repeats is reported. A second table sets the
gradient steps of a larger network against a large matrix product.

    python benchmarks/throughput.py [--repeats 3] [--peer-venv DIR] [--write]
"""

import statistics
import sys
from pathlib import Path
from typing import Any

from limits import FLOPS_METHOD, iteration_flops, update_flops
from peer_venvs import measure, python_of, versions_of
from report import option_parser, report, spread, versions

# Agents, and env steps of each; rejax gets as many, so that both share the part that is warm-up.
CASES = {1: 200_000, 16: 50_000, 256: 10_000, 1_024: 3_000}
WARMUP, NUM_ENVS, BATCH_SIZE = 1_000, 10, 128

# The larger network: agents, its widths, and env steps of each agent by env steps per update. With ten
# updates in the place of one, all else being the same, nine times an update is the difference.
AGENTS, WIDTHS = 256, (4, 120, 84, 2)
SPARSE, DENSE = 10, 1
UPDATE_STEPS = {SPARSE: 5_000, DENSE: 2_000}


def ours(agents: int, steps: int, *options: Any) -> dict[str, Any]:
    measured = measure(sys.executable, "jaxq_dqn.py", agents, steps, *options)
    names = "steps_per_second", "training_steps_per_second"
    return {name: measured[name][0] for name in names}


def against_rejax(python: Path, cases: dict[int, int], repeats: int) -> list[str]:
    """Measure all cases, and write them as a table."""
    lines = [
        "| agents | env steps each | of these warm-up | jaxq | rejax | ratio | jaxq without warm-up |",
        "| ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for agents, steps in cases.items():
        jaxq, alone, rejax = [], [], []
        for _ in range(repeats):
            measured = ours(agents, steps)
            jaxq.append(measured["steps_per_second"])
            alone.append(measured["training_steps_per_second"])
            rejax.append(measure(python, "rejax_dqn.py", agents, steps)["steps_per_second"][0])
            print(f"{agents} agents: jaxq {jaxq[-1]:,.0f}, rejax {rejax[-1]:,.0f}", flush=True)
        ratio = statistics.median(jaxq) / statistics.median(rejax)
        lines.append(
            f"| {agents:,} | {steps:,} | {WARMUP / steps:.1%} | {spread(jaxq)} | {spread(rejax)} "
            f"| {ratio:.1f} | {spread(alone)} |"
        )
    return lines


def update_rates(agents: int, steps: dict[int, int], repeats: int) -> list[str]:
    """Measure how fast the larger network learns, and write it as a table."""
    hidden = "x".join(map(str, WIDTHS[1:-1]))
    rates: dict[str, list[float]] = {name: [] for name in ("steps", "training", "update", "product")}
    for _ in range(repeats):
        rates["product"].append(measure(sys.executable, "machine.py")["flops_per_second"])
        iterations = {}
        for interval in SPARSE, DENSE:
            options = "--hidden", *WIDTHS[1:-1], "--train-interval", interval
            measured = ours(agents, steps[interval], *options)
            iterations[interval] = measured["training_steps_per_second"] / NUM_ENVS
            if interval == SPARSE:
                rates["steps"].append(measured["steps_per_second"])
        more = NUM_ENVS // DENSE - NUM_ENVS // SPARSE
        update = (1 / iterations[DENSE] - 1 / iterations[SPARSE]) / more
        rates["training"].append(iterations[SPARSE] * iteration_flops(WIDTHS, BATCH_SIZE, NUM_ENVS))
        rates["update"].append(update_flops(WIDTHS, BATCH_SIZE) / update)
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
    parser.add_argument("--peer-venv", type=Path)
    options = parser.parse_args()
    python = python_of("rejax", options.peer_venv)
    cases = {2: 3_000} if options.tiny else CASES
    agents, steps = (2, {SPARSE: 2_000, DENSE: 2_000}) if options.tiny else (AGENTS, UPDATE_STEPS)
    table = [
        *against_rejax(python, cases, options.repeats),
        "",
        "## The gradient step of a larger network",
        "",
        *update_rates(agents, steps, options.repeats),
    ]
    method = [
        "Env steps of all agents per second, training and warm-up included, compilation left out.",
        "CartPole-v1, MLP 64x64, 10 environments, batch 128, one update per 10 env steps,",
        "buffer 10,000. During the warm-up jaxq does not learn; rejax, mapped over agents, works out",
        "updates all the same, and throws them away.",
        f"Median of {options.repeats} runs, jaxq and rejax in turn; smallest and largest in brackets.",
        "",
        *FLOPS_METHOD,
        "The time of a gradient step, sampling, Adam and target network included, is a ninth of what an",
        "iteration with ten of them takes longer than one with a single one. Whole training is the",
        "iteration with one, and its operations those of the update and of choosing ten actions.",
        "The large matrix product is float32, 4,096 x 4,096, on all threads, measured in the same run.",
        "",
    ]
    measured_with = [
        f"jaxq: {versions('jaxq', 'jax', 'flax', 'gymnax')}",
        f"rejax: {versions_of(python, 'rejax', 'jax', 'flax', 'gymnax')}",
    ]
    report(__file__, "Throughput", method, measured_with, table, options.write)


if __name__ == "__main__":
    main()
