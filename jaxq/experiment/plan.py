"""Plans: a configuration made real, ready to run."""

import contextlib
import dataclasses
from typing import Any, NamedTuple

from jaxq import checks
from jaxq.configuration.config import Config
from jaxq.configuration.config_file import written
from jaxq.configuration.logged_data import environment_of
from jaxq.configuration.objects import make_algorithm, plain_settings
from jaxq.engine import Population, Trainer
from jaxq.experiment.checkpoints import newest_steps
from jaxq.experiment.directory import RunDirectory
from jaxq.experiment.halving import check_memory, check_rungs
from jaxq.experiment.saved_agent import Origin
from jaxq.experiment.tuning import remembered
from jaxq.hparams import Hparams, check_may_vary, names, validated
from jaxq.types import PyTree


class Start(NamedTuple):
    """What an agent of another run has learned.

    Attributes:
        learner: It.
        origin: Which agent it was.
        warnings: Reasons why newer checkpoints of that run are unusable, one sentence each.
    """

    learner: PyTree
    origin: Origin
    warnings: list[str]


@dataclasses.dataclass(frozen=True)
class Plan:
    """A configuration made real, ready to run.

    Attributes:
        config: The configuration.
        population: The population that trains.
        hparams: The agents' hyperparameters, leaves `[N]`.
        start: What the agents begin with, once it was read; `None` if they begin anew.
    """

    config: Config
    population: Population
    hparams: Hparams
    start: Start | None = None


def prepare(config: Config) -> Plan:
    """Make the environment, the recipe and the population that a configuration describes.

    The chunk, if it names none, is what `jaxq tune` has found for such a population on this machine.

    Raises:
        InputTypeError: If a keyword does not exist or has the wrong type.
        InputValueError: If a value is out of range, or two do not fit together.
    """
    trainer = trainer_of(config)
    if config.steps <= trainer.warmup_steps:
        raise checks.InputValueError(
            f"steps must be more than the {trainer.warmup_steps} that fill the replay before "
            f"learning starts, got {config.steps}; for example steps={10 * trainer.warmup_steps}, "
            "or a smaller learning_starts"
        )
    trainer.iterations(config.steps)
    check_rungs(config, trainer.warmup_steps, segment_steps(config, trainer))
    population = _population(trainer, config)
    check_memory(config, population)
    population.check_episodes(config.evaluation_episodes)
    varied = config.varied
    for name in varied:
        check_may_vary(name, trainer.hparams)
    hparams = validated(trainer.hparams.replace(**varied), trainer.hparams, (config.agents,))
    return Plan(config, population, hparams)


def trainer_of(config: Config) -> Trainer:
    """Make the trainer of one of the agents that a configuration describes.

    Raises:
        InputTypeError: If a keyword does not exist or has the wrong type.
        InputValueError: If a value is out of range, or two do not fit together.
    """
    algorithm = make_algorithm(config.algorithm, config.recipe_keywords)
    return Trainer(environment_of(config.environment, config.offline), algorithm)


def _population(trainer: Trainer, config: Config) -> Population:
    found = remembered(trainer, config.agents) if config.chunk is None else None
    if found is not None:
        # It may have been found where there was more memory.
        with contextlib.suppress(checks.InputValueError):
            return Population(trainer, config.agents, chunk=found)
    return Population(trainer, config.agents, chunk=config.chunk)


def check_steps_done(plan: Plan, directory: RunDirectory) -> None:
    """Check that a run is not to end before where it has come to.

    Args:
        plan: How it is to go on.
        directory: Where it is written.

    Raises:
        InputValueError: If more steps are done, beyond those that fill up the last iteration.
    """
    done, steps = newest_steps(directory.checkpoints), plan.config.steps
    if done - steps >= plan.population.trainer.iteration_steps:
        raise checks.InputValueError(
            f"steps must be at least the {done} that each agent has done, got {steps}; "
            f"to train on, for example steps={2 * done}"
        )


def segment_steps(config: Config, trainer: Trainer) -> int:
    """Return the env steps of each agent in a segment: whole iterations, behind the warm-up."""
    segment = -(-(config.steps - trainer.warmup_steps) // config.segments)
    return -(-segment // trainer.iteration_steps) * trainer.iteration_steps


def describe(plan: Plan) -> dict[str, Any]:
    """Return a plan as plain values: the configuration with every setting and leaf spelled out."""
    recipe = plan.population.trainer.algorithm
    leaves = {
        name: float(getattr(recipe.hparams, name))
        for name in names(recipe.hparams)
        if name not in {**plan.config.sweep, **plan.config.sample}
    }
    described = {
        **written(plan.config),
        "chunk": plan.population.chunk,
        "sampled": {name: values.tolist() for name, values in plan.config.sampled.items()},
    }
    return {**described, "settings": plain_settings(recipe), "hparams": leaves}
