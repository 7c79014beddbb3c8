import numpy as np
import pytest
from numpy.testing import assert_allclose

import jaxq
from jaxq import statistics

NAN = float("nan")


def test_iqm_is_the_mean_of_the_middle_half():
    assert jaxq.iqm([100, 1, 2, 3, 4, 5, 6, -100]) == 3.5  # of 2, 3, 4, 5
    assert jaxq.iqm([7.0]) == 7.0
    assert jaxq.iqm([1.0, float("nan"), 3.0]) == 2.0
    assert np.isnan(jaxq.iqm([]))


def test_the_interval_covers_what_it_says():
    generator = np.random.default_rng(0)
    covered = [
        interval.low <= 0 <= interval.high
        for interval in (
            jaxq.bootstrap_interval(generator.normal(size=30), resamples=300, seed=seed)
            for seed in range(200)
        )
    ]
    assert 0.87 < np.mean(covered) < 0.99


def test_the_interval_of_equal_scores_is_a_point_and_of_one_score_nothing():
    assert jaxq.bootstrap_interval([5.0] * 8) == (5.0, 5.0)
    assert np.isnan(jaxq.bootstrap_interval([5.0])).all()
    assert_allclose(jaxq.bootstrap_interval([1.0, 2.0, 9.0]), jaxq.bootstrap_interval([1.0, 2.0, 9.0]))


def test_a_confidence_that_is_no_probability_is_refused():
    with pytest.raises(ValueError, match=r"\(0, 1\)"):
        jaxq.bootstrap_interval([1.0, 2.0], confidence=95)


def test_scores_are_one_per_agent():
    with pytest.raises(ValueError, match=r"returns.mean\(axis=1\)"):
        jaxq.iqm([[1.0, 2.0], [3.0, 4.0]])


def test_a_performance_profile_counts_the_agents_above_each_threshold():
    scores = [1.0, 2.0, 2.0, NAN, 5.0]  # of four, as one has not finished its episodes
    profile = statistics.performance_profile(scores, [0.0, 1.0, 1.5, 2.0, 5.0])
    assert_allclose(profile, [1, 3 / 4, 3 / 4, 1 / 4, 0])
    assert_allclose(statistics.performance_profile([3.0], [2.0, 3.0]), [1, 0])
    assert np.isnan(statistics.performance_profile([NAN], [2.0, 3.0])).all()


def test_the_area_under_a_profile_is_the_mean():
    scores = np.random.default_rng(0).uniform(size=50)
    thresholds = (np.arange(10_000) + 0.5) / 10_000
    assert statistics.performance_profile(scores, thresholds).mean() == pytest.approx(
        scores.mean(), abs=1e-4
    )


def test_the_band_of_a_profile_is_that_of_a_fraction():
    """Resampling N agents of which a fraction p is above makes a binomial count."""
    scores = np.repeat([0.0, 1.0], [30, 70])
    low, high = statistics.profile_interval(scores, [-1.0, 0.5, 2.0])
    assert_allclose([low[0], high[0], low[2], high[2]], [1, 1, 0, 0])
    half_width = 1.96 * np.sqrt(0.7 * 0.3 / 100)
    assert_allclose([low[1], high[1]], [0.7 - half_width, 0.7 + half_width], atol=0.015)
    assert np.isnan(statistics.profile_interval([1.0], [0.0, 2.0])).all()


@pytest.mark.parametrize(
    ("x", "y", "expected"),
    [
        ([2.0, 4.0], [1.0, 3.0], 3 / 4),
        ([1.0, 3.0], [2.0, 4.0], 1 / 4),
        ([1.0, 2.0, 2.0], [2.0, 0.0], (0 + 1 + 0.5 + 1 + 0.5 + 1) / 6),
        ([5.0, 5.0], [5.0, 5.0, 5.0], 1 / 2),
        ([7.0], [3.0], 1.0),
        ([7.0, NAN], [3.0, NAN, NAN], 1.0),
    ],
)
def test_probability_of_improvement_by_hand(x, y, expected):
    assert statistics.probability_of_improvement(x, y) == pytest.approx(expected)


def test_probability_of_improvement_is_the_mean_over_all_pairs():
    generator = np.random.default_rng(1)
    x, y = generator.integers(5, size=17).astype(float), generator.integers(6, size=11).astype(float)
    pairs = (x[:, None] > y) + 0.5 * (x[:, None] == y)
    assert statistics.probability_of_improvement(x, y) == pytest.approx(pairs.mean())


