"""The network component: how observations become what a head makes values of."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import flax.linen as nn
import jax.numpy as jnp

from jaxq import checks
from jaxq.agents.components import check_fields
from jaxq.agents.representations import MakeHead
from jaxq.hparams import Hyperparameter
from jaxq.networks import Head, Torso
from jaxq.types import ObservationSpec

COMPUTE_TYPES = ("float32", "bfloat16")
MOST_LAYERS = 256
"""More than anybody trains; with thousands, tracing the program takes minutes."""
HIDDEN_SIZE = 64
"""Width of a head's hidden layers where no other width says."""


@dataclass(frozen=True)
class Network:
    """What comes before the values.

    Attributes:
        hidden_sizes: Widths of the dense layers. Where the head has hidden layers, they are as wide as
            the last of these, and it has none if there are none.
        torso: A `flax.linen` module of the user's own in the place of these layers, which maps
            observations `[B, ...]` in their own type to features `[B, F]`.
        network: A module of the user's own in the place of torso and head, which maps observations to
            action values `[B, A]`.
        layer_norm: Whether features are normalized before each activation.
        noisy: Whether dense layers have learned noise on their weights, which explores by itself.
        compute_type: Type that dense layers and convolutions compute in, "float32" or "bfloat16".
            Weights, optimizer, targets and losses are float32 all the same, and so is a recurrent layer.
        recurrent_size: Width of a recurrent layer behind the others; 0 for none. With one, the agent
            learns from sequences.
        dueling: Whether the head splits action values into a state's value and advantages, each with
            a hidden layer of its own; behind a recurrent layer, as wide as that one.
    """

    hidden_sizes: tuple[int, ...] = (120, 84)
    torso: nn.Module | None = None
    network: nn.Module | None = None
    layer_norm: bool = False
    noisy: bool = False
    compute_type: str = "float32"
    recurrent_size: int = 0
    dueling: bool = False

    def __post_init__(self) -> None:
        """Check the fields."""
        check_fields(self, recurrent_size=0)
        object.__setattr__(self, "hidden_sizes", _widths(self.hidden_sizes))
        checks.one_of("compute_type", self.compute_type, COMPUTE_TYPES)
        for name in ("network", "torso"):
            module = getattr(self, name)
            if module is not None and not isinstance(module, nn.Module):
                raise checks.InputTypeError(
                    f"{name} must be a flax.linen module, got {module!r}; "
                    "for an MLP use hidden_sizes=(64, 64)",
                    keywords=[name],
                )
        if self.network is not None:
            self._check_own_network()

    def _check_own_network(self) -> None:
        if self.dueling:
            raise checks.InputValueError(
                "dueling=True builds a head, and network=... brings its own; leave out dueling, and end "
                "the network in jaxq.networks.DuelingHead(num_actions), or give its first part as torso",
                keywords=["dueling", "network"],
            )
        if self.noisy or self.layer_norm or self.recurrent_size or self.torso is not None:
            raise checks.InputValueError(
                "noisy, layer_norm, recurrent_size and torso build the network, and network=... "
                "brings its own; leave out one of the two",
                keywords=["noisy", "layer_norm", "recurrent_size", "torso", "network"],
            )
        if self.compute_type != "float32":
            raise checks.InputValueError(
                "compute_type is that of the layers which are built here, and network=... brings its "
                "own; give those dtype=jnp.bfloat16 instead",
                keywords=["compute_type", "network"],
            )

    @property
    def is_own(self) -> bool:
        """Whether the whole network is the user's own."""
        return self.network is not None

    @property
    def may_be_noisy(self) -> bool:
        """Whether layers may draw noise; a user's own may."""
        return self.noisy or self.torso is not None or self.is_own

    def make_torso(self, spec: ObservationSpec, hidden_layer: bool) -> nn.Module:
        """Build what maps observations to features.

        Args:
            spec: What one observation looks like.
            hidden_layer: Whether the head has hidden layers, which could be normalized.

        Raises:
            InputValueError: If `layer_norm` has no layers to normalize.
        """
        torso = Torso(spec, self.hidden_sizes, self.layer_norm, self.noisy, self._dtype)
        if self.torso is not None:
            return self.torso
        self.check_normalizes(len(self.hidden_sizes) + hidden_layer + torso.convolves)
        return torso

    def check_normalizes(self, layers: int) -> None:
        """Check that there are layers to normalize, if that is asked for.

        Raises:
            InputValueError: If there are none.
        """
        if self.layer_norm and not layers:
            raise checks.InputValueError(
                "layer_norm=True normalizes hidden layers that are built here, and there are none; "
                "for example hidden_sizes=(64, 64), or leave out layer_norm",
                keywords=["layer_norm", "hidden_sizes"],
            )

    def make_head(self, num_actions: int, hidden_size: int) -> MakeHead:
        """Return what makes a head of so many numbers per action."""

        def make(outputs: int | None) -> nn.Module:
            return Head(
                num_actions,
                outputs,
                self.dueling,
                self.noisy,
                self._dtype,
                hidden_size,
                self.layer_norm,
            )

        return make

    def head_size(self, needs_hidden_layer: bool) -> int:
        """Return the width of the head's hidden layers: that of the features, or 0 for none.

        Where no hidden layers are asked for, the features are the observation itself, and all is linear.
        """
        if self.dueling and self.recurrent_size:
            return self.recurrent_size
        if not (self.dueling or needs_hidden_layer):
            return 0
        if self.torso is not None:
            return HIDDEN_SIZE
        return self.hidden_sizes[-1] if self.hidden_sizes else 0

    @property
    def _dtype(self) -> Any:
        return None if self.compute_type == "float32" else jnp.dtype(self.compute_type)


@dataclass(frozen=True)
class EnsembleOf:
    """Several networks, each learning from a share of the data of its own.

    Attributes:
        ensemble_size: Members K.
        prior_scale: Weight of each member's fixed random prior.

    References:
        Osband et al., Deep Exploration via Bootstrapped DQN, 2016; Osband et al., Randomized Prior
        Functions for Deep Reinforcement Learning, 2018.
    """

    leaves: ClassVar[Mapping[str, Hyperparameter]] = {
        "mask_probability": Hyperparameter(
            0.5, 0, 1, open_low=True, meaning="probability that a member learns from a transition"
        )
    }

    ensemble_size: int = 10
    prior_scale: float = 3.0

    def __post_init__(self) -> None:
        """Check the fields."""
        check_fields(self)
        if self.prior_scale < 0:
            raise checks.InputValueError(
                f"prior_scale must be at least 0, got {self.prior_scale:g}", keywords=["prior_scale"]
            )


def _widths(hidden_sizes: Any) -> tuple[int, ...]:
    if isinstance(hidden_sizes, int) and not isinstance(hidden_sizes, bool):
        hidden_sizes = (hidden_sizes,)
    if not isinstance(hidden_sizes, tuple | list):
        raise checks.InputTypeError(
            f"hidden_sizes must be widths of layers, got {hidden_sizes!r}; hidden_sizes=(64, 64)",
            keywords=["hidden_sizes"],
        )
    if len(hidden_sizes) > MOST_LAYERS:
        raise checks.InputValueError(
            f"hidden_sizes must be at most {MOST_LAYERS} widths, got {len(hidden_sizes)}; "
            "for example hidden_sizes=(64, 64)",
            keywords=["hidden_sizes"],
        )
    return tuple(checks.whole_number("hidden_sizes", size) for size in hidden_sizes)
