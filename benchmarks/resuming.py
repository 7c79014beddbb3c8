"""What checkpoints cost: their size, the pause of each, and their share of the time of training.

python benchmarks/resuming.py [--agents 256] [--repeats 3] [--write]
"""

import statistics
import tempfile
import time
from pathlib import Path

import jax
import numpy as np
from report import option_parser, report, spread, versions

import jaxq
from jaxq.callbacks import Run
from jaxq.experiment.checkpoints import Checkpoints
from jaxq.experiment.impossible_values import DivergenceMonitor
from jaxq.experiment.plan import prepare
from jaxq.experiment.runner import begin, train
from jaxq.progress import Progress
from jaxq.storage.machine_cache import enable_compilation_cache


def run(plan: object, directory: Path | None) -> tuple[float, list[float]]:
    """Train as the command line does, with checkpoints or without; seconds, and those of each pause."""
    pauses: list[float] = []
    checkpoints = None if directory is None else Checkpoints(directory)

    class Saving(jaxq.Callback):
        segments = 0

        def on_segment(self, run: Run, progress: Progress) -> None:
            self.segments += 1
            if checkpoints is not None and self.segments % plan.config.checkpoint_segments == 0:
                began = time.perf_counter()
                failed = checkpoints.save(run.state, run.steps, 0.0, progress.facts())
                pauses.append(time.perf_counter() - began)
                assert failed is None, failed

    monitor, state = DivergenceMonitor(plan.population), begin(plan)
    what = plan.config, Path(), plan.population, state
    train(Run(*what), [monitor])  # compiles
    run = Run(*what)
    began = time.perf_counter()
    train(run, [monitor, Saving()])
    jax.block_until_ready(run.state)
    seconds = time.perf_counter() - began
    if checkpoints is not None:
        assert checkpoints.close() is None
    return seconds, pauses


def main() -> None:
    parser = option_parser(__doc__, repeats=3)
    parser.add_argument("--agents", type=int, default=256)
    parser.add_argument("--steps", type=int, default=10_000)
    options = parser.parse_args()
    enable_compilation_cache()
    plan = prepare(jaxq.configure("CartPole-v1", agents=options.agents, steps=options.steps))
    without, with_, pauses, sizes, restores = [], [], [], [], []
    for _ in range(options.repeats):
        without.append(run(plan, None)[0])
        with tempfile.TemporaryDirectory() as directory:
            seconds, each = run(plan, Path(directory))
            with_.append(seconds)
            pauses += each
            newest = max(Path(directory).iterdir())
            sizes.append(sum(path.stat().st_size for path in newest.rglob("*") if path.is_file()))
            began = time.perf_counter()
            saved = Checkpoints(Path(directory)).restore(plan.population.template)
            jax.block_until_ready(saved.state)
            restores.append(time.perf_counter() - began)
    share = sum(pauses) / options.repeats / statistics.median(with_)
    longer = statistics.median(with_) / statistics.median(without) - 1
    table = [
        "| | |",
        "| --- | ---: |",
        f"| state in memory | {plan.population.memory().total / 1e6:,.0f} MB |",
        f"| a checkpoint on disk | {np.median(sizes) / 1e6:,.1f} MB |",
        f"| checkpoints in a run | {len(pauses) // options.repeats} |",
        f"| pause for each | {spread([1e3 * pause for pause in pauses], '.1f')} ms |",
        f"| pauses, of the time of training | {100 * share:.1f}% |",
        f"| training with checkpoints, seconds | {spread(with_, '.2f')} |",
        f"| training without, seconds | {spread(without, '.2f')} |",
        f"| longer with them by | {100 * longer:.1f}% |",
        f"| reading one back, checksums included, seconds | {spread(restores, '.2f')} |",
    ]
    method = [
        f"{options.agents} agents of DQN on CartPole-v1 with its preset, {options.steps:,} env steps",
        "each, segments and checkpoints as the command line has them. A pause is the time until",
        "training goes on; the rest is written beside it, on the same cores.",
        f"Median of {options.repeats} runs, with and without in turn, smallest and largest in brackets.",
    ]
    measured_with = [versions("jaxq", "jax", "orbax-checkpoint")]
    report(__file__, "Checkpoints", method, measured_with, table, options.write)


if __name__ == "__main__":
    main()
