"""Divergence: agents whose values are no numbers any more, or larger than any return can be."""

import math

import jax
import jax.numpy as jnp
import numpy as np

from jaxq.engine import AGENT_AXES, AgentState, Metrics, Population, Trainer
from jaxq.engine.state import RESERVED
from jaxq.experiment.distributed import gathered
from jaxq.hparams import Hparams
from jaxq.replay import Memory
from jaxq.types import PyTree

MARGIN = 10.0
"""How many times the largest possible return a value must be before it counts as diverged.

A network that learns from its own estimates may overshoot for a while, and come back.
"""


class Watch:
    """Finds agents that diverge, and sets them back; the others' numbers are not touched.

    Args:
        population: The agents.
    """

    def __init__(self, population: Population) -> None:
        trainer = population.trainer

        def find(agent: AgentState, metrics: Metrics) -> jax.Array:
            return _has_diverged(trainer, agent, metrics)

        def renew(diverged: jax.Array, agent: AgentState) -> AgentState:
            return _renewed(trainer, diverged, agent)

        self._find = jax.jit(jax.vmap(find, in_axes=(AGENT_AXES, 0)))
        self._renew = jax.jit(jax.vmap(renew, in_axes=(0, AGENT_AXES), out_axes=AGENT_AXES))
        self._choose = jax.jit(_choose)

    def diverged(self, state: AgentState, metrics: Metrics) -> np.ndarray:
        """Tell which agents have diverged over a segment, bool `[N]`.

        An agent has if its loss, its weights or the values of what it sees are not finite, or such a
        value exceeds `MARGIN` times the largest that there can be; see `largest_value`.

        Args:
            state: The population after the segment.
            metrics: Its metrics, leaves `[N]`.
        """
        return gathered(self._find(state, metrics))

    def frozen(self, diverged: np.ndarray, before: AgentState, after: AgentState) -> AgentState:
        """Put diverged agents, bool `[N]`, back to where they were before the segment."""
        return self._choose(diverged, before, after)

    def restarted(self, diverged: np.ndarray, after: AgentState) -> AgentState:
        """Let diverged agents, bool `[N]`, go on from where they are with nothing learned.

        Their replay, their environments and their clock stay as they are after the segment: they belong
        together, as the clock says which rows of the replay have been written. The fresh parameters
        depend on the step, so that they are not those that diverged before.
        """
        return self._renew(diverged, after)


def _has_diverged(trainer: Trainer, agent: AgentState, metrics: Metrics) -> jax.Array:
    carry = trainer.agent.carry(agent.actors.episode_length.shape[0])
    q, _ = trainer.agent.values(agent.learner, agent.actors.observation, carry)
    largest = MARGIN * largest_value(agent.hparams, agent.actors.max_abs_reward.max(), q.shape[-1])
    numbers = [*jax.tree.leaves((agent.learner, q)), metrics.loss]
    finite = [jnp.isfinite(leaf).all() for leaf in numbers if jnp.issubdtype(leaf.dtype, jnp.floating)]
    return ~(jnp.stack(finite).all() & (jnp.abs(q) <= largest).all())


def largest_value(hparams: Hparams, max_abs_reward: jax.Array, num_actions: int) -> jax.Array:
    """Bound the absolute value of any action.

    `max(max|r| / (1 - discount), |initial_value|)`, where `max|r|` is at least 1. Munchausen agents are
    paid beyond the reward: `scale * |clip|` at most for being sure of an action, and
    `temperature * log(A)` at most for being unsure.

    Args:
        hparams: The agent's hyperparameters.
        max_abs_reward: Largest absolute reward of any step so far, `[]`.
        num_actions: Number of actions A.

    Returns:
        The bound, `[]`; infinity with discount 1, as then there is no largest return.
    """
    reward = jnp.maximum(max_abs_reward, 1.0)
    if hparams.munchausen_scale is not None:
        reward += hparams.munchausen_scale * jnp.abs(hparams.munchausen_clip)
        reward += hparams.munchausen_temperature * math.log(num_actions)
    largest = reward / (1.0 - hparams.discount)
    if hparams.initial_value is None:
        return largest
    return jnp.maximum(largest, jnp.abs(hparams.initial_value))


def _renewed(trainer: Trainer, diverged: jax.Array, agent: AgentState) -> AgentState:
    """Make what an agent has learned new if it has diverged, and keep all else that it has."""
    key = jax.random.fold_in(jax.random.fold_in(agent.key, RESERVED), agent.steps)
    fresh, _ = trainer.agent.learning.init(key, agent.hparams)
    learner = jax.tree.map(lambda new, old: jnp.where(diverged, new, old), fresh, agent.learner)
    # A recurrent network leaves its own states behind, in the middle of an episode and in the replay.
    # Those of one that diverged may be no numbers, which its successor would never get rid of.
    actors = agent.actors._replace(carry=_finite(diverged, agent.actors.carry))
    memory = agent.memory
    if isinstance(memory, Memory):
        extras = _finite(diverged, memory.ring.extras)
        memory = memory._replace(ring=memory.ring._replace(extras=extras))
    return agent._replace(learner=learner, actors=actors, memory=memory)


def _finite(diverged: jax.Array, tree: PyTree) -> PyTree:
    """Replace what is no finite number by zero if the agent has diverged."""

    def finite(leaf: jax.Array) -> jax.Array:
        if not jnp.issubdtype(leaf.dtype, jnp.floating):
            return leaf
        return jnp.where(diverged & ~jnp.isfinite(leaf), jnp.zeros_like(leaf), leaf)

    return jax.tree.map(finite, tree)


def _choose(diverged: jax.Array, before: AgentState, after: AgentState) -> AgentState:
    """Take the agents that diverged from before, the others from after."""

    def choose(diverged: jax.Array, old: AgentState, new: AgentState) -> AgentState:
        return jax.tree.map(lambda a, b: jnp.where(diverged, a, b), old, new)

    agents = jax.vmap(choose)(diverged, before._replace(steps=None), after._replace(steps=None))
    return agents._replace(steps=after.steps)
