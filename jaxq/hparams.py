"""Hyperparameters that are data: every leaf may differ between the agents of one compiled program."""

import dataclasses
import itertools
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxq import checks
from jaxq.precision import in_32_bits


@dataclasses.dataclass(frozen=True)
class Hyperparameter:
    """One hyperparameter, as a component of an agent declares it.

    Attributes:
        default: What it is unless the recipe or the user says.
        low: The lowest that it may be.
        high: The highest; every finite number with `inf`.
        open_low: Whether `low` itself is excluded.
        schedule_length: Whether it is a number of env steps over which something else changes.
        meaning: What it stands for, in a few words.

    Example:
        >>> Hyperparameter(0.05, 0, 1, open_low=True).default
        0.05
    """

    default: float
    low: float = -math.inf
    high: float = math.inf
    open_low: bool = False
    schedule_length: bool = False
    meaning: str = dataclasses.field(default="", compare=False)

    def __post_init__(self) -> None:
        """Check that the default is one number of the range."""
        checks.true_or_false("schedule_length", self.schedule_length)
        checks.one_number("default", self.default, self.low, self.high, open_low=self.open_low)

    @property
    def range(self) -> str:
        """The values that it may have, as an interval."""
        low = "(" if self.open_low or self.low == -math.inf else "["
        return f"{low}{self.low:g}, {self.high:g}{')' if self.high == math.inf else ']'}"

    def check(self, name: str, value: Any) -> None:
        """Check every element of a number or array against the range.

        Raises:
            InputTypeError: If the value is not numeric.
            InputValueError: If an element is not finite or lies outside.
        """
        checks.in_range(name, value, self.low, self.high, open_low=self.open_low)


@jax.tree_util.register_pytree_with_keys_class
class Hparams:
    """The numbers of an agent: a pytree of leaves that its components declare, read as attributes.

    Every leaf may differ between the agents of a population. `hparams.replace(discount=0.9)` changes
    some; `vars(hparams)` is all of them by name.

    Args:
        declared: What the leaves may be, by name; without it nothing is known about them.
        **leaves: Numbers, or arrays with one element per agent.

    Example:
        >>> Hparams(discount=0.99).replace(discount=0.9).discount
        0.9
    """

    def __init__(self, declared: Mapping[str, Hyperparameter] | None = None, /, **leaves: Any) -> None:
        known = {} if declared is None else declared
        vars(self).update(leaves)
        object.__setattr__(self, "_declared", tuple(known.get(name) for name in leaves))

    @classmethod
    def of(cls, **declared: Hyperparameter) -> "Hparams":
        """Make the leaves that are declared, with their defaults.

        Raises:
            InputTypeError: If one is not declared by a `Hyperparameter`.
        """
        for name, leaf in declared.items():
            if not isinstance(leaf, Hyperparameter):
                raise checks.InputTypeError(
                    f"{name} must be a jaxq.Hyperparameter, got {leaf!r}; "
                    f"for example {name}=jaxq.Hyperparameter(1e-3, low=0)"
                )
        return cls(declared, **{name: leaf.default for name, leaf in declared.items()})

    @property
    def declared(self) -> dict[str, Hyperparameter | None]:
        """What each leaf may be, by name."""
        return dict(zip(names(self), vars(self)["_declared"], strict=True))

    def replace(self, **leaves: Any) -> "Hparams":
        """Return the same with other values of some leaves.

        Raises:
            InputTypeError: If there is no such leaf.
        """
        for name in leaves:
            getattr(self, name)
        return Hparams(self.declared, **{**leaves_of(self), **leaves})

    def with_values(self, **values: Any) -> "Hparams":
        """Return the same with further leaves, such as what a schedule has come to."""
        return Hparams(self.declared, **{**leaves_of(self), **values})

    def tree_flatten_with_keys(self) -> tuple[tuple, tuple]:
        """Give JAX the leaves with their names."""
        found = leaves_of(self)
        leaves = tuple((jax.tree_util.GetAttrKey(name), leaf) for name, leaf in found.items())
        return leaves, (tuple(found), vars(self)["_declared"])

    @classmethod
    def tree_unflatten(cls, structure: tuple, leaves: Iterable[Any]) -> "Hparams":
        """Make it again of leaves of any kind."""
        found, declared = structure
        return cls(dict(zip(found, declared, strict=True)), **dict(zip(found, leaves, strict=True)))

    def __setattr__(self, name: str, value: Any) -> None:
        """Refuse: leaves are replaced, not changed."""
        raise dataclasses.FrozenInstanceError(f"use hparams.replace({name}=...)")

    def __getattr__(self, name: str) -> Any:
        """Say which leaves there are, where one is asked for that there is not."""
        if name.startswith("__"):
            raise AttributeError(name)
        raise MissingLeafError(
            f"hparams have no leaf {name!r}; {checks.nearest(name, [*leaves_of(self)] or ['none'])}"
        )

    def __contains__(self, name: str) -> bool:
        """Tell whether there is a leaf of this name."""
        return name in leaves_of(self)

    def __eq__(self, other: Any) -> bool:
        """Compare leaves and what they may be."""
        return isinstance(other, Hparams) and vars(self) == vars(other)

    def __hash__(self) -> int:
        """Hash leaves that are plain numbers."""
        return hash(tuple(vars(self).items()))

    def __repr__(self) -> str:
        """Say the leaves."""
        return f"Hparams({', '.join(f'{name}={leaf!r}' for name, leaf in leaves_of(self).items())})"


