"""Training populations and saying how well they do: what the learning benchmarks share."""

import time
from typing import Any, NamedTuple

import jax
import numpy as np

import jaxq

EPISODES = 32


class Result(NamedTuple):
    """The scores of a population: `[N]`, what it was trained with, and for how long."""

    scores: np.ndarray
    steps: int
    seconds: float

    def cell(self) -> str:
        """The interquartile mean with its 95% bootstrap interval."""
        low, high = jaxq.bootstrap_interval(self.scores)
        return f"{jaxq.iqm(self.scores):.1f} [{low:.1f}, {high:.1f}]"


def train(
    environment: str,
    recipe: str,
    agents: int,
    steps: int | None = None,
    alone: bool = True,
    **keywords: Any,
) -> Result:
    """Train a population with the preset of its environment and recipe, and play whole episodes."""
    if alone:
        jax.clear_caches()  # programs of the population before, and with them its arrays
    steps, defaults = jaxq.preset(environment, steps, recipe, keywords)
    algorithm = getattr(jaxq, recipe)(**{**defaults, **keywords})
    trainer = jaxq.Trainer(jaxq.envs.make(environment), algorithm)
    population = jaxq.Population(trainer, agents)
    state = jax.block_until_ready(population.init(jax.random.key(0)))
    jax.block_until_ready(population.run(state, 1))  # compiles
    began = time.perf_counter()
    state, _ = jax.block_until_ready(population.run(state, steps - trainer.warmup_steps))
    seconds = time.perf_counter() - began
    returns = population.evaluate(state, jax.random.key(1), num_episodes=EPISODES)
    return Result(np.mean(returns, axis=1), steps, seconds)
