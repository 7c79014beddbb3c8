"""What the compiler makes of a population's training for TPUs and CUDA, without an accelerator.

Programs are compiled ahead of time: for TPUs with `libtpu` beside jaxlib (0.0.42.1 beside jaxlib
0.10.2), for an NVIDIA GPU with `jax[cuda13]`, which needs no GPU for it. Kernels of our own for GPUs
are then left out, as they are made where one is. With `--write`, every case is kept in
`results/accelerator_compile.json` as soon as it is done, so that an interrupted run goes on where it
was; `--fresh` does all again. The cases that matter most come first, and after `--minutes` no further
one is begun; `--targets H100` asks for no TPU.

    python benchmarks/accelerator_compile.py [--targets H100 ...] [--minutes 30] [--fresh] [--write]
"""

import collections
import importlib.metadata
import json
import os
import re
import time
from typing import Any

# There is no device to ask, and no need to try.
os.environ |= {"JAX_PLATFORMS": "cpu", "TPU_SKIP_MDS_QUERY": "1"}

import jax
import jax.numpy as jnp
import numpy as np
from jax.experimental import topologies
from report import RESULTS, option_parser, report, versions

import jaxq
from jaxq.agents import DEEP

V5E, V6E, H100 = "v5e:2x2", "v6e:2x2", "H100"
# What XLA is told of a GPU that is not there, as it describes one that is.
H100_DESCRIPTION = """
platform_name: "CUDA"
device_description_str: "NVIDIA H100 80GB HBM3"
gpu_device_info {
  cuda_compute_capability { major: 9 }
  core_count: 132
  fpus_per_core: 128
  clock_rate_ghz: 1.98
  threads_per_warp: 32
  threads_per_block_limit: 1024
  threads_per_core_limit: 2048
  block_dim_limit_x: 2147483647
  block_dim_limit_y: 65535
  block_dim_limit_z: 65535
  registers_per_core_limit: 65536
  registers_per_block_limit: 65536
  shared_memory_per_core: 233472
  shared_memory_per_block: 49152
  shared_memory_per_block_optin: 232448
  l2_cache_size: 52428800
  memory_bandwidth: 3352320000000
  device_memory_size: 84978434048
}
"""
PROBLEMS = [(env, name) for env in ("Breakout-MinAtar", "CartPole-v1") for name in ("pqn", "dqn")]
AGENTS = (1_024, 4_096, 16_384, 16)
DOES_NOT_FIT = "does not fit"
# Target, environment, recipe and agents; compiling takes as long whatever the number of agents.
CASES = [
    *((V5E, *problem, 1_024) for problem in PROBLEMS),
    *((H100, *problem, 1_024) for problem in PROBLEMS),
    *((H100, "CartPole-v1", name, 1_024) for name in DEEP if name not in ("dqn", "pqn")),
    *((V5E, *problem, agents) for agents in AGENTS[1:] for problem in PROBLEMS),
    *((V6E, *problem, agents) for agents in AGENTS for problem in PROBLEMS),
]
# The package that compiles for a target.
COMPILERS = {V5E: "libtpu", V6E: "libtpu", H100: "jax-cuda13-plugin"}
CELLS = RESULTS / "accelerator_compile.json"
COUNTED = ("fusion", "copy", "while")
COLUMNS = (
    *("target", "environment", "recipe", "agents", "chunk", "lowering, s", "compiling, s", "code, MiB"),
    *("arguments and results, GiB", "temporaries, GiB", "estimate, GiB", "taken / estimate"),
    *("fusions", "copies", "loops"),
)

_COMPUTATION = re.compile(r"^(?:ENTRY )?%([\w.-]+) .*\{$")
_OPERATION = re.compile(r"^\s+(?:ROOT )?%\S+ = .*? ([a-z-]+)\(")
_CALLED = re.compile(r"(?:body|condition|to_apply|calls|computation)=%([\w.-]+)")


def operations_of_an_iteration(program: str) -> dict[str, int]:
    """Count operations in the loop over iterations, each as often as it stands there.

    Args:
        program: A compiled program's text.
    """
    lines: dict[str, list[str]] = collections.defaultdict(list)
    name = ""
    for line in program.splitlines():
        found = _COMPUTATION.match(line)
        name = found[1] if found else name
        lines[name].append(line)
    found = re.search(r"^ENTRY %([\w.-]+)", program, re.MULTILINE)
    counts: collections.Counter = collections.Counter()

    def visit(name: str, depth: int) -> None:
        for line in lines[name]:
            operation = _OPERATION.match(line)
            if operation is None:
                continue
            kind = operation[1].removesuffix("-start")
            # Around it are the walk over the chunks and the loop over blocks of iterations.
            counts[kind] += depth >= 3
            if kind != "fusion":
                for called in _CALLED.findall(line):
                    visit(called, depth + (kind == "while"))

    visit(found[1], 0)
    return {kind: counts[kind] for kind in COUNTED}


