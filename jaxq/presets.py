"""Settings that work: for each environment, how long to train and with what.

These are what the command line starts from. Those for classic control were chosen by sweeps with this
engine, and the scores that they reach are in `benchmarks/results/learning.md`; those for MinAtar follow
the paper.
"""

from typing import Any, NamedTuple

from jaxq import checks
from jaxq.algorithms import ALGORITHMS, TABULAR, unused


class Preset(NamedTuple):
    """How to train on an environment.

    Attributes:
        steps: Env steps of one agent.
        keywords: Keywords for the recipe.
    """

    steps: int
    keywords: dict[str, Any]


# Of what was swept, two things mattered most: returns of three steps, and a learning rate that falls
# to zero by the end.
_CONTROL = {
    "hidden_sizes": (64, 64),
    "n_step": 3,
    "buffer_size": 20_000,
    "train_interval": 5,
    "target_interval": 5,
    "target_rate": 0.05,
    "learning_rate": 1e-3,
    "epsilon_steps": 20_000,
    "epsilon_end": 0.1,
}

# The longer horizon and the larger step size came out ahead on CartPole, and behind on Acrobot.
_CART_POLE = {
    **_CONTROL,
    "hidden_sizes": (120, 84),
    "discount": 0.995,
    "target_rate": 0.1,
    "learning_rate": 2e-3,
    "epsilon_steps": 10_000,
}

# Random actions almost never reach the flag. In sweeps, returns of several steps never did, and of what
# is here the slow hard copies mattered most: with 300 steps between them some agents found no flag.
_MOUNTAIN_CAR = {
    "hidden_sizes": (64, 64),
    "double": True,
    "buffer_size": 50_000,
    "train_interval": 2,
    "target_interval": 600,
    "learning_rate": 2e-3,
    "epsilon_steps": 100_000,
    "epsilon_end": 0.05,
}

# Young and Tian, MinAtar, 2019, table 2, with Adam in the place of centered RMSProp.
_MINATAR = {
    "loss": "huber",
    "hidden_sizes": (128,),
    "buffer_size": 100_000,
    "batch_size": 32,
    "num_envs": 8,
    "train_interval": 4,
    "learning_starts": 5_000,
    "target_interval": 1_000,
    "learning_rate": 2.5e-4,
    "epsilon_steps": 100_000,
    "epsilon_end": 0.1,
}

_BY_ENVIRONMENT = {
    "CartPole-v1": Preset(100_000, _CART_POLE),
    "Acrobot-v1": Preset(100_000, _CONTROL),
    "MountainCar-v0": Preset(300_000, _MOUNTAIN_CAR),
    "Catch-bsuite": Preset(50_000, _CONTROL),
    "DeepSea-bsuite": Preset(50_000, _CONTROL),
}

_BY_FAMILY = {
    "MinAtar": Preset(1_000_000, _MINATAR),
}

_OTHERWISE = Preset(100_000, _CONTROL)

_ANYWHERE = ""
_EPSILON = ("epsilon_start", "epsilon_end", "epsilon_steps")
# What recipes have settings of their own for, which the environment's do not replace.
_OWN = {
    "n_step_dqn": ("n_step",),
    "munchausen_dqn": ("n_step", "double"),
    "noisy_dqn": _EPSILON,
    "bootstrapped_dqn": _EPSILON,
    "rainbow": ("n_step", "double", *_EPSILON),
    "r2d2": ("n_step", "double", "batch_size", "train_interval"),
}

# What recipes need otherwise than DQN, anywhere and by environment. One update of R2D2 learns from
# sequences of many steps, one of IQN compares all fractions with all, one of an ensemble trains every
# member. On CartPole some agents of three recipes unlearned everything behind a fast target network.
_SLOW_TARGET = {"target_rate": 0.02}
_ADJUSTED: dict[str, dict[str, dict[str, Any]]] = {
    "r2d2": {_ANYWHERE: {"train_interval": 20}},
    "iqn": {_ANYWHERE: {"num_quantiles": 8}, "MountainCar-v0": {"train_interval": 6}},
    "bootstrapped_dqn": {"CartPole-v1": _SLOW_TARGET, "MountainCar-v0": {"train_interval": 6}},
    "rainbow": {"MountainCar-v0": {"train_interval": 6}},
    "munchausen_dqn": {"CartPole-v1": _SLOW_TARGET},
    "qr_dqn": {"CartPole-v1": _SLOW_TARGET},
}

# PQN takes nothing from DQN's settings but the network, and explores during a share of the steps. Going
# through each window four times, as CleanRL does for 500,000 steps, was far behind after 100,000.
_PQN = {"train_interval": 8, "learning_rate": 1e-3}
_PQN_SHARE = 0.5
# Gallici et al., 2024, as in the authors' configuration for MinAtar.
_PQN_MINATAR = {
    "num_envs": 128,
    "buffer_size": 4_096,
    "batch_size": 128,
    "train_interval": 64,
    "learning_rate": 5e-4,
}
_PQN_MINATAR_SHARE = 0.1

# Atoms reach as far as returns do with a discount of 0.99: 100 for 1 a step.
_ATOMS = ("c51", "rainbow")
_RETURNS = {
    "CartPole-v1": (0.0, 100.0),
    "Acrobot-v1": (-100.0, 0.0),
    "MountainCar-v0": (-100.0, 0.0),
    "Catch-bsuite": (-1.0, 1.0),
    "DeepSea-bsuite": (-1.0, 1.0),
    "MinAtar": (0.0, 20.0),
}


def preset(environment: str, steps: int | None = None, algorithm: str = "dqn") -> Preset:
    """Return how to train on an environment.

    Args:
        environment: Its id; one that has no settings of its own gets those of its family.
        steps: Env steps of one agent; the preset's own number if not given.
        algorithm: Name of the recipe that the keywords are for.

    Returns:
        The preset. The learning rate of a deep recipe reaches zero after `steps`: to train on from
        there, pass the larger number at the start.

    Raises:
        InputTypeError: If the id is no text, or `steps` no whole number.
        InputValueError: If there is no such recipe, or `steps` is not positive.

    Example:
        >>> preset("CartPole-v1").steps
        100000
    """
    if not isinstance(environment, str):
        raise checks.InputTypeError(f"environment must be an id, got {environment!r}")
    if steps is not None:
        steps = checks.whole_number("steps", steps)
    checks.known("algorithm", algorithm, ALGORITHMS)
    family = environment.rpartition("-")[2]
    found = _BY_ENVIRONMENT.get(environment) or _BY_FAMILY.get(family, _OTHERWISE)
    steps = found.steps if steps is None else steps
    if algorithm in TABULAR:
        return Preset(steps, {"epsilon_steps": steps})
    own = _OWN.get(algorithm, ())
    keywords = {name: value for name, value in found.keywords.items() if name not in own}
    if algorithm == "pqn":
        window, share = (_PQN_MINATAR, _PQN_MINATAR_SHARE) if family == "MinAtar" else (_PQN, _PQN_SHARE)
        keywords = {"hidden_sizes": keywords["hidden_sizes"], "epsilon_steps": share * steps, **window}
    if algorithm in _ATOMS and (returns := _RETURNS.get(environment) or _RETURNS.get(family)):
        keywords |= {"discount": 0.99, "value_min": returns[0], "value_max": returns[1]}
    for place in (_ANYWHERE, environment):
        keywords |= _ADJUSTED.get(algorithm, {}).get(place, {})
    keywords["learning_rate_steps"] = steps
    without_use = unused(ALGORITHMS[algorithm], keywords)
    return Preset(steps, {name: value for name, value in keywords.items() if name not in without_use})
