"""What a run may be resumed with: a configuration, and as many steps as are done at least."""

import dataclasses
from typing import Any

from jaxq import checks
from jaxq.experiment.checkpoints import newest_steps
from jaxq.experiment.config import Config
from jaxq.experiment.directory import RunDirectory
from jaxq.experiment.objects import make_algorithm
from jaxq.experiment.plan import Plan
from jaxq.experiment.sampling import Distribution
from jaxq.hparams import schedules


def checked_kind(config: Any) -> Config:
    """Return a configuration.

    Raises:
        InputTypeError: If it is none.
    """
    if not isinstance(config, Config):
        raise checks.InputTypeError(
            f"config must come from jaxq.configure, got {type(config).__name__}; "
            'for example jaxq.configure("CartPole-v1", "dqn")'
        )
    return config


def extended(config: Config, steps: int | None) -> Config:
    """Let a run be of another length, and its schedules with it: each keeps its share of the run.

    Those of an algorithm that is an object are as the object says.

    Args:
        config: The configuration.
        steps: Env steps of each agent in all; as many as before if `None`.
    """
    if steps is None or checks.whole_number("steps", steps) == config.steps:
        return config

    def stretched(length: float) -> float:
        return length * steps / config.steps

    hparams = make_algorithm(config.algorithm, config.recipe_keywords).hparams
    keywords, sweep, sample = dict(config.keywords), dict(config.sweep), dict(config.sample)
    for name in schedules(hparams):
        if name in sweep:
            sweep[name] = [stretched(value) for value in sweep[name]]
        elif name in sample:
            sample[name] = Distribution.read(name, sample[name]).times(stretched(1.0))
        elif isinstance(config.algorithm, str):
            keywords[name] = stretched(getattr(hparams, name))
    return dataclasses.replace(config, steps=steps, keywords=keywords, sweep=sweep, sample=sample)


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
