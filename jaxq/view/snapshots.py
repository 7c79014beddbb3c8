"""What a run kept of its table while it trained, as the page slides over it."""

import base64
from pathlib import Path
from typing import Any

import numpy as np

from jaxq.checks import InputValueError
from jaxq.experiment.snapshots import NAME, Snapshots, read_snapshots
from jaxq.trained.loading import LoadedPopulation


def kept_snapshots(directory: Path, population: LoadedPopulation) -> tuple[Snapshots | None, list[str]]:
    """Return the snapshots of a run up to its checkpoint, and what the reader should know of them.

    Args:
        directory: The run directory.
        population: The agents of the run.

    Returns:
        The snapshots, `None` where there are none, and notes, one sentence each.
    """
    env = population.trainer.env
    shape = getattr(env, "num_states", 0), env.num_actions
    try:
        found = read_snapshots(directory / NAME, len(population.returns), shape)
    except InputValueError as error:
        return None, [f"{str(error)[:200]}."]
    found = None if found is None else found.until(population.steps)
    return (found if found and len(found.steps) > 1 else None), []


def snapshot_data(snapshots: Snapshots, order: list[int], legal: np.ndarray | None) -> dict[str, Any]:
    """Return snapshots as the page takes them.

    Args:
        snapshots: The snapshots.
        order: Actions in the order of the page.
        legal: Which actions may be taken in which state, bool `[S, A]`; `None` where all may.

    Returns:
        Env steps, and of each agent its values `[T, S, A]`, NaN where an action is not legal, and its
        visits `[T, S]` where these were counted, both as base64 of little-endian float32.
    """
    values = snapshots.q if legal is None else np.where(legal, snapshots.q, np.nan)
    counted = bool(snapshots.visits.any())
    agents = {}
    for place, agent in enumerate(snapshots.agents.tolist()):
        visits = _packed(snapshots.visits[:, place]) if counted else None
        agents[str(agent)] = {"q": _packed(values[:, place][..., order]), "visits": visits}
    return {"steps": snapshots.steps.tolist(), "agents": agents}


def _packed(numbers: np.ndarray) -> str:
    return base64.b64encode(np.ascontiguousarray(numbers, "<f4").tobytes()).decode()
