"""Speed and compile time before and after a change, measured in turn in one run.

The version before is a revision of the repository that this file is in. Every case trains in a process
of its own, the two versions alternately; a ratio above 1 is a gain. Compiled programs are kept nowhere.

    python benchmarks/before_after.py --before REVISION [--cases "DQN 64x64, 16 agents" ...]
        [--repeats 3] [--write]
"""

import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

from peer_venvs import measure
from report import option_parser, report, spread, versions

ROOT = Path(__file__).parents[1]
PACED = {"num_envs": 10, "batch_size": 128, "train_interval": 10, "target_interval": 500}
REPLAY = {"buffer_size": 10_000, "learning_starts": 1_000}


class Case(NamedTuple):
    """What is trained: agents of a recipe in an environment, for some env steps each."""

    env_id: str
    recipe: str
    agents: int
    steps: int
    keywords: dict[str, Any]


def cartpole(recipe: str, agents: int, steps: int, *widths: int) -> Case:
    return Case("CartPole-v1", recipe, agents, steps, {**PACED, **REPLAY, "hidden_sizes": widths})


CASES = {
    "DQN 64x64, 1 agent": cartpole("dqn", 1, 200_000, 64, 64),
    "DQN 64x64, 16 agents": cartpole("dqn", 16, 50_000, 64, 64),
    "DQN 64x64, 256 agents": cartpole("dqn", 256, 5_000, 64, 64),
    "DQN 120x84, 1 agent": cartpole("dqn", 1, 100_000, 120, 84),
    "DQN 120x84, 16 agents": cartpole("dqn", 16, 30_000, 120, 84),
    "DQN 120x84, 256 agents": cartpole("dqn", 256, 3_000, 120, 84),
    "C51, 16 agents": cartpole("c51", 16, 10_000, 64, 64),
    "Rainbow, 16 agents": cartpole("rainbow", 16, 5_000, 64, 64),
    "Breakout, DQN, 4 agents": Case(
        "Breakout-MinAtar", "dqn", 4, 5_000, {**PACED, **REPLAY, "hidden_sizes": (128,)}
    ),
    "Incident, DQN, 16 agents": Case(
        "Incident-v0", "dqn", 16, 20_000, {**PACED, **REPLAY, "hidden_sizes": (64, 64)}
    ),
}


def checked_out(revision: str, directory: str) -> Path:
    """Clone the repository at a revision."""
    subprocess.run(["git", "clone", "--quiet", str(ROOT), directory], check=True)
    checkout = ["git", "-C", directory, "checkout", "--quiet", "--detach", revision]
    subprocess.run(checkout, check=True)
    return Path(directory)


def trained(root: Path, case: Case) -> dict[str, float]:
    """Train a case with the version in a directory."""
    words = case.env_id, case.recipe, case.agents, case.steps, json.dumps(case.keywords)
    return measure(sys.executable, "jaxq_recipe.py", *words, source=root)


def compared(case: Case, before: Path, repeats: int) -> str:
    """Train a case alternately with both versions, and write what came out as the cells of a row."""
    rows = [(trained(before, case), trained(ROOT, case)) for _ in range(repeats)]
    cells = []
    for name, better in (("steps_per_second", 1), ("compile_seconds", -1)):
        old, new = ([pair[side][name] for pair in rows] for side in (0, 1))
        ratio = statistics.median((b / a) ** better for a, b in zip(old, new, strict=True))
        digits = ",.0f" if better == 1 else ",.1f"
        cells += [spread(old, digits), spread(new, digits), f"{ratio:.2f}"]
    return " | ".join(cells)


def main() -> None:
    parser = option_parser(__doc__, repeats=3)
    parser.add_argument("--before", required=True, help="a revision, as git names it")
    parser.add_argument("--cases", nargs="*", choices=CASES, default=list(CASES))
    options = parser.parse_args()
    table = [
        "| case | steps/s before | after | ratio | s to compile before | after | ratio |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    with tempfile.TemporaryDirectory() as directory:
        before = checked_out(options.before, directory)
        for name in options.cases:
            table.append(f"| {name} | {compared(CASES[name], before, options.repeats)} |")
            print(table[-1], flush=True)
    described = subprocess.check_output(
        ["git", "-C", str(ROOT), "log", "-1", "--format=%h, %s", options.before], text=True
    )
    method = [
        f"Before: {described.strip()}.",
        f"Medians of {options.repeats} runs [smallest, largest]; a ratio is the median of the pairs'.",
    ]
    report(
        __file__, "Before and after", method, [versions("jax", "flax", "gymnax")], table, options.write
    )


if __name__ == "__main__":
    main()
