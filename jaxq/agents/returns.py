"""Returns: over how many steps rewards are summed, and the runs of steps that are learned from."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from jaxq.agents.components import check_fields
from jaxq.hparams import Hyperparameter


@dataclass(frozen=True)
class NStep:
    """Returns of up to n steps before bootstrapping.

    Attributes:
        n_step: Steps n whose rewards are summed.
    """

    is_lambda: ClassVar[bool] = False

    n_step: int = 1

    def __post_init__(self) -> None:
        """Check the field."""
        check_fields(self)


@dataclass(frozen=True)
class Lambda:
    """lambda-returns, geometrically weighted n-step returns, over a window."""

    leaves: ClassVar[Mapping[str, Hyperparameter]] = {
        "lambda_": Hyperparameter(0.65, 0, 1, meaning="weight of longer returns against shorter ones")
    }
    is_lambda: ClassVar[bool] = True
    n_step: ClassVar[int] = 1


@dataclass(frozen=True)
class Sequences:
    """Runs of steps that a recurrent agent learns from.

    Attributes:
        sequence_length: Steps of a run that are learned from.
        burn_in: Steps before those, which only bring the recurrent carry up to date.
    """

    sequence_length: int = 16
    burn_in: int = 8

    def __post_init__(self) -> None:
        """Check the fields."""
        check_fields(self, burn_in=0)

    @property
    def rows(self) -> int:
        """Steps of a run, the burn-in included."""
        return self.burn_in + self.sequence_length

    @property
    def stride(self) -> int:
        """Steps from one prioritized run to the next: what is learned overlaps by half."""
        return max(self.sequence_length // 2, 1)
