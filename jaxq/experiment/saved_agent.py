"""A saved agent: the directory of one trained agent, without its run."""

import os
from importlib import metadata
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxq import checks
from jaxq.configuration.config import Config
from jaxq.configuration.config_file import written
from jaxq.engine import Trainer
from jaxq.experiment.checkpoints import VERSIONS
from jaxq.experiment.directory import checked_path
from jaxq.hparams import Hparams
from jaxq.storage import access
from jaxq.storage.json_values import check_format, mapping, object_of, write_json
from jaxq.storage.stored_arrays import (
    DamagedError,
    checkpointer,
    plain,
    read_arrays,
    verify,
    with_keys,
    write_manifest,
)
from jaxq.types import PyTree

NAME = "agent.json"
"""File that marks a saved agent."""

_FORMAT = 1
_STATE = "state"


class Learned(NamedTuple):
    """The state that an agent needs to act; leaves `[N, ...]` in a population.

    Attributes:
        learner: What it has learned.
        hparams: Its hyperparameters.
        env_params: The parameters of its environment.
    """

    learner: PyTree
    hparams: Hparams
    env_params: PyTree


class Origin(NamedTuple):
    """Origin of an agent.

    Attributes:
        agent: Its number in its population.
        steps: Its env steps.
        score: Its mean return over the episodes that it finished last; NaN for none.
    """

    agent: int
    steps: int
    score: float

    def __str__(self) -> str:
        """One line for messages."""
        return f"agent {self.agent} after {self.steps:,} steps, score {self.score:.4g}"


def template(trainer: Trainer) -> Learned:
    """Shapes and types of `Learned` for one agent."""
    whole = trainer.template
    return Learned(whole.learner, whole.hparams, whole.env_params)


def on_device(learned: dict[str, PyTree], like: Learned) -> Learned:
    """Put the arrays of one agent on the default device."""
    return with_keys(Learned(**jax.tree.map(jnp.asarray, learned)), like)


def write_agent(path: Any, config: Config, learned: Learned, origin: Origin) -> Path:
    """Write an agent to a new directory, renamed when it is complete."""
    path = checked_path(path).absolute()
    if path.is_symlink() or path.exists():
        raise checks.InputValueError(f"{path} exists already; give agent.save another directory")
    unfinished = path.with_name(path.name + ".unfinished")
    described = {"format": _FORMAT, **origin._asdict(), "config": written(config)}
    try:
        access.remove(unfinished)
        unfinished.mkdir(parents=True)
        checkpointer().save(unfinished / _STATE, plain(learned._asdict()))
        write_json(unfinished / NAME, described)
        write_manifest(unfinished, {"versions": {name: metadata.version(name) for name in VERSIONS}})
        os.rename(unfinished, path)
    except (OSError, ValueError) as error:
        access.remove(unfinished)
        reason = getattr(error, "strerror", None) or error
        raise checks.InputValueError(
            f"{path} cannot be written ({reason}); give agent.save another directory"
        ) from None
    return path


def read_description(path: Path) -> tuple[dict[str, Any], Origin]:
    """Read the configuration of a saved agent, as plain values, and its origin."""
    access.check_no_links(path)
    try:
        verify(path)
    except DamagedError as error:
        raise _damaged(path, error) from None
    described = object_of(path / NAME)
    check_format(path / NAME, described, _FORMAT)
    agent, steps, score = (described.get(name) for name in Origin._fields)
    if type(agent) is not int or type(steps) is not int or type(score) not in (int, float, type(None)):
        raise checks.InputValueError(f"{path / NAME} is not what agent.save wrote: it has no origin")
    origin = Origin(agent, steps, float("nan") if score is None else float(score))
    return mapping(path / NAME, described.get("config")), origin


def read_learned(path: Path, trainer: Trainer) -> Learned:
    """Read the `Learned` of a saved agent."""
    like = template(trainer)
    return on_device(read_parts(path, like._asdict()), like)


def read_parts(path: Path, like: dict[str, PyTree]) -> dict[str, PyTree]:
    """Read parts of the `Learned` of a saved agent to numpy, given their shapes and types.

    Raises:
        InputValueError: If they cannot be read; the cause is what is wrong with them.
    """
    try:
        return read_arrays(path.absolute() / _STATE, like)
    except DamagedError as error:
        raise _damaged(path, error) from error


def _damaged(path: Path, error: Exception) -> checks.InputValueError:
    return checks.InputValueError(
        f"{path} holds no agent that can be used: {error}; save it again with agent.save(path)"
    )
