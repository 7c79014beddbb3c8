"""Sums over many iterations."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose

from jaxq.agents.protocol import LearningStatistics
from jaxq.engine.rollout import EpisodeTotals
from jaxq.engine.totals import RunningSum, Totals, metrics

SHAPES = Totals(
    EpisodeTotals(jnp.int32(0), jnp.float32(0), jnp.int32(0)),
    LearningStatistics(*[jnp.float32(0)] * 4),
)


@jax.jit
def added(sums, term, times):
    return jax.lax.fori_loop(0, times, lambda _, sums: sums.plus(term), sums)


def test_sums_go_on_behind_2_to_the_24th():
    """In each of seventeen million iterations one episode of two steps ends with a return of 1."""
    term = Totals(
        EpisodeTotals(jnp.int32(1), jnp.float32(1), jnp.int32(2)),
        LearningStatistics(*jnp.float32([0.1, 0.2, -0.3, 1e-3])),
    )
    before, after = 2**24, 1_000_000
    many = jax.tree.map(lambda leaf: (leaf * before).astype(leaf.dtype), term)
    sums = added(RunningSum.zero(SHAPES).plus(many), term, after)
    iterations = before + after
    assert int(sums.total.episodes.episodes) == iterations
    assert int(sums.total.episodes.episode_length) == 2 * iterations
    result = metrics(sums.total, jnp.int32(iterations), jnp.zeros(1))
    assert_allclose(result.episodes, iterations, rtol=1e-7)
    assert_allclose((result.episode_return, result.episode_length), (1, 2), rtol=1e-6)
    assert_allclose(result[3:7], (0.1, 0.2, -0.3, 1e-3), rtol=1e-6)


@pytest.mark.parametrize("number", [np.inf, np.nan])
def test_what_is_not_finite_stays_so(number):
    sums = added(RunningSum.zero(jnp.float32(0)), jnp.float32(number), 3)
    np.testing.assert_array_equal(sums.total, number)
    np.testing.assert_array_equal(added(sums, jnp.float32(1), 3).total, number)
