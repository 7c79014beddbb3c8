"""Totals over a call of `run`, from which its metrics are made, right however long it is."""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxq.agents.protocol import LearningStatistics
from jaxq.engine.rollout import EpisodeTotals
from jaxq.engine.state import CostMetrics, Metrics
from jaxq.types import PyTree


class Totals(NamedTuple):
    """What happened in some iterations, added up."""

    episodes: EpisodeTotals
    learning: LearningStatistics


class RunningSum(NamedTuple):
    """A sum of many numbers, and what rounding has added to it that was not there.

    A float32 that has come to 2^24 takes no more ones. With the error carried along, the sum is right
    to its last bits whatever its length; whole numbers have none.

    Attributes:
        total: The sums.
        error: By how much they are too large, of the same shapes.

    References:
        Kahan, Further Remarks on Reducing Truncation Errors, 1965.
    """

    total: PyTree
    error: PyTree

    @classmethod
    def zero(cls, like: PyTree) -> "RunningSum":
        """Begin with zeros of these shapes and types."""
        zeros = jax.tree.map(jnp.zeros_like, like)
        return cls(zeros, zeros)

    def plus(self, new: PyTree) -> "RunningSum":
        """Add numbers of the same structure."""
        term = jax.tree.map(jnp.subtract, new, self.error)
        total = jax.tree.map(jnp.add, self.total, term)
        error = jax.tree.map(_error, total, self.total, term)
        return RunningSum(total, error)


def _error(total: jax.Array, before: jax.Array, term: jax.Array) -> jax.Array:
    # What is infinite stays infinite, and has no error.
    return jnp.where(jnp.isfinite(total), (total - before) - term, jnp.zeros_like(total))


def metrics(totals: Totals, iterations: jax.Array, epsilon: jax.Array) -> Metrics | CostMetrics:
    """Make metrics of what was added up.

    Args:
        totals: Sums over a call of `run`.
        iterations: Iterations in it, int32 `[]`.
        epsilon: Probability of a random action in each environment at its end, `[E]`.
    """
    episodes, learning = totals
    number = episodes.episodes.astype(jnp.float32)
    found = Metrics(
        episodes=number,
        episode_return=episodes.episode_return / number,
        episode_length=episodes.episode_length.astype(jnp.float32) / number,
        loss=learning.loss / iterations,
        td_error=learning.td_error / iterations,
        q_value=learning.q_value / iterations,
        gradient_norm=learning.gradient_norm / iterations,
        epsilon=epsilon.mean(),
    )
    cost = episodes.episode_cost
    return CostMetrics(*found, cost / number) if jax.tree.leaves(cost) else found


def blank_metrics(cost: PyTree, agents: int) -> Metrics | CostMetrics:
    """Make zeros of the shapes of a population's metrics.

    Args:
        cost: What one environment's costs look like, `[K]`, or `()`.
        agents: Number of agents N.
    """
    blank = Metrics(*[jnp.zeros(agents)] * len(Metrics._fields))
    return CostMetrics(*blank, jnp.zeros((agents, *cost.shape))) if jax.tree.leaves(cost) else blank
