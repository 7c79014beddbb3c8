"""Configuring: what the user left open filled in, and all of it checked before anything is compiled."""

import dataclasses
import inspect
import math
from typing import Any

from jaxq import checks
from jaxq.agents import Agent, Algorithm
from jaxq.agents.keywords import RENAMED
from jaxq.configuration.config import FIELDS, TABLES, Config
from jaxq.configuration.logged_data import LOG, check_logged, logged_fields, recipe_keywords
from jaxq.configuration.objects import (
    check_environment,
    is_algorithm,
    is_environment,
    make_algorithm,
    name_of,
)
from jaxq.configuration.sampling import Distribution
from jaxq.hparams import Hparams, check_may_vary, leaf_number, schedules
from jaxq.presets import preset
from jaxq.types import Environment

AGENTS_PER_COMBINATION = 8


def configure(
    environment: str | Environment | None = None,
    algorithm: str | Algorithm | Agent = "dqn",
    agents: int | None = None,
    steps: int | None = None,
    seed: int = 0,
    keywords: dict[str, Any] | None = None,
    sweep: dict[str, list[float]] | None = None,
    sample: dict[str, str] | None = None,
    **others: Any,
) -> Config:
    """Fill in what the user left open, and check it.

    Args:
        environment: An id that `jaxq.envs.make` knows, or an environment, such as
            `jaxq.envs.from_gymnax(my_env)`; with `offline` it may be left out, and then nothing is
            evaluated.
        algorithm: Name of a recipe; or what a recipe returns, or any `jaxq.Agent`, which is trained as
            it is: it takes no keywords, nor those of a preset.
        agents: Agents in all; eight for each combination in the sweep if not given.
        steps: Env steps of each agent; the environment's preset if not given.
        seed: Seed of the population's key, in [0, 2**31).
        keywords: Keywords of the recipe, over those of the environment's preset.
        sweep: Values of each leaf that varies over the population.
        sample: What each agent draws its own value of a leaf from: "uniform:low:high" or
            "loguniform:low:high".
        **others: Further fields of `Config`.

    Returns:
        The configuration.

    Raises:
        InputTypeError: If a name does not exist or a value has the wrong type.
        InputValueError: If a value is out of range; if there is more than one mistake, all of them.
    """
    tables = {"keywords": keywords, "sweep": sweep, "sample": sample}
    tables = {name: {} if table is None else table for name, table in tables.items()}
    check_tables(**tables)
    keywords, sweep, sample = tables.values()
    errors = checks.ErrorCollector()
    offline = others.get("offline")
    if environment is None:
        if offline is None:
            raise checks.InputValueError(
                "an environment must be given, for example 'CartPole-v1', or logged data: "
                "offline='log.npz'"
            )
        environment = LOG
    trained, defaults = keywords, {}
    with errors.collect():
        if offline is not None:
            others |= logged_fields(offline)
            trained = recipe_keywords(keywords, offline, others.get("offline_share", 1.0))
    with errors.collect():
        named = name_of(environment) if is_environment(environment) else environment
        by_name = () if is_algorithm(algorithm) else (algorithm, trained)
        steps, defaults = preset(named, steps, *by_name)
    check_apart(errors, "set", keywords, "swept", sweep)
    check_apart(errors, "set", keywords, "sampled", sample)
    further = [name for name in FIELDS if name not in inspect.signature(configure).parameters]
    for name in [name for name in others if name not in further]:
        with errors.collect():
            checks.one_of("field", name, further)
        del others[name]
    if agents is None:
        agents = AGENTS_PER_COMBINATION * math.prod(len(values) for values in sweep.values())
    keywords = keywords if is_algorithm(algorithm) else defaults | keywords
    steps = 1 if steps is None else steps
    config = Config(
        environment, algorithm, agents, steps, seed, keywords, sweep, sample=sample, **others
    )
    return checked(config, errors)


def checked(config: Config, errors: checks.ErrorCollector | None = None) -> Config:
    """Return a configuration if nothing in it is wrong, as far as that shows without its environment.

    Args:
        config: The configuration.
        errors: What was found to be wrong before.

    Raises:
        InputTypeError: If a name does not exist or a value has the wrong type.
        InputValueError: If a value is out of range; if there is more than one mistake, all of them.
    """
    errors = errors or checks.ErrorCollector()
    check_tables(config.keywords, config.sweep, config.sample)
    check_apart(errors, "swept", config.sweep, "sampled", config.sample)
    if "environment" not in errors.keywords:
        with errors.collect():
            _check_world(config)
    config.check(errors)
    if config.start is None and config.start_agent != "best":
        with errors.collect():
            raise checks.InputValueError(
                f"start_agent is an agent of the run that start names, got {config.start_agent!r} "
                "without one; for example start='runs/first'"
            )
    if not {"agents", "segments", "halvings"} & errors.keywords:
        with errors.collect():
            _check_halvings(config)
    if "algorithm" not in errors.keywords:
        hparams = _hparams(config, errors)
        if hparams is not None:
            _check_varied(config, hparams, errors)
    errors.report()
    check_multiple(config.agents, len(config.combinations))
    return config


