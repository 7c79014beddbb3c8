"""Action values of every state, where they can be counted: a grid where there is one, or a list."""

import functools
from typing import Any

import jax
import numpy as np

import jaxq
from jaxq.engine import Trainer
from jaxq.envs.table import TableEnvironment
from jaxq.experiment.snapshots import MOST_STATES, Snapshots, values_of_states
from jaxq.hparams import leaves_of
from jaxq.precision import in_32_bits
from jaxq.trained.loading import LoadedPopulation
from jaxq.view.episodes import has_values
from jaxq.view.numbers import numbers
from jaxq.view.snapshots import snapshot_data
from jaxq.view.worlds import why_not_drawn, world_of


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
    world = world_of(env)
    arrows = world["arrows"] if world else None
    order = [arrow["column"] for arrow in arrows] if arrows else list(range(env.num_actions))
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
    why = why_not_drawn(trainer.env)
    return [f"{why}: the values of all states are listed."] if why else []


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
    q_values = jax.jit(functools.partial(values_of_states, population.trainer))
    return {index: np.asarray(q_values(population.agent(index).learner)) for index in agents}
