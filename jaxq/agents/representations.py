"""Representations of value: what a network gives for each action, and which head gives it.

A representation owns its static fields. `make_value` is its maths, a `jaxq.learning.Value`; `networks`
builds what gives it.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import ClassVar

import flax.linen as nn
import numpy as np

from jaxq import checks
from jaxq.agents.components import check_fields
from jaxq.hparams import Hyperparameter
from jaxq.learning import (
    CategoricalValue,
    ConstrainedValue,
    PreferenceValue,
    PricedValue,
    QuantileValue,
    RescaledValue,
    ScalarValue,
    Value,
)
from jaxq.learning.values import SCALAR_LOSSES
from jaxq.networks import (
    ConstrainedNetwork,
    Features,
    ImplicitQuantileNetwork,
    QNetwork,
    QuantileNetwork,
)

SUPPORT = 1e3
"""How far the atoms of a categorical value reach that was given no ends."""

MakeHead = Callable[[int | None], nn.Module]
"""Makes a head with so many numbers per action; one, without an axis for it, of `None`."""

Networks = tuple[nn.Module, nn.Module, nn.Module]
"""What predicts, what is bootstrapped from, and what chooses. All three take the same weights; where
they are one, they are one object."""


PARTS = ("make_value", "networks", "is_number", "has_initial_value", "needs_hidden_layer")
"""What the slot `value` asks for."""


@dataclass(frozen=True)
class Scalar:
    """One number per action; what a representation of one's own begins from.

    Attributes:
        is_number: Whether the network gives one number for each action.
        has_initial_value: Whether the recipe takes `initial_value`, what actions are worth at first.
        needs_hidden_layer: Whether the head needs features of the torso, and not observations.
        loss: "squared" or "huber".
    """

    is_number: ClassVar[bool] = True
    has_initial_value: ClassVar[bool] = True
    needs_hidden_layer: ClassVar[bool] = False

    loss: str = "squared"

    def __post_init__(self) -> None:
        """Check the field."""
        check_fields(self)
        checks.one_of("loss", self.loss, SCALAR_LOSSES)

    def make_value(self) -> Value:
        """Return the maths."""
        return ScalarValue(self.loss)

    def networks(self, make_head: MakeHead, torso: nn.Module | None = None) -> Networks:
        """Build the networks.

        Args:
            make_head: Makes heads.
            torso: Maps observations to features; if `None`, features are what the networks are given.
        """
        head = make_head(None)
        return (head if torso is None else QNetwork(torso, head),) * 3


@dataclass(frozen=True)
class Rescaled(Scalar):
    """One number per action, of which the network gives about the square root.

    References:
        Kapturowski et al., Recurrent Experience Replay in Distributed Reinforcement Learning, 2019,
        equation 1.
    """

    def make_value(self) -> Value:
        """Return the maths."""
        return RescaledValue(ScalarValue(self.loss))


@dataclass(frozen=True)
class Priced(Scalar):
    """A number per action, and K costs beside it, by one network.

    Attributes:
        num_costs: Costs K.
    """

    # Costs begin at zero whatever values do.
    has_initial_value: ClassVar[bool] = False

    num_costs: int = 1

    def make_value(self) -> Value:
        """Return the maths, in which costs have no price yet."""
        return PricedValue(self.loss, np.zeros(self.num_costs, np.float32))

    def networks(self, make_head: MakeHead, torso: nn.Module | None = None) -> Networks:
        """Build networks whose head gives 1 + K numbers per action; see `Scalar.networks`."""
        head = make_head(1 + self.num_costs)
        return (head if torso is None else QNetwork(torso, head),) * 3


@dataclass(frozen=True)
class BatchConstrained(Scalar):
    """One number per action, of which those that the behaviour hardly ever takes are left out.

    References:
        Fujimoto et al., Benchmarking Batch Deep Reinforcement Learning Algorithms, 2019, equation 9; tau
        0.3 as in its table 1.
    """

    leaves: ClassVar[Mapping[str, Hyperparameter]] = {
        "bcq_threshold": Hyperparameter(
            0.3, 0, 1, meaning="least probability in the data, relative to the likeliest action"
        )
    }

    def make_value(self) -> Value:
        """Return the maths."""
        return ConstrainedValue(ScalarValue(self.loss))

    def networks(self, make_head: MakeHead, torso: nn.Module | None = None) -> Networks:
        """Build networks with a second head for the behaviour; see `Scalar.networks`."""
        parts = torso or Features(), make_head(None), make_head(None)
        network = ConstrainedNetwork(*parts)
        return network, network, ConstrainedNetwork(*parts, constrained=True)


@dataclass(frozen=True)
class Preference:
    """The behaviour's log-probability of each action, up to a constant, in the place of values."""

    is_number: ClassVar[bool] = True
    has_initial_value: ClassVar[bool] = False
    needs_hidden_layer: ClassVar[bool] = False

    def make_value(self) -> Value:
        """Return the maths."""
        return PreferenceValue()

    def networks(self, make_head: MakeHead, torso: nn.Module | None = None) -> Networks:
        """Build the networks; see `Scalar.networks`."""
        return Scalar().networks(make_head, torso)


