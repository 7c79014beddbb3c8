"""The largest value that actions can have in an environment of which that is known."""

import dataclasses
import math

import jax
import numpy as np

from jaxq.callbacks import Callback, Run
from jaxq.configuration.config import Config
from jaxq.dynamic_programming import value_iteration
from jaxq.envs.catalogue import KNOWN
from jaxq.envs.table import TableEnvironment
from jaxq.experiment.distributed import gathered
from jaxq.progress import Progress
from jaxq.types import Environment

TOLERANCE = 1e-6
"""Error of the values of a table."""
MOST_WORK = 1e8
"""Outcomes that solving a table for all discounts may look at: half a second at the very most."""
_SWEEP = 2_000
"""Outcomes in the time of which a sweep over an empty table is done."""


class HighestValues(Callback):
    """Adds to the progress what actions can be worth at most, where that is known."""

    def __init__(self) -> None:
        self._values: np.ndarray | None = None

    def on_start(self, run: Run) -> None:
        """Work it out, once for the run."""
        agent, env, hparams = run.population.trainer.agent, run.population.trainer.env, run.state.hparams
        discounts = np.full(run.config.agents, np.nan)
        if "discount" in hparams:
            discounts = np.asarray(gathered(hparams.discount), np.float64)
        returns = largest_returns(run.config, env, discounts)

        if np.isfinite(returns).any():
            highest = jax.jit(jax.vmap(agent.highest_value))
            self._values = gathered(highest(hparams, returns.astype(np.float32)))

    def on_segment(self, run: Run, progress: Progress) -> None:
        """Add it."""
        run.progress = dataclasses.replace(progress, highest_values=self._values)


def largest_returns(config: Config, env: Environment, discounts: np.ndarray) -> np.ndarray:
    """Return the largest discounted return that a policy can expect from any state.

    That of a table is exact, unless it takes long to solve. A table's time limit truncates: agents
    bootstrap from the last state as if the episode went on, so what they learn is worth no more than
    in the table without the limit, which is what is solved.

    Args:
        config: What is trained; an environment that it names is looked up among those that are known.
        env: The environment.
        discounts: Each agent's discount, `[N]`; NaN where it has none.

    Returns:
        float64 `[N]`; infinity where it is not known.
    """
    if isinstance(env, TableEnvironment):
        return _largest_of_table(env, discounts)
    known = KNOWN.get(config.environment) if isinstance(config.environment, str) else None
    most = None if known is None else known.most
    return np.full(discounts.shape, math.inf if most is None else most)


def _largest_of_table(env: TableEnvironment, discounts: np.ndarray) -> np.ndarray:
    """Solve a table for each discount, or bound it by its largest reward."""
    distinct = np.unique(discounts[np.isfinite(discounts)])
    solves = sum(_work(env, discount) for discount in distinct) <= MOST_WORK
    largest = np.full(discounts.shape, math.inf)
    for discount in distinct:
        found = _largest_optimal_value(env, discount) if solves else _by_reward(env, discount)
        largest[discounts == discount] = found
    return largest


def _work(env: TableEnvironment, discount: float) -> float:
    """Count the outcomes that value iteration looks at before its error is below the tolerance."""
    if discount == 1:
        return math.inf  # nothing says after how many sweeps it ends
    probability, reward = env.outcomes.probability, env.outcomes.reward
    scale = max(np.abs(reward).max() / (1 - discount) / TOLERANCE, math.e)
    sweeps = math.log(scale) / -math.log(discount) if discount > 0 else 1
    return sweeps * (probability.size + _SWEEP)


def _largest_optimal_value(env: TableEnvironment, discount: float) -> float:
    q = value_iteration(env, float(discount), TOLERANCE)
    return float(q.max() if env.legal is None else q[env.legal].max())


def _by_reward(env: TableEnvironment, discount: float) -> float:
    """Return `max(0, max r) / (1 - discount)`."""
    reward = env.outcomes.reward[env.outcomes.probability > 0].max()
    if reward <= 0:
        return 0.0
    return math.inf if discount == 1 else float(reward / (1 - discount))
