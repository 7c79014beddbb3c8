"""What lies in the replays of a run's agents, as the page shows it."""

from typing import Any

import numpy as np

from jaxq.replay.protocol import ReplayState
from jaxq.replay.ring import TERMINATED, TRUNCATED
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
    ring, shape = _ring(replays), template.ring.action.shape
    rows = min(population.steps // shape[1], shape[0])
    number = population.trainer.env.num_actions
    found = {}
    for agent in agents:
        names = "action", "reward", "ending"
        action, reward, ending = (ring[name][agent][:rows].ravel() for name in names)
        found[str(agent)] = {
            "filled": rows * shape[1],
            "capacity": shape[0] * shape[1],
            "actions": np.bincount(action, minlength=number).tolist(),
            "terminated": int((ending == TERMINATED).sum()),
            "cut": int((ending >= TRUNCATED).sum()),
            "rewards": numbers(reward[evenly(reward.size, POINTS)]),
        }
    return found


def _ring(replays: Any) -> dict[str, np.ndarray]:
    """Return the ring's arrays by name; what a checkpoint gives back may be dictionaries."""
    ring = replays["ring"] if isinstance(replays, dict) else replays.ring
    return ring if isinstance(ring, dict) else ring._asdict()
