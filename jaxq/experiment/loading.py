"""Loading: from a directory back to trained agents, and from an agent to a directory of its own.

The directory of an agent holds what it has learned, and nothing else of its run.
"""

import json
import os
import warnings
from importlib import metadata
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxq import checks
from jaxq.agents import Agent, Algorithm
from jaxq.engine import Trainer
from jaxq.engine.memory_use import num_bytes
from jaxq.engine.state import describe
from jaxq.experiment.checkpoints import VERSIONS, Checkpoints
from jaxq.experiment.config import Config
from jaxq.experiment.config_file import config_of
from jaxq.experiment.directory import RunDirectory, checked_path, finite
from jaxq.experiment.evaluating import instead, newest
from jaxq.experiment.files import access
from jaxq.experiment.files.json_values import brief, mapping, object_of
from jaxq.experiment.loaded_agent import Learned, LoadedAgent, Origin
from jaxq.experiment.plan import trainer_of, written
from jaxq.experiment.resuming import checked_kind
from jaxq.experiment.stored_arrays import (
    DamagedError,
    checkpointer,
    plain,
    read_part,
    verify,
    with_keys,
    write_manifest,
)
from jaxq.precision import in_32_bits
from jaxq.statistics import iqm
from jaxq.types import Environment, PyTree

_CALL = "jaxq.load(directory, {})"
# What tells the directory of an agent from that of a run.
_AGENT = "agent.json"
_FORMAT = 1
_STATE = "state"


class LoadedPopulation(NamedTuple):
    """What all agents of a run have learned, of its newest checkpoint that can be used.

    Attributes:
        config: What was trained.
        trainer: The trainer of one agent.
        learned: What they have learned, numpy leaves `[N, ...]`.
        steps: Env steps of each agent.
        returns: Mean return over the episodes that each agent finished last, `[N]`; NaN for none.
        warnings: Why newer checkpoints could not be used, one sentence each.
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
        """Take one agent out."""
        parts = jax.tree.map(lambda leaf: leaf[index], self.learned._asdict())
        origin = Origin(index, self.steps, float(self.returns[index]))
        return LoadedAgent(self.config, self.trainer, _on_device(parts, self.trainer), origin)


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
            before the checkpoint; "iqm", whose score is nearest to the interquartile mean of all; or its
            number.
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
    if (path / _AGENT).is_file():
        return _read_agent(path, which, config, objects)
    population = _population(path, config, objects)
    for warning in population.warnings:
        warnings.warn(warning, stacklevel=3)
    return population.agent(_chosen(which, population.returns))


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


def write_agent(agent: LoadedAgent, path: Any) -> Path:
    """Write an agent to a new directory, which has its name only when it is complete.

    Raises:
        InputValueError: If it exists already, or cannot be written.
    """
    path = checked_path(path).absolute()
    if path.is_symlink() or path.exists():
        raise checks.InputValueError(f"{path} exists already; give agent.save another directory")
    unfinished = path.with_name(path.name + ".unfinished")
    described = {"format": _FORMAT, **agent.origin._asdict(), "config": written(agent.config)}
    try:
        access.remove(unfinished)
        unfinished.mkdir(parents=True)
        checkpointer().save(unfinished / _STATE, plain(agent.learned._asdict()))
        access.replace(unfinished / _AGENT, json.dumps(finite(described), indent=2) + "\n")
        write_manifest(unfinished, {"versions": {name: metadata.version(name) for name in VERSIONS}})
        os.rename(unfinished, path)
    except (OSError, ValueError) as error:
        access.remove(unfinished)
        reason = getattr(error, "strerror", None) or error
        raise checks.InputValueError(
            f"{path} cannot be written ({reason}); give agent.save another directory"
        ) from None
    return path


def _read_agent(
    path: Path, which: str | int, config: Config | None, objects: dict[str, Any]
) -> LoadedAgent:
    """Read what `write_agent` wrote."""
    access.check_no_links(path)
    try:
        verify(path)
        described = object_of(path / _AGENT)
        origin = _origin(path / _AGENT, described)
        if which not in ("best", origin.agent):
            raise checks.InputValueError(
                f"{path} holds one agent, number {origin.agent} of its run, and not {which!r}; "
                "use jaxq.load(directory)"
            )
        if config is None:
            written = mapping(path / _AGENT, described.get("config"))
            config = config_of(written, str(path / _AGENT), call=_CALL, **objects)
        trainer = trainer_of(checked_kind(config))
        parts = read_part(path.absolute() / _STATE, _template(trainer)._asdict())
    except DamagedError as error:
        raise checks.InputValueError(
            f"{path} holds no agent that can be used: {error}; save it again with agent.save(path)"
        ) from None
    return LoadedAgent(config, trainer, _on_device(parts, trainer), origin)


def _origin(file: Path, described: dict[str, Any]) -> Origin:
    if described.get("format") != _FORMAT:
        raise checks.InputValueError(
            f"{file} has format {brief(described.get('format'))}, "
            f"and this version of jaxq reads {_FORMAT}"
        )
    agent, steps, score = (described.get(name) for name in Origin._fields)
    if type(agent) is not int or type(steps) is not int or type(score) not in (int, float, type(None)):
        raise checks.InputValueError(f"{file} is not what agent.save wrote: it has no origin")
    return Origin(agent, steps, float("nan") if score is None else float(score))


def _population(
    path: Path, config: Config | None, objects: dict[str, Any], replay_bytes: int = 0
) -> LoadedPopulation:
    run = RunDirectory.open(path)
    config = config_of(run.read_config(), call=_CALL, **objects) if config is None else config
    trainer = trainer_of(checked_kind(config))
    parts = _template(trainer)._asdict()
    if config.agents * num_bytes(trainer.template.memory) <= replay_bytes:
        parts["memory"] = trainer.template.memory
    parts = jax.tree.map(
        lambda leaf: jax.ShapeDtypeStruct((config.agents, *leaf.shape), leaf.dtype), parts
    )
    saved = newest(run, config, Checkpoints.restore_part, parts)
    replays, steps = saved.state.pop("memory", None), saved.facts["steps"]
    returns = np.array(saved.facts["returns"], float)
    reasons = [instead(reason, steps) for reason in saved.passed_over]
    return LoadedPopulation(config, trainer, Learned(**saved.state), steps, returns, reasons, replays)


def _template(trainer: Trainer) -> Learned:
    """Return the shapes and types of what one agent has learned."""
    whole = trainer.template
    return Learned(whole.learner, whole.hparams, whole.env_params)


def _on_device(parts: dict[str, PyTree], trainer: Trainer) -> Learned:
    """Put what was read for one agent on the default device."""
    return with_keys(Learned(**jax.tree.map(jnp.asarray, parts)), _template(trainer))


def _chosen(which: str | int, returns: np.ndarray) -> int:
    """Return the number of the agent that is asked for, of those with mean returns `[N]`."""
    if which in ("best", "iqm"):
        if not np.isfinite(returns).any():
            raise checks.InputValueError(
                f"no agent has finished an episode yet, so none is {which!r}; "
                "give a number: jaxq.load(directory, which=0)"
            )
        distance = -returns if which == "best" else np.abs(returns - iqm(returns))
        return int(np.nanargmin(distance))
    if isinstance(which, str):
        raise checks.InputValueError(f'which must be "best", "iqm" or a number, got {describe(which)}')
    index = checks.whole_number("which", which, minimum=0)
    if index >= returns.size:
        raise checks.InputValueError(
            f"which must be below the {returns.size} agents of the run, got {index}"
        )
    return index
