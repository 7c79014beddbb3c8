"""Configuration: what to train, checked in full before anything is compiled."""

import dataclasses
import itertools
import math
from typing import Any

from jaxq import algorithms, checks, envs
from jaxq.hparams import Hparams, check_may_vary, grid, leaf_number, names
from jaxq.presets import preset
from jaxq.training import Population, Trainer

AGENTS_PER_COMBINATION = 8


@dataclasses.dataclass(frozen=True)
class Config:
    """What to train: everything that a run depends on.

    Attributes:
        environment: A gymnax id.
        algorithm: Name of a recipe.
        agents: Agents in all, a multiple of the combinations in `sweep`.
        steps: Env steps of each agent, the warm-up included.
        seed: Seed of the population's key.
        keywords: Keywords of the recipe, settings and leaves.
        sweep: Values of each leaf that varies over the population.
        evaluation_episodes: Episodes that each agent is evaluated on at the end.
        segments: Times that metrics are written over the run.
    """

    environment: str
    algorithm: str
    agents: int
    steps: int
    seed: int
    keywords: dict[str, Any]
    sweep: dict[str, list[float]]
    evaluation_episodes: int = 32
    segments: int = 50

    @property
    def combinations(self) -> list[dict[str, float]]:
        """The combinations of swept values, in the order in which the agents have them."""
        return [
            dict(zip(self.sweep, values, strict=True))
            for values in itertools.product(*self.sweep.values())
        ]


@dataclasses.dataclass(frozen=True)
class Plan:
    """A configuration made real, ready to run.

    Attributes:
        config: The configuration.
        population: The population that trains.
        hparams: The agents' hyperparameters, leaves `[N]`.
    """

    config: Config
    population: Population
    hparams: Hparams


def configure(
    environment: str,
    algorithm: str = "dqn",
    agents: int | None = None,
    steps: int | None = None,
    seed: int = 0,
    keywords: dict[str, Any] | None = None,
    sweep: dict[str, list[float]] | None = None,
) -> Config:
    """Fill in what the user left open, and check what needs no environment.

    Args:
        environment: A gymnax id.
        algorithm: Name of a recipe.
        agents: Agents in all; eight for each combination in the sweep if not given.
        steps: Env steps of each agent; the environment's preset if not given.
        seed: Seed of the population's key, in [0, 2**31).
        keywords: Keywords of the recipe, over those of the environment's preset.
        sweep: Values of each leaf that varies over the population.

    Returns:
        The configuration.

    Raises:
        InputTypeError: If a keyword or a swept name does not exist.
        InputValueError: If a name is unknown or a value out of range.
    """
    make = algorithms.recipe(algorithm)
    steps, defaults = preset(environment, steps, algorithm)
    merged = {**defaults, **(keywords or {})}
    hparams = make(**merged).hparams
    sweep = sweep or {}
    for name, values in sweep.items():
        check_may_vary(name, hparams)
        if name in (keywords or {}):
            raise checks.InputValueError(f"{name} is both set and swept; leave out one of the two")
        for value in values:
            leaf_number(name, value)
    combinations = math.prod(len(values) for values in sweep.values())
    agents = AGENTS_PER_COMBINATION * combinations if agents is None else agents
    agents = checks.whole_number("agents", agents)
    if agents % combinations:
        more = -(-agents // combinations) * combinations
        raise checks.InputValueError(
            f"agents must be a multiple of the {combinations} combinations in the sweep, "
            f"got {agents}; for example --agents {more}"
        )
    seed = checks.whole_number("seed", seed, minimum=0)
    return Config(environment, algorithm, agents, steps, seed, merged, sweep)


def prepare(config: Config) -> Plan:
    """Make the environment, the recipe and the population that a configuration describes.

    Raises:
        InputTypeError: If a keyword does not exist or has the wrong type.
        InputValueError: If a value is out of range, or two do not fit together.
    """
    env = envs.make(config.environment)
    trainer = Trainer(env, algorithms.recipe(config.algorithm)(**config.keywords))
    if config.steps <= trainer.warmup_steps:
        raise checks.InputValueError(
            f"steps must be more than the {trainer.warmup_steps} that fill the replay before "
            f"learning starts, got {config.steps}; for example --steps {10 * trainer.warmup_steps}, "
            "or a smaller learning_starts"
        )
    trainer.iterations(config.steps)
    seeds = config.agents // len(config.combinations)
    population = Population(trainer, config.agents)
    return Plan(config, population, grid(trainer.hparams, seeds=seeds, **config.sweep))


def describe(plan: Plan) -> dict[str, Any]:
    """Return a plan as plain values: the configuration with every setting and leaf spelled out."""
    recipe = plan.population.trainer.algorithm
    settings = {
        field.name: _plain(getattr(recipe.settings, field.name))
        for field in dataclasses.fields(recipe.settings)
    }
    leaves = {
        name: float(getattr(recipe.hparams, name))
        for name in names(recipe.hparams)
        if name not in plan.config.sweep
    }
    described = dataclasses.asdict(plan.config)
    del described["keywords"]
    return {**described, "settings": settings, "hparams": leaves}


def _plain(value: Any) -> Any:
    if isinstance(value, tuple):
        return list(value)
    plain = isinstance(value, bool | int | float | str | None)
    return value if plain else getattr(value, "__name__", repr(value))
