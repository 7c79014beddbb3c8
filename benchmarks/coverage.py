"""How often a 95% interval of the interquartile mean covers the true one, by kind of interval.

Scores are drawn from distributions whose interquartile mean is known, a few at a time, as there are a
few agents. It takes numpy and scipy alone, and about a minute.
"""

from collections.abc import Callable

import numpy as np
from report import option_parser, report, versions
from scipy import stats

SIZES = (3, 5, 8, 16)
CONFIDENCE = 0.95
RESAMPLES = 1_000
FAILING = 0.2


def normal(generator: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Draw scores as many small causes make them."""
    return generator.normal(400, 50, shape)


def skewed(generator: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Draw scores near the best one, with a long tail below."""
    return 500 - generator.exponential(60, shape)


def capped(generator: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Draw scores of which many are the best that there is."""
    return np.minimum(generator.normal(495, 20, shape), 500)


def failing(generator: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Draw scores of agents of which a fifth learn nothing."""
    learned, failed = generator.normal(480, 15, shape), generator.normal(60, 30, shape)
    return np.where(generator.random(shape) < FAILING, failed, learned)


WORLDS = (normal, skewed, capped, failing)


def middle(scores: np.ndarray) -> np.ndarray:
    """Return the mean of the middle half over the last axis."""
    cut = scores.shape[-1] // 4
    return np.sort(scores)[..., cut : scores.shape[-1] - cut].mean(axis=-1)


def standard_error(scores: np.ndarray) -> np.ndarray:
    """Return the standard error of `middle`, from the spread of the scores cut to the middle half.

    References:
        Tukey and McLaughlin, 1963; Wilcox, Introduction to Robust Estimation, section 3.3.2.
    """
    size = scores.shape[-1]
    cut = size // 4
    ordered = np.sort(scores)
    inner = np.clip(ordered, ordered[..., cut, None], ordered[..., size - 1 - cut, None])
    return inner.std(axis=-1, ddof=1) / ((1 - 2 * cut / size) * np.sqrt(size))


def percentile(scores: np.ndarray, drawn: np.ndarray) -> tuple[float, float]:
    """Return the middle of the resamples' means."""
    tail = (1 - CONFIDENCE) / 2
    return tuple(np.quantile(middle(drawn), [tail, 1 - tail]))


def accelerated(scores: np.ndarray, drawn: np.ndarray) -> tuple[float, float]:
    """Return the percentiles corrected for bias and skew (BCa); where that is undefined, as they are."""
    means, observed = middle(drawn), middle(scores)
    share = ((means < observed).mean() + (means <= observed).mean()) / 2
    left_out = middle(np.array([np.delete(scores, place) for place in range(scores.size)]))
    apart = left_out.mean() - left_out
    spread = (apart**2).sum() ** 1.5
    if not 0 < share < 1 or spread == 0:
        return percentile(scores, drawn)
    bias, acceleration = stats.norm.ppf(share), (apart**3).sum() / (6 * spread)
    ends = bias + stats.norm.ppf([(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    levels = stats.norm.cdf(bias + ends / (1 - acceleration * ends))
    return tuple(np.quantile(means, levels))


def studentized(scores: np.ndarray, drawn: np.ndarray) -> tuple[float, float]:
    """Return the mean less the resamples' errors in units of their own standard errors."""
    observed, errors = middle(scores), standard_error(drawn)
    # What is left of equal scores by rounding is no spread.
    spread = errors > 1e-9 * np.abs(scores).max()
    scaled = (middle(drawn) - observed)[spread] / errors[spread]
    if not scaled.size:
        return observed, observed
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(scaled, [1 - tail, tail])
    error = standard_error(scores)
    return observed - low * error, observed - high * error


def students(scores: np.ndarray, drawn: np.ndarray) -> tuple[float, float]:
    """Return the mean, give or take its standard error times Student's quantile: no bootstrap."""
    kept = scores.size - 2 * (scores.size // 4)
    width = stats.t.ppf((1 + CONFIDENCE) / 2, kept - 1) * standard_error(scores)
    return middle(scores) - width, middle(scores) + width


METHODS: dict[str, Callable] = {
    "percentile": percentile,
    "BCa": accelerated,
    "studentized": studentized,
    "Student's t": students,
}


def coverage(world: Callable, size: int, trials: int, generator: np.random.Generator) -> list[str]:
    """Say for each kind of interval how often it covers the truth, and how wide it is at the median."""
    truth = middle(world(generator, (4_000_000,)))
    covered = {name: [] for name in METHODS}
    widths = {name: [] for name in METHODS}
    for _ in range(trials):
        scores = world(generator, (size,))
        drawn = scores[generator.integers(0, size, (RESAMPLES, size))]
        for name, method in METHODS.items():
            low, high = method(scores, drawn)
            covered[name].append(low <= truth <= high)
            widths[name].append(high - low)
    return [f"{np.mean(covered[name]):.1%} ({np.median(widths[name]):.3g})" for name in METHODS]


def main() -> None:
    options = option_parser(__doc__, repeats=1_000, tiny=True).parse_args()
    trials, generator = 20 if options.tiny else options.repeats, np.random.default_rng(0)
    table = [f"| scores | agents | {' | '.join(METHODS)} |", f"| --- | ---: |{' ---: |' * len(METHODS)}"]
    for world in WORLDS:
        for size in SIZES:
            cells = coverage(world, size, trials, generator)
            table.append(f"| {world.__name__} | {size} | {' | '.join(cells)} |")
    method = [
        "Share of trials in which a 95% interval of the interquartile mean covers that of the",
        "distribution which the scores are drawn from, and in brackets its median width;",
        f"{trials} trials each, of {RESAMPLES:,} resamples. Scores: normal; skewed (exponential below a",
        f"best one); capped (many are the best one); failing ({FAILING:.0%} of agents learn nothing).",
    ]
    report(__file__, "Coverage of intervals", method, [versions("numpy", "scipy")], table, options.write)


if __name__ == "__main__":
    main()
