"""Which defaults learn anywhere: a sweep over half of the environments, held against the other half.

    python benchmarks/defaults.py sweep [--jobs 1] [--minutes 60] [--write]
    python benchmarks/defaults.py confirm [--agents 16] [--jobs 1] [--write]

`sweep` trains variants, each a population over a grid of leaves, on the first half of the environments,
and ranks them by their mean normalized score. `confirm` trains recipes as they are, without a keyword,
on both halves. Every cell runs in a process of its own, `--jobs` of them side by side, and is kept below
`results/` as soon as it is measured; after `--minutes` no further one is begun.

A normalized score is 0 for random actions, measured in the same run, and 1 for the best that is known.
"""

import argparse
import itertools
import json
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from report import RESULTS, computes_on, option_parser, report, versions

# Env steps of an agent, and the best mean return that is known (an optimum where there is one).
SWEPT = {
    "CartPole-v1": (100_000, 500.0),
    "MountainCar-v0": (100_000, -100.0),
    "Catch-bsuite": (30_000, 1.0),
    "UmbrellaChain-bsuite": (50_000, 1.0),
    "FourRooms-misc": (100_000, 1.0),
    "DiscountingChain-bsuite": (100_000, 1.1),
    "Breakout-MinAtar": (100_000, 10.0),
}
HELD_OUT = {
    "Acrobot-v1": (100_000, -80.0),
    "DeepSea-bsuite": (50_000, 0.99),
    "FrozenLake-misc": (100_000, 0.74),
    "MetaMaze-misc": (100_000, 10.0),
    "Pong-misc": (100_000, 10.0),
    "Asterix-MinAtar": (100_000, 10.0),
}
ENVIRONMENTS = SWEPT | HELD_OUT

# What is swept within one program, and the programs.
LEAVES = {
    "learning_rate": [1e-4, 2.5e-4, 5e-4, 1e-3, 2e-3],
    "target_rate": [0.005, 0.01, 0.02, 0.05, 0.1],
    "epsilon_steps": [5_000, 20_000],
    "epsilon_end": [0.05],
}
HARD = {"target_rate": [1.0], "epsilon_end": [0.05, 0.1]}
WITHOUT_EPSILON = {
    "epsilon_steps": [0],
    "epsilon_end": [0.0],
    "learning_rate": [1e-4, 2.5e-4, 5e-4, 1e-3],
}
LINEAR = {"value_min": -100.0, "value_max": 100.0}
# Name: recipe, keywords, leaves that are swept otherwise.
VARIANTS: dict[str, tuple[str, dict[str, Any], dict[str, list[float]]]] = {
    "dqn, update per 10": ("dqn", {"train_interval": 10, "target_interval": 10}, {}),
    "dqn, update per 5": ("dqn", {"train_interval": 5, "target_interval": 5}, {}),
    "dqn, hard copies": ("dqn", {"train_interval": 5, "target_interval": 500}, HARD),
    "c51, symlog atoms": ("c51", {"train_interval": 5, "target_interval": 5}, {}),
    "c51, linear atoms": ("c51", {"train_interval": 5, "target_interval": 5, **LINEAR}, {}),
    "rainbow, symlog atoms": ("rainbow", {"train_interval": 5, "target_interval": 5}, WITHOUT_EPSILON),
    "rainbow, linear atoms": (
        "rainbow",
        {"train_interval": 5, "target_interval": 5, **LINEAR},
        WITHOUT_EPSILON,
    ),
    "dqn, layer norm": (
        "dqn",
        {"train_interval": 5, "target_interval": 5, "layer_norm": True},
        {},
    ),
    "qr_dqn": ("qr_dqn", {"train_interval": 5, "target_interval": 5}, {}),
    "dqn, huber": ("dqn", {"train_interval": 5, "target_interval": 5, "loss": "huber"}, {}),
}
CONFIRMED = ("dqn", "double_dqn", "c51", "qr_dqn", "munchausen_dqn", "rainbow", "pqn")
SEEDS = 4
EPISODES = 32


def random_score(env: Any) -> float:
    """Return the mean return of whole episodes of random actions."""
    import jax
    import jax.numpy as jnp

    def step(carry: tuple, key: jax.Array) -> tuple:
        state, so_far = carry
        action = jax.random.randint(key, (), 0, env.num_actions)
        state, timestep = env.step(key, state, action, env.params)
        ended, so_far = timestep.terminated | timestep.truncated, so_far + timestep.reward
        return (state, jnp.where(ended, 0, so_far)), jnp.stack([ended, ended * so_far])

    def play(key: jax.Array) -> jax.Array:
        carry = env.reset(key, env.params)[0], jnp.float32(0)
        return jax.lax.scan(step, carry, jax.random.split(key, 3_000))[1].sum(axis=0)

    episodes, total = jax.jit(jax.vmap(play))(jax.random.split(jax.random.key(7), 32)).sum(axis=0)
    return float(total / episodes)


def measure(name: str, environment: str, agents: int) -> dict[str, Any]:
    """Train a cell's population, and return the score of each agent with its leaves."""
    import jax

    import jaxq

    began = time.perf_counter()
    recipe, keywords, leaves = VARIANTS.get(name, (name, {}, None))
    steps, best = ENVIRONMENTS[environment]
    trainer = jaxq.Trainer(jaxq.envs.make(environment), getattr(jaxq, recipe)(**keywords))
    low = random_score(trainer.env)
    if leaves is None:
        population = jaxq.Population(trainer, agents)
        hparams, combinations = trainer.hparams, [{}]
    else:
        grid = LEAVES | leaves
        hparams = jaxq.grid(trainer.hparams, **grid, seeds=SEEDS)
        combinations = [
            dict(zip(grid, values, strict=True)) for values in itertools.product(*grid.values())
        ]
        population = jaxq.Population(trainer, SEEDS * len(combinations))
    state = population.init(jax.random.key(0), hparams)
    state, _ = population.run(state, steps - trainer.warmup_steps)
    returns = np.mean(population.evaluate(state, jax.random.key(1), EPISODES, 3_000), axis=1)
    scores = np.nan_to_num(returns, nan=low).reshape(len(combinations), -1)
    return {
        "environment": environment,
        "variant": name,
        "random": low,
        "combinations": combinations,
        "scores": np.round(scores, 4).tolist(),
        "normalized": np.round((scores - low) / (best - low), 4).tolist(),
        "seconds": round(time.perf_counter() - began, 1),
        "machine": computes_on(),
    }


