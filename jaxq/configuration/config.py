"""Configuration: what to train, every field with what checks its value."""

import dataclasses
import functools
import itertools
import math
from pathlib import Path
from typing import Annotated, Any

import numpy as np

from jaxq import checks
from jaxq.agents import Agent, Algorithm
from jaxq.configuration.logged_data import recipe_keywords
from jaxq.configuration.objects import check_algorithm, check_imports
from jaxq.configuration.sampling import EXAMPLE, Distribution
from jaxq.storage.json_values import brief
from jaxq.types import Environment

ON_DIVERGENCE = ("freeze", "restart", "stop")


def _optional_whole_number(name: str, value: Any) -> None:
    if value is not None:
        checks.whole_number(name, value)


def _run(name: str, value: Any) -> None:
    if value is not None and not isinstance(value, str | Path):
        raise checks.InputTypeError(
            f"{name} must be the directory of a run, got {brief(value)}; for example 'runs/first'"
        )


def _agent(name: str, value: Any) -> None:
    if isinstance(value, str):
        checks.one_of(name, value, ("best", "iqm"))
    else:
        checks.whole_number(name, value, minimum=0)


# A type, and behind it what checks a value by its name.
_Positive = Annotated[int, checks.whole_number]
_Count = Annotated[int, functools.partial(checks.whole_number, minimum=0)]
_Minutes = Annotated[float, functools.partial(checks.one_number, low=0, high=math.inf)]
_Chunk = Annotated[int | None, _optional_whole_number]
_OnDivergence = Annotated[str, functools.partial(checks.one_of, choices=ON_DIVERGENCE)]
_Algorithm = Annotated[str | Algorithm | Agent, check_algorithm]
_Imports = Annotated[dict[str, str], check_imports]
_Start = Annotated[str | Path | None, _run]
_StartAgent = Annotated[str | int, _agent]


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
        start: Directory of a run, or of a saved agent: all agents begin with what one agent of it has
            learned. Networks and optimizers must be the same; hyperparameters and data need not.
        start_agent: Which agent of that run: "best", "iqm" or its number, as `jaxq.load` takes it.
        start_digest: SHA-256 digest of what that agent had learned when the run began.
    """

    environment: str | Environment
    algorithm: _Algorithm
    agents: _Positive
    steps: _Positive
    seed: _Count
    keywords: dict[str, Any]
    sweep: dict[str, list[float]]
    evaluation_episodes: _Positive = 32
    segments: _Positive = 50
    chunk: _Chunk = None
    checkpoint_segments: _Positive = 10
    checkpoint_minutes: _Minutes = 10.0
    keep_checkpoints: _Positive = 2
    on_divergence: _OnDivergence = "freeze"
    sample: dict[str, str] = dataclasses.field(default_factory=dict)
    halvings: _Count = 0
    imports: _Imports = dataclasses.field(default_factory=dict)
    offline: str | None = None
    offline_share: float = 1.0
    offline_digest: str | None = None
    start: _Start = None
    start_agent: _StartAgent = "best"
    start_digest: str | None = None

    def check(self, errors: checks.ErrorCollector) -> None:
        """Collect what is wrong with any field by itself, unless it is known to be wrong already."""
        for field in dataclasses.fields(self):
            for check in getattr(field.type, "__metadata__", ()):
                if field.name not in errors.keywords:
                    with errors.collect():
                        check(field.name, getattr(self, field.name))

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


TABLES = {
    "keywords": '{"learning_rate": 0.001}',
    "sweep": '{"learning_rate": [0.001, 0.01]}',
    "sample": f'{{"learning_rate": "{EXAMPLE}"}}',
}
"""Fields that hold values by the names of keywords, each with an example."""
FIELDS = [field.name for field in dataclasses.fields(Config)]
