"""Loading: from a directory back to trained agents."""

import warnings
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

from jaxq import checks
from jaxq.agents import Agent, Algorithm
from jaxq.configuration.config import Config
from jaxq.configuration.config_file import config_of
from jaxq.configuration.configuring import checked_kind
from jaxq.engine import Trainer
from jaxq.engine.memory_use import num_bytes
from jaxq.experiment.directory import RunDirectory, checked_path
from jaxq.experiment.evaluating import chosen, instead, newest, scores
from jaxq.experiment.plan import trainer_of
from jaxq.experiment.saved_agent import (
    NAME,
    Learned,
    Origin,
    on_device,
    read_description,
    read_learned,
    template,
)
from jaxq.precision import in_32_bits
from jaxq.trained.loaded_agent import LoadedAgent
from jaxq.types import Environment, PyTree

_CALL = "jaxq.load(directory, {})"


class LoadedPopulation(NamedTuple):
    """The learners of all agents of a run, from its newest usable checkpoint.

    Attributes:
        config: What was trained.
        trainer: The trainer of one agent.
        learned: What they have learned, numpy leaves `[N, ...]`.
        steps: Env steps of each agent.
        returns: Mean return over the episodes that each agent finished last, `[N]`, or of the final
            evaluation where no agent acted while it learned; NaN for none.
        warnings: Reasons why newer checkpoints are unusable, one sentence each.
        replays: Their replays' states, numpy leaves `[N, ...]`, where these were asked for and are small
            enough; otherwise `None`.
    """

    config: Config
    trainer: Trainer
    learned: Learned
    steps: int
    returns: np.ndarray
    warnings: list[str]
    replays: PyTree | None = None

    def agent(self, index: int) -> LoadedAgent:
        """Return one agent."""
        parts = jax.tree.map(lambda leaf: leaf[index], self.learned._asdict())
        origin = Origin(index, self.steps, float(self.returns[index]))
        return LoadedAgent(self.config, self.trainer, on_device(parts, template(self.trainer)), origin)


@in_32_bits()
def load(
    directory: Path | str,
    which: str | int = "best",
    *,
    config: Config | None = None,
    environment: Environment | None = None,
    algorithm: Algorithm | Agent | None = None,
    trust_imports: bool = False,
) -> LoadedAgent:
    """Load a trained agent from a run directory, or from what `LoadedAgent.save` wrote.

    Of a run's newest checkpoint that can be used, what all its agents have learned is read, and one of
    them kept. Replays and environments stay on disk, and are read only to check that nothing is damaged.

    Args:
        directory: A run directory, or a directory that `LoadedAgent.save` wrote.
        which: The agent of a run: "best" by the mean return over the episodes that it finished last
            before the checkpoint, or by the final evaluation where no agent acted while it learned;
            "iqm", whose score is nearest to the interquartile mean of all; or its number.
        config: What was trained, where it holds what cannot be read from a file, such as a network of
            one's own; from the directory if not given.
        environment: The environment, where only that was given in Python.
        algorithm: The algorithm, where only that was given in Python.
        trust_imports: Whether to import what the directory holds by import path, which runs that module.

    Returns:
        The agent.

    Raises:
        InputTypeError: If an argument has the wrong type.
        InputValueError: If the directory is neither, is damaged, or has no such agent.

    Example:
        >>> import jax, jaxq, tempfile
        >>> config = jaxq.configure("FrozenLake-v1", "q_learning", agents=2, steps=2_000)
        >>> with tempfile.TemporaryDirectory() as parent:
        ...     _ = jaxq.Experiment(config, parent + "/run").run()
        ...     saved = jaxq.load(parent + "/run", which=1).save(parent + "/agent")
        ...     agent = jaxq.load(saved)
        >>> agent.evaluate(jax.random.key(0), num_episodes=4).shape
        (4,)
    """
    path = checked_path(directory)
    objects = {"environment": environment, "algorithm": algorithm, "trust_imports": trust_imports}
    if (path / NAME).is_file():
        return _read_agent(path, which, config, objects)
    population = _population(path, config, objects)
    for warning in population.warnings:
        warnings.warn(warning, stacklevel=3)
    return population.agent(chosen(which, population.returns))


@in_32_bits()
def load_population(
    directory: Path | str, *, trust_imports: bool = False, replay_bytes: int = 0
) -> LoadedPopulation:
    """Load all agents of a run, without their environments.

    Args:
        directory: A run directory.
        trust_imports: Whether to import what the directory holds by import path.
        replay_bytes: Bytes up to which replays are loaded too.

    Raises:
        InputValueError: If it is no run directory, or has no checkpoint that can be used.
    """
    path, objects = checked_path(directory), {"trust_imports": trust_imports}
    return _population(path, None, objects, replay_bytes)


def _read_agent(
    path: Path, which: str | int, config: Config | None, objects: dict[str, Any]
) -> LoadedAgent:
    described, origin = read_description(path)
    if which not in ("best", origin.agent):
        raise checks.InputValueError(
            f"{path} holds one agent, number {origin.agent} of its run, and not {which!r}; "
            "use jaxq.load(directory)"
        )
    if config is None:
        config = config_of(described, str(path / NAME), call=_CALL, **objects)
    trainer = trainer_of(checked_kind(config))
    return LoadedAgent(config, trainer, read_learned(path, trainer), origin)


def _population(
    path: Path, config: Config | None, objects: dict[str, Any], replay_bytes: int = 0
) -> LoadedPopulation:
    run = RunDirectory.open(path)
    config = config_of(run.read_config(), call=_CALL, **objects) if config is None else config
    trainer = trainer_of(checked_kind(config))
    parts = template(trainer)._asdict()
    if config.agents * num_bytes(trainer.template.memory) <= replay_bytes:
        parts["memory"] = trainer.template.memory
    parts = jax.tree.map(
        lambda leaf: jax.ShapeDtypeStruct((config.agents, *leaf.shape), leaf.dtype), parts
    )
    saved = newest(run, config.agents, parts)
    replays, steps = saved.state.pop("memory", None), saved.facts["steps"]
    reasons, returns = [instead(reason, steps) for reason in saved.passed_over], scores(run, saved)
    return LoadedPopulation(config, trainer, Learned(**saved.state), steps, returns, reasons, replays)
