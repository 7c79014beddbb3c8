"""Configuration: what to train, checked in full before anything is compiled."""

import dataclasses
import itertools
import math
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np

from jaxq import agents, checks
from jaxq.agents import Agent, Algorithm
from jaxq.experiment.imports import checked_imports
from jaxq.experiment.logged_data import LOG, check_logged, read_logged, recipe_keywords
from jaxq.experiment.objects import (
    check_algorithm,
    check_environment,
    is_algorithm,
    is_environment,
    name_of,
)
from jaxq.experiment.recipe_checks import check_recipe
from jaxq.experiment.sampling import EXAMPLE, Distribution
from jaxq.presets import preset
from jaxq.types import Environment

AGENTS_PER_COMBINATION = 8
ON_DIVERGENCE = ("freeze", "restart", "stop")
_HALVED = ("agents", "segments", "halvings")


@dataclasses.dataclass(frozen=True)
class Config:
    """What to train: everything that a run depends on.

    Attributes:
        environment: An id that `jaxq.envs.make` knows, or an environment.
        algorithm: Name of a recipe, or what a recipe returns, or any `jaxq.Agent`.
        agents: Agents in all, a multiple of the combinations in `sweep`.
        steps: Env steps of each agent, the warm-up included.
        seed: Seed of the population's key.
        keywords: Keywords of the recipe by name, settings and leaves.
        sweep: Values of each leaf that varies over the population.
        evaluation_episodes: Episodes that each agent is evaluated on at the end.
        segments: Times that metrics are written over the run.
        chunk: Agents trained side by side on one device; chosen by the machine if `None`.
        checkpoint_segments: A checkpoint is written after every so many segments,
        checkpoint_minutes: and where the last one is older than this.
        keep_checkpoints: How many of the newest are kept, besides the best one.
        on_divergence: What is done with an agent whose values diverge: "freeze" it where it was
            before, "restart" its network, or "stop" the run.
        sample: What each agent draws its own value of a leaf from, such as "loguniform:1e-4:1e-2".
        halvings: How many times the worse half of the agents that still train stops, the last time
            at half of the steps.
        imports: Import paths of objects among environment, algorithm and keywords, by name.
        offline: File of logged data to learn from.
        offline_share: Part of each batch that is drawn from it, in (0, 1]; with 1 the agents learn from
            it alone, and the environment is for evaluation.
        offline_digest: SHA-256 digest of that file when the run began.
    """

    environment: str | Environment
    algorithm: str | Algorithm | Agent
    agents: int
    steps: int
    seed: int
    keywords: dict[str, Any]
    sweep: dict[str, list[float]]
    evaluation_episodes: int = 32
    segments: int = 50
    chunk: int | None = None
    checkpoint_segments: int = 10
    checkpoint_minutes: float = 10.0
    keep_checkpoints: int = 2
    on_divergence: str = "freeze"
    sample: dict[str, str] = dataclasses.field(default_factory=dict)
    halvings: int = 0
    imports: dict[str, str] = dataclasses.field(default_factory=dict)
    offline: str | None = None
    offline_share: float = 1.0
    offline_digest: str | None = None

    @property
    def recipe_keywords(self) -> dict[str, Any]:
        """Keywords of the recipe, with logged data as its replay where there is any."""
        return recipe_keywords(self.keywords, self.offline, self.offline_share)

    @property
    def combinations(self) -> list[dict[str, float]]:
        """The combinations of swept values, in the order in which the agents have them."""
        return [
            dict(zip(self.sweep, values, strict=True))
            for values in itertools.product(*self.sweep.values())
        ]

    @property
    def sampled(self) -> dict[str, np.ndarray]:
        """Each agent's own value of every leaf that is sampled, `[N]`."""
        return {
            name: Distribution.read(name, text).draw(name, self.seed, self.agents)
            for name, text in self.sample.items()
        }

    @property
    def varied(self) -> dict[str, np.ndarray]:
        """Each agent's value of every leaf that is swept or sampled, `[N]`."""
        combinations = self.combinations
        seeds = self.agents // len(combinations)
        swept = {
            name: np.repeat([float(combination[name]) for combination in combinations], seeds)
            for name in self.sweep
        }
        return swept | self.sampled


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
    keywords = {} if keywords is None else keywords
    sweep = {} if sweep is None else sweep
    sample = {} if sample is None else sample
    _check_tables(keywords, sweep, sample)
    errors = checks.ErrorCollector()
    defaults: dict[str, Any] = {}
    offline = others.get("offline")
    if environment is None:
        environment = _without_environment(offline)
    trained = keywords
    with errors.collect():
        if offline is not None:
            others["offline_digest"] = read_logged(offline)[1]
            others["offline"] = str(Path(offline).resolve())
            trained = recipe_keywords(keywords, offline, others.get("offline_share", 1.0))
    with errors.collect():
        named = name_of(environment) if is_environment(environment) else environment
        by_name = () if is_algorithm(algorithm) else (algorithm, trained)
        found = preset(named, steps, *by_name)
        steps, defaults = found.steps, found.keywords if by_name else {}
    check_apart(errors, "set and swept", keywords, sweep)
    check_apart(errors, "set and sampled", keywords, sample)
    for name in {*others} - {*_OTHERS}:
        with errors.collect():
            checks.one_of("field", name, _OTHERS)
    if agents is None:
        agents = AGENTS_PER_COMBINATION * math.prod(len(values) for values in sweep.values())
    known = {name: value for name, value in others.items() if name in _OTHERS}
    steps = 1 if steps is None else steps
    keywords = defaults | keywords
    config = Config(environment, algorithm, agents, steps, seed, keywords, sweep, sample=sample, **known)
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
    _check_tables(config.keywords, config.sweep, config.sample)
    check_apart(errors, "swept and sampled", config.sweep, config.sample)
    if not any(str(error).startswith("environment") for error in errors.found):
        with errors.collect():
            _check_world(config)
    for name, check in _CHECKS.items():
        # What the preset was asked with is known to be wrong already.
        if not any(str(error).startswith(name) for error in errors.found):
            with errors.collect():
                check(name, getattr(config, name))
    if not any(str(error).startswith(_HALVED) for error in errors.found):
        with errors.collect():
            _check_halvings(config)
    if is_algorithm(config.algorithm) or config.algorithm in [*agents.ALGORITHMS]:
        _check_recipe(config, errors)
    errors.report()
    if config.agents % len(config.combinations):
        number = len(config.combinations)
        raise checks.InputValueError(
            f"agents must be a multiple of the {number} combinations in the sweep, "
            f"got {config.agents}; for example --agents {-(-config.agents // number) * number}"
        )
    return config


