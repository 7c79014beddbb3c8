"""Env steps per second of tabular Q-learning, against gymnasium with a numpy table.

FrozenLake 8x8 from its table, 1,024 agents, learning included, compilation left out. The two are run
in turn in one process; the median of the repeats is reported.

    python benchmarks/tabular.py [--repeats 5] [--write]
"""

import statistics
import time
from collections.abc import Callable

import gymnasium
import jax
import numpy as np
from report import option_parser, report, versions

import jaxq

AGENTS = 1_024
STEPS = 20_000
PEER_STEPS = 100_000
RECIPES = ("q_learning", "double_q_learning", "sarsa", "expected_sarsa", "q_lambda", "dyna_q")


def measure(recipe: str) -> Callable[[], float]:
    """Return a function that trains on, and says how many env steps it did per second."""
    trainer = jaxq.Trainer(jaxq.envs.make("FrozenLake8x8-v1"), getattr(jaxq, recipe)())
    population = jaxq.Population(trainer, AGENTS)
    state, _ = jax.block_until_ready(population.run(population.init(jax.random.key(0)), 1))
    steps = STEPS // 10 if recipe in ("q_lambda", "dyna_q") else STEPS

    def run() -> float:
        nonlocal state
        began = time.perf_counter()
        state, _ = jax.block_until_ready(population.run(state, steps))
        return AGENTS * steps / (time.perf_counter() - began)

    return run


def peer() -> float:
    """Q-learning as tutorials have it: one gymnasium environment, one numpy table."""
    env = gymnasium.make("FrozenLake8x8-v1")
    random = np.random.default_rng(0)
    q = np.zeros((env.observation_space.n, env.action_space.n))
    state, _ = env.reset(seed=0)
    began = time.perf_counter()
    for _ in range(PEER_STEPS):
        explore = random.random() < 0.1
        action = int(random.integers(4)) if explore else int(np.argmax(q[state]))
        following, reward, terminated, truncated, _ = env.step(action)
        target = reward + 0.99 * (not terminated) * np.max(q[following])
        q[state, action] += 0.1 * (target - q[state, action])
        state = env.reset()[0] if terminated or truncated else following
    return PEER_STEPS / (time.perf_counter() - began)


def main() -> None:
    options = option_parser(__doc__, repeats=5).parse_args()
    runs = {recipe: measure(recipe) for recipe in RECIPES}
    results: dict[str, list[float]] = {name: [] for name in [*RECIPES, "gymnasium"]}
    for _ in range(options.repeats):
        for recipe, run in runs.items():
            results[recipe].append(run())
        results["gymnasium"].append(peer())
    theirs = statistics.median(results["gymnasium"])
    method = [
        f"Env steps of all {AGENTS:,} agents per second, learning included, compilation left out, on",
        "FrozenLake 8x8 from its table; gymnasium with a numpy table is one agent in Python.",
        f"Median of {options.repeats} runs in turn; smallest and largest in brackets.",
    ]
    table = ["| | million env steps/s | times gymnasium |", "| --- | ---: | ---: |"]
    for name, values in results.items():
        median, low, high = (x / 1e6 for x in (statistics.median(values), min(values), max(values)))
        table.append(f"| {name} | {median:.3f} [{low:.3f}, {high:.3f}] | {median * 1e6 / theirs:.0f} |")
    measured_with = [versions("jaxq", "jax", "gymnasium", "numpy")]
    report(__file__, "Tabular throughput", method, measured_with, table, options.write)


if __name__ == "__main__":
    main()
