"""What the agents of a run are worth: played greedily, summed up, and the best one drawn."""

from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

from jaxq import checks
from jaxq.experiment.checkpoints import Checkpoints
from jaxq.experiment.config import Config
from jaxq.experiment.config_file import config_of
from jaxq.experiment.directory import RunDirectory, checked_path
from jaxq.experiment.plan import Plan, prepare
from jaxq.experiment.runner import Position, evaluate
from jaxq.precision import in_32_bits
from jaxq.statistics import bootstrap_interval, caveats, iqm


class Evaluated(NamedTuple):
    """The agents of a run, played greedily.

    Attributes:
        config: What was trained.
        returns: Undiscounted returns, `[N, episodes]`.
        stopped: Which of them were halved away, bool `[N]`.
    """

    config: Config
    returns: np.ndarray
    stopped: np.ndarray

    @property
    def warnings(self) -> list[str]:
        """What the reader of the scores should know, one sentence each."""
        return caveats(self.returns, len(self.config.combinations))

    def summary(self) -> dict[str, Any]:
        """Return the returns with their interquartile mean over all agents, as plain values."""
        scores = self.returns.mean(axis=1)
        summary = {
            "iqm": iqm(scores),
            "interval": list(bootstrap_interval(scores)),
            "warnings": self.warnings,
            "returns": np.asarray(self.returns, np.float64).tolist(),
        }
        stopped = {"stopped": np.flatnonzero(self.stopped).tolist()}
        return summary | stopped if self.config.halvings else summary


def evaluate_directory(directory: Path, episodes: int = 32, seed: int | None = None) -> Evaluated:
    """Play whole episodes with the agents of a run's newest checkpoint.

    Args:
        directory: A run directory.
        episodes: Episodes of each agent.
        seed: Seed of the episodes; those that the run itself was evaluated on if not given.

    Raises:
        InputValueError: If it is no run directory, or has no checkpoint that can be used.
    """
    plan, position = _trained(directory)
    episodes = checks.whole_number("episodes", episodes)
    returns = evaluate(plan, position.state, episodes, seed)
    return Evaluated(plan.config, returns, position.stopped)


@in_32_bits()
def record_best(directory: Path) -> bool:
    """Draw an episode of the agent of a run that scores best, to `report/episode.gif`.

    Args:
        directory: A run directory.

    Returns:
        Whether its environment can be drawn.

    Raises:
        InputValueError: If it is no run directory, or has no checkpoint that can be used.
    """
    from jaxq.experiment.reports.watching import record

    plan, position = _trained(directory)
    scores = evaluate(plan, position.state, plan.config.evaluation_episodes).mean(axis=1)
    best = plan.population.agent(position.state, int(np.nanargmax(np.nan_to_num(scores, nan=-np.inf))))
    key = jax.random.key(plan.config.seed)
    return record(plan.population.trainer, best, key, directory / "report" / "episode.gif")


def _trained(directory: Path) -> tuple[Plan, Position]:
    """Read what a run trained, and where its newest checkpoint is."""
    run = RunDirectory.open(checked_path(directory))
    plan = prepare(config_of(run.read_config()))
    saved = Checkpoints(run.checkpoints).restore(plan.population.template)
    if saved is None:
        raise checks.InputValueError(
            f"{directory} has no checkpoint yet; go on with: jaxq resume {directory}"
        )
    return plan, Position.of(saved.state, saved.facts)