def kept(what: str) -> Path:
    """Where cells are kept."""
    return RESULTS / f"defaults_{what}.jsonl"


def read(path: Path) -> list[dict]:
    """Read the cells that are kept."""
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def run_cells(cells: list[tuple[str, str]], options: argparse.Namespace, path: Path) -> None:
    """Measure cells in processes of their own, unless they are kept, until the time is over."""
    deadline = time.monotonic() + 60 * options.minutes
    done = {(cell["variant"], cell["environment"]) for cell in read(path)}

    def run(cell: tuple[str, str]) -> None:
        if time.monotonic() > deadline:
            return
        command = [sys.executable, __file__, "cell", *cell, "--agents", str(options.agents)]
        result = subprocess.run(command, capture_output=True, text=True)
        if result.returncode:
            print(f"{cell} failed:\n{result.stderr[-2_000:]}", flush=True)
            return
        found = json.loads(result.stdout.splitlines()[-1])
        with path.open("a") as file:
            file.write(json.dumps(found) + "\n")
        best = np.mean(found["normalized"], axis=1).max()
        print(f"{cell}: best {best:.2f}, {found['seconds']} s", flush=True)

    with ThreadPoolExecutor(options.jobs) as pool:
        list(pool.map(run, [cell for cell in cells if cell not in done]))


def sweep_table(cells: list[dict]) -> list[str]:
    """Rank the combinations of each variant that was measured on all swept environments."""
    lines = ["| variant | leaves | " + " | ".join(SWEPT) + " | mean |", "| --- | --- |" + " ---: |" * 8]
    for name in VARIANTS:
        found = {
            c["environment"]: c for c in cells if c["variant"] == name and c["environment"] in SWEPT
        }
        if not found:
            continue
        by_combination = np.stack([np.mean(cell["normalized"], axis=1) for cell in found.values()])
        combinations = next(iter(found.values()))["combinations"]
        for index in np.argsort(-by_combination.mean(axis=0))[:3]:
            leaves = ", ".join(f"{key} {value:g}" for key, value in combinations[index].items())
            scores = dict(zip(found, by_combination[:, index], strict=True))
            row = [f"{scores[env]:.2f}" if env in scores else "" for env in SWEPT]
            mean = by_combination[:, index].mean()
            lines.append(f"| {name} | {leaves} | " + " | ".join(row) + f" | {mean:.3f} |")
    return lines


def confirm_table(cells: list[dict]) -> list[str]:
    """Write the interquartile mean of each recipe on each environment."""
    import jaxq

    lines = []
    for title, environments in (("Swept over", SWEPT), ("Kept out of the sweep", HELD_OUT)):
        lines += ["", f"## {title}", "", "| | random | " + " | ".join(CONFIRMED) + " |"]
        lines += ["| --- |" + " ---: |" * (1 + len(CONFIRMED))]
        for environment in environments:
            found = {c["variant"]: c for c in cells if c["environment"] == environment}
            row = [f"{next(iter(found.values()))['random']:.2f}" if found else ""]
            for name in CONFIRMED:
                scores = np.ravel(found[name]["scores"]) if name in found else None
                row.append("" if scores is None else f"{jaxq.iqm(scores):.2f} ({scores.min():.2f})")
            lines.append(f"| {environment} | " + " | ".join(row) + " |")
    return lines


def main() -> None:
    parser = option_parser(__doc__)
    parser.add_argument("what", choices=("sweep", "confirm", "cell"))
    parser.add_argument("cell", nargs="*")
    parser.add_argument("--agents", type=int, default=16)
    parser.add_argument("--jobs", type=int, default=1, help="cells measured side by side")
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--recipes", nargs="+", choices=CONFIRMED, default=list(CONFIRMED))
    parser.add_argument("--variants", nargs="+", choices=VARIANTS, default=list(VARIANTS))
    options = parser.parse_args()
    if options.what == "cell":
        return print(json.dumps(measure(*options.cell, options.agents)))
    names, environments = (
        (options.variants, SWEPT) if options.what == "sweep" else (options.recipes, HELD_OUT | SWEPT)
    )
    cells = [(name, environment) for name in names for environment in environments]
    cells.sort(key=lambda cell: cell[1].endswith("MinAtar"))  # they take longest
    run_cells(cells, options, kept(options.what))
    swept, confirmed = read(kept("sweep")), read(kept("confirm"))
    machines = sorted({cell["machine"] for cell in swept + confirmed})
    method = [
        __doc__.splitlines()[0],
        f"A normalized score is 0 for random actions and 1 for the best that is known, mean of {SEEDS}",
        "seeds. What is confirmed is the interquartile mean of all agents, with the worst in brackets.",
        f"Measured on: {'; '.join(machines)}.",
    ]
    table = [*sweep_table(swept), *confirm_table(confirmed)]
    report(__file__, "Defaults", method, [versions("jaxq", "jax", "gymnax")], table, options.write)


if __name__ == "__main__":
    main()
