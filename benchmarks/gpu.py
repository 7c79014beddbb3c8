"""Env steps per second on an accelerator, and what share of its limits that is.

The same DQN as in throughput.py, against a plain `jax.vmap` of one agent's training and against rejax.
Each case runs in a process of its own, which compiles once and trains as often as there are repeats.
With `--write`, every case is kept in `results/gpu.json` as soon as it is measured, so that an
interrupted run goes on where it was; `--fresh` measures again. The cases that matter most come first,
and after `--minutes` no further one is begun. Without a GPU nothing is measured.

    python benchmarks/gpu.py [--repeats 3] [--minutes 7] [--peer-venv DIR] [--fresh] [--write]

rejax is measured if there is a virtual environment for it: one with `rejax==0.1.3`, `gymnax<1`, `six`
and JAX for the accelerator.
"""

import argparse
import json
import statistics
import sys
import time
from pathlib import Path
from typing import Any

from limits import BYTES_METHOD, FLOPS_METHOD, iteration_bytes, iteration_flops
from peer_venvs import measure, versions_of
from report import RESULTS, report, spread, versions

# Agents, and env steps of each, the most telling first.
CASES = {4_096: 10_000, 256: 20_000, 16_384: 4_000, 1: 20_000, 1_024: 20_000, 16: 20_000}
# The others are measured where one size says enough.
COMPARED = (4_096, 256)
WIDTHS, BATCH_SIZE, NUM_ENVS = (4, 64, 64, 2), 128, 10
OURS, PLAIN, THEIRS = "jaxq", "plain vmap", "rejax"
NOT_RUN = "not run: no GPU"
TITLE = "On an accelerator"
CELLS = RESULTS / "gpu.json"

# By program and agents: the repeats, or why there are none.
Cells = dict[str, dict[str, Any]]


def programs(peer: Path | None) -> dict[str, tuple]:
    """Return the interpreter, the script and the options of each program."""
    ours = {
        OURS: (sys.executable, "jaxq_dqn.py"),
        PLAIN: (sys.executable, "jaxq_dqn.py", "--plain-vmap"),
    }
    return ours | {THEIRS: (peer / "bin" / "python", "rejax_dqn.py")} if peer else ours


def measure_case(program: tuple, agents: int, steps: int, repeats: int) -> dict[str, Any]:
    """Measure one program, which may not fit the memory or not run with this JAX."""
    interpreter, script, *options = program
    try:
        return measure(interpreter, script, agents, steps, "--repeats", repeats, *options)
    except RuntimeError as error:
        if "RESOURCE_EXHAUSTED" in str(error):
            return {"refused": "out of memory"}
        print(error, flush=True)
        return {"refused": "failed: " + str(error).splitlines()[-1][:80]}


def measure_all(cases: dict[int, int], options: argparse.Namespace, device: str) -> Cells:
    """Measure all programs, until the time is over."""
    deadline = time.monotonic() + 60 * options.minutes
    kept = json.loads(CELLS.read_text()) if options.write and CELLS.exists() else {}
    cells: Cells = {} if options.fresh or kept.get("device") != device else kept["cells"]
    pairs = [(agents, OURS) for agents in cases]
    others = [name for name in programs(options.peer_venv) if name != OURS]
    pairs[1:1] = [(agents, name) for agents in cases if agents in COMPARED for name in others]
    for agents, name in pairs:
        cell = f"{name} {agents}"
        if cell not in cells:
            if time.monotonic() > deadline:
                print(f"{cell}: not begun after {options.minutes} minutes", flush=True)
                continue
            program = programs(options.peer_venv)[name]
            cells[cell] = measure_case(program, agents, cases[agents], options.repeats)
            if options.write:
                CELLS.write_text(json.dumps({"device": device, "cells": cells}, indent=1) + "\n")
        print(f"{cell}: {said(cells[cell])}", flush=True)
    return cells


def rates(cell: dict[str, Any]) -> list[float]:
    """Return env steps per second; of rejax, whose warm-up does all the work of training, with it."""
    return cell.get("training_steps_per_second") or cell["steps_per_second"]


def said(cell: dict[str, Any]) -> str:
    return cell["refused"] if "refused" in cell else spread(rates(cell))


