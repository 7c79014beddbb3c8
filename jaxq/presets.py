"""Settings that work: for each environment, how long to train and with what.

These are what the command line starts from. They say how fast and how much is learned, never which
algorithm: `n_step`, `double` and `dueling` come from the recipe or the user. What they say follows from
what is trained, a recipe with the user's keywords, and every schedule is a share of the run. Those for
classic control were chosen by sweeps with this engine, and the scores that they reach are in
`benchmarks/results/learning.md`; those for MinAtar follow the papers.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

from jaxq import checks
from jaxq.agents import ALGORITHMS, TABULAR
from jaxq.agents.components import declared_leaves
from jaxq.agents.composition import EXPLORATIONS
from jaxq.replay import DatasetReplay


class Preset(NamedTuple):
    """How to train on an environment.

    Attributes:
        steps: Env steps of one agent.
        keywords: Keywords for the recipe.
    """

    steps: int
    keywords: dict[str, Any]


class _Plan(NamedTuple):
    """What an environment asks for, and over which share of the run exploration falls."""

    steps: int
    keywords: dict[str, Any]
    exploring: float
    learning_rate_falls: bool = True


# Of what was swept, slow targets and a learning rate that falls to zero by the end mattered most.
_CONTROL = {
    "hidden_sizes": (64, 64),
    "buffer_size": 20_000,
    "train_interval": 5,
    "target_interval": 5,
    "target_rate": 0.05,
    "learning_rate": 1e-3,
    "epsilon_end": 0.1,
}

# On CartPole larger step sizes and faster targets are ahead for a while, and then some agents unlearn.
_CART_POLE = {**_CONTROL, "hidden_sizes": (120, 84), "epsilon_end": 0.05}

# Random actions almost never reach the flag. In sweeps, returns of several steps never did, and of what
# is here the slow hard copies mattered most: with 300 steps between them some agents found no flag.
_MOUNTAIN_CAR = {
    "hidden_sizes": (64, 64),
    "buffer_size": 50_000,
    "train_interval": 2,
    "target_interval": 600,
    "learning_rate": 2e-3,
    "epsilon_end": 0.05,
}

# Young and Tian, MinAtar, 2019, table 2: a gradient step at every step, and a constant learning rate.
# Adam is in the place of centered RMSProp, and 8 environments in the place of one.
_MINATAR = {
    "loss": "huber",
    "hidden_sizes": (128,),
    "buffer_size": 100_000,
    "batch_size": 32,
    "num_envs": 8,
    "train_interval": 1,
    "learning_starts": 5_000,
    "target_interval": 1_000,
    "learning_rate": 2.5e-4,
    "epsilon_end": 0.1,
}

_BY_ENVIRONMENT = {
    "CartPole-v1": _Plan(100_000, _CART_POLE, exploring=0.1),
    "Acrobot-v1": _Plan(100_000, _CONTROL, exploring=0.2),
    "MountainCar-v0": _Plan(300_000, _MOUNTAIN_CAR, exploring=1 / 3),
    "Catch-bsuite": _Plan(50_000, _CONTROL, exploring=0.4),
    "DeepSea-bsuite": _Plan(50_000, _CONTROL, exploring=0.4),
}

_BY_FAMILY = {
    "MinAtar": _Plan(1_000_000, _MINATAR, exploring=0.1, learning_rate_falls=False),
}

_OTHERWISE = _Plan(100_000, _CONTROL, exploring=0.2)

# PQN takes nothing from DQN's settings but the network. Going through each window four times, as CleanRL
# does for 500,000 steps, was far behind after 100,000.
_WINDOW = _Plan(
    0,
    {
        "num_envs": 4,
        "buffer_size": 512,
        "batch_size": 128,
        "train_interval": 8,
        "learning_starts": 0,
        "learning_rate": 1e-3,
    },
    exploring=0.5,
)
# Gallici et al., 2024, as in the authors' configuration for MinAtar.
_WINDOW_MINATAR = _Plan(
    0,
    {
        **_WINDOW.keywords,
        "num_envs": 128,
        "buffer_size": 4_096,
        "train_interval": 64,
        "learning_rate": 5e-4,
    },
    exploring=0.1,
)

# Even atoms reach as far as returns do with a discount of 0.99: 100 for 1 a step.
_RETURNS = {
    "CartPole-v1": (0.0, 100.0),
    "Acrobot-v1": (-100.0, 0.0),
    "MountainCar-v0": (-100.0, 0.0),
    "Catch-bsuite": (-1.0, 1.0),
    "DeepSea-bsuite": (-1.0, 1.0),
    "MinAtar": (0.0, 20.0),
}


def preset(
    environment: str,
    steps: int | None = None,
    algorithm: str = "dqn",
    keywords: Mapping[str, Any] | None = None,
) -> Preset:
    """Return how to train on an environment.

    Args:
        environment: Its id; one that has no settings of its own gets those of its family.
        steps: Env steps of one agent; the preset's own number if not given.
        algorithm: Name of the recipe that the keywords are for.
        keywords: What the user sets: `{"value": "categorical"}` makes a `dqn` ask for what C51 does.

    Returns:
        The preset, without what the user sets. Schedules are shares of `steps`, and the learning rate
        of a deep recipe reaches zero after them: to train on from there, pass the larger number at the
        start.

    Raises:
        InputTypeError: If the id is no text, or `steps` no whole number.
        InputValueError: If there is no such recipe, or `steps` is not positive.

    Example:
        >>> preset("CartPole-v1").steps
        100000
        >>> preset("Acrobot-v1", keywords={"value": "categorical"}).keywords["value_min"]
        -100.0
    """
    if not isinstance(environment, str):
        raise checks.InputTypeError(
            f"environment must be an id, got {environment!r}", keywords=["environment"]
        )
    if steps is not None:
        steps = checks.whole_number("steps", steps)
    checks.one_of("algorithm", algorithm, ALGORITHMS)
    keywords = {} if keywords is None else keywords
    family = environment.rpartition("-")[2]
    plan = _BY_ENVIRONMENT.get(environment) or _BY_FAMILY.get(family, _OTHERWISE)
    steps = plan.steps if steps is None else steps
    trained = {**ALGORITHMS[algorithm]().settings, **keywords}
    if algorithm in TABULAR:
        found = {"epsilon_steps": steps, **_of_exploration(trained, steps, 1.0)}
    else:
        found = _deep(environment, family, plan, steps, trained)
    if "target_interval" in keywords:
        # The rate goes with the interval: copies at one of the user's own are whole, as everywhere.
        found.pop("target_rate", None)
    return Preset(steps, {name: value for name, value in found.items() if name not in keywords})


def preset_origin(environment: str) -> str:
    """Say where the preset of an environment comes from.

    Example:
        >>> preset_origin("Pong-misc")
        'none of its own, so what was tuned for classic control'
    """
    if environment in _BY_ENVIRONMENT:
        return f"tuned for {environment}"
    family = environment.rpartition("-")[2]
    if family in _BY_FAMILY:
        return f"for all of {family}, as in its paper"
    return "none of its own, so what was tuned for classic control"


def _deep(
    environment: str, family: str, plan: _Plan, steps: int, trained: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the keywords for a deep recipe, whose settings are `trained`."""
    widths = {"hidden_sizes": plan.keywords["hidden_sizes"]}
    if trained.get("memory") == "window":
        plan = _WINDOW_MINATAR if family == "MinAtar" else _WINDOW
    found = widths | plan.keywords
    found |= {
        "epsilon_steps": plan.exploring * steps,
        "learning_rate_steps": steps if plan.learning_rate_falls else 0,
        **_of_exploration(trained, steps, plan.exploring),
        **_of_value(environment, family, trained),
    }
    if trained.get("prioritized") is True:
        found["importance_steps"] = steps
    if trained.get("recurrent_size"):
        # One update learns from sequences of many steps. On CartPole half as many left agents behind.
        often = environment == "CartPole-v1"
        windowed = trained.get("memory") == "window"
        sequences = {"batch_size": 8} if windowed else {"train_interval": 10 if often else 20}
        found = {**_without(found, "batch_size"), **sequences}
    return _without(found, *_without_use(trained))


