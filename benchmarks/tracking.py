"""What tracking costs: the time of training with every combination of trackers, against none at all.

CartPole-v1 with its preset and the command line's segments. The cases are run in turn, each in a process
of its own; compilation, and what trackers do before the clock starts, are left out. What they still do
when training is over is shown beside it.

    python benchmarks/tracking.py [--agents 32] [--steps 100000] [--repeats 5] [--write]
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from report import option_parser, report, versions

# Trackers, and whether each agent gets a run of its own.
CASES: dict[str, tuple[list[str], bool]] = {
    "no tracker": ([], False),
    "TensorBoard": (["tensorboard"], False),
    "TensorBoard, each agent": (["tensorboard"], True),
    "and wandb, offline": (["tensorboard", "wandb"], False),
    "and MLflow, SQLite": (["tensorboard", "mlflow"], False),
    "and both": (["tensorboard", "wandb", "mlflow"], False),
    "and both, each agent": (["tensorboard", "wandb", "mlflow"], True),
}
ONLY = "--only"


def train(case: str, agents: int, steps: int) -> dict[str, float]:
    """Train once in this process, as `jaxq train` does; seconds of training, and of ending after it."""
    import time

    from jaxq.callbacks import Run
    from jaxq.configuration import configure
    from jaxq.experiment.directory import RunDirectory
    from jaxq.experiment.impossible_values import DivergenceMonitor
    from jaxq.experiment.plan import describe, prepare
    from jaxq.experiment.runner import MetricsWriter, begin
    from jaxq.experiment.runner import train as train_run
    from jaxq.storage.machine_cache import enable_compilation_cache
    from jaxq.tracking import Trackers

    enable_compilation_cache()
    names, each = CASES[case]
    with tempfile.TemporaryDirectory() as temporary:
        plan = prepare(configure("CartPole-v1", agents=agents, steps=steps))
        directory = RunDirectory.create(Path(temporary) / "run")
        trackers = Trackers(names, each)
        if names:
            trackers.start(describe(plan), directory.path, print)
        run = Run(plan.config, directory.path, plan.population, begin(plan))
        train_run(run, [DivergenceMonitor(plan.population), MetricsWriter(directory), trackers])
        ended = time.perf_counter()
        trackers.close()
        return {"training": run.progress.seconds, "ending": time.perf_counter() - ended}


def measure(case: str, options: argparse.Namespace) -> dict[str, float]:
    """Train once in a process of its own."""
    command = [sys.executable, __file__, ONLY, case]
    command += ["--agents", str(options.agents), "--steps", str(options.steps)]
    environment = {**os.environ, "WANDB_MODE": "offline", "DO_NOT_TRACK": "true"}
    environment.pop("MLFLOW_TRACKING_URI", None)
    result = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    return json.loads(result.stdout.splitlines()[-1])


def table(results: dict[str, list[dict[str, float]]]) -> list[str]:
    lines = [
        "| trackers | training, s | cost | after it, s |",
        "| --- | ---: | ---: | ---: |",
    ]
    without = statistics.median(run["training"] for run in results["no tracker"])
    for case, runs in results.items():
        seconds = [run["training"] for run in runs]
        middle = statistics.median(seconds)
        ending = statistics.median(run["ending"] for run in runs)
        spread = f"{middle:.2f} [{min(seconds):.2f}, {max(seconds):.2f}]"
        lines.append(f"| {case} | {spread} | {middle / without - 1:+.1%} | {ending:.2f} |")
    return lines


def main() -> None:
    parser = option_parser(__doc__, repeats=5)
    parser.add_argument("--agents", type=int, default=32)
    parser.add_argument("--steps", type=int, default=100_000)
    parser.add_argument(ONLY, choices=CASES, help="train once and print the seconds")
    options = parser.parse_args()
    if options.only:
        print(json.dumps(train(options.only, options.agents, options.steps)))
        return
    results: dict[str, list[dict[str, float]]] = {case: [] for case in CASES}
    for _ in range(options.repeats):
        for case, runs in results.items():
            runs.append(measure(case, options))
            print(f"{case}: {runs[-1]['training']:.2f} s", flush=True)
    method = [
        f"Seconds of training {options.agents} agents on CartPole-v1 for {options.steps:,} env steps",
        "each, in the command line's 50 segments, each of which is also written to `metrics.jsonl`;",
        "and seconds that trackers take when training is over.",
        f"Median of {options.repeats} runs in turn; smallest and largest in brackets.",
    ]
    measured_with = [versions("jaxq", "jax", "tensorboardX", "wandb", "mlflow-skinny", "sqlalchemy")]
    report(__file__, "Tracking", method, measured_with, table(results), options.write)


if __name__ == "__main__":
    main()
