"""Rollouts of the greedy policy from a state of the environment, and what they come to."""

from operator import itemgetter
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import scipy

from jaxq.agents.protocol import PolicyInput
from jaxq.engine import Trainer
from jaxq.engine.devices import first_device, memory_limit
from jaxq.engine.memory_use import check_episodes_fit, num_bytes
from jaxq.envs.words import Words
from jaxq.planning.plans import Estimate, Outlook, PathStep
from jaxq.planning.programs import programs_of
from jaxq.planning.rollouts import Ends, Steps
from jaxq.types import PyTree

_CONFIDENCE = 0.95


class Simulation(NamedTuple):
    """How far, how often and by what numbers to look ahead.

    Attributes:
        env_state: The state to begin in.
        horizon: Steps H.
        samples: Rollouts n of each action.
        key: PRNG key; every action is tried with the same chances.
        budgets: Most that the sum of a cost may come to, by name.
    """

    env_state: PyTree
    horizon: int
    samples: int
    key: jax.Array
    budgets: dict[str, float]


def outlooks(
    trainer: Trainer,
    learner: PyTree,
    env_params: PyTree,
    inputs: PolicyInput,
    actions: list[int],
    words: Words,
    simulation: Simulation,
) -> list[Outlook]:
    """Say what is to be expected of each of some actions.

    Args:
        trainer: The trainer of the agent.
        learner: What the agent has learned.
        env_params: Parameters of the environment.
        inputs: What the policy sees in the state to begin in, of one environment.
        actions: The actions F to begin with.
        words: What the environment says of itself.
        simulation: How far and how often to look ahead.

    Raises:
        InputValueError: If so many rollouts do not fit the memory.
    """
    held = num_bytes((learner, inputs))
    limit = memory_limit(first_device())
    check_episodes_fit(simulation.samples, 1, held, trainer.episode_bytes, limit)
    program = programs_of(trainer).rollouts
    first = jnp.asarray(actions, jnp.int32)
    arguments = learner, env_params, simulation.env_state, inputs, first, simulation.key
    statics = simulation.horizon, simulation.samples, words.recovered
    found = jax.tree.map(np.asarray, program(*arguments, *statics))
    names = getattr(trainer.env, "cost_names", ())
    return [
        _outlook(*jax.tree.map(itemgetter(f), found), words, names, simulation)
        for f in range(len(actions))
    ]


def _outlook(
    ends: Ends, steps: Steps, words: Words, cost_names: tuple[str, ...], simulation: Simulation
) -> Outlook:
    costs = {name: ends.cost[:, k] for k, name in enumerate(cost_names)}
    budgets = simulation.budgets.items()
    return Outlook(
        horizon=simulation.horizon,
        samples=simulation.samples,
        path=_path(steps, words.action_names, simulation.samples),
        total_reward=_mean(ends.reward),
        recovery=None if words.recovered is None else _probability(ends.recovered),
        costs={name: _mean(values) for name, values in costs.items()} or None,
        over_budget={name: _probability(costs[name] > most) for name, most in budgets} or None,
    )


def _path(steps: Steps, names: tuple[str, ...], samples: int) -> tuple[PathStep, ...]:
    going_on = steps.actions.sum(axis=1)
    path = []
    for t in range(int((going_on > 0).sum())):
        action = int(steps.actions[t].argmax())
        path.append(
            PathStep(
                action=action,
                name=names[action],
                share=float(steps.actions[t, action] / going_on[t]),
                going_on=float(going_on[t] / samples),
                reward=float(steps.reward[t] / going_on[t]),
                total_reward=float(steps.total_reward[t] / samples),
            )
        )
    return tuple(path)


def _mean(values: np.ndarray) -> Estimate:
    """Estimate a mean by Student's t; of an interval without width that of numbers all the same."""
    values = values.astype(np.float64)
    mean, error = float(values.mean()), float(scipy.stats.sem(values))
    half = error * float(scipy.stats.t.ppf((1 + _CONFIDENCE) / 2, len(values) - 1))
    return Estimate(mean, mean - half, mean + half)


def _probability(happened: np.ndarray) -> Estimate:
    """Estimate a probability by Wilson's interval."""
    test = scipy.stats.binomtest(int(happened.sum()), len(happened))
    low, high = test.proportion_ci(_CONFIDENCE, method="wilson")
    return Estimate(float(happened.mean()), float(low), float(high))