def _without_use(trained: Mapping[str, Any]) -> list[str]:
    """Name what has no use beside what is trained, which a recipe would refuse."""
    own_layers = any(trained.get(name) is not None for name in ("network", "torso"))
    own_target = trained.get("target") is not None
    data = trained.get("replay")
    logged_alone = isinstance(data, DatasetReplay) and data.share == 1
    names = {
        "hidden_sizes": own_layers,
        "loss": trained.get("value") not in ("scalar", "rescaled"),
        "epsilon_steps": trained.get("epsilon_schedule") == "ladder",
        "target_interval": own_target,
        "target_rate": own_target,
        # Nothing is acted out while it learns from logged data alone.
        "num_envs": logged_alone,
        "buffer_size": logged_alone,
        "learning_starts": logged_alone,
    }
    exploration = trained.get("exploration")
    if not isinstance(exploration, str):
        leaves = declared_leaves(exploration)
        names |= {
            f"epsilon_{part}": f"epsilon_{part}" not in leaves for part in ("start", "end", "steps")
        }
    return [name for name, without in names.items() if without]


def _of_exploration(trained: Mapping[str, Any], steps: int, share: float) -> dict[str, Any]:
    """Return what exploration asks for: what explores by itself has no need of random actions."""
    found: dict[str, Any] = {}
    others = [name for name in EXPLORATIONS if name != "epsilon_greedy"]
    if trained.get("exploration") in others or trained.get("noisy") is True:
        found |= {"epsilon_start": 0.0, "epsilon_end": 0.0}
    if trained.get("exploration") == "boltzmann":
        found["temperature_steps"] = share * steps
    return found


def _of_value(environment: str, family: str, trained: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the representation of values asks for, and the rule that it is learned by."""
    value, ensemble = trained.get("value"), trained.get("exploration") == "ensemble"
    found: dict[str, Any] = {}
    if value == "categorical" and (ends := _RETURNS.get(environment) or _RETURNS.get(family)):
        found |= {"value_min": ends[0], "value_max": ends[1]}
    if value == "implicit_quantile":
        # An update compares all fractions with all.
        found["num_quantiles"] = 8
    costly = (
        ensemble
        or value == "implicit_quantile"
        or (value == "categorical" and trained.get("noisy") is True)
    )
    if environment == "MountainCar-v0" and costly:
        found["train_interval"] = 6
    # Some agents of these unlearned everything behind a fast target network.
    if environment == "CartPole-v1" and ensemble:
        found |= {"target_rate": 0.005, "learning_rate": 2.5e-4}
    elif environment == "CartPole-v1" and (value == "quantile" or trained.get("munchausen") is True):
        found["target_rate"] = 0.02
    return found


def _without(keywords: Mapping[str, Any], *names: str) -> dict[str, Any]:
    return {name: value for name, value in keywords.items() if name not in names}
