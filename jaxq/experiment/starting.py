"""Starting: agents begin with what an agent of another run has learned.

Only arrays are read, by the shapes that the new agents have: neither the data nor the objects that the
other run was made with have to be there.
"""

import dataclasses
import hashlib
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxq import checks
from jaxq.configuration.config import Config
from jaxq.configuration.objects import is_plain, name_of, plain_settings
from jaxq.engine import Trainer
from jaxq.experiment.directory import RunDirectory
from jaxq.experiment.evaluating import chosen, instead, newest, scores
from jaxq.experiment.plan import Plan, Start, trainer_of
from jaxq.experiment.saved_agent import NAME, Origin, read_description, read_parts
from jaxq.precision import in_32_bits
from jaxq.storage.stored_arrays import OtherArraysError, plain, with_keys
from jaxq.types import PyTree


@in_32_bits()
def with_start(plan: Plan) -> Plan:
    """Return a plan with what its agents begin with, and a configuration that says exactly what that is.

    Args:
        plan: What is to be trained.

    Raises:
        InputValueError: If the configuration names a directory that holds no such agent, one with
            another network or optimizer, or one that has learned since the configuration was written.
    """
    config, trainer = plan.config, plan.population.trainer
    if config.start is None:
        return plan
    path = Path(config.start).resolve()
    start = (
        _of_agent(path, config, trainer) if (path / NAME).is_file() else _of_run(path, config, trainer)
    )
    digest = _digest(start.learner)
    if config.start_digest not in (None, digest):
        raise checks.InputValueError(
            f"{start.origin}, of {path}, has learned since this run began with it; to begin with what "
            f"it knows now, train another run with start='{config.start}'"
        )
    exact = {"start": str(path), "start_agent": start.origin.agent, "start_digest": digest}
    return dataclasses.replace(plan, config=dataclasses.replace(config, **exact), start=start)


def _of_run(path: Path, config: Config, trainer: Trainer) -> Start:
    run = RunDirectory.open(path)
    described = run.read_config()
    agents = checks.whole_number(f"{path / 'config.json'}: agents", described.get("agents"))
    like = jax.tree.map(
        lambda leaf: jax.ShapeDtypeStruct((agents, *leaf.shape), leaf.dtype), trainer.template.learner
    )
    try:
        saved = newest(run, agents, {"learner": like})
    except checks.InputValueError as error:
        raise _explained(error, path, described, config, trainer) from None
    returns, steps = scores(run, saved), saved.facts["steps"]
    agent = chosen(config.start_agent, returns, "start_agent", "start_agent=0")
    learner = jax.tree.map(lambda leaf: leaf[agent], saved.state["learner"])
    warnings = [instead(reason, steps) for reason in saved.passed_over]
    origin = Origin(agent, steps, float(returns[agent]))
    return Start(_on_device(learner, trainer), origin, warnings)


def _of_agent(path: Path, config: Config, trainer: Trainer) -> Start:
    described, origin = read_description(path)
    if config.start_agent not in ("best", origin.agent):
        raise checks.InputValueError(
            f"{path} holds one agent, number {origin.agent} of its run, and not {config.start_agent!r}; "
            f"for example start_agent={origin.agent}"
        )
    try:
        parts = read_parts(path, {"learner": trainer.template.learner})
    except checks.InputValueError as error:
        raise _explained(error, path, described, config, trainer) from None
    return Start(_on_device(parts["learner"], trainer), origin, [])


def _on_device(learner: PyTree, trainer: Trainer) -> PyTree:
    return with_keys(jax.tree.map(jnp.asarray, learner), trainer.template.learner)


def _digest(learner: PyTree) -> str:
    digest = hashlib.sha256()
    for leaf in jax.tree.leaves(plain(learner)):
        digest.update(np.asarray(leaf).tobytes())
    return digest.hexdigest()


def _explained(
    error: checks.InputError, path: Path, described: dict[str, Any], config: Config, trainer: Trainer
) -> checks.InputError:
    """Return the error, or, where an agent does not fit, one with the call that makes agents like it."""
    if not isinstance(error.__cause__, OtherArraysError):
        return error
    theirs, own = described.get("algorithm"), name_of(config.algorithm)
    keywords = _shaping(described, config, trainer)
    if theirs != own and _changes(config, trainer, algorithm=theirs):
        advice = f"for example algorithm={theirs}"
    elif keywords:
        advice = f"for example keywords={keywords}"
    else:
        advice = (
            f"start from a run of {own} on {name_of(config.environment)}; this one is of {theirs} on "
            f"{described.get('environment')}"
        )
    return checks.InputValueError(
        f"start: the agents of {path} have another network or optimizer: {error.__cause__}; {advice}"
    )


def _shaping(described: dict[str, Any], config: Config, trainer: Trainer) -> dict[str, Any]:
    """Return those of the other run's settings that give these agents another network or optimizer."""
    own = plain_settings(trainer.algorithm)
    theirs = described.get("settings", described.get("keywords", {}))
    theirs = theirs if isinstance(theirs, dict) else {}
    return {
        name: value
        for name, value in theirs.items()
        if name in own and own[name] != value and is_plain(value)
        if _changes(config, trainer, keywords={**config.keywords, name: value})
    }


def _changes(config: Config, trainer: Trainer, **changes: Any) -> bool:
    """Tell whether what is changed in a configuration gives its agents another network or optimizer."""
    try:
        other = trainer_of(dataclasses.replace(config, **changes)).template.learner
    except checks.InputError:
        return False
    return jax.eval_shape(plain, other) != jax.eval_shape(plain, trainer.template.learner)
