"""Agents: the protocol, the components they are made of, and the recipes that put these together.

Read `dqn` first: a recipe fills the slots of `DeepQLearning`, whose components stand in modules of their
own: `network` and `representations`, `bootstraps`, `returns` and `target_params`, `experience` and
`window`, `exploration`, `auxiliary`, `optimizers`, `update_schedule`. `deep_agent` puts them together,
with the step of `gradient_update`. `q_learning` fills those of `TabularQLearning`.
"""

import functools
import inspect
from collections.abc import Callable

from jaxq import checks
from jaxq.agents import budgets, composition, tabular_algorithm
from jaxq.agents.algorithm import Algorithm, DeepQLearning
from jaxq.agents.deep import (
    bcq,
    behaviour_cloning,
    bootstrapped_dqn,
    c51,
    conservative_dqn,
    constrained_dqn,
    double_dqn,
    dqn,
    dueling_dqn,
    iqn,
    munchausen_dqn,
    n_step_dqn,
    noisy_dqn,
    pqn,
    prioritized_dqn,
    qr_dqn,
    r2d2,
    rainbow,
)
from jaxq.agents.exploration import EpsilonGreedy
from jaxq.agents.optimizers import adam, radam
from jaxq.agents.protocol import Agent
from jaxq.agents.representations import Scalar
from jaxq.agents.tabular import (
    constrained_q_learning,
    double_q_learning,
    dyna_q,
    expected_sarsa,
    q_lambda,
    q_learning,
    sarsa,
)
from jaxq.agents.tabular_algorithm import TabularQLearning

TABULAR: dict[str, Callable[..., Algorithm]] = {
    recipe.__name__: recipe
    for recipe in (
        q_learning,
        double_q_learning,
        constrained_q_learning,
        sarsa,
        expected_sarsa,
        q_lambda,
        dyna_q,
    )
}
"""The tabular recipes by name."""

DEEP: dict[str, Callable[..., Algorithm]] = {
    recipe.__name__: recipe
    for recipe in (
        dqn,
        double_dqn,
        dueling_dqn,
        n_step_dqn,
        prioritized_dqn,
        c51,
        qr_dqn,
        iqn,
        munchausen_dqn,
        noisy_dqn,
        bootstrapped_dqn,
        conservative_dqn,
        constrained_dqn,
        bcq,
        behaviour_cloning,
        rainbow,
        pqn,
        r2d2,
    )
}
"""The deep recipes by name."""

ALGORITHMS: dict[str, Callable[..., Algorithm]] = {**TABULAR, **DEEP}
"""Every recipe by the name that the command line knows it by."""

__all__ = [
    "ALGORITHMS",
    "DEEP",
    "TABULAR",
    "Agent",
    "Algorithm",
    "DeepQLearning",
    "EpsilonGreedy",
    "Scalar",
    "TabularQLearning",
    "adam",
    "radam",
    "is_leaf_name",
    "leaf_names",
    "recipe",
    "summary",
    *ALGORITHMS,
]


def recipe(name: str) -> Callable[..., Algorithm]:
    """Return the recipe of a name.

    Raises:
        InputValueError: If there is none, naming the nearest.
    """
    return ALGORITHMS[checks.one_of("algorithm", name, ALGORITHMS)]


def summary(name: str) -> str:
    """Return the one line that says what a recipe is."""
    return (inspect.getdoc(recipe(name)) or "").splitlines()[0]


@functools.cache
def leaf_names() -> set[str]:
    """Return the names of all leaves that built-in components declare."""
    declared = [algorithm().leaves for algorithm in ALGORITHMS.values()]
    owners = [owner.leaves for owner in (*composition.OWNERS, *tabular_algorithm.OWNERS)]
    return {name for leaves in (*declared, *owners) for name in leaves}


def is_leaf_name(name: str) -> bool:
    """Tell whether a name is that of a leaf that a built-in component may declare."""
    return name.startswith(budgets.PREFIX) or name in leaf_names()
