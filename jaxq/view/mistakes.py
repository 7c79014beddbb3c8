"""What common mistakes cost, measured: populations that differ in one number."""

from collections.abc import Callable
from typing import Any

import jax
import numpy as np

import jaxq
from jaxq.envs.table import TableEnvironment

STEPS, SEEDS = 8_000, 16


def measure_mistakes(world: Callable[[float], TableEnvironment], key: jax.Array) -> list[dict[str, Any]]:
    """Train tables that differ in one number, and measure the greedy return of each.

    Args:
        world: Makes the grid world, given what a fall costs.
        key: PRNG key; all that is compared shares it.

    Returns:
        For each mistake its name and the mean return of the right and of the wrong setting.
    """
    env = world(-1.0)
    reference = {"discount": 0.95, "epsilon": 0.3, "initial_value": 0.0}
    variants = [
        reference,
        reference | {"discount": 0.0},
        reference | {"initial_value": -1.2, "epsilon": 1.0},
        reference | {"initial_value": -1.2, "epsilon": 0.0},
    ]
    right, myopic, low, timid = (_mean_return(env, env, key, **values) for values in variants)
    # Whoever trains where a fall pays leaves out the cost; the score is of the world that has it.
    careless = _mean_return(world(0.3), env, key, **reference)
    return [
        {"name": "discount", "right": right, "wrong": myopic},
        {"name": "exploration", "right": low, "wrong": timid},
        {"name": "cost", "right": right, "wrong": careless},
    ]


def _mean_return(
    env: TableEnvironment,
    judge: TableEnvironment,
    key: jax.Array,
    *,
    discount: float,
    epsilon: float,
    initial_value: float,
) -> float:
    """Train tables in one world and return their mean return in another, rounded."""
    recipe = jaxq.q_learning(
        num_envs=1,
        learning_rate=0.2,
        visit_exponent=0.0,
        discount=discount,
        epsilon_start=epsilon,
        epsilon_end=epsilon,
        initial_value=initial_value,
    )
    population = jaxq.Population(jaxq.Trainer(env, recipe), size=SEEDS)
    state, _ = population.run(population.init(key), STEPS)
    judged = jaxq.Population(jaxq.Trainer(judge, recipe), size=SEEDS)
    returns = judged.evaluate(state, key, num_episodes=2)
    return round(float(np.mean(returns)), 3)
