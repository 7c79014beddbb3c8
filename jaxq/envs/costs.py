"""Costs beside reward: checks of their names and of what environments give."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxq import checks
from jaxq.types import Environment

_EXAMPLE = 'cost_names=("violations",)'


def checked_names(names: Any) -> tuple[str, ...]:
    """Return names of costs, each of which can be a part of a hyperparameter's name.

    Raises:
        InputTypeError: If they are no sequence of texts.
        InputValueError: If one cannot be a name, or stands twice.
    """
    texts = isinstance(names, Sequence) and all(isinstance(name, str) for name in names)
    if isinstance(names, str) or not texts:
        raise checks.InputTypeError(
            f"cost_names must be a tuple of names, got {names!r}; for example {_EXAMPLE}"
        )
    wrong = [name for name in names if not name.isidentifier() or names.count(name) > 1]
    if wrong:
        raise checks.InputValueError(
            "cost_names must be different names of letters, digits and underscores, got "
            f"{wrong[0]!r} in {list(names)}; for example {_EXAMPLE}"
        )
    return tuple(names)


def checked_costs(costs: Any, names: Any, shape: tuple[int, int]) -> dict[str, np.ndarray]:
    """Return the costs of a table by name, float64 `[S, A]` each.

    Args:
        costs: An array `[S, A, K]`, or arrays `[S, A]` by name; `None` for none.
        names: Names of the K costs of an array.
        shape: `[S, A]`.

    Raises:
        InputTypeError: If names are missing, or stand beside others.
        InputValueError: If a shape is another one, or a cost is not finite.
    """
    if costs is None and names is None:
        return {}
    by_name = isinstance(costs, Mapping)
    if costs is None or (names is None) != by_name:
        raise checks.InputTypeError(
            "costs must be an array [S, A, K] with cost_names, or arrays [S, A] by name, got "
            f"{'a dictionary and ' if by_name else ''}cost_names={names!r}; for example "
            'costs={"violations": np.zeros((S, A))}'
        )
    names = checked_names([*costs] if by_name else names)
    array = np.stack([*costs.values()], axis=-1) if by_name and _alike(costs) else costs
    checks.in_range("costs", array, -math.inf, math.inf)
    if np.shape(array) != (*shape, len(names)):
        raise checks.InputValueError(
            f"costs must be a number for each state, action and name, {[*shape, len(names)]}, got shape "
            f"{list(np.shape(array))}"
        )
    return {name: np.asarray(array, np.float64)[..., k] for k, name in enumerate(names)}


def _alike(costs: Mapping[str, Any]) -> bool:
    shapes = {name: np.shape(cost) for name, cost in costs.items()}
    if len({*shapes.values()}) != 1:
        raise checks.InputValueError(f"costs must all have shape [S, A], got {shapes}")
    return True


def check_costs(env: Environment) -> None:
    """Check that an environment of the user's own gives as many costs as it has names for.

    Raises:
        InputValueError: If it gives none, or others.
    """
    if not env.cost_names:
        return

    def cost(key: jax.Array) -> Any:
        state, _ = env.reset(key, env.params)
        return env.step(key, state, jnp.int32(0), env.params)[1].cost

    number = len(env.cost_names)
    try:
        shape = list(jax.eval_shape(cost, jax.random.key(0)).shape)
    except Exception as error:
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise checks.InputValueError(
            f"{env.name}: costs must come from step_env as info['cost'], or from a method "
            f"costs(state, action, params), float32 [{number}]: {reason}"
        ) from error
    if shape != [number]:
        raise checks.InputValueError(
            f"{env.name}: costs must be float32 [{number}], one for each of {list(env.cost_names)}, got "
            f"{shape}"
        )
