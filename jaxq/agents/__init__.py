"""The recipes: each fills the slots of an `Algorithm` in a few lines.

Read `q_learning` and `dqn` first; what shapes a program is documented at `TableSettings` and
`Settings`, and the hyperparameters that may vary inside a population at `jaxq.Hparams`.
"""

import inspect
from collections.abc import Callable

from jaxq import checks
from jaxq.agents.algorithm import Algorithm
from jaxq.agents.deep import (
    bootstrapped_dqn,
    c51,
    conservative_dqn,
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
from jaxq.agents.settings import Settings, adam, radam
from jaxq.agents.table_settings import TableSettings
from jaxq.agents.tabular import (
    double_q_learning,
    dyna_q,
    expected_sarsa,
    q_lambda,
    q_learning,
    sarsa,
)

TABULAR: dict[str, Callable[..., Algorithm]] = {
    recipe.__name__: recipe
    for recipe in (q_learning, double_q_learning, sarsa, expected_sarsa, q_lambda, dyna_q)
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
    "Algorithm",
    "Settings",
    "TableSettings",
    "adam",
    "radam",
    "recipe",
    "summary",
    *ALGORITHMS,
]


def recipe(name: str) -> Callable[..., Algorithm]:
    """Return the recipe of a name.

    Raises:
        InputValueError: If there is none, naming the nearest.
    """
    return ALGORITHMS[checks.known("algorithm", name, ALGORITHMS)]


def summary(name: str) -> str:
    """Return the one line that says what a recipe is."""
    return (inspect.getdoc(recipe(name)) or "").splitlines()[0]
