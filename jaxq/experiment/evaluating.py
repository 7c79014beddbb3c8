"""Greedy evaluation of the agents of a run."""

import functools
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

from jaxq import checks
from jaxq.callbacks import Run
from jaxq.checks import INT32_MAX
from jaxq.configuration.config import Config
from jaxq.configuration.config_file import config_of
from jaxq.configuration.logged_data import LOG
from jaxq.engine.state import describe
from jaxq.envs import LoggedEnvironment
from jaxq.experiment.checkpoints import Checkpoints, Saved, checkpoint_name, newest_steps
from jaxq.experiment.costs import EpisodeCosts, budgets_of
from jaxq.experiment.directory import RunDirectory, checked_path
from jaxq.experiment.distributed import gathered
from jaxq.experiment.plan import Plan, prepare
from jaxq.progress import Progress
from jaxq.statistics import bootstrap_interval, caveats, iqm
from jaxq.storage.stored_arrays import DamagedError


class Evaluated(NamedTuple):
    """Greedy evaluation of the agents of a run.

    Attributes:
        config: What was trained.
        returns: Undiscounted returns, `[N, episodes]`.
        stopped: Which of them were halved away, bool `[N]`.
        costs: What the episodes cost; `None` where the environment has no costs.
        checkpoint: Env steps of each agent at the checkpoint that they are from; `None` if they come
            from no checkpoint but out of training.
        skipped: Why newer checkpoints could not be used.
    """

    config: Config
    returns: np.ndarray
    stopped: np.ndarray
    costs: EpisodeCosts | None = None
    checkpoint: int | None = None
    skipped: tuple[str, ...] = ()

    @property
    def warnings(self) -> list[str]:
        """Warnings about the scores, one sentence each."""
        fallbacks = [instead(reason, self.checkpoint) for reason in self.skipped]
        return fallbacks + caveats(self.returns, len(self.config.combinations))

    def summary(self) -> dict[str, Any]:
        """Return returns and costs with their interquartile means over all agents, as plain values."""
        scores = self.returns.mean(axis=1)
        summary = {
            "iqm": iqm(scores),
            "interval": list(bootstrap_interval(scores)),
            "warnings": self.warnings,
            "returns": np.asarray(self.returns, np.float64).tolist(),
        }
        if self.costs is not None:
            summary |= self.costs.summary(self.returns)
        if self.config.halvings:
            summary["stopped"] = np.flatnonzero(self.stopped).tolist()
        if self.checkpoint is not None:
            summary |= {"checkpoint": self.checkpoint, "skipped": [*self.skipped]}
        return summary


def evaluate(plan: Plan, run: Run, episodes: int, seed: int | None = None) -> Evaluated:
    """Play whole episodes with every agent.

    Args:
        plan: What was trained.
        run: The run, whose `state` has the agents.
        episodes: Episodes of each agent.
        seed: Seed of the episodes; one that goes with the run's if not given.

    Returns:
        Returns and costs; returns of a log, which cannot be played, are NaN.
    """
    config, env = plan.config, plan.population.trainer.env
    stopped = run.progress.mask(run.progress.stopped)
    if isinstance(env, LoggedEnvironment):
        return Evaluated(config, np.full((config.agents, episodes), np.nan), stopped)
    if seed is None:
        # Agent i was trained with number i folded in; no population has as many agents as this number.
        key = jax.random.fold_in(jax.random.key(config.seed), INT32_MAX)
    else:
        key = jax.random.key(checks.whole_number("seed", seed, minimum=0))
    if not env.cost_names:
        returns = gathered(plan.population.evaluate(run.state, key, num_episodes=episodes))
        return Evaluated(config, returns, stopped)
    outcomes = gathered(plan.population.evaluate_episodes(run.state, key, num_episodes=episodes))
    budgets = budgets_of(env.cost_names, gathered(run.state.hparams), config.agents)
    costs = EpisodeCosts(env.cost_names, outcomes.costs, budgets)
    return Evaluated(config, outcomes.returns, stopped, costs)


