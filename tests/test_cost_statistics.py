"""Costs counted: metrics of a run, episodes of an evaluation, and what they come to against budgets."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import jaxq
from jaxq.checks import InputError

# A day of at most 7 steps on which working (1) pays 1 for a risk of 2, and waiting (0) costs a delay.
DAY = {0: {a: [(0.75, 0, float(a), False), (0.25, 1, float(a), True)] for a in range(2)}}
DAY[1] = {a: [(1.0, 1, 0.0, True)] for a in range(2)}
COSTS = {"risk": [[0.0, 2.0], [0.0, 0.0]], "delay": [[1.0, 0.0], [0.0, 0.0]]}


@pytest.fixture(scope="module")
def trainer():
    env = jaxq.envs.from_table(DAY, initial=0, costs=COSTS, max_steps=7, name="day")
    return jaxq.Trainer(env, jaxq.q_learning(num_envs=3))


def test_metrics_are_the_mean_costs_of_finished_episodes(trainer):
    state, metrics = trainer.run(trainer.init(jax.random.key(0)), 3_000)
    assert metrics.episodes > 300
    assert metrics.episode_cost.shape == (2,)
    risk, delay = metrics.episode_cost
    # Each step either works, for 1 and a risk of 2, or waits, for a delay of 1.
    assert_allclose(risk, 2 * metrics.episode_return, rtol=1e-6)
    assert_allclose(delay, metrics.episode_length - metrics.episode_return, rtol=1e-5)
    # In running episodes too.
    running = state.actors.episode_cost
    assert_allclose(running[:, 0], 2 * state.actors.episode_return)
    assert trainer.run(state, 3)[1].episode_cost.shape == (2,)


def test_a_population_counts_the_costs_of_each_agent(trainer):
    population = jaxq.Population(trainer, size=3, chunk=2)
    state, metrics = population.run(population.init(jax.random.key(0)), 600)
    assert metrics.episode_cost.shape == (3, 2)
    alone, expected = trainer.run(trainer.init(jax.random.split(jax.random.key(0), 3)[1]), 600)
    assert_allclose(metrics.episode_cost[1], expected.episode_cost, rtol=1e-6)
    keys = jax.random.split(jax.random.key(1), 3)
    episodes = population.evaluate_episodes(state, keys, num_episodes=5)
    assert [leaf.shape for leaf in episodes] == [(3, 5), (3, 5, 2), (3, 5)]
    same = trainer.evaluate_episodes(alone, keys[1], num_episodes=5)
    for ours, theirs in zip(episodes, same, strict=True):
        assert_array_equal(ours[1], theirs)
    assert_array_equal(episodes.returns, population.evaluate(state, keys, num_episodes=5))


def test_an_evaluation_says_what_episodes_came_to(trainer):
    state, _ = trainer.run(trainer.init(jax.random.key(0)), 3_000)
    key = jax.random.key(1)
    episodes = trainer.evaluate_episodes(state, key, num_episodes=50)
    assert_array_equal(episodes.returns, trainer.evaluate(state, key, num_episodes=50))
    # It has learned to work.
    assert_array_equal(episodes.returns, episodes.lengths)
    assert_array_equal(episodes.costs, np.stack([2 * episodes.returns, 0 * episodes.returns], 1))
    assert episodes.lengths.dtype == jnp.int32
    assert 1 == episodes.lengths.min() < episodes.lengths.max() == 7
    given_up = trainer.evaluate_episodes(state, key, num_episodes=50, max_steps=2)
    unfinished = np.isnan(given_up.returns)
    assert 0 < unfinished.sum() < 50
    assert_array_equal(np.isnan(given_up.costs).all(axis=1), unfinished)
    assert_array_equal(given_up.lengths[unfinished], 2)


def test_without_costs_there_are_none(cartpole, small):
    trainer = jaxq.Trainer(cartpole, jaxq.dqn(**small()))
    state, metrics = trainer.run(trainer.init(jax.random.key(0)), 100)
    assert type(metrics) is jaxq.Metrics
    assert metrics.episode_cost is None
    episodes = trainer.evaluate_episodes(state, jax.random.key(1), num_episodes=3)
    assert episodes.costs.shape == (3, 0)
    # One reward for each step.
    assert_array_equal(episodes.returns, episodes.lengths)


def test_costs_against_budgets_by_hand():
    costs = np.array([[[1.0, 0.0], [3.0, 0.0]], [[2.0, 4.0], [np.nan, np.nan]]])
    returns = np.array([[5.0, 7.0], [9.0, np.nan]])
    assert_array_equal(jaxq.mean_cost(costs), [[2, 0], [2, 4]])
    # The episode that was given up may have cost anything.
    assert_array_equal(jaxq.share_over_budget(costs, [2.0, 1.0]), [[0.5, 0], [0.5, 1]])
    assert_array_equal(jaxq.return_within_budget(returns, costs, [2.0, 1.0]), [6, np.nan])
    assert_array_equal(jaxq.return_within_budget(returns, costs, [2.0, 4.0]), [6, 9])
    assert_array_equal(jaxq.mean_cost(np.full((1, 2, 1), np.nan)), [[np.nan]])
    assert jaxq.return_within_budget(returns[0], costs[0], [0.0, 0.0]).shape == ()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: jaxq.mean_cost([1.0]), r"\[..., M, K\], of M episodes"),
        (lambda: jaxq.mean_cost("all"), "costs must be numbers"),
        (lambda: jaxq.share_over_budget([[1.0]], [1.0, 2.0]), "one for each of the 1 costs"),
        (lambda: jaxq.share_over_budget([[1.0]], [np.inf]), "budgets must be a finite"),
        (lambda: jaxq.return_within_budget([1.0, 2.0], [[1.0]], [1.0]), "of the same episodes"),
    ],
)
def test_mistakes_are_one_line(call, message):
    with pytest.raises(InputError, match=message) as caught:
        call()
    assert "\n" not in str(caught.value)
