"""Where an accelerator's time goes: the kernels of a population's training, by their share.

Trains once under JAX's profiler, and adds up what each kernel of the device took.

    python benchmarks/kernels.py [--agents 4096] [--steps 2000] [--hidden 64 64] [--top 40]
"""

import argparse
import collections
import gzip
import json
import tempfile
import time
from pathlib import Path

import jax

import jaxq

# A trace holds each kernel twice: on its stream, and on lines that say what it was part of.
STREAM = "Stream"


def kernel_times(trace: Path) -> collections.Counter:
    """Add up microseconds and launches by kernel, `{(name, operation): (us, launches)}`."""
    events = json.loads(gzip.decompress(trace.read_bytes()))["traceEvents"]
    streams = {
        (event["pid"], event["tid"])
        for event in events
        if event.get("name") == "thread_name" and STREAM in event["args"]["name"]
    }
    times: dict[tuple[str, str], list[float]] = collections.defaultdict(lambda: [0.0, 0])
    for event in events:
        if event.get("ph") == "X" and (event["pid"], event["tid"]) in streams:
            total = times[event["name"], event.get("args", {}).get("hlo_op", "")]
            total[0] += event["dur"]
            total[1] += 1
    return times


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--agents", type=int, default=4_096)
    parser.add_argument("--steps", type=int, default=2_000, help="env steps of each agent")
    parser.add_argument("--hidden", type=int, nargs="+", default=[64, 64])
    parser.add_argument("--top", type=int, default=40, help="kernels to list")
    parser.add_argument("--environment", default="CartPole-v1")
    parser.add_argument("--algorithm", default="dqn")
    options = parser.parse_args()
    recipe = getattr(jaxq, options.algorithm)(
        hidden_sizes=tuple(options.hidden),
        num_envs=10,
        batch_size=128,
        train_interval=10,
        buffer_size=10_000,
        learning_starts=1_000,
        target_interval=500,
        loss="squared",
    )
    trainer = jaxq.Trainer(jaxq.envs.make(options.environment), recipe)
    population = jaxq.Population(trainer, options.agents)
    state = population.init(jax.random.key(0))
    state = jax.block_until_ready(population.run(state, 10)[0])
    with tempfile.TemporaryDirectory() as directory:
        with jax.profiler.trace(directory):
            began = time.perf_counter()
            jax.block_until_ready(population.run(state, options.steps))
            seconds = time.perf_counter() - began
        times = kernel_times(next(Path(directory).rglob("*.trace.json.gz")))
    iterations = options.steps / trainer.iteration_steps
    total = sum(microseconds for microseconds, _ in times.values())
    print(f"{options.agents * options.steps / seconds:,.0f} env steps/s while profiled; an iteration")
    print(f"takes {1e6 * seconds / iterations:,.0f} us, of which kernels {total / iterations:,.0f} us")
    print(f"{'us/iteration':>13} {'share':>6} {'launches':>8}  kernel")
    ranked = sorted(times.items(), key=lambda item: -item[1][0])
    for (name, operation), (microseconds, launches) in ranked[: options.top]:
        each, share = microseconds / iterations, microseconds / total
        print(f"{each:13.1f} {share:6.1%} {launches / iterations:8.1f}  {name} {operation}")


if __name__ == "__main__":
    main()
