"""Scores of every recipe: interquartile mean over seeds with its 95% bootstrap interval.

    python benchmarks/learning.py [--agents 16] [--recipes dqn c51 ...] [--environments ...] [--write]

Every cell is kept in `results/learning.json` as soon as it is measured, so that an interrupted run goes
on where it was; `--fresh` measures again. With `--jobs`, programs are compiled side by side, which is
for accelerators, whose programs take longer to compile than to run; seconds are not kept then. After
`--minutes` no further cell is begun.
"""

import argparse
import json
import time
from concurrent.futures import ThreadPoolExecutor

from report import RESULTS, computes_on, option_parser, report, versions
from scores import EPISODES, train

from jaxq.agents import DEEP

CONTROL = ("CartPole-v1", "Acrobot-v1", "MountainCar-v0", "Catch-bsuite", "DeepSea-bsuite")
GAMES = ("Breakout", "Asterix", "Freeway", "Seaquest", "SpaceInvaders")
MINATAR = tuple(f"{game}-MinAtar" for game in GAMES)
# Env steps that two cores finish in minutes, not what the games deserve.
MINATAR_STEPS = {"pqn": 1_000_000, "dqn": 200_000, "rainbow": 100_000}
MINATAR_RULES = (
    "gymnax's games: only the actions that have an effect in a game, no sticky actions, and episodes",
    "cut at 1,000 steps (Freeway: 2,500). The paper has six actions in every game, repeats an action",
    "with a probability of 0.1, and has no such limit.",
)
LEARNING = RESULTS / "learning.json"
# CleanRL after 500,000 env steps: `dqn_jax`, `c51_jax` and `pqn`.
PUBLISHED = {
    "published DQN": ("498.4", "-88.9", "-188.9"),
    "published C51": ("491.1", "-86.7", "-174.3"),
    "published PQN": ("495", "-95.6", "-200"),
}


def measure(environment: str, recipe: str, agents: int, jobs: int) -> dict:
    """Train a population, and return what its cell says."""
    steps = MINATAR_STEPS[recipe] if environment in MINATAR else None
    result = train(environment, recipe, agents, steps, alone=jobs == 1)
    return {
        "score": result.cell(),
        "scores": [round(float(score), 3) for score in result.scores],
        "steps": result.steps,
        "seconds": round(result.seconds, 1) if jobs == 1 else None,
        "machine": computes_on(),
    }


def measure_all(names: list[tuple[str, str]], options: argparse.Namespace, cells: dict) -> None:
    """Measure what is asked for, and keep every cell as soon as it is there."""
    deadline = time.monotonic() + 60 * options.minutes

    def run(name: tuple[str, str]) -> None:
        if time.monotonic() > deadline:
            return
        recipe, environment = name
        cell = measure(environment, recipe, options.agents, options.jobs)
        cells[f"{recipe} {environment}"] = cell
        LEARNING.write_text(json.dumps(dict(sorted(cells.items())), indent=1) + "\n")
        print(f"{recipe} {environment}: {cell['score']}, {cell['seconds']} s", flush=True)

    with ThreadPoolExecutor(options.jobs) as pool:
        for _ in pool.map(run, names):
            pass


def tables(cells: dict[str, dict], environments: tuple[str, ...]) -> list[str]:
    """Write what was measured as a table, and how long it took as another one."""
    header = ["| " + " | ".join(["", *environments]) + " |", "| --- |" + " ---: |" * len(environments)]
    scores, times = list(header), list(header)
    if environments == CONTROL:
        for name, values in PUBLISHED.items():
            scores.append(f"| *{name}* | " + " | ".join([*values, "", ""]) + " |")
    for recipe in DEEP:
        found = [cells.get(f"{recipe} {environment}", {}) for environment in environments]
        if any(found):
            scores.append(f"| {recipe} | " + " | ".join(cell.get("score", "") for cell in found) + " |")
            took = [took_of(cell) if cell else "" for cell in found]
            times.append(f"| {recipe} | " + " | ".join(took) + " |")
    return [
        *scores,
        "",
        "Env steps of each agent, and seconds for all of them, compilation left out:",
        "",
        *times,
    ]


def took_of(cell: dict) -> str:
    """Write a cell's env steps, and its seconds where it was measured alone."""
    seconds = cell["seconds"]
    return f"{cell['steps']:,}" + ("" if seconds is None else f" in {seconds:,.0f} s")


def number_of_agents(cells: dict[str, dict], environments: tuple[str, ...]) -> str:
    """Say over how many agents the cells of some environments were measured."""
    counts = {len(cell["scores"]) for name, cell in cells.items() if name.endswith(environments)}
    return " or ".join(str(count) for count in sorted(counts))


def main() -> None:
    parser = option_parser(__doc__)
    parser.add_argument("--agents", type=int, default=16)
    parser.add_argument("--recipes", nargs="+", default=list(DEEP), choices=list(DEEP))
    parser.add_argument("--environments", nargs="+", default=[*CONTROL, *MINATAR])
    parser.add_argument("--fresh", action="store_true", help="measure again what was measured before")
    parser.add_argument("--jobs", type=int, default=1, help="cells measured side by side")
    parser.add_argument("--minutes", type=float, default=600, help="after which no cell is begun")
    options = parser.parse_args()
    cells = json.loads(LEARNING.read_text()) if LEARNING.exists() else {}
    names = [
        (recipe, environment)
        for environment in options.environments
        for recipe in options.recipes
        if environment not in MINATAR or recipe in MINATAR_STEPS
    ]
    wanted = [name for name in names if options.fresh or " ".join(name) not in cells]
    measure_all(wanted, options, cells)
    method = [
        "Every recipe with `jaxq.preset`, seeds from `jax.random.key(0)`. The score of an agent is its",
        f"mean return over {EPISODES} whole greedy episodes at the end of training; a cell has the",
        f"interquartile mean over {number_of_agents(cells, CONTROL)} agents with its 95% bootstrap",
        "interval. Published: CleanRL after 500,000 env steps. Seconds are those of one run.",
        f"Measured on: {'; '.join(sorted({cell['machine'] for cell in cells.values()}))}.",
    ]
    measured_with = [versions("jaxq", "jax", "flax", "optax", "gymnax")]
    table = tables(cells, CONTROL)
    if any(name.endswith("MinAtar") for name in cells):
        agents = number_of_agents(cells, MINATAR)
        table += ["", "## MinAtar", "", f"{agents} agents each.", *MINATAR_RULES, ""]
        table += tables(cells, MINATAR)
    report(__file__, "Learning", method, measured_with, table, options.write)


if __name__ == "__main__":
    main()