class MissingLeafError(checks.InputTypeError, AttributeError):
    """A leaf that hyperparameters do not have."""


def leaves_of(hparams: Hparams) -> dict[str, Any]:
    """Return the leaves by their names."""
    return {name: leaf for name, leaf in vars(hparams).items() if name != "_declared"}


def names(hparams: Hparams) -> list[str]:
    """List the leaves, which are what may vary over a population."""
    return [*leaves_of(hparams)]


def schedules(hparams: Hparams) -> list[str]:
    """List the leaves that are lengths of schedules."""
    return [name for name, leaf in hparams.declared.items() if leaf and leaf.schedule_length]


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
    declared = template.declared
    leaves = {name: _checked_leaf(name, hparams, declared[name], shape) for name in names(template)}
    return Hparams(declared, **leaves)


def _check_kind(hparams: Any) -> None:
    if not isinstance(hparams, Hparams):
        raise checks.InputTypeError(
            f"hparams must be jaxq.Hparams, got {type(hparams).__name__}; "
            "start from trainer.hparams.replace(learning_rate=1e-3) or jaxq.grid(trainer.hparams)"
        )


def _checked_leaf(
    name: str, hparams: Hparams, declared: Hyperparameter, shape: tuple[int, ...]
) -> jax.Array:
    value = getattr(hparams, name)
    declared.check(name, value)
    array = jnp.asarray(value, jnp.float32)
    if array.shape not in ((), shape):
        expected = f"shape {shape} or a single number" if shape else "a single number"
        raise checks.InputValueError(f"{name} must have {expected}, got shape {array.shape}")
    return jnp.broadcast_to(array, shape)


def leaf_number(name: str, value: Any, declared: Hyperparameter | None) -> float:
    """Return one value of one leaf as a float, checked against its range; any finite one without."""
    (declared or Hyperparameter(0.0)).check(name, value)
    if np.ndim(value) != 0:
        raise checks.InputValueError(
            f"{name} must be a single number here, got shape {np.shape(value)}; "
            f"for several use jaxq.grid(trainer.hparams, {name}=[...]), or sweep={{{name!r}: [...]}}",
            keywords=[name],
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
    columns = [_sequence(name, column, hparams.declared[name]) for name, column in values.items()]
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


def _sequence(name: str, values: Any, declared: Hyperparameter) -> Sequence[float]:
    if isinstance(values, str) or not isinstance(values, Iterable):
        raise checks.InputTypeError(f"{name} must be a sequence, got {values!r}; {name}=[{values}]")
    values = list(values)
    if not values:
        raise checks.InputValueError(f"{name} must have at least one value, got none")
    for value in values:
        leaf_number(name, value, declared)
    return values
