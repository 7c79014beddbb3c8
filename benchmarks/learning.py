"""Scores of every recipe: interquartile mean over seeds with its 95% bootstrap interval.

    python benchmarks/learning.py [--agents 16] [--recipes dqn c51 ...] [--environments ...] [--write]

Every cell is kept in `results/learning.json` as soon as it is measured, so that an interrupted run goes
on where it was; `--fresh` measures again.
"""

import argparse
import json
from pathlib import Path

import jaxq

jaxq.use_all_cores()

from machine import processor, versions  # noqa: E402
from scores import EPISODES, train  # noqa: E402

from jaxq.algorithms import DEEP  # noqa: E402

RESULTS = Path(__file__).parent / "results"
ENVIRONMENTS = ("CartPole-v1", "Acrobot-v1", "MountainCar-v0", "Catch-bsuite", "DeepSea-bsuite")
# CleanRL after 500,000 env steps: DQN in JAX, C51, PQN.
PUBLISHED = {
    "published DQN": ("498.4", "-88.9", "-188.9"),
    "published C51": ("491", "-87.7", "-166.4"),
    "published PQN": ("495", "-95.6", "-200"),
}


def table(cells: dict[str, dict], recipes: list[str], environments: list[str]) -> list[str]:
    """Write what was measured as a table, and how long it took as another one."""
    header = ["| " + " | ".join(["", *environments]) + " |", "| --- |" + " ---: |" * len(environments)]
    scores, times = list(header), list(header)
    for name, values in PUBLISHED.items():
        shown = dict(zip(ENVIRONMENTS, values, strict=False))
        scores.append(f"| *{name}* | " + " | ".join(shown.get(e, "") for e in environments) + " |")
    for recipe in recipes:
        found = [cells.get(f"{recipe} {environment}", {}) for environment in environments]
        scores.append(f"| {recipe} | " + " | ".join(cell.get("score", "") for cell in found) + " |")
        took = [f"{c['steps']:,} in {c['seconds']:.0f} s" if c else "" for c in found]
        times.append(f"| {recipe} | " + " | ".join(took) + " |")
    return [
        *scores,
        "",
        "Env steps of each agent, and seconds for all of them, compilation left out:",
        "",
        *times,
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--agents", type=int, default=16)
    parser.add_argument("--recipes", nargs="+", default=list(DEEP), choices=list(DEEP))
    parser.add_argument("--environments", nargs="+", default=list(ENVIRONMENTS))
    parser.add_argument("--fresh", action="store_true", help="measure again what was measured before")
    parser.add_argument("--write", action="store_true", help="write results/learning.md")
    options = parser.parse_args()
    path = RESULTS / "learning.json"
    cells = json.loads(path.read_text()) if path.exists() else {}
    for environment in options.environments:
        for recipe in options.recipes:
            name = f"{recipe} {environment}"
            if name not in cells or options.fresh:
                result = train(environment, recipe, options.agents)
                cells[name] = {
                    "score": result.cell(),
                    "scores": [round(float(score), 3) for score in result.scores],
                    "steps": result.steps,
                    "seconds": round(result.seconds, 1),
                }
                path.write_text(json.dumps(cells, indent=1) + "\n")
                print(f"{name}: {cells[name]['score']}, {result.seconds:.0f} s", flush=True)
    lines = [
        "# Learning",
        "",
        "Every recipe with `jaxq.preset`, seeds from `jax.random.key(0)`. The score of an agent is its",
        f"mean return over {EPISODES} whole greedy episodes at the end of training; a cell has the",
        f"interquartile mean over {options.agents} agents with its 95% bootstrap interval. Published:",
        "CleanRL after 500,000 env steps.",
        "Made by `python benchmarks/learning.py --write`.",
        "",
        f"- machine: {processor()}",
        f"- {versions('jaxq', 'jax', 'flax', 'optax', 'gymnax')}",
        "",
        *table(cells, options.recipes, options.environments),
    ]
    print("\n".join(lines))
    if options.write:
        (RESULTS / "learning.md").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
