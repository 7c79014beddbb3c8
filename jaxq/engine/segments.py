"""Learning curves: a run in segments, each with metrics of its own."""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from jaxq import checks
from jaxq.engine.state import AgentState, Metrics


def run_in_segments(
    run: Callable[[AgentState, jax.Array], tuple[AgentState, Metrics]],
    state: AgentState,
    iterations: jax.Array,
    segments: int | None,
) -> tuple[AgentState, Metrics]:
    """Train in one piece, or in segments of the same length up to one iteration.

    Args:
        run: Trains for a number of iterations.
        state: The agent or the population.
        iterations: Iterations in all, int32 `[]`.
        segments: Number of segments K; in one piece, with metrics of the whole run, if `None`.

    Returns:
        The state afterwards, and its metrics, leaves `[...]` or `[K, ...]`.

    Raises:
        InputTypeError: If `segments` is no whole number.
        InputValueError: If it is not positive, or there are fewer iterations.
    """
    if segments is None:
        return run(state, iterations)
    segments = checks.whole_number("segments", segments)
    if checks.is_concrete(iterations) and iterations < segments:
        raise checks.InputValueError(
            f"segments must be at most {iterations}, the iterations of this run, got {segments}; "
            "take more env steps or fewer segments"
        )
    curve = []
    for number in range(segments):
        length = iterations // segments + (number < iterations % segments)
        state, metrics = run(state, length)
        curve.append(metrics)
    return state, jax.tree.map(lambda *leaves: jnp.stack(leaves), *curve)
