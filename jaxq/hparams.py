"""Hyperparameters that are data: every leaf may differ between the agents of one compiled program."""

import dataclasses
import itertools
import math
from collections.abc import Iterable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct

from jaxq import checks
from jaxq.precision import in_32_bits

Leaf = Any  # a number, or an array with one element per agent


def _leaf(low: float, high: float = math.inf, *, open_low: bool = False) -> Any:
    allowed = {"low": low, "high": high, "open_low": open_low}
    return struct.field(default=None, metadata={"allowed": allowed})


@struct.dataclass
class Hparams:
    """The numbers of a recipe; a leaf that a recipe has no use for is `None`, and then no leaf.

    Attributes:
        learning_rate: Step size at env step 0, > 0; of a table, its factor before the visit count.
        learning_rate_steps: Env steps of the agent over which the step size falls linearly to zero,
            >= 0; with 0 it stays constant. Zero is reached behind the last update, not before it.
        visit_exponent: omega of a table's step size `learning_rate / N(s, a)^omega`, in [0, 1]; 0
            is a constant step size.
        discount: gamma, what a reward one step later counts for, in [0, 1].
        initial_value: What every action is thought to be worth at first, finite; more than can be
            had makes an agent try everything.
        epsilon_start: Probability of a random action at env step 0, in [0, 1].
        epsilon_end: The same once the schedule has ended, in [0, 1]; of a ladder, that of the last
            environment.
        epsilon_steps: Env steps of the agent over which epsilon falls, >= 0.
        temperature_start: Temperature of Boltzmann exploration at env step 0, > 0, in units of value.
        temperature_end: The same once the schedule has ended, > 0.
        temperature_steps: Env steps of the agent over which the temperature falls, >= 0.
        count_bonus: Weight of what is added to the value of actions that were tried seldom, >= 0.
        target_rate: How far the target network moves toward the online one at each target update,
            in (0, 1]; 1 is a hard copy, less is Polyak averaging. 0.05 by default, and 1 where
            `target_interval` is given.
        max_gradient_norm: Gradients with a larger global norm are scaled down to it, > 0; a huge
            value turns that off.
        priority_exponent: How much priorities count in the draw from the replay, in [0, 1]; 0 draws
            uniformly.
        importance_start: How much of the bias of that draw is corrected at env step 0, in [0, 1].
        importance_steps: Env steps of the agent over which that rises linearly to 1, >= 0.
        munchausen_scale: Weight of the log-policy that is added to the reward, in [0, 1].
        munchausen_clip: The least that the log-policy may add before it is weighted, <= 0.
        munchausen_temperature: Temperature of the policy, > 0, in units of value.
        conservatism: Weight of the pull toward low values of actions that were not taken, >= 0.
        trace_decay: lambda, what a longer return counts for against a shorter one, in [0, 1].
        mask_probability: Probability that a member of an ensemble learns from a transition, (0, 1].
    """

    learning_rate: Leaf = _leaf(0, open_low=True)
    learning_rate_steps: Leaf = _leaf(0)
    visit_exponent: Leaf = _leaf(0, 1)
    discount: Leaf = _leaf(0, 1)
    initial_value: Leaf = _leaf(-math.inf)
    epsilon_start: Leaf = _leaf(0, 1)
    epsilon_end: Leaf = _leaf(0, 1)
    epsilon_steps: Leaf = _leaf(0)
    temperature_start: Leaf = _leaf(0, open_low=True)
    temperature_end: Leaf = _leaf(0, open_low=True)
    temperature_steps: Leaf = _leaf(0)
    count_bonus: Leaf = _leaf(0)
    target_rate: Leaf = _leaf(0, 1, open_low=True)
    max_gradient_norm: Leaf = _leaf(0, open_low=True)
    priority_exponent: Leaf = _leaf(0, 1)
    importance_start: Leaf = _leaf(0, 1)
    importance_steps: Leaf = _leaf(0)
    munchausen_scale: Leaf = _leaf(0, 1)
    munchausen_clip: Leaf = _leaf(-math.inf, 0)
    munchausen_temperature: Leaf = _leaf(0, open_low=True)
    conservatism: Leaf = _leaf(0)
    trace_decay: Leaf = _leaf(0, 1)
    mask_probability: Leaf = _leaf(0, 1, open_low=True)


SCHEDULE_LENGTHS = ("learning_rate_steps", "epsilon_steps", "temperature_steps", "importance_steps")
"""The leaves that say over how many env steps a schedule goes."""

_FIELDS = {field.name: field for field in dataclasses.fields(Hparams)}


def names(hparams: Hparams) -> list[str]:
    """List the leaves that a recipe uses, which are those that may vary over a population."""
    return [name for name in _FIELDS if getattr(hparams, name) is not None]


def schedules(hparams: Hparams) -> list[str]:
    """List the leaves that a recipe uses and that are lengths of schedules."""
    return [name for name in names(hparams) if name in SCHEDULE_LENGTHS]


