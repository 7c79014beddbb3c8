"""Running an experiment: segments of training, and between them everything that touches the outside."""

import dataclasses
import functools
import time
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxq import checks
from jaxq.checks import MOST
from jaxq.experiment.directory import finite
from jaxq.experiment.distributed import gathered
from jaxq.experiment.divergence import Watch
from jaxq.experiment.plan import Plan
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
        diverged: Agents that have diverged so far.
    """

    steps: int
    seconds: float
    steps_per_second: float
    returns: np.ndarray
    metrics: Metrics
    diverged: list[int] = dataclasses.field(default_factory=list)

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
            "diverged": self.diverged,
            "agents": agents,
        }

    @classmethod
    def of(cls, row: dict[str, Any], returns: np.ndarray) -> "Progress":
        """Read back a line of `metrics.jsonl`, given the returns before it."""
        metrics = Metrics(*[np.array(row["agents"][name], float) for name in Metrics._fields])
        ended = (metrics.episodes > 0) & np.isfinite(metrics.episode_return)
        returns = np.where(ended, metrics.episode_return, returns)
        return cls(
            row["steps"], row["seconds"], row["steps_per_second"], returns, metrics, row["diverged"]
        )


@dataclasses.dataclass(frozen=True)
class Position:
    """Where a run is: all that it takes to go on from there.

    Attributes:
        state: The population.
        returns: Each agent's mean return over the episodes it finished last, `[N]`; NaN for none.
        seconds: Time spent training, compilation left out.
        diverged: Which agents have diverged at some time, bool `[N]`.
    """

    state: AgentState
    returns: np.ndarray
    seconds: float
    diverged: np.ndarray

    @property
    def steps(self) -> int:
        """Env steps of each agent so far."""
        return int(self.state.steps)

    def rescheduled(self, steps: int) -> "Position":
        """Let all learning rates reach zero after so many env steps of each agent."""
        length = jnp.full_like(self.state.hparams.learning_rate_steps, steps)
        hparams = self.state.hparams.replace(learning_rate_steps=length)
        return dataclasses.replace(self, state=self.state._replace(hparams=hparams))

    def facts(self) -> dict[str, Any]:
        """Return what is not in the state as plain values."""
        return {
            "returns": finite(self.returns.tolist()),
            "seconds": self.seconds,
            "diverged": np.flatnonzero(self.diverged).tolist(),
        }

    @classmethod
    def of(cls, state: AgentState, facts: dict[str, Any]) -> "Position":
        """Put a state and what `facts` returned together again."""
        returns = np.array(facts["returns"], float)
        diverged = np.isin(np.arange(returns.size), facts["diverged"])
        return cls(state, returns, facts["seconds"], diverged)


def begin(plan: Plan) -> Position:
    """Make the population that a run begins with."""
    agents = plan.config.agents
    state = plan.population.init(jax.random.key(plan.config.seed), plan.hparams)
    return Position(state, np.full(agents, np.nan), 0.0, np.zeros(agents, bool))


def train(plan: Plan, position: Position, on_segment: Callable[[Progress, Position], None]) -> Position:
    """Train a population in segments, from wherever it is.

    Args:
        plan: What to train.
        position: Where the run is.
        on_segment: Called after every segment; what it raises ends the training.

    Returns:
        Where the run is at its end.

    Raises:
        DivergenceError: If an agent has, and that is to stop the run.
    """
    config, trainer = plan.config, plan.population.trainer
    if position.steps >= config.steps:
        return position
    # A run from the same state compiles; it is thrown away, and the clock starts behind it.
    watch = Watch(plan.population)
    watch.diverged(*plan.population.run(position.state, trainer.iteration_steps))
    segment = -(-(config.steps - trainer.warmup_steps) // config.segments)
    segment = -(-segment // trainer.iteration_steps) * trainer.iteration_steps
    while position.steps < config.steps:
        # Where segments end depends on the configuration alone, not on where the run began.
        length = segment - (position.steps - trainer.warmup_steps) % segment
        progress, position = _segment(plan, watch, position, min(length, config.steps - position.steps))
        on_segment(progress, position)
    return position


def _segment(plan: Plan, watch: Watch, before: Position, length: int) -> tuple[Progress, Position]:
    """Train for one segment, and deal with agents that diverge in it."""
    began = time.perf_counter()
    state, metrics = plan.population.run(before.state, length)
    diverged = watch.diverged(state, metrics)
    metrics = gathered(metrics)
    if diverged.any() and plan.config.on_divergence == "stop":
        raise DivergenceError(np.flatnonzero(diverged).tolist(), before)
    if plan.config.on_divergence == "freeze":
        diverged = diverged | before.diverged
    if diverged.any():
        set_back = watch.restarted if plan.config.on_divergence == "restart" else watch.frozen
        state = set_back(diverged, before.state, state)
    seconds = time.perf_counter() - began
    ended = (metrics.episodes > 0) & ~diverged
    after = Position(
        state,
        np.where(ended, metrics.episode_return, before.returns),
        before.seconds + seconds,
        before.diverged | diverged,
    )
    speed = (after.steps - before.steps) * plan.config.agents / seconds
    progress = Progress(
        after.steps,
        after.seconds,
        speed,
        after.returns,
        metrics,
        np.flatnonzero(after.diverged).tolist(),
    )
    return progress, after


class DivergenceError(Exception):
    """Agents have diverged, and the run is to stop.

    Attributes:
        agents: Which ones.
        before: Where the run was before.
    """

    def __init__(self, agents: list[int], before: Position) -> None:
        super().__init__(
            f"agents {agents} have diverged after {before.steps:,} steps; try a smaller learning_rate, "
            "or --on-divergence freeze"
        )
        self.agents = agents
        self.before = before


def evaluate(plan: Plan, state: AgentState, episodes: int, seed: int | None = None) -> np.ndarray:
    """Play whole episodes with every agent.

    Args:
        plan: What was trained.
        state: The population.
        episodes: Episodes of each agent.
        seed: Seed of the episodes; one that goes with the run's if not given.

    Returns:
        Undiscounted returns, `[N, episodes]`.
    """
    if seed is None:
        # Agent i was trained with number i folded in; no population has as many agents as this number.
        key = jax.random.fold_in(jax.random.key(plan.config.seed), MOST)
    else:
        key = jax.random.key(checks.whole_number("seed", seed, minimum=0))
    return gathered(plan.population.evaluate(state, key, num_episodes=episodes))
