"""Running an experiment: segments of training, and between them everything that touches the outside."""

import dataclasses
import functools
import sys
import time
from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from jaxq import checks
from jaxq.checks import INT32_MAX
from jaxq.engine import AgentState, Metrics
from jaxq.envs import LoggedEnvironment
from jaxq.experiment.config import Config
from jaxq.experiment.costs import EpisodeCosts, budgets_of
from jaxq.experiment.directory import finite
from jaxq.experiment.distributed import gathered
from jaxq.experiment.divergence import Watch
from jaxq.experiment.files.records import Row
from jaxq.experiment.halving import Survivors, halved
from jaxq.experiment.manifest import DamagedError
from jaxq.experiment.plan import Plan, segment_steps
from jaxq.hparams import Hparams, schedules
from jaxq.statistics import Interval, bootstrap_interval, iqm


@dataclasses.dataclass(frozen=True)
class Progress:
    """How far a run is, after one segment.

    Attributes:
        steps: Env steps of each agent so far.
        seconds: Time since training began, compilation left out.
        steps_per_second: Env steps of all agents that train per second, over the last segment.
        returns: Each agent's mean return over the episodes it finished last, `[N]`; NaN for none.
        metrics: Each agent's metrics over the segment, leaves `[N]`.
        diverged: Agents that have diverged so far.
        stopped: Agents that train no further, as they were halved away.
    """

    steps: int
    seconds: float
    steps_per_second: float
    returns: np.ndarray
    metrics: Metrics
    diverged: list[int] = dataclasses.field(default_factory=list)
    stopped: list[int] = dataclasses.field(default_factory=list)

    @property
    def iqm(self) -> float:
        """The interquartile mean of the returns over agents, those that have diverged included."""
        return iqm(self.returns)

    @property
    def without_return(self) -> int:
        """How many agents the interquartile mean leaves out, as they have finished no episode yet."""
        return int(np.count_nonzero(~np.isfinite(self.returns)))

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
            "without_return": self.without_return,
            "diverged": self.diverged,
            "stopped": self.stopped,
            "agents": agents,
        }

    @classmethod
    def of(cls, row: Row, returns: np.ndarray) -> "Progress":
        """Make a line of `metrics.jsonl` what it was, given the returns before it."""
        returns = updated_returns(row.metrics, returns)
        plain = row.steps, row.seconds, row.steps_per_second
        return cls(*plain, returns, row.metrics, row.diverged, row.stopped)


def updated_returns(metrics: Metrics, before: np.ndarray) -> np.ndarray:
    """Return each agent's mean return over the episodes it finished last, `[N]`; NaN for none.

    Args:
        metrics: Each agent's metrics over a segment, leaves `[N]`.
        before: What was returned for the segment before, `[N]`.
    """
    ended = (metrics.episodes > 0) & np.isfinite(metrics.episode_return)
    return np.where(ended, metrics.episode_return, before)


@dataclasses.dataclass(frozen=True)
class Position:
    """Where a run is: all that it takes to go on from there.

    Attributes:
        state: The population.
        returns: Each agent's mean return over the episodes it finished last, `[N]`; NaN for none.
        seconds: Time spent training, compilation left out.
        diverged: Which agents have diverged at some time, bool `[N]`.
        stopped: Which agents train no further, as they were halved away, bool `[N]`.
    """

    state: AgentState
    returns: np.ndarray
    seconds: float
    diverged: np.ndarray
    stopped: np.ndarray

    @property
    def steps(self) -> int:
        """Env steps of each agent so far."""
        return int(self.state.steps)

    def rescheduled(self, planned: Hparams) -> "Position":
        """Give all schedules the lengths that they have in `planned`, leaves `[N]`."""
        own, lengths = self.state.hparams, {}
        for name in schedules(planned):
            new, sharding = np.asarray(getattr(planned, name)), getattr(own, name).sharding
            lengths[name] = jax.make_array_from_callback(new.shape, sharding, new.__getitem__)
        return dataclasses.replace(self, state=self.state._replace(hparams=own.replace(**lengths)))

    def facts(self) -> dict[str, Any]:
        """Return what is not in the state as plain values."""
        return {
            "returns": finite(self.returns.tolist()),
            "seconds": self.seconds,
            "diverged": np.flatnonzero(self.diverged).tolist(),
            "stopped": np.flatnonzero(self.stopped).tolist(),
        }

    @classmethod
    def of(cls, state: AgentState, facts: dict[str, Any]) -> "Position":
        """Put a state and what `facts` returned together again."""
        returns = np.array(facts["returns"], float)
        lists = facts["diverged"], facts["stopped"]
        masks = [np.isin(np.arange(returns.size), numbers) for numbers in lists]
        return cls(state, returns, facts["seconds"], *masks)


