"""Which strategies solve DeepSea, and after how many episodes.

DeepSea of size N pays 1 for N right actions in a row, each of which costs 0.01 / N: a random agent finds
that in one of 2^N episodes. An agent has solved it at the first of the measured points where its greedy
episode finds the treasure.

    python benchmarks/exploration.py [--sizes 10 20] [--agents 8] [--write]
"""

import time
from typing import Any

import jax
import numpy as np
from report import option_parser, report, versions

import jaxq

_NOTHING = {"epsilon_start": 0.0, "epsilon_end": 0.0}
_LITTLE = {"epsilon_start": 0.1, "epsilon_end": 0.1}
_STEP = {"learning_rate": 1.0, "visit_exponent": 0.0}
_DEEP = {
    "hidden_sizes": (64,),
    "num_envs": 1,
    "train_interval": 4,
    "target_interval": 100,
    "buffer_size": 20_000,
    "learning_starts": 200,
    "learning_rate": 1e-3,
}
STRATEGIES: dict[str, tuple[str, dict[str, Any]]] = {
    "table, epsilon-greedy": ("q_learning", {**_STEP, **_LITTLE}),
    "table, Boltzmann": (
        "q_learning",
        {**_STEP, **_NOTHING, "exploration": "boltzmann", "temperature_end": 0.05},
    ),
    "table, UCB": ("q_learning", {**_STEP, **_NOTHING, "exploration": "ucb", "ucb_coefficient": 0.1}),
    "table, optimistic": ("q_learning", {**_STEP, **_NOTHING, "initial_value": 1.0}),
    "DQN, epsilon-greedy": ("dqn", {**_DEEP, **_LITTLE}),
    "DQN, Boltzmann": (
        "dqn",
        {**_DEEP, **_NOTHING, "exploration": "boltzmann", "temperature_end": 0.05},
    ),
    "DQN, UCB on hashed counts": (
        "dqn",
        {**_DEEP, **_NOTHING, "exploration": "ucb", "ucb_coefficient": 0.1},
    ),
    "DQN, optimistic": ("dqn", {**_DEEP, **_NOTHING, "initial_value": 1.0}),
    "noisy DQN": ("noisy_dqn", _DEEP),
    "bootstrapped DQN with priors": ("bootstrapped_dqn", {**_DEEP, "ensemble_size": 20}),
}


def solve(strategy: str, size: int, agents: int, episodes: int, points: int) -> tuple[np.ndarray, float]:
    """Train, and return the number of episodes after which each agent had solved it, or infinity."""
    recipe, keywords = STRATEGIES[strategy]
    env = jaxq.envs.make("DeepSea-bsuite", size=size)
    trainer = jaxq.Trainer(env, getattr(jaxq, recipe)(**keywords))
    population = jaxq.Population(trainer, agents)
    state = population.init(jax.random.key(0))
    solved, began = np.full(agents, np.inf), time.perf_counter()
    for _ in range(points):
        state, _ = population.run(state, episodes * size // points)
        returns = np.asarray(population.evaluate(state, jax.random.key(1), num_episodes=1))[:, 0]
        solved[(returns > 0.9) & np.isinf(solved)] = int(state.steps) // size
        if np.isfinite(solved).all():
            break
    return solved, time.perf_counter() - began


def main() -> None:
    parser = option_parser(__doc__)
    parser.add_argument("--sizes", type=int, nargs="+", default=[10, 20])
    parser.add_argument("--agents", type=int, default=8)
    parser.add_argument("--episodes", type=int, default=4_000)
    parser.add_argument("--points", type=int, default=40)
    parser.add_argument("--strategies", nargs="+", default=list(STRATEGIES), choices=list(STRATEGIES))
    options = parser.parse_args()
    method = [
        "DeepSea: how many agents found the treasure with their greedy episode, and after how many",
        f"episodes the median of those did, looked at {options.points} times over at most",
        f"{options.episodes:,} episodes. A random agent finds it in one of 2^N episodes.",
    ]
    table = [
        "| strategy | " + " | ".join(f"size {size}" for size in options.sizes) + " |",
        "| --- |" + " ---: |" * len(options.sizes),
    ]
    for strategy in options.strategies:
        cells = []
        for size in options.sizes:
            solved, seconds = solve(strategy, size, options.agents, options.episodes, options.points)
            number = int(np.isfinite(solved).sum())
            after = f", after {np.median(solved[np.isfinite(solved)]):,.0f}" if number else ""
            cells.append(f"{number} of {options.agents}{after}")
            print(f"{strategy}, size {size}: {cells[-1]} ({seconds:.0f} s)", flush=True)
        table.append(f"| {strategy} | " + " | ".join(cells) + " |")
    measured_with = [versions("jaxq", "jax", "flax", "gymnax")]
    report(__file__, "Exploration", method, measured_with, table, options.write)


if __name__ == "__main__":
    main()
