"""jaxq: vectorized Q-learning in JAX, populations of agents in one compiled program.

    >>> import jax, jaxq
    >>> trainer = jaxq.Trainer(jaxq.envs.make("CartPole-v1"), jaxq.dqn())
    >>> population = jaxq.Population(trainer, size=4)
    >>> state = population.init(jax.random.key(0))
    >>> state, metrics = population.run(state, 2_000)
    >>> population.evaluate(state, jax.random.key(1), num_episodes=8).shape
    (4, 8)

In reading order: `envs` is the world; `dqn` a recipe; `Trainer` trains one agent of it and `Population`
many; `Hparams` and `grid` say in what they differ; `learning` holds the maths.
"""

from jaxq import envs, learning, networks
from jaxq.algorithms import Algorithm, dqn
from jaxq.checks import InputError
from jaxq.hparams import Hparams, grid
from jaxq.presets import preset
from jaxq.statistics import bootstrap_interval, iqm
from jaxq.training import (
    AGENT_AXES,
    AgentState,
    Metrics,
    Population,
    Trainer,
    use_all_cores,
)
from jaxq.types import TimeStep, Transition

__version__ = "0.1.0"

__all__ = [
    "AGENT_AXES",
    "AgentState",
    "Algorithm",
    "Hparams",
    "InputError",
    "Metrics",
    "Population",
    "TimeStep",
    "Trainer",
    "Transition",
    "bootstrap_interval",
    "dqn",
    "envs",
    "grid",
    "iqm",
    "learning",
    "networks",
    "preset",
    "use_all_cores",
]
