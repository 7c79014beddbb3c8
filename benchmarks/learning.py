"""Scores of every recipe: interquartile mean over seeds with its 95% bootstrap interval.

    python benchmarks/learning.py [--agents 16] [--recipes dqn c51 ...] [--environments ...] [--write]

Every cell is kept in `results/learning.json` as soon as it is measured, so that an interrupted run goes
on where it was; `--fresh` measures again.
"""

import json

import jaxq

jaxq.use_all_cores()

from report import RESULTS, option_parser, report, versions  # noqa: E402
from scores import EPISODES, train  # noqa: E402

from jaxq.algorithms import DEEP  # noqa: E402

CONTROL = ("CartPole-v1", "Acrobot-v1", "MountainCar-v0", "Catch-bsuite", "DeepSea-bsuite")
MINATAR = tuple(f"{game}-MinAtar" for game in ("Breakout", "Asterix", "Freeway", "SpaceInvaders"))
# Env steps that two cores finish in minutes, not what the games deserve.
MINATAR_STEPS = {"pqn": 1_000_000, "dqn": 200_000, "rainbow": 100_000}
# CleanRL after 500,000 env steps: DQN in JAX, C51, PQN.
PUBLISHED = {
    "published DQN": ("498.4", "-88.9", "-188.9"),
    "published C51": ("491", "-87.7", "-166.4"),
    "published PQN": ("495", "-95.6", "-200"),
}


def measure(environment: str, recipe: str, agents: int) -> dict:
    """Train a population, and return what its cell says."""
    steps = MINATAR_STEPS[recipe] if environment in MINATAR else None
    result = train(environment, recipe, agents, steps)
    return {
        "score": result.cell(),
        "scores": [round(float(score), 3) for score in result.scores],
        "steps": result.steps,
        "seconds": round(result.seconds, 1),
    }


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
            took = [f"{c['steps']:,} in {c['seconds']:,.0f} s" if c else "" for c in found]
            times.append(f"| {recipe} | " + " | ".join(took) + " |")
    return [
        *scores,
        "",
        "Env steps of each agent, and seconds for all of them, compilation left out:",
        "",
        *times,
    ]


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
    options = parser.parse_args()
    path = RESULTS / "learning.json"
    cells = json.loads(path.read_text()) if path.exists() else {}
    for environment in options.environments:
        for recipe in options.recipes:
            name = f"{recipe} {environment}"
            if environment in MINATAR and recipe not in MINATAR_STEPS:
                continue
            if name not in cells or options.fresh:
                cells[name] = measure(environment, recipe, options.agents)
                path.write_text(json.dumps(cells, indent=1) + "\n")
                print(f"{name}: {cells[name]['score']}, {cells[name]['seconds']:.0f} s", flush=True)
    method = [
        "Every recipe with `jaxq.preset`, seeds from `jax.random.key(0)`. The score of an agent is its",
        f"mean return over {EPISODES} whole greedy episodes at the end of training; a cell has the",
        f"interquartile mean over {number_of_agents(cells, CONTROL)} agents with its 95% bootstrap",
        "interval. Published: CleanRL after 500,000 env steps. Seconds are those of one run, some",
        "beside other work.",
    ]
    measured_with = [versions("jaxq", "jax", "flax", "optax", "gymnax")]
    table = tables(cells, CONTROL)
    if any(name.endswith("MinAtar") for name in cells):
        agents = number_of_agents(cells, MINATAR)
        table += ["", "## MinAtar", "", f"{agents} agents each.", "", *tables(cells, MINATAR)]
    report(__file__, "Learning", method, measured_with, table, options.write)


if __name__ == "__main__":
    main()