def allowed(name: str) -> tuple[float, float]:
    """Return the lowest and the highest value that a leaf may have."""
    limits = _FIELDS[name].metadata["allowed"]
    return limits["low"], limits["high"]


@in_32_bits()
def validated(hparams: Any, template: Hparams, shape: tuple[int, ...] = ()) -> Hparams:
    """Return `hparams` as float32 leaves of one shape, every value checked against its range.

    Args:
        hparams: Leaves that are numbers or arrays of shape `[]` or `shape`.
        template: The recipe's own hyperparameters, which say what leaves there must be.
        shape: `()` for one agent, `(N,)` for a population.

    Raises:
        InputTypeError: If it is no `Hparams`, or has other leaves than the recipe.
        InputValueError: If a leaf has another shape or a value out of range.
    """
    _check_kind(hparams)
    if names(hparams) != names(template):
        raise checks.InputTypeError(
            f"hparams must have the leaves {', '.join(names(template))}, "
            f"got {', '.join(names(hparams))}; start from trainer.hparams"
        )
    return Hparams(**{name: _checked_leaf(name, hparams, shape) for name in names(template)})


def _check_kind(hparams: Any) -> None:
    if not isinstance(hparams, Hparams):
        raise checks.InputTypeError(
            f"hparams must be jaxq.Hparams, got {type(hparams).__name__}; "
            "start from trainer.hparams.replace(learning_rate=1e-3) or jaxq.grid(trainer.hparams)"
        )


def _checked_leaf(name: str, hparams: Hparams, shape: tuple[int, ...]) -> jax.Array:
    value = getattr(hparams, name)
    checks.in_range(name, value, **_FIELDS[name].metadata["allowed"])
    array = jnp.asarray(value, jnp.float32)
    if array.shape not in ((), shape):
        expected = f"shape {shape} or a single number" if shape else "a single number"
        raise checks.InputValueError(f"{name} must have {expected}, got shape {array.shape}")
    return jnp.broadcast_to(array, shape)


def leaf_number(name: str, value: Any) -> float:
    """Return one value of one leaf as a float, checked against its range."""
    checks.in_range(name, value, **_FIELDS[name].metadata["allowed"])
    if np.ndim(value) != 0:
        raise checks.InputValueError(
            f"{name} must be a single number here, got shape {np.shape(value)}; "
            f"for several use jaxq.grid(trainer.hparams, {name}=[...]), or --sweep {name}=..."
        )
    return float(value)


def grid(hparams: Hparams, *, seeds: int = 1, **values: Iterable[float]) -> Hparams:
    """Make the hyperparameters of a population: every combination of values, `seeds` times each.

    Agents are ordered with the first keyword slowest and the seeds fastest, so agents `k * seeds` to
    `(k + 1) * seeds - 1` share combination k.

    Args:
        hparams: The hyperparameters to start from, usually `trainer.hparams`.
        seeds: Number of agents per combination.
        **values: For each leaf to vary, the values it takes.

    Returns:
        Hyperparameters with leading axis `N = seeds * number of combinations` on every leaf.

    Raises:
        InputTypeError: If a name is no leaf of these hyperparameters, or its values are no sequence.
        InputValueError: If a value is out of range, or there are none.

    Example:
        >>> import jaxq
        >>> trainer = jaxq.Trainer(jaxq.envs.make("CartPole-v1"), jaxq.dqn())
        >>> jaxq.grid(trainer.hparams, learning_rate=[1e-4, 1e-3], seeds=8).discount.shape
        (16,)
    """
    _check_kind(hparams)
    seeds = checks.whole_number("seeds", seeds)
    for name in values:
        check_may_vary(name, hparams)
    columns = [_sequence(name, column) for name, column in values.items()]
    combinations = list(itertools.product(*columns))
    shape = (len(combinations) * seeds,)
    leaves = {
        name: jnp.repeat(jnp.asarray(column, jnp.float32), seeds)
        for name, column in zip(values, zip(*combinations, strict=True), strict=True)
    }
    return validated(hparams.replace(**leaves), hparams, shape)


def check_may_vary(name: str, hparams: Hparams) -> None:
    """Check that a name is a leaf of the hyperparameters.

    Raises:
        InputTypeError: Naming the leaves that there are.
    """
    if name not in names(hparams):
        raise checks.InputTypeError(
            f"{name!r} cannot vary inside one population: it is not a leaf of the hyperparameters. "
            f"These may vary: {', '.join(names(hparams))}. What shapes the program, such as "
            "batch_size or hidden_sizes, is static, and takes one population for each of its values: "
            "jaxq.Sweep(jaxq.configure_sweep(..., sweep={'batch_size': [32, 64]}), directory)"
        )


def _sequence(name: str, values: Any) -> Sequence[float]:
    if isinstance(values, str) or not isinstance(values, Iterable):
        raise checks.InputTypeError(f"{name} must be a sequence, got {values!r}; {name}=[{values}]")
    values = list(values)
    if not values:
        raise checks.InputValueError(f"{name} must have at least one value, got none")
    for value in values:
        leaf_number(name, value)
    return values
