"""Action values of every state, where they can be counted: a grid where there is one, or a list."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import jaxq
from jaxq.agents.protocol import first_input
from jaxq.engine import Trainer
from jaxq.envs.table import TableEnvironment
from jaxq.experiment.snapshots import MOST_STATES, Snapshots
from jaxq.hparams import leaves_of
from jaxq.precision import in_32_bits
from jaxq.trained.loading import LoadedPopulation
from jaxq.view.episodes import has_values
from jaxq.view.numbers import number, numbers
from jaxq.view.snapshots import snapshot_data

_DIRECTIONS = {(-1, 0): "up", (0, 1): "right", (1, 0): "down", (0, -1): "left"}


@in_32_bits()
def table_data(
    population: LoadedPopulation, agents: list[int], snapshots: Snapshots | None = None
) -> dict[str, Any] | None:
    """Return the values of all states of an environment that is a table.

    Args:
        population: The agents of a run.
        agents: Numbers of those to show.
        snapshots: What was kept while it trained, if anything was.

    Returns:
        The world, each agent's values, the exact Q* of its discount, null of actions that are not
        legal, and the snapshots of a world that is drawn; `None` where states cannot be counted or are
        too many to look at.
    """
    env = population.trainer.env
    if _not_listed(population.trainer):
        return None
    world = _grid(env)
    order = [action["column"] for action in world["arrows"]] if world else list(range(env.num_actions))
    discounts = {index: _discount(population, index) for index in agents}
    exact = {
        discount: np.asarray(jaxq.value_iteration(env, discount=discount))
        for discount in {*discounts.values()}
    }

    def rows(q: np.ndarray) -> list[list[float | None]]:
        # What an illegal action would be worth is nothing that an agent learns, or could take.
        legal = q if env.legal is None else np.where(env.legal, q, -np.inf)
        return [numbers(row) for row in legal[:, order]]

    return {
        "world": world,
        "exact": {str(index): rows(exact[discount]) for index, discount in discounts.items()},
        "agents": {str(index): rows(values) for index, values in _values(population, agents).items()},
        "snapshots": snapshot_data(snapshots, order, env.legal) if world and snapshots else None,
    }


def notes_on_states(trainer: Trainer) -> list[str]:
    """Say what of all states the page cannot show, and why.

    Args:
        trainer: The trainer of the agents.

    Returns:
        A line where values are not listed, or not drawn; none where there is a map of them.
    """
    why = _not_listed(trainer)
    if why:
        return [why]
    return [] if _grid(trainer.env) else ["No grid to draw: the values of all states are listed."]


def _not_listed(trainer: Trainer) -> str | None:
    """Say why the values of all states are not listed; `None` where they are."""
    env = trainer.env
    if not has_values(trainer):
        return "These agents have no action values: their episodes are shown without."
    if not isinstance(env, TableEnvironment):
        return "States that cannot be counted are not listed: values are those along episodes."
    if env.num_states > MOST_STATES:
        return (
            f"{env.num_states:,} states are too many to list, more than {MOST_STATES}: "
            "values are those along episodes."
        )
    return None


def _discount(population: LoadedPopulation, index: int) -> float:
    found = leaves_of(population.learned.hparams).get("discount", 0.99)
    return float(np.broadcast_to(found, len(population.returns))[index])


def _values(population: LoadedPopulation, agents: list[int]) -> dict[int, np.ndarray]:
    """Return the values of agents in all states, `[S, A]`."""
    trainer = population.trainer
    states = jnp.arange(trainer.env.num_states, dtype=trainer.env.observation_spec.dtype)
    inputs = first_input(states, trainer.agent.initial_carry(states.size))
    q_values = jax.jit(lambda learner: trainer.agent.q_values(learner, inputs)[0])
    return {index: np.asarray(q_values(population.agent(index).learner)) for index in agents}


def _grid(env: TableEnvironment) -> dict[str, Any] | None:
    """Describe a grid world whose four actions point four ways; `None` of any other."""
    if env.drawing is None or env.num_actions != 4:
        return None
    arrows = _arrows(env)
    if arrows is None:
        return None
    cells = ["".join(_TILES.get(str(tile), ".") for tile in row) for row in env.drawing]
    return {
        "rows": len(cells),
        "columns": len(cells[0]),
        "cells": cells,
        "actions": [arrow["name"] for arrow in arrows],
        "arrows": arrows,
        "start": int(np.argmax(env.initial)),
        "entering": _entering(env),
    }


def _entering(env: TableEnvironment) -> dict[str, float | None]:
    """Return the mean reward of coming to each state that ends the episode, by its number."""
    probability, reached, reward, terminated = env.outcomes
    comes = (probability > 0) & (reached != np.arange(env.num_states)[:, None, None]) & terminated
    count = np.bincount(reached[comes], minlength=env.num_states)
    total = np.bincount(reached[comes], reward[comes], env.num_states)
    return {str(s): number(total[s] / count[s]) for s in np.flatnonzero(count).tolist()}


# Holes of the frozen lake end an episode as a cliff does.
_TILES = {"#": "#", "G": "G", "C": "C", "H": "C", "S": "S"}


def _arrows(env: TableEnvironment) -> list[dict[str, Any]] | None:
    """Say for up, right, down and left which action goes there on average, from the model itself."""
    columns, outcomes = env.drawing.shape[1], env.outcomes
    state, reached = np.arange(env.num_states)[:, None, None], outcomes.next_state
    moved = np.stack([reached // columns - state // columns, reached % columns - state % columns])
    # A fall back to the start goes far, and counts no more than a step. What slips to both sides
    # cancels; what is left is where the action points.
    moved = np.sign(moved)
    towards = (outcomes.probability * moved).sum(axis=(1, 3))
    names = {}
    for action in range(env.num_actions):
        reach = {name: np.array(way) @ towards[:, action] for way, name in _DIRECTIONS.items()}
        names[max(reach, key=reach.__getitem__)] = action
    if set(names) != set(_DIRECTIONS.values()):
        return None
    return [{"name": name, "column": names[name]} for name in _DIRECTIONS.values()]