def table(cells: Cells, machine: dict[str, Any]) -> list[str]:
    """Write rates, their shares of both limits, and ratios."""
    arithmetic = machine["flops_per_second"] / iteration_flops(WIDTHS, BATCH_SIZE, NUM_ENVS) * NUM_ENVS
    memory = machine["bytes_per_second"] / iteration_bytes(WIDTHS, BATCH_SIZE, NUM_ENVS) * NUM_ENVS
    others = [name for name in (PLAIN, THEIRS) if any(cell.startswith(name) for cell in cells)]
    columns = ["agents", OURS, "of the arithmetic limit", "of the memory limit", "compiling, s"]
    columns += [part for name in others for part in (name, f"jaxq / {name}")]
    lines = [
        f"Limits: {arithmetic:,.0f} env steps/s by arithmetic, {memory:,.0f} by memory.",
        "",
        "| " + " | ".join(columns) + " |",
        "|" + " ---: |" * len(columns),
    ]
    for agents in sorted(CASES):
        ours = cells.get(f"{OURS} {agents}")
        if ours is None:
            continue
        row = [f"{agents:,}", said(ours)]
        if "refused" not in ours:
            rate = statistics.median(rates(ours))
            row += [f"{rate / arithmetic:.2%}", f"{rate / memory:.2%}", f"{ours['compile_seconds']:.1f}"]
            for name in others:
                other = cells.get(f"{name} {agents}", {"refused": ""})
                ratio = "" if "refused" in other else f"{rate / statistics.median(rates(other)):.1f}"
                row += [said(other), ratio]
        lines.append("| " + " | ".join(row + [""] * (len(columns) - len(row))) + " |")
    return lines


def tell_not_run(write: bool) -> None:
    """Say that there is nothing to tell, unless there is from a machine that has a GPU."""
    print(NOT_RUN)
    path = RESULTS / "gpu.md"
    if write and path.exists() and NOT_RUN not in path.read_text():
        print(f"{path} is from a machine with a GPU, and is kept")
    elif write:
        method = ["Env steps per second on an accelerator, and what share of its limits that is."]
        report(__file__, TITLE, method, [versions("jaxq", "jax")], [f"**{NOT_RUN}.**"], write)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--minutes", type=float, default=7, help="after which no case is begun")
    parser.add_argument("--peer-venv", type=Path, help="virtual environment of rejax")
    parser.add_argument("--fresh", action="store_true", help="measure again what was measured before")
    parser.add_argument(
        "--allow-cpu", action="store_true", help="run without a GPU, to see that it works"
    )
    parser.add_argument("--tiny", action="store_true", help="only see whether it works")
    parser.add_argument("--write", action="store_true", help="write results/gpu.md")
    options = parser.parse_args()
    if options.write and (options.allow_cpu or options.tiny):
        parser.error("only whole runs on a GPU are kept; leave out --write, or --allow-cpu and --tiny")
    machine = measure(sys.executable, "machine.py", "--size", 256, "--megabytes", 16)
    if machine["backend"] == "cpu" and not options.allow_cpu:
        return tell_not_run(options.write)
    if not options.tiny:
        machine = measure(sys.executable, "machine.py", "--size", 8_192, "--megabytes", 2_048)
    cases = {1: 2_000, 4: 2_000} if options.tiny else CASES
    cells = measure_all(cases, options, machine["device"])
    method = [
        "Env steps of all agents per second. CartPole-v1, MLP 64x64, 10 environments, batch 128, one",
        "update per 10 env steps, buffer 10,000; compilation left out, and of jaxq the warm-up too, in",
        "which it does not learn (rejax, mapped over agents, works out updates all the same).",
        "Plain vmap: `jax.jit(jax.vmap(trainer.run, in_axes=(0, None)))`, each agent with a clock of",
        f"its own. Median of {options.repeats} runs of one process; smallest and largest in brackets.",
        "",
        *FLOPS_METHOD,
        "To these come those of choosing ten actions. Environments are not counted.",
        "",
        *BYTES_METHOD,
        "",
        "The limits are env steps per second at which an iteration's operations would take as long as",
        "at the rate of a large float32 matrix product, at the precision that JAX chooses by itself,",
        "and its bytes as long as at the rate at which large arrays are read and written.",
        "",
    ]
    measured_with = [
        f"accelerator: {machine['device']}, {machine['flops_per_second'] / 1e12:,.2f} TFLOP/s, "
        f"{machine['bytes_per_second'] / 1e9:,.0f} GB/s, both measured in the same run",
        f"jaxq: {versions('jaxq', 'jax', 'flax', 'gymnax')}",
    ]
    if options.peer_venv:
        python = options.peer_venv / "bin" / "python"
        measured_with.append(f"rejax: {versions_of(python, 'rejax', 'jax', 'flax', 'gymnax')}")
    report(__file__, TITLE, method, measured_with, table(cells, machine), options.write)


if __name__ == "__main__":
    main()
