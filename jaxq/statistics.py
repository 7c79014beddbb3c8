"""Statistics over agents: the interquartile mean, and how far another set of seeds would move it."""

from typing import Any, NamedTuple

import numpy as np
from scipy import stats

from jaxq import checks


class Interval(NamedTuple):
    """A confidence interval; both ends are NaN where fewer than two agents leave none."""

    low: float
    high: float


def iqm(scores: Any) -> float:
    """Average the middle half of the scores.

    Less noisy than a mean when a few agents fail or excel, and unlike a median it uses half of them.

    Args:
        scores: One score per agent, `[N]`; those that are not finite are left out.

    Returns:
        The mean of the scores between the quartiles; NaN if there are no scores.

    References:
        Agarwal et al., Deep RL at the Edge of the Statistical Precipice, 2021, section 4.3.

    Example:
        >>> iqm([0.0, 500.0, 500.0, 500.0])
        500.0
    """
    scores = _finite(scores)
    return float(stats.trim_mean(scores, 0.25)) if scores.size else float("nan")


def bootstrap_interval(
    scores: Any, confidence: float = 0.95, resamples: int = 2_000, seed: int = 0
) -> Interval:
    """Estimate the interval in which the IQM over as many other seeds would lie.

    Args:
        scores: One score per agent, `[N]`; those that are not finite are left out.
        confidence: Probability that the interval is to cover, in (0, 1).
        resamples: Number of bootstrap resamples.
        seed: Seed of the resampling; the same scores give the same interval.

    Returns:
        The percentile bootstrap interval of the interquartile mean.

    Raises:
        InputValueError: If the confidence is no probability.

    References:
        Agarwal et al., Deep RL at the Edge of the Statistical Precipice, 2021, section 4.1.
    """
    if not 0 < confidence < 1:
        raise checks.InputValueError(f"confidence must be in (0, 1), got {confidence}; use 0.95")
    scores = _finite(scores)
    if scores.size < 2:
        return Interval(float("nan"), float("nan"))
    result = stats.bootstrap(
        (scores,),
        lambda values, axis: stats.trim_mean(values, 0.25, axis=axis),
        n_resamples=resamples,
        confidence_level=confidence,
        method="percentile",
        rng=np.random.default_rng(seed),
    )
    return Interval(float(result.confidence_interval.low), float(result.confidence_interval.high))


def _finite(scores: Any) -> np.ndarray:
    scores = np.asarray(scores, dtype=np.float64)
    if scores.ndim != 1:
        raise checks.InputValueError(
            f"scores must be one number per agent, got shape {scores.shape}; "
            "average over episodes first: returns.mean(axis=1)"
        )
    return scores[np.isfinite(scores)]