@dataclass(frozen=True)
class Categorical:
    """Probabilities of K fixed returns per action.

    Attributes:
        num_atoms: Atoms K.
        value_min: Lowest atom, in units of discounted return; with `value_max`, and the atoms have the
            same gap everywhere. Without the two they are dense near zero and reach beyond +-1,000, for
            returns of any size.
        value_max: Highest atom.
    """

    is_number: ClassVar[bool] = False
    has_initial_value: ClassVar[bool] = False
    needs_hidden_layer: ClassVar[bool] = False

    num_atoms: int = 51
    value_min: float | None = None
    value_max: float | None = None

    def __post_init__(self) -> None:
        """Check the fields."""
        check_fields(self, num_atoms=2)
        low, high = self.value_min, self.value_max
        if (low is None) != (high is None):
            raise checks.InputValueError(
                f"value_min and value_max come together, got value_min={low} and value_max={high}; "
                "for example value_min=-10, value_max=10",
                keywords=["value_min", "value_max"],
            )
        if low is not None and low >= high:
            raise checks.InputValueError(
                f"value_min must be less than value_max, got {low} and {high}; "
                "for example value_min=-10, value_max=10",
                keywords=["value_min", "value_max"],
            )

    def make_value(self) -> Value:
        """Return the maths."""
        if self.value_min is None:
            return CategoricalValue(self.num_atoms, -SUPPORT, SUPPORT, "symlog")
        return CategoricalValue(self.num_atoms, self.value_min, self.value_max)

    def networks(self, make_head: MakeHead, torso: nn.Module | None = None) -> Networks:
        """Build networks of logits; see `Scalar.networks`."""
        head = make_head(self.num_atoms)
        return (head if torso is None else QNetwork(torso, head),) * 3


@dataclass(frozen=True)
class Quantile:
    """N quantiles of the return per action, at fixed fractions.

    Attributes:
        num_quantiles: Quantiles N.
    """

    is_number: ClassVar[bool] = False
    has_initial_value: ClassVar[bool] = True
    needs_hidden_layer: ClassVar[bool] = False

    num_quantiles: int = 32

    def __post_init__(self) -> None:
        """Check the field."""
        check_fields(self)

    def make_value(self) -> Value:
        """Return the maths."""
        return QuantileValue()

    def networks(self, make_head: MakeHead, torso: nn.Module | None = None) -> Networks:
        """Build networks of quantiles; see `Scalar.networks`."""
        return (QuantileNetwork(torso or Features(), make_head(self.num_quantiles)),) * 3


@dataclass(frozen=True)
class ImplicitQuantile:
    """Quantiles of the return per action, at random fractions.

    Attributes:
        num_quantiles: Random fractions N at which the prediction is compared with the target.
        num_target_quantiles: Random fractions N' that are bootstrapped from.
        num_policy_quantiles: Fractions K that are averaged to choose actions, the midpoints
            `(k + 1/2) / K`.
    """

    is_number: ClassVar[bool] = False
    has_initial_value: ClassVar[bool] = True
    needs_hidden_layer: ClassVar[bool] = True

    num_quantiles: int = 8
    num_target_quantiles: int = 8
    num_policy_quantiles: int = 8

    def __post_init__(self) -> None:
        """Check the fields."""
        check_fields(self)

    def make_value(self) -> Value:
        """Return the maths."""
        return QuantileValue()

    def networks(self, make_head: MakeHead, torso: nn.Module | None = None) -> Networks:
        """Build networks with N, N' and K fractions; see `Scalar.networks`."""

        def network(num_quantiles: int) -> nn.Module:
            return ImplicitQuantileNetwork(torso or Features(), make_head(None), num_quantiles)

        return (
            network(self.num_quantiles),
            network(self.num_target_quantiles),
            network(self.num_policy_quantiles),
        )
