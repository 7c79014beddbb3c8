"""Running an experiment: segments of training, and between them everything that touches the outside."""

import dataclasses
import functools
import time
from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from jaxq.checks import MOST
from jaxq.experiment.config import Plan
from jaxq.experiment.distributed import gathered
from jaxq.statistics import Interval, bootstrap_interval, iqm
from jaxq.training import AgentState, Metrics


@dataclasses.dataclass(frozen=True)
class Progress:
    """How far a run is, after one segment.

    Attributes:
        steps: Env steps of each agent so far.
        seconds: Time since training began, compilation left out.
        steps_per_second: Env steps of all agents per second, over the last segment.
        returns: Each agent's mean return over the episodes it finished last, `[N]`; NaN for none.
        metrics: Each agent's metrics over the segment, leaves `[N]`.
    """

    steps: int
    seconds: float
    steps_per_second: float
    returns: np.ndarray
    metrics: Metrics

    @property
    def iqm(self) -> float:
        """The interquartile mean of the returns over agents."""
        return iqm(self.returns)

    @functools.cached_property
    def interval(self) -> Interval:
        """The 95% bootstrap interval of the interquartile mean."""
        return bootstrap_interval(self.returns, resamples=500)

    def row(self) -> dict[str, Any]:
        """Return the progress as one line of `metrics.jsonl`."""
        agents = {
            name: np.asarray(values, np.float64).tolist()
            for name, values in self.metrics._asdict().items()
        }
        return {
            "steps": self.steps,
            "seconds": round(self.seconds, 3),
            "steps_per_second": round(self.steps_per_second, 1),
            "iqm": self.iqm,
            "interval": list(self.interval),
            "agents": agents,
        }


def train(plan: Plan, on_segment: Callable[[Progress], None]) -> AgentState:
    """Train a population in segments.

    Args:
        plan: What to train.
        on_segment: Called after every segment.

    Returns:
        The trained population.
    """
    population, config = plan.population, plan.config
    trainer = population.trainer
    state = population.init(jax.random.key(config.seed), plan.hparams)
    # A run from the same state compiles; it is thrown away, and the clock starts behind it.
    jax.block_until_ready(population.run(state, trainer.iteration_steps))
    returns = np.full(config.agents, np.nan)
    began = before = time.perf_counter()
    steps = int(state.steps)
    segment = -(-(config.steps - steps) // config.segments)
    while steps < config.steps:
        state, metrics = population.run(state, min(segment, config.steps - steps))
        metrics = gathered(metrics)
        now, done = time.perf_counter(), int(state.steps)
        returns = np.where(metrics.episodes > 0, metrics.episode_return, returns)
        speed = (done - steps) * config.agents / (now - before)
        on_segment(Progress(done, now - began, speed, returns, metrics))
        steps, before = done, now
    return state


def evaluate(plan: Plan, state: AgentState) -> np.ndarray:
    """Play whole episodes with every agent, and return undiscounted returns, `[N, episodes]`."""
    # Agent i was trained with number i folded in; no population has as many agents as this number.
    key = jax.random.fold_in(jax.random.key(plan.config.seed), MOST)
    episodes = plan.config.evaluation_episodes
    return gathered(plan.population.evaluate(state, key, num_episodes=episodes))