def test_without_agents_there_is_no_improvement():
    assert np.isnan(statistics.probability_of_improvement([], [1.0]))
    assert np.isnan(statistics.probability_of_improvement([1.0], [NAN]))
    assert np.isnan(statistics.mann_whitney([], [1.0]))


def test_intervals_of_pairs():
    x, y = np.arange(20.0) + 30, np.arange(20.0)
    assert statistics.improvement_interval(x, y) == (1, 1)
    interval = statistics.difference_interval(x, y)
    assert 20 < interval.low < 30 < interval.high < 40
    assert statistics.improvement_interval(y, y).low < 0.5 < statistics.improvement_interval(y, y).high
    for make in statistics.improvement_interval, statistics.difference_interval:
        assert np.isnan(make([1.0], y)).all()
        assert np.isnan(make(y, [1.0, NAN])).all()
        assert make(x, y) == make(x, y)


def test_the_interval_of_an_improvement_covers_what_it_says():
    generator = np.random.default_rng(0)
    covered = [
        interval.low <= 0.5 <= interval.high
        for interval in (
            statistics.improvement_interval(
                generator.normal(size=25), generator.normal(size=20), resamples=200, seed=seed
            )
            for seed in range(200)
        )
    ]
    assert 0.87 < np.mean(covered) < 0.99


def test_many_scores_are_resampled_in_batches(monkeypatch):
    scores = np.random.default_rng(0).normal(size=64)
    whole = jaxq.bootstrap_interval(scores)
    monkeypatch.setattr(statistics, "_BATCH_SCORES", 1000)
    assert_allclose(jaxq.bootstrap_interval(scores), whole, atol=0.05)


def test_mann_whitney_by_counting_orders():
    """Of the 20 ways to choose three ranks of six, two are as extreme as the three highest."""
    assert statistics.mann_whitney([4.0, 5.0, 6.0], [1.0, 2.0, 3.0]) == pytest.approx(2 / 20)
    assert statistics.mann_whitney([1.0, 1.0], [1.0, 1.0, 1.0]) == 1.0
    assert statistics.mann_whitney([2.0, NAN], [1.0]) == 1.0


def test_holm_by_hand():
    assert_allclose(statistics.holm([0.01, 0.04, 0.03, 0.005]), [0.03, 0.06, 0.06, 0.02])
    assert_allclose(statistics.holm([0.5, 0.9]), [1, 1])
    assert_allclose(statistics.holm([0.02]), [0.02])
    assert_allclose(statistics.holm([NAN, 0.02, 0.01]), [NAN, 0.02, 0.02])
    assert statistics.holm([]).size == 0


def test_what_is_left_out_and_what_is_of_few_is_said():
    returns = np.ones((16, 4))
    assert statistics.caveats(returns) == []
    assert "interval of 4 agents" in statistics.caveats(returns, groups=4)[0]
    assert statistics.caveats(returns[:1]) == []  # has no interval
    returns[3, :2] = returns[5, 0] = NAN
    (left_out,) = statistics.caveats(returns)
    assert left_out.startswith("3 of 64 episodes given up; 2 of 16 agents without a score")
    assert statistics.caveats([1.0, NAN, *[2.0] * 8])[0].startswith("1 of 10 agents")


@pytest.mark.parametrize(
    ("call", "message"),
    {
        lambda: jaxq.iqm("abc"): "scores must be numbers",
        lambda: jaxq.iqm([1, "x"]): "scores must be numbers",
        lambda: jaxq.iqm([1j]): "scores must be numbers",
        lambda: jaxq.iqm({}): "scores must be numbers",
        lambda: jaxq.bootstrap_interval([1, 2], confidence="x"): "confidence must be",
        lambda: jaxq.bootstrap_interval([1, 2], resamples="x"): "resamples must be",
        lambda: jaxq.bootstrap_interval([1, 2], seed=-1): "seed must be",
        lambda: jaxq.performance_profile([1], "x"): "thresholds must be",
        lambda: jaxq.performance_profile([1], 3.0): "thresholds must be",
        lambda: statistics.holm("abc"): "p_values must be",
    }.items(),
)
def test_what_is_no_number_is_refused(call, message):
    with pytest.raises(jaxq.InputError, match=message):
        call()