def _without_environment(offline: Any) -> str:
    """Return the environment of logged data alone.

    Raises:
        InputValueError: If there is none.
    """
    if offline is None:
        raise checks.InputValueError(
            "an environment must be given, for example 'CartPole-v1', or logged data: offline='log.npz'"
        )
    return LOG


def _check_world(config: Config) -> None:
    """Check the environment, and the logged data if there is any."""
    if config.offline is None:
        check_environment("environment", config.environment)
        return
    check_logged(config.offline, config.offline_share, config.offline_digest)
    if config.environment != LOG:
        check_environment("environment", config.environment)
    elif config.offline_share < 1:
        raise checks.InputValueError(
            f"offline_share must be 1 without an environment to act in, got {config.offline_share}"
        )
    if is_algorithm(config.algorithm):
        raise checks.InputTypeError(
            "logged data is for recipes by name; give it where the algorithm is made, for example "
            "jaxq.dqn(replay=jaxq.DatasetReplay(data))"
        )


def _check_recipe(config: Config, errors: checks.ErrorCollector) -> None:
    """Check keywords, sweep and sample against the algorithm."""
    try:
        keywords = config.recipe_keywords
    except checks.InputError:
        # What is wrong with the data is told once.
        keywords = config.keywords
    check_recipe(config.algorithm, keywords, config.sweep, config.sample, errors)


def _check_tables(keywords: Any, sweep: Any, sample: Any) -> None:
    """Check that there are names and values, before anything is asked of either.

    Raises:
        InputTypeError: If there are not.
    """
    for kind, table, example in (
        ("keywords", keywords, '{"learning_rate": 0.001}'),
        ("sweep", sweep, '{"learning_rate": [0.001, 0.01]}'),
        ("sample", sample, f'{{"learning_rate": "{EXAMPLE}"}}'),
    ):
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


def check_apart(errors: checks.ErrorCollector, both: str, *names: Iterable[str]) -> None:
    """Collect an error for every name that is given in two ways.

    Args:
        errors: Where to put it.
        both: The two ways, such as "set and swept".
        *names: The names given in each of them.
    """
    for name in sorted(set.intersection(*map(set, names))):
        with errors.collect():
            raise checks.InputValueError(f"{name} is both {both}; leave out one of the two")


def _check_halvings(config: Config) -> None:
    most = int(min(config.agents, config.segments)).bit_length() - 1
    if config.halvings > most:
        raise checks.InputValueError(
            f"halvings must be at most {most}, as 2^halvings agents and segments are needed and there "
            f"are {config.agents} and {config.segments}, got {config.halvings}; "
            f"for example --halvings {most}"
        )


def _optional_whole_number(name: str, value: Any) -> None:
    if value is not None:
        checks.whole_number(name, value)


_CHECKS: dict[str, Callable[[str, Any], Any]] = {
    "algorithm": check_algorithm,
    "agents": checks.whole_number,
    "steps": checks.whole_number,
    "seed": lambda name, value: checks.whole_number(name, value, minimum=0),
    "evaluation_episodes": checks.whole_number,
    "segments": checks.whole_number,
    "chunk": _optional_whole_number,
    "checkpoint_segments": checks.whole_number,
    "checkpoint_minutes": lambda name, value: checks.one_number(name, value, 0, math.inf),
    "keep_checkpoints": checks.whole_number,
    "halvings": lambda name, value: checks.whole_number(name, value, minimum=0),
    "on_divergence": lambda name, value: checks.one_of(name, value, ON_DIVERGENCE),
    "imports": checked_imports,
}
_OTHERS = [
    field.name for field in dataclasses.fields(Config) if field.default is not dataclasses.MISSING
] + ["imports"]
