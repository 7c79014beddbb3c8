"""Settings that work: for each environment, how long to train and with what.

These are what the command line starts from. Those for classic control were chosen by sweeps with this
engine, and the scores that they reach are in `benchmarks/results/learning.md`; those for MinAtar follow
the paper.
"""

from typing import Any, NamedTuple

from jaxq import checks


class Preset(NamedTuple):
    """How to train on an environment.

    Attributes:
        steps: Env steps of one agent.
        keywords: Keywords for the recipe.
    """

    steps: int
    keywords: dict[str, Any]


# With n-step returns reward reaches the first states of an episode sooner, squared errors keep up
# with targets that grow, and a learning rate that ends at zero leaves no agent in a bad moment.
_CONTROL = {
    "hidden_sizes": (64, 64),
    "loss": "squared",
    "n_step": 3,
    "buffer_size": 20_000,
    "train_interval": 5,
    "target_interval": 5,
    "target_rate": 0.05,
    "learning_rate": 1e-3,
    "epsilon_steps": 20_000,
    "epsilon_end": 0.1,
}

# CartPole is won or lost at the edge of a long track, which a longer horizon sees coming; and it takes
# larger steps, which Acrobot does not survive.
_CART_POLE = {
    **_CONTROL,
    "hidden_sizes": (120, 84),
    "discount": 0.995,
    "target_rate": 0.1,
    "learning_rate": 2e-3,
    "epsilon_steps": 10_000,
}

# Random actions almost never reach the flag, and what they do reach counts against a return of several
# steps; single steps, many updates and a target that stands still between copies find it.
_MOUNTAIN_CAR = {
    "hidden_sizes": (64, 64),
    "loss": "squared",
    "double": True,
    "buffer_size": 50_000,
    "train_interval": 2,
    "target_interval": 300,
    "learning_rate": 2e-3,
    "epsilon_steps": 100_000,
    "epsilon_end": 0.05,
}

# Young and Tian, MinAtar, 2019, table 2, with Adam in the place of centered RMSProp.
_MINATAR = {
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
}

_BY_FAMILY = {
    "MinAtar": Preset(1_000_000, _MINATAR),
}

_OTHERWISE = Preset(100_000, _CONTROL)


def preset(environment: str, steps: int | None = None) -> Preset:
    """Return how to train on an environment.

    Args:
        environment: Its id; one that has no settings of its own gets those of its family.
        steps: Env steps of one agent; the preset's own number if not given.

    Returns:
        The preset. Its learning rate reaches zero after `steps`: to train on from there, pass the
        larger number at the start.

    Raises:
        InputTypeError: If the id is no text, or `steps` no whole number.
        InputValueError: If `steps` is not positive.

    Example:
        >>> preset("CartPole-v1").steps
        100000
    """
    if not isinstance(environment, str):
        raise checks.InputTypeError(f"environment must be an id, got {environment!r}")
    if steps is not None:
        steps = checks.whole_number("steps", steps)
    family = environment.rpartition("-")[2]
    found = _BY_ENVIRONMENT.get(environment) or _BY_FAMILY.get(family, _OTHERWISE)
    steps = found.steps if steps is None else steps
    return Preset(steps, {**found.keywords, "learning_rate_steps": steps})
