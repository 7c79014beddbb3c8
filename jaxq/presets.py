"""Settings that work: for each environment, how long to train and with what.

These are what the command line starts from. Each was chosen by a sweep with this engine; the scores
that they reach are in `benchmarks/results/`.
"""

from typing import Any, NamedTuple


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
    "train_interval": 5,
    "target_interval": 5,
    "target_rate": 0.05,
    "learning_rate": 1e-3,
    "epsilon_steps": 10_000,
    "epsilon_end": 0.1,
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
    "CartPole-v1": Preset(100_000, _CONTROL),
    "Acrobot-v1": Preset(100_000, _CONTROL),
    "MountainCar-v0": Preset(200_000, _CONTROL),
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
        The preset, with the learning rate's schedule ending with the training.

    Example:
        >>> preset("CartPole-v1").steps
        100000
    """
    family = environment.rpartition("-")[2]
    found = _BY_ENVIRONMENT.get(environment) or _BY_FAMILY.get(family, _OTHERWISE)
    steps = found.steps if steps is None else steps
    return Preset(steps, {**found.keywords, "learning_rate_steps": steps})
