"""jaxq: vectorized Q-learning in JAX, populations of agents in one compiled program.

    >>> import jax, jaxq
    >>> trainer = jaxq.Trainer(jaxq.envs.make("CartPole-v1"), jaxq.dqn())
    >>> population = jaxq.Population(trainer, size=4)
    >>> state = population.init(jax.random.key(0))
    >>> state, metrics = population.run(state, 2_000)
    >>> population.evaluate(state, jax.random.key(1), num_episodes=8).shape
    (4, 8)

In reading order: `envs` is the world; `q_learning` and `dqn` are the first of the recipes; `Trainer`
trains one agent of a recipe and `Population` many; `Hparams` and `grid` say in what they differ;
`learning` holds the maths; `value_iteration` says what a table has to come to, and
`constrained_value_iteration` what it can come to within budgets; `plan` asks a trained agent what to do
next, and why.
"""

import importlib
from typing import TYPE_CHECKING, Any

from jaxq import interruption

# Before anything else, as most of the time is spent on what is imported below.
interruption.end_at_once()

# ruff: noqa: E402
from jaxq import dataset, envs, learning, networks, ope
from jaxq.agents import (
    Agent,
    Algorithm,
    bcq,
    behaviour_cloning,
    bootstrapped_dqn,
    c51,
    conservative_dqn,
    constrained_dqn,
    constrained_q_learning,
    double_dqn,
    double_q_learning,
    dqn,
    dueling_dqn,
    dyna_q,
    expected_sarsa,
    iqn,
    munchausen_dqn,
    n_step_dqn,
    noisy_dqn,
    pqn,
    prioritized_dqn,
    q_lambda,
    q_learning,
    qr_dqn,
    r2d2,
    rainbow,
    sarsa,
)
from jaxq.agents.protocol import LearningStatistics, PolicyInput, PolicyOutput
from jaxq.checks import InputError
from jaxq.constrained_mdps import ConstrainedSolution, constrained_value_iteration
from jaxq.cost_statistics import mean_cost, return_within_budget, share_over_budget
from jaxq.dynamic_programming import greedy_policy, policy_evaluation, value_iteration
from jaxq.engine import (
    AGENT_AXES,
    AgentState,
    CostMetrics,
    EpisodeOutcomes,
    Metrics,
    Population,
    Trainer,
    collect,
    pbt,
    use_all_cores,
)
from jaxq.hparams import Hparams, Hyperparameter, grid
from jaxq.planning import Outlook, Plan, PlannedAction, plan
from jaxq.presets import preset
from jaxq.replay import DatasetReplay
from jaxq.statistics import (
    bootstrap_interval,
    iqm,
    performance_profile,
    probability_of_improvement,
)
from jaxq.types import TimeStep, Transition

if TYPE_CHECKING:
    from jaxq.callbacks import Callback
    from jaxq.configuration import Config, configure, configure_sweep
    from jaxq.experiment import (
        DivergenceError,
        Experiment,
        StoppedError,
        Sweep,
        SweepError,
        Tuning,
        tune,
    )
    from jaxq.trained import LoadedAgent, load

__version__ = "0.1.0"

__all__ = [
    "AGENT_AXES",
    "Agent",
    "AgentState",
    "Algorithm",
    "Callback",
    "Config",
    "ConstrainedSolution",
    "CostMetrics",
    "DatasetReplay",
    "DivergenceError",
    "EpisodeOutcomes",
    "Experiment",
    "Hparams",
    "Hyperparameter",
    "InputError",
    "LearningStatistics",
    "LoadedAgent",
    "Metrics",
    "Outlook",
    "Plan",
    "PlannedAction",
    "PolicyInput",
    "PolicyOutput",
    "Population",
    "StoppedError",
    "Sweep",
    "SweepError",
    "TimeStep",
    "Trainer",
    "Transition",
    "Tuning",
    "bcq",
    "behaviour_cloning",
    "bootstrap_interval",
    "bootstrapped_dqn",
    "c51",
    "collect",
    "configure",
    "configure_sweep",
    "conservative_dqn",
    "constrained_dqn",
    "constrained_q_learning",
    "constrained_value_iteration",
    "dataset",
    "double_dqn",
    "double_q_learning",
    "dqn",
    "dueling_dqn",
    "dyna_q",
    "envs",
    "expected_sarsa",
    "greedy_policy",
    "grid",
    "iqm",
    "iqn",
    "learning",
    "load",
    "mean_cost",
    "munchausen_dqn",
    "n_step_dqn",
    "networks",
    "noisy_dqn",
    "ope",
    "pbt",
    "performance_profile",
    "plan",
    "policy_evaluation",
    "pqn",
    "preset",
    "prioritized_dqn",
    "probability_of_improvement",
    "q_lambda",
    "q_learning",
    "qr_dqn",
    "r2d2",
    "rainbow",
    "return_within_budget",
    "sarsa",
    "share_over_budget",
    "tune",
    "use_all_cores",
    "value_iteration",
]

# Imported at first use: what draws and writes takes a while to import.
_LATER = {
    "callbacks": ("Callback",),
    "configuration": ("Config", "configure", "configure_sweep"),
    "experiment": (
        "DivergenceError",
        "Experiment",
        "StoppedError",
        "Sweep",
        "SweepError",
        "Tuning",
        "tune",
    ),
    "trained": ("LoadedAgent", "load"),
}


def __getattr__(name: str) -> Any:
    for module, names in _LATER.items():
        if name in names:
            return getattr(importlib.import_module(f"jaxq.{module}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
