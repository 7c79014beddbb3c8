"""What lies in the replays of a run's agents, as the page shows it."""

from typing import Any

import numpy as np

from jaxq.replay.protocol import ReplayState
from jaxq.replay.ring import Ring, stored
from jaxq.trained.loading import LoadedPopulation
from jaxq.view.numbers import evenly, numbers

POINTS = 400


def replay_data(population: LoadedPopulation, agents: list[int]) -> dict[str, Any] | None:
    """Sum up each agent's replay: how full it is, what was done, what came of it.

    Args:
        population: The agents of a run, with their replays.
        agents: Numbers of those to show.

    Returns:
        For each agent its sums; `None` of agents without a replay, or where replays are too large to be
        looked at.
    """
    replays, template = population.replays, population.trainer.template.memory
    if replays is None or not isinstance(template, ReplayState):
        return None
    capacity, num_envs = template.ring.action.shape
    rows = min(population.steps // num_envs, capacity)
    # What a checkpoint gives back may be dictionaries.
    rings = Ring(**replays["ring"]) if isinstance(replays, dict) else replays.ring
    number, found = population.trainer.env.num_actions, {}
    for agent in agents:
        action, reward, terminated, truncated = stored(rings, agent, rows)
        found[str(agent)] = {
            "filled": rows * num_envs,
            "capacity": capacity * num_envs,
            "actions": np.bincount(action, minlength=number).tolist(),
            "terminated": int(terminated.sum()),
            "cut": int(truncated.sum()),
            "rewards": numbers(reward[evenly(reward.size, POINTS)]),
        }
    return found
