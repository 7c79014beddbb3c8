"""Values that nothing can be worth, as `|Q| <= max|r| / (1 - discount)`: overestimation, divergence.

Overestimation is measured against less where more is known of the environment; see `highest_values`.
"""

import dataclasses
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from jaxq import checks
from jaxq.agents.protocol import first_input
from jaxq.callbacks import Callback, Run
from jaxq.engine import AGENT_AXES, AgentState, Metrics, Population, Trainer
from jaxq.engine.state import RESERVED
from jaxq.experiment.distributed import gathered
from jaxq.networks.constrained import is_left_out
from jaxq.progress import Progress
from jaxq.types import PyTree

MARGIN = 10.0
"""How many times the largest possible return a value must be before it counts as diverged.

A network that learns from its own estimates may overshoot for a while, and come back.
"""
WARNING_MARGIN = 1.1
"""How many times the largest possible value a mean must be before it is told of, as means waver."""


def impossible(
    q_values: np.ndarray, largest_values: np.ndarray, highest_values: np.ndarray | None = None
) -> np.ndarray:
    """Return which agents have mean values above any possible return.

    Args:
        q_values: Mean value of the actions that each agent learned from, `[N]`; NaN for none.
        largest_values: The largest absolute value that there can be, `[N]`; NaN or infinity where
            nothing bounds it.
        highest_values: The largest value in this environment, `[N]`, likewise; `None` if not known.

    Returns:
        Numbers of the agents.

    Example:
        >>> impossible(np.array([19.1, 0.5]), np.array([1.1, 1.1])).tolist()
        [0]
    """
    limits = _limits(q_values, largest_values, highest_values)
    return np.flatnonzero(np.abs(q_values) > WARNING_MARGIN * limits)


def warning(
    q_values: np.ndarray, largest_values: np.ndarray, highest_values: np.ndarray | None = None
) -> str | None:
    """Say how far the worst agent is above what is possible, if any is; arguments as above."""
    limits = _limits(q_values, largest_values, highest_values)
    agents = impossible(q_values, limits)
    if not agents.size:
        return None
    worst = agents[np.argmax(np.abs(q_values[agents]) / limits[agents])]
    by_reward = limits[worst] == largest_values[worst]
    reason = "by the largest reward seen and the discount" if by_reward else "in this environment"
    which = f"agent {worst}; {agents.size} of {q_values.size} agents"
    return (
        f"mean Q {q_values[worst]:.4g} where at most {limits[worst]:.4g} is possible {reason} "
        f"({which}): "
        "values are overestimated; try double=true, a smaller learning_rate or a slower target"
    )


def _limits(q: np.ndarray, largest: np.ndarray, highest: np.ndarray | None) -> np.ndarray:
    """Return the limits of the absolute values, `[N]`: below zero what is known of rewards alone."""
    if highest is None:
        return largest
    return np.where(q > 0, np.fmin(largest, highest), largest)


class ValueMonitor(Callback):
    """Warns once of values above any possible return.

    Args:
        warn: Takes the warning.
    """

    def __init__(self, warn: Callable[[str], None]) -> None:
        self._warn = warn
        self._warned = False

    def on_segment(self, run: Run, progress: Progress) -> None:
        """Warn if values are too large for the first time."""
        if self._warned or progress.largest_values is None:
            return
        q_values, largest = progress.metrics.q_value, progress.largest_values
        said = warning(q_values, largest, progress.highest_values)
        if said is not None:
            self._warned = True
            self._warn(f"after {progress.steps:,} steps {said}")


class DivergenceError(Exception):
    """Agents have diverged, and the configuration says to stop.

    Attributes:
        agents: Agents that have diverged.
        steps: Env steps of each agent before the segment in which they have.
    """

    def __init__(self, agents: list[int], steps: int) -> None:
        super().__init__(
            f"agents {agents} have diverged after {steps:,} steps; try a smaller learning_rate, "
            "or on_divergence='freeze'"
        )
        self.agents = agents
        self.steps = steps


