"""What the agents of a run are worth: played greedily, and summed up."""

import functools
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from jaxq import checks
from jaxq.experiment.callbacks import Run
from jaxq.experiment.checkpoints import Checkpoints, checkpoint_name, newest_steps
from jaxq.experiment.config import Config
from jaxq.experiment.config_file import config_of
from jaxq.experiment.costs import EpisodeCosts
from jaxq.experiment.directory import RunDirectory, checked_path
from jaxq.experiment.logged_data import LOG
from jaxq.experiment.manifest import DamagedError
from jaxq.experiment.plan import Plan, prepare
from jaxq.experiment.progress import Progress, check_facts
from jaxq.experiment.runner import evaluate
from jaxq.statistics import bootstrap_interval, caveats, iqm


class Evaluated(NamedTuple):
    """The agents of a run, played greedily.

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
        """What the reader of the scores should know, one sentence each."""
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
            f"{'; '.join(skipped)}; without --strict the one after {run.steps} steps is used"
        )
    returns, costs = evaluate(plan, run.state, episodes, seed)
    stopped = run.progress.mask(run.progress.stopped)
    return Evaluated(plan.config, returns, stopped, costs, run.steps, skipped)


def trained(directory: Path, trust_imports: bool = False) -> tuple[Plan, Run, tuple[str, ...]]:
    """Read what a run trained, as its newest usable checkpoint has it, and why newer ones are none."""
    path = checked_path(directory)
    opened = RunDirectory.open(path)
    plan = prepare(config_of(opened.read_config(), trust_imports=trust_imports))
    check = functools.partial(check_facts, plan.config.agents)
    saved = Checkpoints(opened.checkpoints).restore(plan.population.template, check)
    if saved is None:
        raise no_checkpoint(directory)
    progress = Progress.restored(int(saved.state.steps), saved.facts)
    run = Run(plan.config, path, plan.population, saved.state, progress)
    return plan, run, (*missing(opened, plan.config), *saved.passed_over)


def no_checkpoint(directory: Path) -> checks.InputValueError:
    """Return the error for a run that has not come to its first checkpoint."""
    return checks.InputValueError(
        f"{directory} has no checkpoint yet; go on with: jaxq resume {directory}"
    )


def missing(run: RunDirectory, config: Config) -> list[str]:
    """Say so if the checkpoint that a run came to its end with is not there."""
    evaluation = run.read_evaluation(config.agents)
    if evaluation is not None and evaluation.steps > newest_steps(run.checkpoints):
        return [f"checkpoint {checkpoint_name(evaluation.steps)} is missing"]
    return []


def instead(reason: str, steps: int | None) -> str:
    """Say why a checkpoint could not be used, and which one is."""
    return f"{reason}; the one after {steps} steps is used instead"