def evaluate_directory(
    directory: Path,
    episodes: int = 32,
    seed: int | None = None,
    *,
    strict: bool = False,
    trust_imports: bool = False,
) -> Evaluated:
    """Play whole episodes with the agents of a run's newest checkpoint that can be used.

    Args:
        directory: A run directory.
        episodes: Episodes of each agent.
        seed: Seed of the episodes; those that the run itself was evaluated on if not given.
        strict: Whether to refuse instead of going back to an older checkpoint.
        trust_imports: Whether to import what the directory holds by import path.

    Raises:
        InputValueError: If it is no run directory, or has no checkpoint that can be used.
        DamagedError: If the newest checkpoint cannot be used and `strict` is set.
    """
    episodes = checks.whole_number("episodes", episodes)
    plan, run, skipped = trained(directory, trust_imports)
    if plan.config.environment == LOG:
        raise checks.InputValueError(
            f"{directory} learned from a log alone, which cannot be played; what its agents are worth "
            f"by logged data says: jaxq ope {directory} --data {plan.config.offline}"
        )
    if strict and skipped:
        raise DamagedError(
            f"{'; '.join(skipped)}; unless strict, the one after {run.steps} steps is used"
        )
    return evaluate(plan, run, episodes, seed)._replace(checkpoint=run.steps, skipped=skipped)


def trained(directory: Path, trust_imports: bool = False) -> tuple[Plan, Run, tuple[str, ...]]:
    """Restore a run from its newest usable checkpoint; also return why newer ones are unusable."""
    opened = RunDirectory.open(checked_path(directory))
    plan = prepare(config_of(opened.read_config(), trust_imports=trust_imports))
    saved = newest(opened, plan.config.agents, plan.population.template)
    progress = Progress.restored(plan.config.agents, saved.facts)
    run = Run(plan.config, opened.path, plan.population, saved.state, progress)
    return plan, run, tuple(saved.passed_over)


def newest(run: RunDirectory, num_agents: int, like: Any) -> Saved:
    """Read the newest usable checkpoint of a run of N agents, as `Checkpoints.restore` does."""
    checkpoints = Checkpoints(run.checkpoints)
    try:
        saved = checkpoints.restore(like, functools.partial(Progress.restored, num_agents))
    finally:
        checkpoints.close()
    if saved is None:
        raise checks.InputValueError(
            f"{run.path} has no checkpoint yet; go on with: jaxq resume {run.path}"
        )
    evaluation = run.read_evaluation(num_agents)
    if evaluation is not None and evaluation.steps > newest_steps(run.checkpoints):
        saved.passed_over.insert(0, f"checkpoint {checkpoint_name(evaluation.steps)} is missing")
    return saved


def instead(reason: str, steps: int | None) -> str:
    """Reason why a checkpoint is unusable, and the one used instead."""
    return f"{reason}; the one after {steps} steps is used instead"


def scores(run: RunDirectory, saved: Saved) -> np.ndarray:
    """Return what the agents of a checkpoint are chosen by, `[N]`; NaN for none.

    It is the mean return over the episodes that an agent finished last before the checkpoint. Agents
    that did not act while they learned have only the returns of the run's final evaluation.
    """
    returns = np.array(saved.facts["returns"], float)
    evaluation = None if np.isfinite(returns).any() else run.read_evaluation(returns.size)
    if evaluation is None or evaluation.steps != saved.facts["steps"]:
        return returns
    return evaluation.returns.mean(axis=1)


def chosen(
    which: Any, returns: np.ndarray, name: str = "which", call: str = "jaxq.load(directory, which=0)"
) -> int:
    """Return the number of the selected agent.

    Args:
        which: "best", "iqm" or a number.
        returns: Mean returns, `[N]`.
        name: What `which` is called in an error.
        call: How a number is given.

    Raises:
        InputTypeError: If it is something else.
        InputValueError: If there is no such agent.
    """
    if which in ("best", "iqm"):
        if not np.isfinite(returns).any():
            raise checks.InputValueError(
                f"no agent has finished an episode yet, so none is {which!r}; give a number: {call}"
            )
        distance = -returns if which == "best" else np.abs(returns - iqm(returns))
        return int(np.nanargmin(distance))
    if isinstance(which, str):
        raise checks.InputValueError(f'{name} must be "best", "iqm" or a number, got {describe(which)}')
    index = checks.whole_number(name, which, minimum=0)
    if index >= returns.size:
        raise checks.InputValueError(
            f"{name} must be below the {returns.size} agents of the run, got {index}"
        )
    return index
