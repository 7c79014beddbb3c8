"""Values that nothing can be worth, as `|Q| <= max|r| / (1 - discount)`."""

from collections.abc import Callable

import numpy as np

from jaxq.experiment.callbacks import Callback, Run
from jaxq.experiment.progress import Progress

_MARGIN = 1.1
"""How many times the largest possible value a mean must be before it is told of, as means waver."""


def impossible(q_values: np.ndarray, largest_values: np.ndarray) -> np.ndarray:
    """Return which agents have mean values above any possible return.

    Args:
        q_values: Mean value of the actions that each agent learned from, `[N]`; NaN for none.
        largest_values: The largest that there can be, `[N]`; NaN or infinity where nothing bounds it.

    Returns:
        Numbers of the agents.

    Example:
        >>> impossible(np.array([19.1, 0.5]), np.array([1.1, 1.1])).tolist()
        [0]
    """
    return np.flatnonzero(np.abs(q_values) > _MARGIN * largest_values)


def warning(q_values: np.ndarray, largest_values: np.ndarray) -> str | None:
    """Say how far the worst agent is above what is possible, if any is; arguments as above."""
    agents = impossible(q_values, largest_values)
    if not agents.size:
        return None
    worst = agents[np.argmax(np.abs(q_values[agents]) / largest_values[agents])]
    which = f"agent {worst}; {agents.size} of {q_values.size} agents"
    return (
        f"mean Q {q_values[worst]:.4g} where at most {largest_values[worst]:.4g} is possible by the "
        f"largest reward seen and the discount ({which}): "
        "values are overestimated; try double=true, a smaller learning_rate or a slower target"
    )


class ValueMonitor(Callback):
    """Warns once of values above any possible return.

    Args:
        warn: Takes the warning.
    """

    def __init__(self, warn: Callable[[str], None]) -> None:
        self._warn = warn
        self._warned = False

    def on_segment(self, run: Run, progress: Progress) -> None:
        """Warn if values are too large for the first time."""
        if self._warned or progress.largest_values is None:
            return
        said = warning(progress.metrics.q_value, progress.largest_values)
        if said is not None:
            self._warned = True
            self._warn(f"after {progress.steps:,} steps {said}")
