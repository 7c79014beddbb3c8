"""Configuration files: TOML that a user writes, and the `config.json` of a run, to repeat it."""

import dataclasses
import tomllib
from pathlib import Path
from typing import Any

from jaxq import checks
from jaxq.agents import Agent, Algorithm
from jaxq.experiment.config import FIELDS, Config
from jaxq.experiment.configuring import check_apart, checked
from jaxq.experiment.files.access import decoded
from jaxq.experiment.files.json_values import brief, json_of
from jaxq.experiment.files.records import checked_description
from jaxq.experiment.groups import ALL, split
from jaxq.experiment.imports import checked_imports, imported
from jaxq.experiment.objects import name_of
from jaxq.experiment.sampling import EXAMPLE
from jaxq.types import Environment

# What `config.json` holds besides the configuration: what came of it, and where it was run.
_MADE = {
    "settings",
    "hparams",
    "sampled",
    "command",
    "started",
    "python",
    "versions",
    "devices",
    "track",
    "resumed",
}
_EXAMPLES = {"keywords": "0.001", "sweep": "[0.001, 0.01]", "sample": f'"{EXAMPLE}"'}
_WHAT = {"environment", "algorithm"}
_NEEDED = [
    field.name
    for field in dataclasses.fields(Config)
    if field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
]


def read_config(path: Path, given: dict[str, Any]) -> Config:
    """Read a configuration.

    Args:
        path: A TOML file with any of the fields of `Config`, keywords, sweep and sample as
            tables of their own; or the `config.json` of a run, which repeats it.
        given: Fields that come from elsewhere, and go before those of the file.

    Returns:
        The configuration, what is in neither filled in from the environment's preset.

    Raises:
        InputTypeError: If a value has the wrong type.
        InputValueError: If the file cannot be read, or values are unknown or out of range; all
            mistakes at once.
    """
    groups = read_groups(path, given)
    if [*groups] != [ALL]:
        raise checks.InputValueError(
            f"{path} sweeps over what shapes the program, which takes one population for each value: "
            "jaxq.Sweep(jaxq.experiment.read_groups(path, given), directory)"
        )
    return groups[ALL]


def read_groups(path: Path, given: dict[str, Any], *, trust_imports: bool = False) -> dict[str, Config]:
    """Read a configuration whose sweep may also be over static settings.

    Args:
        path: A file as `read_config` takes it.
        given: Fields that come from elsewhere, and go before those of the file.
        trust_imports: Whether to import what the `config.json` of a run holds by import path.

    Returns:
        The configuration of each group by the group's name, as from `configure_sweep`.

    Raises:
        InputTypeError: If a value has the wrong type.
        InputValueError: If the file cannot be read, or values are unknown or out of range; all
            mistakes at once.
    """
    found = _read(path)
    if "versions" in found:
        config = config_of(found, str(path), trust_imports=trust_imports)
        return _changed(config, given)
    known = [name for name in FIELDS if name not in ("imports", "offline_digest")]
    unknown = [name for name in found if name not in known]
    if unknown:
        raise checks.InputValueError(
            f"{path}: {', '.join(map(repr, unknown))} is no part of a configuration; "
            f"there are {', '.join(known)}"
        )
    merged = {**found, **given}
    for name in ("keywords", "sweep", "sample"):
        merged[name] = {**_table(path, name, found), **given.get(name, {})}
    if not {"environment", "offline"} & {*merged, *merged["sweep"]}:
        raise checks.InputValueError(
            f'{path} names no environment; add the line environment = "CartPole-v1"'
        )
    return split(merged)


def _changed(config: Config, given: dict[str, Any]) -> dict[str, Config]:
    """Return the configuration of a run with what is given now in the place of what was then."""
    tables = {name: given.get(name, {}) for name in _EXAMPLES}
    imports = {**config.imports, **given.get("imports", {})}
    fields = {"agents": config.agents, **given, "imports": imports}
    if all(isinstance(table, dict) for table in tables.values()):
        new = {name for table in tables.values() for name in table}
        for name, table in tables.items():
            then = getattr(config, name)
            fields[name] = {key: then[key] for key in then if key not in new} | table
        errors = checks.ErrorCollector()
        check_apart(errors, "set", tables["keywords"], "swept", tables["sweep"])
        check_apart(errors, "set", tables["keywords"], "sampled", tables["sample"])
        errors.report()
    if {*given} & {"environment", "algorithm", "agents", *_EXAMPLES}:
        # It was chosen for another population.
        config = dataclasses.replace(config, chunk=None)
    return split(fields, lambda **fields: checked(dataclasses.replace(config, **fields)))


