"""Sampled hyperparameters: each agent draws a value of its own, as `loguniform:1e-4:1e-2` says."""

import dataclasses
import math

import numpy as np

from jaxq import checks

EXAMPLE = "loguniform:1e-4:1e-2"
_KINDS = ("uniform", "loguniform")


@dataclasses.dataclass(frozen=True)
class Distribution:
    """What a leaf is drawn from.

    Attributes:
        low: The least value.
        high: The largest value.
        logarithmic: Whether the logarithm of the value is uniform, instead of the value itself.
    """

    low: float
    high: float
    logarithmic: bool

    @classmethod
    def read(cls, name: str, text: str) -> "Distribution":
        """Read `uniform:low:high` or `loguniform:low:high`.

        Args:
            name: The leaf.
            text: The text.

        Raises:
            InputTypeError: If it is no text.
            InputValueError: If it is not of that form, or its bounds leave nothing to draw from.
        """
        if not isinstance(text, str):
            raise checks.InputTypeError(
                f"a sample takes a distribution for each name, got {name}={text!r}; "
                f"for example {name}={EXAMPLE}"
            )
        kind, *bounds = text.split(":")
        checks.one_of(f"distribution of {name}", kind, _KINDS)
        try:
            low, high = map(float, bounds)
        except ValueError:
            low = high = math.nan
        if not (math.isfinite(low) and math.isfinite(high)):
            raise checks.InputValueError(
                f"{kind} takes two numbers, got {name}={text}; for example {name}={kind}:1e-4:1e-2"
            )
        if low >= high:
            right = f"{kind}:{high:g}:{low:g}" if low > high else f"{low:g}, set and not sampled"
            raise checks.InputValueError(
                f"{kind} takes a lower and then a higher bound, got {name}={text}; "
                f"for example {name}={right}"
            )
        if kind == "loguniform" and low <= 0:
            raise checks.InputValueError(
                f"loguniform begins above 0, got {name}={text}; for example {name}="
                + (f"loguniform:{high / 100:g}:{high:g}" if high > 0 else EXAMPLE)
            )
        return cls(low, high, kind == "loguniform")

    def times(self, factor: float) -> str:
        """Write the distribution of all values multiplied by a factor above 0."""
        kind = "loguniform" if self.logarithmic else "uniform"
        return f"{kind}:{self.low * factor!r}:{self.high * factor!r}"

    def draw(self, name: str, seed: int, agents: int) -> np.ndarray:
        """Draw a value for each agent.

        They depend on the seed and the name alone: agent i has the same value among any number of
        agents, and whatever else is sampled.

        Args:
            name: The leaf.
            seed: The seed of the run.
            agents: Number of agents N.

        Returns:
            Values, float64 `[N]`.
        """
        uniform = np.random.default_rng([seed, *name.encode("utf-8", "replace")]).random(agents)
        if not self.logarithmic:
            return np.clip(self.low * (1 - uniform) + self.high * uniform, self.low, self.high)
        low, high = math.log(self.low), math.log(self.high)
        return np.clip(np.exp(low + (high - low) * uniform), self.low, self.high)