def population_on(target: str, environment: str, name: str, agents: int) -> jaxq.Population:
    """Make a population for devices that are not there."""
    trainer = jaxq.Trainer(jaxq.envs.make(environment), getattr(jaxq, name)())
    description = {"platform": "tpu", "topology_name": target}
    if target == H100:
        description = {"platform": "cuda", "topology": "1x1x1", "target_config": H100_DESCRIPTION}
    devices = topologies.get_topology_desc(**description).devices
    return jaxq.Population(trainer, agents, mesh=jax.sharding.Mesh(np.array(devices), ("agents",)))


def measure(target: str, environment: str, name: str, agents: int) -> dict[str, Any]:
    """Lower and compile one population's training."""
    try:
        population = population_on(target, environment, name, agents)
    except jaxq.InputError:
        return {"refused": DOES_NOT_FIT}
    began = time.perf_counter()
    lowered = population._run.lower(population.template, jax.ShapeDtypeStruct((), jnp.int32))
    cell = {"lowering": time.perf_counter() - began, "chunk": population.chunk}
    began = time.perf_counter()
    try:
        compiled = lowered.compile()
    except jax.errors.JaxRuntimeError as error:
        message = str(error).splitlines()[0][:80]
        return cell | {"refused": DOES_NOT_FIT if "RESOURCE_EXHAUSTED" in message else message}
    analysis = compiled.memory_analysis()
    held = analysis.argument_size_in_bytes + analysis.output_size_in_bytes
    return cell | {
        "compiling": time.perf_counter() - began,
        "code": analysis.generated_code_size_in_bytes,
        "held": held - analysis.alias_size_in_bytes,
        "temporaries": analysis.temp_size_in_bytes,
        "estimate": population.memory().total // population.mesh.size,
        **operations_of_an_iteration(compiled.as_text()),
    }


def measure_all(cases: list[tuple], minutes: float, fresh: bool, write: bool) -> dict[str, Any]:
    """Measure all cases, until the time is over."""
    deadline = time.monotonic() + 60 * minutes
    cells = json.loads(CELLS.read_text()) if write and CELLS.exists() and not fresh else {}
    for case in cases:
        label = " ".join(map(str, case))
        if label not in cells and time.monotonic() < deadline:
            cells[label] = measure(*case)
            print(label, cells[label], flush=True)
            if write:
                CELLS.write_text(json.dumps(cells, indent=1) + "\n")
    return cells


def row(case: tuple, cell: dict[str, Any]) -> str:
    target, environment, name, agents = case
    parts = [target, environment, name, f"{agents:,}", f"{cell.get('chunk', '')}"]
    parts += [f"{cell['lowering']:.0f}"] if "lowering" in cell else [""]
    if "refused" in cell:
        parts.append(cell["refused"])
    elif "compiling" in cell:
        held, temporaries, estimate = (cell[key] / 2**30 for key in ("held", "temporaries", "estimate"))
        parts += [f"{cell['compiling']:.0f}", f"{cell['code'] / 2**20:.1f}", f"{held:.2f}"]
        parts += [f"{temporaries:.2f}", f"{estimate:.2f}", f"{(held + temporaries) / estimate:.2f}"]
        parts += [f"{cell[kind]}" for kind in COUNTED]
    parts += [""] * (len(COLUMNS) - len(parts))
    return "| " + " | ".join(parts) + " |"


def main() -> None:
    parser = option_parser(__doc__)
    parser.add_argument("--targets", nargs="+", default=[*COMPILERS], choices=[*COMPILERS])
    parser.add_argument("--minutes", type=float, default=30, help="after which no case is begun")
    parser.add_argument("--fresh", action="store_true", help="do again what was done before")
    options = parser.parse_args()
    compilers = {COMPILERS[target]: None for target in options.targets}
    try:
        measured_with = [versions("jaxq", "jax", "jaxlib", "flax", *compilers)]
    except importlib.metadata.PackageNotFoundError as missing:
        parser.error(f"{missing.name} is not installed; name what can be compiled for by --targets")
    begun = [case for case in CASES if case[0] in options.targets]
    cells = measure_all(begun, options.minutes, options.fresh, options.write)
    done = [(case, cells[label]) for case in CASES if (label := " ".join(map(str, case))) in cells]
    table = [
        "| " + " | ".join(COLUMNS) + " |",
        "|" + " --- |" * 3 + " ---: |" * (len(COLUMNS) - 3),
        *(row(case, cell) for case, cell in done),
    ]
    method = [
        "Training of a population with each recipe's defaults, compiled ahead of time for four TPUs or",
        "one GPU. Seconds are those of a shared machine, and say no more than which takes long. Bytes",
        "are those of one chip, as XLA's analysis has them, and the estimate is that of",
        "`population.memory()`. Fusions, copies and loops are those of one iteration, each counted as",
        "often as it stands in the program. What is not listed was not compiled.",
        "",
    ]
    report(__file__, "Compiled for accelerators", method, measured_with, table, options.write)


if __name__ == "__main__":
    main()
