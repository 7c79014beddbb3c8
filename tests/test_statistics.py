import numpy as np
import pytest
from numpy.testing import assert_allclose

import jaxq


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