def _check_world(config: Config) -> None:
    """Check the environment, and the logged data if there is any."""
    if config.offline is None or config.environment != LOG:
        check_environment("environment", config.environment)
    if config.offline is None:
        return
    check_logged(config.offline, config.offline_share, config.offline_digest)
    if config.environment == LOG and config.offline_share < 1:
        raise checks.InputValueError(
            f"offline_share must be 1 without an environment to act in, got {config.offline_share}"
        )
    if is_algorithm(config.algorithm):
        raise checks.InputTypeError(
            "logged data is for recipes by name; give it where the algorithm is made, for example "
            "jaxq.dqn(replay=jaxq.DatasetReplay(data))"
        )


def _hparams(config: Config, errors: checks.ErrorCollector) -> Hparams | None:
    """Return the leaves of the algorithm, and collect what is wrong with any of its keywords.

    A keyword is left out once an error is about it, so that the next call may find the next error.
    What is then wrong with it again is no other mistake.
    """
    try:
        keywords = config.recipe_keywords
    except checks.InputError:
        # What is wrong with the data is told once.
        keywords = config.keywords
    told: set[str] = set()
    while True:
        try:
            return make_algorithm(config.algorithm, keywords).hparams
        except checks.InputError as error:
            if not told.intersection(error.keywords):
                errors.add(error)
            told.update(error.keywords)
            given = {RENAMED.get(name, name): name for name in keywords}
            wrong = [given[name] for name in error.keywords if name in given][:1]
            if not wrong:
                return None
            keywords = {name: value for name, value in keywords.items() if name not in wrong}


def _check_varied(config: Config, hparams: Hparams, errors: checks.ErrorCollector) -> None:
    """Collect what is wrong with sweep and sample."""
    for name, values in config.sweep.items():
        with errors.collect():
            check_may_vary(name, hparams)
            for value in values:
                leaf_number(name, value, hparams.declared[name])
    for name, text in config.sample.items():
        with errors.collect():
            check_may_vary(name, hparams)
            distribution = Distribution.read(name, text)
            leaf_number(name, distribution.low, hparams.declared[name])
            leaf_number(name, distribution.high, hparams.declared[name])


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


def check_tables(keywords: Any, sweep: Any, sample: Any) -> None:
    """Check that there are names and values, before anything is asked of either.

    Raises:
        InputTypeError: If there are not.
    """
    for (kind, example), table in zip(TABLES.items(), (keywords, sweep, sample), strict=True):
        if not isinstance(table, dict) or not all(isinstance(name, str) for name in table):
            raise checks.InputTypeError(
                f"{kind} must hold values by their names, got {table!r}; for example {example}"
            )
    for name, values in sweep.items():
        if not isinstance(values, list | tuple) or not values:
            raise checks.InputTypeError(
                f"a sweep takes a list of at least one value for each name, got {name}={values!r}; "
                f"for example {name}=[0.001, 0.01]"
            )


def check_apart(errors: checks.ErrorCollector, one: str, first: Any, other: str, second: Any) -> None:
    """Collect an error for every name that is given in two ways, such as "set" and "swept"."""
    for name in sorted({*first} & {*second}):
        message = f"{name} is both {one} and {other}; leave out one of the two"
        errors.add(checks.InputValueError(message))


def check_multiple(agents: int, combinations: int) -> None:
    """Check that every combination of a sweep gets as many agents.

    Raises:
        InputValueError: If it does not.
    """
    if agents % combinations:
        raise checks.InputValueError(
            f"agents must be a multiple of the {combinations} combinations in the sweep, "
            f"got {agents}; for example agents={-(-agents // combinations) * combinations}"
        )


def _check_halvings(config: Config) -> None:
    most = int(min(config.agents, config.segments)).bit_length() - 1
    if config.halvings > most:
        raise checks.InputValueError(
            f"halvings must be at most {most}, as 2^halvings agents and segments are needed and there "
            f"are {config.agents} and {config.segments}, got {config.halvings}; "
            f"for example halvings={most}"
        )