def config_of(
    described: dict[str, Any],
    where: str = "config.json",
    *,
    call: str = "jaxq.Experiment.resume(directory, {})",
    environment: Environment | None = None,
    algorithm: Algorithm | Agent | None = None,
    trust_imports: bool = False,
) -> Config:
    """Make a configuration out of what a run's `config.json` holds.

    Args:
        described: What it holds.
        where: What it is called in an error.
        call: What to use where it holds what was given in Python, with a place for what to give.
        environment: The environment, where that was given in Python.
        algorithm: The algorithm, where that was given in Python.
        trust_imports: Whether to import what it holds by import path, which runs that module.

    Raises:
        InputValueError: If it is not whole, or holds what was given in Python and is not given again.
    """
    missing = [name for name in _NEEDED if name not in described]
    unknown = [name for name in described if name not in {*FIELDS, *_MADE, "only_in_python"}]
    if missing or unknown:
        reasons = [f"it has no {name}" for name in missing] + [f"{name} is unknown" for name in unknown]
        raise checks.InputValueError(f"{where} is not one that a run wrote: {', '.join(reasons)}")
    only = checked_description(Path(where), described).get("only_in_python", [])
    paths = checked_imports(where, described.get("imports", {}))
    given = {"environment": environment, "algorithm": algorithm}
    given = {name: value for name, value in given.items() if value is not None}
    if trust_imports:
        found = {name: imported(name, path) for name, path in paths.items() if name in only}
        given = {**found, **given}
    lacking = [name for name in only if name not in given]
    if lacking:
        raise _lacking(lacking, paths, call.format(_asked_for(only)))
    own = _checked_own(described, {name: given.pop(name) for name in _WHAT & {*given}})
    fields = {name: described[name] for name in FIELDS if name in described}
    return checked(Config(**{**fields, **own, "keywords": {**described["keywords"], **given}}))


def _checked_own(described: dict[str, Any], own: dict[str, Any]) -> dict[str, Any]:
    """Return environment and algorithm as they are given, if they have the names of the run's own."""
    for name, value in own.items():
        if name_of(value) != described[name]:
            raise checks.InputValueError(
                f"{name} must be the run's own, which is called {brief(described[name])}, "
                f"got {name_of(value)!r}"
            )
    return own


def _lacking(names: list[str], paths: dict[str, str], call: str) -> checks.InputValueError:
    """Return the error for what a file does not hold."""
    where = ", ".join(f"{name} from {brief(paths[name])}" for name in names if name in paths)
    if all(name in paths for name in names):
        return checks.InputValueError(
            f"this was made with an import of {where}, which would run that module; "
            "if you trust the directory, use trust_imports=True; "
            f"or {call}"
        )
    return checks.InputValueError(
        f"{', '.join(names)} was given in Python and cannot be read back from a file; "
        f"use {call} with the same ones as before"
    )


def _asked_for(only_in_python: list[str]) -> str:
    """Say which keywords give what a file cannot hold."""
    if {*only_in_python} <= _WHAT:
        return ", ".join(f"{name}={name}" for name in only_in_python)
    return "config=config"


def _read(path: Path) -> dict[str, Any]:
    try:
        # It may be a pipe: this one is opened because the user named it.
        with path.open("rb") as stream:
            text = decoded(path, stream)
        found = json_of(path, text) if path.suffix == ".json" else tomllib.loads(text)
    except (OSError, ValueError, RecursionError) as error:
        reason = getattr(error, "strerror", None) or error
        raise checks.InputValueError(f"configuration {path} cannot be read: {reason}") from None
    if not isinstance(found, dict):
        raise checks.InputValueError(
            f"configuration {path} must hold names and values, got {brief(found)}"
        )
    return found


def _table(path: Path, name: str, found: dict[str, Any]) -> dict[str, Any]:
    table = found.get(name, {})
    if not isinstance(table, dict):
        raise checks.InputValueError(
            f"{path}: {name} must be a table, got {table!r}; for example [{name}] and below it "
            f"learning_rate = {_EXAMPLES[name]}"
        )
    return table