class DivergenceMonitor(Callback):
    """Detects agents that diverge, and freezes or reinitializes them; the others are not touched.

    Args:
        population: The agents.
    """

    def __init__(self, population: Population) -> None:
        trainer = population.trainer

        def find(agent: AgentState, metrics: Metrics) -> jax.Array:
            return _has_diverged(trainer, agent, metrics)

        def reinitialize(diverged: jax.Array, agent: AgentState) -> AgentState:
            return _reinitialized(trainer, diverged, agent)

        def largest(agent: AgentState) -> jax.Array:
            return trainer.agent.largest_value(agent.hparams, agent.actors.max_abs_reward.max())

        self._largest = jax.jit(jax.vmap(largest, in_axes=(AGENT_AXES,)))
        self._find = jax.jit(jax.vmap(find, in_axes=(AGENT_AXES, 0)))
        self._reinitialize = jax.jit(
            jax.vmap(reinitialize, in_axes=(0, AGENT_AXES), out_axes=AGENT_AXES)
        )
        self._choose = jax.jit(_choose)

    def on_segment(self, run: Run, progress: Progress) -> None:
        """Apply `on_divergence` to agents that have diverged in the segment.

        Raises:
            DivergenceError: With "stop", after the run is set back to before the segment.
        """
        policy, before = run.config.on_divergence, progress.mask(progress.diverged)
        # Of agents that were halved away there is no loss to look at.
        diverged = self.diverged(run.state, progress.metrics) & ~progress.mask(progress.stopped)
        if diverged.any() and policy == "stop":
            run.state, run.progress = run.before
            raise DivergenceError(np.flatnonzero(diverged).tolist(), run.steps)
        if policy == "freeze":
            diverged |= before
        if diverged.any() and policy == "restart":
            run.state = self.reinitialized(diverged, run.state)
        elif diverged.any():
            run.state = self.frozen(diverged, run.before[0], run.state)
        # The memory of all agents before the segment.
        run.before = None
        agents = np.flatnonzero(before | diverged).tolist()
        largest = self.largest_values(run.state)
        run.progress = dataclasses.replace(progress, diverged=agents, largest_values=largest)

    def diverged(self, state: AgentState, metrics: Metrics) -> np.ndarray:
        """Return which agents have diverged over a segment, bool `[N]`.

        An agent has if its loss, its weights or the values of what it sees are not finite, or such a
        value exceeds `MARGIN` times the largest that there can be; see `Agent.largest_value`.

        Args:
            state: The population after the segment.
            metrics: Its metrics, leaves `[N]`.
        """
        return gathered(self._find(state, metrics))

    def largest_values(self, state: AgentState) -> np.ndarray:
        """Return the largest absolute value that actions of each agent can have, `[N]`."""
        return gathered(self._largest(state))

    def frozen(self, diverged: np.ndarray, before: AgentState, after: AgentState) -> AgentState:
        """Set diverged agents, bool `[N]`, back to their states before the segment."""
        return self._choose(diverged, before, after)

    def reinitialized(self, diverged: np.ndarray, after: AgentState) -> AgentState:
        """Reinitialize what diverged agents, bool `[N]`, have learned.

        Their replay, their environments and their clock stay as they are after the segment: they belong
        together, as the clock says which rows of the replay have been written. The fresh parameters
        depend on the step, so that they are not those that diverged before.
        """
        return self._reinitialize(diverged, after)


def _has_diverged(trainer: Trainer, agent: AgentState, metrics: Metrics) -> jax.Array:
    values = _values(trainer, agent)
    max_abs_reward = agent.actors.max_abs_reward.max()
    largest = MARGIN * trainer.agent.largest_value(agent.hparams, max_abs_reward)
    numbers = [*jax.tree.leaves((agent.learner, values)), metrics.loss]
    finite = [jnp.isfinite(leaf).all() for leaf in numbers if jnp.issubdtype(leaf.dtype, jnp.floating)]
    bounded = [(jnp.abs(q) <= largest).all() for q in values]
    return ~jnp.stack([*finite, *bounded]).all()


def _values(trainer: Trainer, agent: AgentState) -> list[jax.Array]:
    """Return the action values of an agent's observations, if it has action values.

    Those of actions that are left out, as `bcq` does, say nothing of what was learned and are zero.
    """
    inputs = first_input(agent.actors.observation, trainer.agent.initial_carry(trainer.agent.num_envs))
    try:
        q, _ = trainer.agent.q_values(agent.learner, inputs)
    except checks.InputTypeError:
        return []
    return [jnp.where(is_left_out(q), 0.0, q)]


def _reinitialized(trainer: Trainer, diverged: jax.Array, agent: AgentState) -> AgentState:
    """Reinitialize the learner of an agent if it has diverged, and keep the rest of its state."""
    key = jax.random.fold_in(jax.random.fold_in(agent.key, RESERVED), agent.steps)
    fresh, _ = trainer.agent.init(key, agent.hparams)
    learner = jax.tree.map(lambda new, old: jnp.where(diverged, new, old), fresh, agent.learner)
    # A recurrent network leaves its own states behind, in the middle of an episode and in the replay.
    # Those of one that diverged may be no numbers, which its successor would never get rid of.
    actors = agent.actors._replace(carry=_finite(diverged, agent.actors.carry))
    memory = _finite(diverged, agent.memory)
    return agent._replace(learner=learner, actors=actors, memory=memory)


def _finite(diverged: jax.Array, tree: PyTree) -> PyTree:
    """Replace non-finite numbers by zero if the agent has diverged."""

    def finite(leaf: jax.Array) -> jax.Array:
        if not jnp.issubdtype(leaf.dtype, jnp.floating):
            return leaf
        return jnp.where(diverged & ~jnp.isfinite(leaf), jnp.zeros_like(leaf), leaf)

    return jax.tree.map(finite, tree)


def _choose(diverged: jax.Array, before: AgentState, after: AgentState) -> AgentState:
    """Select diverged agents from `before`, the others from `after`."""

    def choose(diverged: jax.Array, old: AgentState, new: AgentState) -> AgentState:
        return jax.tree.map(lambda a, b: jnp.where(diverged, a, b), old, new)

    agents = jax.vmap(choose)(diverged, before._replace(steps=None), after._replace(steps=None))
    return agents._replace(steps=after.steps)