def check_facts(config: Config, facts: dict[str, Any]) -> None:
    """Check that values out of a file are what `Position.facts` returns.

    Args:
        config: What is trained.
        facts: The values, as JSON has them.

    Raises:
        DamagedError: If one is missing, or something else.
    """

    def is_number(value: Any) -> bool:
        return type(value) in (int, float) and abs(value) <= sys.float_info.max

    def are_agents(numbers: Any) -> bool:
        return isinstance(numbers, list) and all(
            type(number) is int and 0 <= number < config.agents for number in numbers
        )

    returns = facts.get("returns")
    if not isinstance(returns, list) or len(returns) != config.agents:
        raise DamagedError(f"it does not hold returns of {config.agents} agents")
    if not all(value is None or is_number(value) for value in returns):
        raise DamagedError("its returns are no numbers")
    if not is_number(facts.get("seconds")):
        raise DamagedError("it does not say how many seconds it took")
    if not all(are_agents(facts.get(name)) for name in ("diverged", "stopped")):
        raise DamagedError("it does not say which agents have diverged or stopped")


def begin(plan: Plan) -> Position:
    """Make the population that a run begins with."""
    agents = plan.config.agents
    state = plan.population.init(jax.random.key(plan.config.seed), plan.hparams)
    return Position(state, np.full(agents, np.nan), 0.0, *np.zeros((2, agents), bool))


def train(
    plan: Plan, position: Position, on_segment: Callable[[Progress, Position], bool | None]
) -> Position:
    """Train a population in segments, from wherever it is.

    Args:
        plan: What to train.
        position: Where the run is.
        on_segment: Called after every segment; what it raises ends the training, and so does `True`.

    Returns:
        Where the run is at its end.

    Raises:
        DivergenceError: If an agent has, and that is to stop the run.
    """
    config, trainer = plan.config, plan.population.trainer
    if position.steps >= config.steps:
        return position
    survivors, watch = Survivors(plan.population), Watch(plan.population)
    segment, compiled = segment_steps(config, trainer), None
    while position.steps < config.steps:
        if not np.array_equal(position.stopped, compiled):
            # A run from the same state compiles; it is thrown away, and the clock starts behind it.
            watch.diverged(*survivors.run(position.state, trainer.iteration_steps, position.stopped))
            compiled = position.stopped
        # Where segments end depends on the configuration alone, not on where the run began.
        length = segment - (position.steps - trainer.warmup_steps) % segment
        length = min(length, config.steps - position.steps)
        progress, position = _segment(plan, survivors, watch, position, length)
        if on_segment(progress, position):
            break
    return position


def _segment(
    plan: Plan, survivors: Survivors, watch: Watch, before: Position, length: int
) -> tuple[Progress, Position]:
    """Train for one segment, deal with agents that diverge in it, and stop those that are too bad."""
    began = time.perf_counter()
    state, metrics = survivors.run(before.state, length, before.stopped)
    # Of agents that have stopped there is no loss to look at.
    diverged = watch.diverged(state, metrics) & ~before.stopped
    metrics = gathered(metrics)
    if diverged.any() and plan.config.on_divergence == "stop":
        raise DivergenceError(np.flatnonzero(diverged).tolist(), before)
    if plan.config.on_divergence == "freeze":
        diverged = diverged | before.diverged
    if diverged.any():
        if plan.config.on_divergence == "restart":
            state = watch.restarted(diverged, state)
        else:
            state = watch.frozen(diverged, before.state, state)
    seconds = time.perf_counter() - began
    # Agents that have diverged count with what they get, as everywhere: without them the scores would be
    # those of agents that were chosen for doing well.
    returns = updated_returns(metrics, before.returns)
    diverged = before.diverged | diverged
    stopped = halved(plan.config, int(state.steps), returns, diverged, before.stopped)
    after = Position(state, returns, before.seconds + seconds, diverged, stopped)
    speed = (after.steps - before.steps) * np.count_nonzero(~before.stopped) / seconds
    lists = np.flatnonzero(diverged).tolist(), np.flatnonzero(stopped).tolist()
    progress = Progress(after.steps, after.seconds, speed, returns, metrics, *lists)
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
            "or on_divergence='freeze'"
        )
        self.agents = agents
        self.before = before


def evaluate(
    plan: Plan, state: AgentState, episodes: int, seed: int | None = None
) -> tuple[np.ndarray, EpisodeCosts | None]:
    """Play whole episodes with every agent.

    Args:
        plan: What was trained.
        state: The population.
        episodes: Episodes of each agent.
        seed: Seed of the episodes; one that goes with the run's if not given.

    Returns:
        Undiscounted returns, `[N, episodes]`, all NaN of a log, which cannot be played; and what the
        episodes cost, `None` where the environment has no costs.
    """
    agents, env = plan.config.agents, plan.population.trainer.env
    if isinstance(env, LoggedEnvironment):
        return np.full((agents, episodes), np.nan), None
    if seed is None:
        # Agent i was trained with number i folded in; no population has as many agents as this number.
        key = jax.random.fold_in(jax.random.key(plan.config.seed), INT32_MAX)
    else:
        key = jax.random.key(checks.whole_number("seed", seed, minimum=0))
    if not env.cost_names:
        return gathered(plan.population.evaluate(state, key, num_episodes=episodes)), None
    outcomes = gathered(plan.population.evaluate_episodes(state, key, num_episodes=episodes))
    budgets = budgets_of(env.cost_names, gathered(state.hparams), agents)
    return outcomes.returns, EpisodeCosts(env.cost_names, outcomes.costs, budgets)
