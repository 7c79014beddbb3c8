"""Configuration files: TOML that a user writes, and the `config.json` of a run, to repeat it."""

import dataclasses
import tomllib
from pathlib import Path
from typing import Any

from jaxq import checks
from jaxq.agents import Agent, Algorithm
from jaxq.configuration.config import FIELDS, TABLES, Config
from jaxq.configuration.configuring import check_apart, check_tables, checked
from jaxq.configuration.groups import ALL, split
from jaxq.configuration.logged_data import logged_fields
from jaxq.configuration.objects import WHATS, check_imports, imported, is_plain, name_of, plain
from jaxq.storage.access import decoded
from jaxq.storage.json_values import brief, json_of, mapping, names_of, object_of
from jaxq.types import Environment

# What `config.json` holds besides the configuration: what came of it, and where it was run.
_RESULTS = (
    "settings hparams sampled command started python versions devices track resumed only_in_python"
)
_NOT_GIVEN = "imports", "offline_digest", "start_digest"
_NEEDED = ("environment", "algorithm", "agents", "steps", "seed", "keywords", "sweep")


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
            "jaxq.Sweep(jaxq.configuration.read_groups(path, given), directory)"
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
    own = [name for name in FIELDS if name not in _NOT_GIVEN]
    unknown = [name for name in found if name not in own]
    if unknown:
        raise checks.InputValueError(
            f"{path}: {', '.join(map(repr, unknown))} is no part of a configuration; "
            f"there are {', '.join(own)}"
        )
    tables = {name: found.get(name, {}) for name in TABLES}
    check_tables(**tables)
    merged = {**found, **given}
    merged |= {name: {**table, **given.get(name, {})} for name, table in tables.items()}
    if not {"environment", "offline"} & {*merged, *merged["sweep"]}:
        raise checks.InputValueError(
            f'{path} names no environment; add the line environment = "CartPole-v1"'
        )
    return split(merged)


def _changed(config: Config, given: dict[str, Any]) -> dict[str, Config]:
    """Return the configuration of a run with what is given now in the place of what was then."""
    tables = {name: given.get(name, {}) for name in TABLES}
    check_tables(**tables)
    errors = checks.ErrorCollector()
    check_apart(errors, "set", tables["keywords"], "swept", tables["sweep"])
    check_apart(errors, "set", tables["keywords"], "sampled", tables["sample"])
    errors.report()
    new = set().union(*tables.values())
    for name, table in tables.items():
        then = getattr(config, name)
        tables[name] = {key: then[key] for key in then if key not in new} | table
    if {*given} & {"agents", *WHATS, *TABLES}:
        # It was chosen for another population.
        config = dataclasses.replace(config, chunk=None)
    if {*given} & {"start", "start_agent"}:
        # It was of the agent that was begun with then.
        which = "best" if "start" in given else config.start_agent
        config = dataclasses.replace(config, start_agent=which, start_digest=None)
    if "offline" in given:
        given = {**given, **logged_fields(given["offline"])}
    imports = {**config.imports, **given.get("imports", {})}
    fields = {"agents": config.agents, **given, **tables, "imports": imports}
    return split(fields, lambda **fields: checked(dataclasses.replace(config, **fields)))


def read_description(file: Path) -> dict[str, Any]:
    """Read a `config.json`, without resolving the names in it."""
    return checked_description(file, object_of(file))


def checked_description(where: Path, described: dict[str, Any]) -> dict[str, Any]:
    """Return the content of a `config.json`, after a check of all types."""
    for name in ("keywords", "sweep", "sample"):
        mapping(Path(f"{where}: {name}"), described.get(name, {}))
    names_of(where, "only_in_python", described.get("only_in_python", []))
    checked_tracking(where, described.get("track", {}))
    resumed = described.get("resumed", [])
    if not isinstance(resumed, list) or not all(isinstance(part, dict) for part in resumed):
        raise checks.InputValueError(f"{where}: resumed must be a list of objects, got {brief(resumed)}")
    return described


def checked_tracking(where: Path, track: Any) -> dict[str, Any]:
    """Return a run's trackers: their names, and whether they track agents."""
    track = {"names": [], "agents": False, **mapping(Path(f"{where}: track"), track)}
    names_of(where, "track's names", track["names"])
    if not isinstance(track["agents"], bool):
        agents = brief(track["agents"])
        raise checks.InputValueError(f"{where}: track's agents must be true or false, got {agents}")
    return track


def written(config: Config) -> dict[str, Any]:
    """Return a configuration as plain values, of which `config_of` makes one again."""
    whats = {**config.keywords, "environment": config.environment, "algorithm": config.algorithm}
    only = [name for name, value in whats.items() if not is_plain(value)]
    return {
        **{field.name: getattr(config, field.name) for field in dataclasses.fields(config)},
        "environment": name_of(config.environment),
        "algorithm": name_of(config.algorithm),
        "keywords": {name: plain(value) for name, value in config.keywords.items()},
        "only_in_python": only,
        "imports": {name: path for name, path in config.imports.items() if name in only},
    }


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
    reasons = [f"it has no {name}" for name in _NEEDED if name not in described]
    others = {*FIELDS, *_RESULTS.split()}
    reasons += [f"{name} is unknown" for name in described if name not in others]
    if reasons:
        raise checks.InputValueError(f"{where} is not one that a run wrote: {', '.join(reasons)}")
    only = checked_description(Path(where), described).get("only_in_python", [])
    paths = described.get("imports", {})
    check_imports(f"{where}: imports", paths)
    given = {"environment": environment, "algorithm": algorithm}
    given = {name: value for name, value in given.items() if value is not None}
    if trust_imports:
        found = {name: imported(name, path) for name, path in paths.items() if name in only}
        given = {**found, **given}
    if not {*only} <= given.keys():
        raise _lacking(
            [name for name in only if name not in given], paths, call.format(_asked_for(only))
        )
    own = {name: given.pop(name) for name in WHATS if name in given}
    for name, value in own.items():
        if name_of(value) != described[name]:
            raise checks.InputValueError(
                f"{name} must be the run's own, which is called {brief(described[name])}, "
                f"got {name_of(value)!r}"
            )
    fields = {name: described[name] for name in FIELDS if name in described}
    return checked(Config(**{**fields, **own, "keywords": {**described["keywords"], **given}}))


def _lacking(names: list[str], paths: dict[str, str], call: str) -> checks.InputValueError:
    """Return the error for what a file does not hold."""
    if all(name in paths for name in names):
        where = ", ".join(f"{name} from {brief(paths[name])}" for name in names)
        return checks.InputValueError(
            f"this was made with an import of {where}, which would run that module; "
            f"if you trust the directory, use trust_imports=True; or {call}"
        )
    was = "was" if len(names) == 1 else "were"
    return checks.InputValueError(
        f"{' and '.join(names)} {was} given in Python and cannot be read back from a file; use {call} "
        "with the same ones as before"
    )


def _asked_for(only_in_python: list[str]) -> str:
    """Say which arguments give what a file cannot hold."""
    asked = ", ".join(f"{name}={name}" for name in only_in_python)
    return asked if {*only_in_python} <= WHATS.keys() else "config=config"


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
