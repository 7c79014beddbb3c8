"""Population-based training against a random search of the same budget.

Both begin with the same agents, whose learning rates are drawn over four orders of magnitude. The
search trains them as they are; population-based training lets the worst quarter take over from the best
quarter every tenth of the steps.

    python benchmarks/pbt.py [--agents 16] [--repeats 8] [--write]
"""

import jax
import numpy as np
from report import option_parser, report, versions

import jaxq

ENVIRONMENT = "Acrobot-v1"
STEPS, ROUNDS = 100_000, 10
LEARNING_RATES = (1e-5, 1e-1)


def train(population: jaxq.Population, seed: int, rounds: bool) -> np.ndarray:
    """Train one population, and return the greedy score of each agent."""
    low, high = np.log(LEARNING_RATES)
    rates = np.exp(np.random.default_rng(seed).uniform(low, high, population.size))
    hparams = jaxq.grid(population.trainer.hparams, learning_rate=rates)
    key = jax.random.key(seed)
    state = population.init(key, hparams)
    segment = (STEPS - population.trainer.warmup_steps) // ROUNDS
    for number in range(ROUNDS):
        state, metrics = population.run(state, segment)
        if rounds and number < ROUNDS - 1:
            key, round_key = jax.random.split(key)
            scores = metrics.episode_return
            state = jaxq.pbt(round_key, state, scores, vary=["learning_rate"], factor=2)
    return np.mean(population.evaluate(state, jax.random.key(10_000 + seed)), axis=1)


def main() -> None:
    parser = option_parser(__doc__, repeats=8)
    parser.add_argument("--agents", type=int, default=16)
    options = parser.parse_args()
    keywords = jaxq.preset(ENVIRONMENT, STEPS).keywords | {"learning_rate_steps": 0}
    trainer = jaxq.Trainer(jaxq.envs.make(ENVIRONMENT), jaxq.dqn(**keywords))
    population = jaxq.Population(trainer, options.agents)
    table = ["| | best agent | median agent | worst agent |", "| --- | ---: | ---: | ---: |"]
    for name, rounds in {"random search": False, "population-based training": True}.items():
        scores = np.stack([train(population, seed, rounds) for seed in range(options.repeats)])
        cells = []
        for statistic in (np.max, np.median, np.min):
            each = statistic(scores, axis=1)
            low, high = jaxq.bootstrap_interval(each)
            cells.append(f"{jaxq.iqm(each):.1f} [{low:.1f}, {high:.1f}]")
        table.append(f"| {name} | {' | '.join(cells)} |")
        print(table[-1], flush=True)
    method = [
        f"{ENVIRONMENT}, {STEPS:,} env steps, {options.agents} agents whose learning rates are drawn",
        f"log-uniformly from {LEARNING_RATES[0]:g} to {LEARNING_RATES[1]:g}, the same for both.",
        f"Greedy score over 32 episodes; interquartile mean over {options.repeats} populations with its",
        "95% bootstrap interval.",
    ]
    measured_with = [versions("jaxq", "jax", "flax", "optax", "gymnax")]
    report(__file__, "Population-based training", method, measured_with, table, options.write)


if __name__ == "__main__":
    main()
