"""Keywords of recipes: each goes to the component that has it as a field or declares it as a leaf."""

import dataclasses
import warnings
from collections.abc import Mapping
from typing import Any

from jaxq import checks
from jaxq.agents.components import declared_leaves
from jaxq.hparams import Hparams, Hyperparameter, leaf_number

RENAMED = {"conservatism": "cql_alpha", "count_bonus": "ucb_coefficient", "trace_decay": "lambda_"}
"""What leaves were called before."""


@dataclasses.dataclass(frozen=True)
class Owner:
    """A component that a keyword may belong to, for who gives the keyword without it.

    Attributes:
        component: The component, or its class.
        purpose: What its fields are for.
        choice: The keyword that chooses it.
    """

    component: Any
    purpose: str
    choice: str

    @property
    def fields(self) -> dict[str, Any]:
        """Its static fields that are keywords, with their defaults."""
        fields = _fields(self.component)
        return {field.name: field.default for field in fields if "derived" not in field.metadata}

    @property
    def leaves(self) -> dict[str, Hyperparameter]:
        """The leaves that it declares."""
        return declared_leaves(self.component)


class Keywords:
    """The keywords of one call of a recipe, on their way to the components.

    Args:
        name: The recipe's name.
        defaults: What the recipe sets otherwise than the components by themselves.
        given: What the user sets.
    """

    def __init__(self, name: str, defaults: Mapping[str, Any], given: Mapping[str, Any]) -> None:
        self.name = name
        self.given = _renamed(given)
        self.values = {**defaults, **self.given}
        self.settings: dict[str, Any] = {}

    def take(self, key: str, default: Any) -> Any:
        """Return the value of a keyword that chooses a component."""
        self.settings[key] = self.values.get(key, default)
        return self.settings[key]

    def flag(self, key: str) -> bool:
        """Return the value of a keyword that is true or false."""
        value = self.take(key, False)
        checks.true_or_false(key, value)
        return value

    def make(self, component: type, **fixed: Any) -> Any:
        """Make a component of the keywords that are its fields."""
        names = [field.name for field in _fields(component) if field.name not in fixed]
        made = component(**fixed, **{name: self.values[name] for name in names if name in self.values})
        self.settings |= {name: getattr(made, name) for name in names}
        return made

    def choose(self, key: str, choices: Mapping[str, type], default: str) -> Any:
        """Return the component that a name stands for, or that is given itself."""
        value = self.take(key, default)
        if isinstance(value, str) or value is None:
            return self.make(choices[checks.one_of(key, value, choices)])
        return self.make(value) if isinstance(value, type) else value

    def hparams(self, leaves: Mapping[str, Hyperparameter], owners: list[Owner]) -> Hparams:
        """Return starting values of leaves, once every keyword has been used.

        Raises:
            InputTypeError: If a keyword does not exist, or is a leaf of a component that is not there.
            InputValueError: If a value is out of range, or a keyword has no use.
        """
        for key in self.given:
            if key not in self.settings and key not in leaves and not self._belongs(key, owners):
                raise self._unknown(key, leaves, owners)
        numbers = {
            name: leaf_number(name, self.values.get(name, leaf.default), leaf)
            for name, leaf in leaves.items()
        }
        return Hparams(leaves, **numbers)

    def check_used(self, owners: list[Owner]) -> None:
        """Refuse fields of components that are not there, unless they say what would be anyway.

        Raises:
            InputValueError: Naming what the field is for, and the keyword that chooses it.
        """
        for key in self.given.keys() - self.settings.keys():
            found = [owner for owner in owners if key in owner.fields]
            if found and self.given[key] not in [owner.fields[key] for owner in found]:
                raise checks.InputValueError(
                    f"{self.name}() makes no use of {key}={self.given[key]!r} as it is set up: it is "
                    f"for {found[0].purpose}; set {found[0].choice} too; or leave out {key}",
                    keywords=[key],
                )

    @staticmethod
    def _belongs(key: str, owners: list[Owner]) -> bool:
        return any(key in owner.fields for owner in owners)

    def _unknown(
        self, key: str, leaves: Mapping[str, Hyperparameter], owners: list[Owner]
    ) -> checks.InputError:
        """Say why a keyword is none of a recipe's, as it is set up."""
        for owner in owners:
            if key in owner.leaves:
                return checks.InputTypeError(
                    f"{self.name}() has no keyword {key!r} by itself; it belongs to {owner.choice}",
                    keywords=[key],
                )
        choices = [*self.settings, *leaves]
        return checks.InputTypeError(
            f"{self.name}() has no keyword {key!r}; {checks.nearest(key, choices)}", keywords=[key]
        )


def _fields(component: Any) -> list[dataclasses.Field]:
    return [*dataclasses.fields(component)] if dataclasses.is_dataclass(component) else []


def _renamed(given: Mapping[str, Any]) -> dict[str, Any]:
    """Give keywords the names that they have now."""
    for old in RENAMED.keys() & given.keys():
        warnings.warn(f"{old} is called {RENAMED[old]} now", DeprecationWarning, stacklevel=5)
    return {RENAMED.get(key, key): value for key, value in given.items()}
