"""What every recipe costs for its arithmetic: seconds per floating-point operation, beside those of DQN.

    python benchmarks/recipes.py [--agents 16] [--steps 20000] [--recipes dqn c51 ...] [--write]

All train on CartPole-v1 with the same network, environments, batch and update interval, but for what a
recipe is about. Operations are counted in the program of an iteration before it is compiled: 2 for each
multiply-add of a product or convolution, 1 for each element of another operation's result, loops as
often as they turn; only of floating-point results, as keys and indices are none.
"""

import math
import statistics
import time
from typing import Any

import jax
from jax import numpy as jnp
from jax.extend import core
from report import option_parser, report, versions

import jaxq
from jaxq.agents import DEEP

REPEATS = 3
COMMON = {"hidden_sizes": (64, 64), "num_envs": 10, "batch_size": 128, "train_interval": 10}
# What is learned from sequences or windows sets the pace by itself.
OWN_PACE = {
    "pqn": {"hidden_sizes": (64, 64)},
    "r2d2": {"hidden_sizes": (64, 64), "num_envs": 10, "train_interval": 40},
}
REPLAY = {"buffer_size": 10_000, "learning_starts": 1_000}
_MOVES_DATA = {
    "broadcast_in_dim", "reshape", "transpose", "concatenate", "slice", "dynamic_slice", "gather",
    "copy", "dynamic_update_slice", "scatter", "squeeze", "rev", "pad", "select_n", "split", "iota",
    "convert_element_type", "bitcast_convert_type", "optimization_barrier",
}  # fmt: skip


def operations(program: core.Jaxpr) -> int:
    """Count a program's floating-point operations."""
    total = 0
    for equation in program.eqns:
        name, parameters = equation.primitive.name, equation.params
        inner = [operations(part) for part in _programs(parameters)]
        if inner:
            # Of the branches of a condition one is taken; of a loop without a fixed length, one turn.
            total += max(inner) * parameters.get("length", 1) if name != "pjit" else sum(inner)
        elif name == "dot_general":
            (contracted, _), _ = parameters["dimension_numbers"]
            left, result = equation.invars[0].aval.shape, equation.outvars[0].aval.shape
            total += 2 * math.prod(result) * math.prod(left[axis] for axis in contracted)
        elif name not in _MOVES_DATA:
            floats = [x.aval for x in equation.outvars if jnp.issubdtype(x.aval.dtype, jnp.floating)]
            total += sum(math.prod(aval.shape) for aval in floats)
    return total


def _programs(parameters: dict[str, Any]) -> list[core.Jaxpr]:
    found = jax.tree.leaves(
        list(parameters.values()), is_leaf=lambda x: isinstance(x, core.Jaxpr | core.ClosedJaxpr)
    )
    closed = [part.jaxpr for part in found if isinstance(part, core.ClosedJaxpr)]
    return closed + [part for part in found if isinstance(part, core.Jaxpr)]


def measure(name: str, agents: int, steps: int) -> dict[str, float]:
    """Train a population of a recipe, and count what it does."""
    keywords = OWN_PACE.get(name, COMMON) | ({} if name == "pqn" else REPLAY)
    trainer = jaxq.Trainer(jaxq.envs.make("CartPole-v1"), getattr(jaxq, name)(**keywords))
    program = jax.make_jaxpr(trainer.loop.run)(trainer.template, jnp.int32(1))
    counted = operations(program.jaxpr) / trainer.iteration_steps
    population = jaxq.Population(trainer, agents)
    began = time.perf_counter()
    state = jax.block_until_ready(population.init(jax.random.key(0)))
    state, _ = jax.block_until_ready(population.run(state, 1))
    compiled = time.perf_counter() - began
    seconds = []
    for _ in range(REPEATS):
        began = time.perf_counter()
        state, _ = jax.block_until_ready(population.run(state, steps))
        seconds.append((time.perf_counter() - began) / steps / agents)
    return {"operations": counted, "seconds": statistics.median(seconds), "compiling": compiled}


def main() -> None:
    parser = option_parser(__doc__)
    parser.add_argument("--agents", type=int, default=16)
    parser.add_argument("--steps", type=int, default=20_000)
    parser.add_argument("--recipes", nargs="+", default=list(DEEP), choices=list(DEEP))
    options = parser.parse_args()
    names = ["dqn", *(name for name in options.recipes if name != "dqn")]
    rows, dqn = [], 0.0
    for name in names:
        found = measure(name, options.agents, options.steps)
        each = found["seconds"] / found["operations"]
        dqn = dqn or each
        rows.append(
            f"| {name} | {found['operations']:,.0f} | {1 / found['seconds']:,.0f} | "
            f"{1e-9 / each:.1f} | {each / dqn:.2f} | {found['compiling']:.0f} |"
        )
        print(rows[-1], flush=True)
        jax.clear_caches()
    table = [
        "| recipe | operations per env step | env steps/s of all agents | GFLOP/s "
        "| seconds per operation, dqn = 1 | compiling and warm-up, s |",
        "| --- | ---: | ---: | ---: | ---: | ---: |",
        *rows,
    ]
    method = [
        f"{options.agents} agents, median of {REPEATS} runs of {options.steps:,} env steps of each.",
        *__doc__.split("\n\n", 2)[2].strip().splitlines(),
    ]
    measured_with = [versions("jaxq", "jax", "flax", "optax", "gymnax")]
    report(__file__, "What recipes cost", method, measured_with, table, options.write)


if __name__ == "__main__":
    main()
