"""Exact values: by hand, by a second way of computing them, and by the equations that they satisfy."""

import gymnasium
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import jaxq
from jaxq.dynamic_programming import greedy_policy, policy_evaluation, value_iteration
from jaxq.envs import from_map, from_table, maximization_bias, random_mdp

# Working (0) gives 1 and goes on; resting (1) gives 3, and half of the time there is no way back.
WORK = {
    0: {0: [(1.0, 0, 1.0, False)], 1: [(0.5, 0, 3.0, False), (0.5, 1, 3.0, False)]},
    1: {0: [(1.0, 1, 0.0, False)], 1: [(1.0, 1, 0.0, False)]},
}


def bellman(env, q, discount):
    """One sweep, written as slow loops."""
    swept = np.zeros_like(q)
    for s, a in np.ndindex(*q.shape):
        for p, to, reward, ends in zip(*(leaf[s, a] for leaf in env.outcomes), strict=True):
            swept[s, a] += p * (reward + (0 if ends else discount * q[to].max()))
    return swept


def test_two_states_by_hand():
    # Discount 0.5: working for ever is worth 1 / (1 - 0.5) = 2. Resting once is worth
    # v = 3 + 0.5 * 0.5 * v = 4, which is more, and so v[0] = 4 and q[0, work] = 1 + 0.5 * 4 = 3.
    assert_allclose(value_iteration(from_table(WORK), 0.5), [[3, 4], [0, 0]], atol=1e-6)
    # Discount 0.9: v = 3 + 0.9 * 0.5 * v = 5.4545 against 1 / (1 - 0.9) = 10 for working, with which
    # q[0, rest] = 3 + 0.9 * 0.5 * 10 = 7.5.
    assert_allclose(value_iteration(from_table(WORK), 0.9), [[10, 7.5], [0, 0]], atol=1e-6)
    # Discount 0: the rewards.
    assert_array_equal(value_iteration(from_table(WORK), 0), [[1, 3], [0, 0]])


def test_an_end_is_worth_nothing_and_a_time_limit_does_not_count():
    # Ending pays 4, going on pays 1 for ever: 1 / (1 - 0.8) = 5, and 1 + 0.8 * 5 = 5 once more.
    P = {0: {0: [(1.0, 0, 4.0, True)], 1: [(1.0, 0, 1.0, False)]}}  # noqa: N806
    for max_steps in (1, 200):
        env = from_table(P, initial=0, max_steps=max_steps)
        assert_allclose(value_iteration(env, 0.8), [[4, 5]], atol=1e-6)


def test_policies_by_hand():
    env = from_table(WORK)
    # Half working, half resting: v = 0.5 * (1 + 0.5 v) + 0.5 * (3 + 0.25 v) = 2 + 0.375 v = 3.2, so
    # q = (1 + 0.5 * 3.2, 3 + 0.25 * 3.2).
    assert_allclose(policy_evaluation(env, np.full((2, 2), 0.5), 0.5), [[2.6, 3.8], [0, 0]])
    # Always resting, with discount 1: v = 3 + 0.5 v = 6.
    assert_allclose(policy_evaluation(env, [[0, 1], [0, 1]], 1), [[7, 6], [0, 0]])
    # One state with nothing left to solve.
    assert_allclose(policy_evaluation(from_table({0: {0: [(1.0, 0, 0.0, False)]}}), [[1]], 1), [[0]])


def test_the_cliff_costs_13_steps_along_the_edge():
    for id in ("CliffWalking-v1", "Cliff-grid"):
        q = value_iteration(jaxq.envs.make(id), 1)
        start, up, right, down = 36, 0, 1, 2
        assert_allclose(q[start, up], -13, atol=1e-9)
        assert_allclose(q[start, right], -100 - 13, atol=1e-9)
        edge = np.arange(24, 36)  # the row above the cliff
        assert_allclose(q[edge[:-1], right], -np.arange(12, 1, -1), atol=1e-9)
        assert_allclose(q[edge[-1], down], -1, atol=1e-9)
        assert (greedy_policy(q)[edge[:-1], right] == 1).all()


def test_known_lengths_of_shortest_ways():
    windy = value_iteration(jaxq.envs.make("WindyGrid-grid"), 1)
    assert_allclose(windy[30].max(), -15)  # as in the book
    kings = value_iteration(jaxq.envs.make("WindyGrid-grid", kings_moves=True), 1)
    assert_allclose(kings[30].max(), -7)
    # From the corner through the west hallway (5, 1) or the north one (2, 5) to (8, 8), 16 away: there
    # is no way around.
    rooms = value_iteration(jaxq.envs.make("FourRooms-grid", slip=0), 0.9)
    assert_allclose(rooms[0].max(), 0.9**15, atol=1e-6)


def test_maximization_bias():
    q = value_iteration(maximization_bias(num_actions=4), 1)
    assert_allclose(q, [[0, -0.1, 0, -0.1], [-0.1] * 4, [0] * 4], atol=1e-12)


@pytest.mark.parametrize(("map_name", "discount"), [("4x4", 0.99), ("4x4", 1.0), ("8x8", 0.95)])
def test_frozen_lake_against_a_loop_over_gymnasiums_table(map_name, discount):
    table = gymnasium.make("FrozenLake-v1", map_name=map_name).unwrapped.P
    value = np.zeros(len(table))
    for _ in range(3000 if map_name == "4x4" else 400):
        for s, actions in table.items():
            value[s] = max(
                sum(p * (r + discount * value[to] * (not ends)) for p, to, r, ends in outcomes)
                for outcomes in actions.values()
            )
    q = value_iteration(jaxq.envs.make("FrozenLake-v1", map_name=map_name), discount)
    assert_allclose(q.max(axis=1), value, atol=2e-6)
    if map_name == "4x4" and discount == 1:
        assert_allclose(q[0].max(), 14 / 17, atol=1e-6)  # what gymnasium calls the optimum, 0.82


CASES = [
    (lambda: random_mdp(0), 0.9),
    (lambda: random_mdp(1, 30, 5, 30), 0.99),
    (lambda: random_mdp(2, 1, 2, 1), 0.5),
    (lambda: jaxq.envs.make("Taxi-v4"), 1),
    (lambda: jaxq.envs.make("Taxi-v4", is_rainy=True), 0.9),
    (lambda: jaxq.envs.make("FrozenLake8x8-v1"), 1),
    (lambda: jaxq.envs.make("FourRooms-grid"), 0.9),
    (lambda: jaxq.envs.make("CliffWalkingSlippery-v1"), 0.999),
]


@pytest.mark.parametrize(("make", "discount"), CASES)
def test_optimal_values_satisfy_their_equation_and_are_the_greedy_policys(make, discount):
    env = make()
    q = value_iteration(env, discount, tolerance=1e-8 if discount < 1 else 1e-6)
    assert q.dtype == np.float64
    # An error of at most 1e-8 on both sides of the equation leaves at most 2e-8 between them.
    assert_allclose(q, bellman(env, q, discount), atol=2e-8)
    # Nothing but the tolerance stands between the policy that is greedy and the best one.
    exact = policy_evaluation(env, greedy_policy(q), discount)
    assert_allclose(exact, bellman(env, exact, discount), atol=1e-9)
    assert_allclose(q, exact, atol=1e-8 if discount < 1 else 1e-6)


@pytest.mark.parametrize("tolerance", [1.0, 1e-3])
def test_the_error_is_below_the_tolerance_and_not_by_much(tolerance):
    # One state that pays 1 for ever: sweep n has 1 + ... + 0.9^(n-1) = 10 (1 - 0.9^n), too little.
    q = value_iteration(from_table({0: {0: [(1.0, 0, 1.0, False)]}}), 0.9, tolerance)
    error = 10 - q[0, 0]
    assert 0.8 * tolerance < error <= tolerance * (1 + 1e-9)


def test_values_of_a_policy_satisfy_their_equation():
    env = random_mdp(3)
    policy = np.random.default_rng(0).dirichlet(np.ones(4), size=10)
    q = policy_evaluation(env, policy, 0.9)
    value = (policy * q).sum(axis=1)
    for s, a in np.ndindex(*q.shape):
        p, to, reward, _ = (leaf[s, a] for leaf in env.outcomes)
        assert_allclose(q[s, a], p @ (reward + 0.9 * value[to]))
    assert (q <= value_iteration(env, 0.9) + 1e-6).all()


def test_the_greedy_policy_shares_ties():
    q = np.array([[1.0, 1.0, 0.0], [0.1 + 0.2, 0.3, 0.0], [-5.0, -5.0, -5.0], [1.0, 0.999, 0.0]])
    half, third = 1 / 2, 1 / 3
    expected = [[half, half, 0], [half, half, 0], [third, third, third], [1, 0, 0]]
    assert_allclose(greedy_policy(q), expected)
    assert greedy_policy(q[None]).shape == (1, 4, 3)


def test_zero_for_ever_has_a_value_with_discount_1():
    # Standing still costs nothing, so it is better than paying 1 to leave for where 2 is paid.
    stay, leave, go_on = [(1.0, 0, 0.0, False)], [(1.0, 1, -1.0, True)], [(1.0, 1, -2.0, False)]
    env = from_table({0: {0: stay, 1: leave}, 1: {0: leave, 1: go_on}})
    q = value_iteration(env, 1)
    assert_allclose(q, [[0, -1], [-1, -3]])
    assert_allclose(policy_evaluation(env, greedy_policy(q), 1), q)
    # Without an end anywhere: in state 1 one may go on for 2 each time, or back to rest.
    env = from_table({0: {0: stay, 1: stay}, 1: {0: stay, 1: go_on}})
    assert_allclose(value_iteration(env, 1), [[0, 0], [0, -2]])
    with pytest.raises(ValueError, match="state 1 has no finite value"):
        policy_evaluation(env, [[1, 0], [0, 1]], 1)


def test_values_that_take_many_sweeps():
    # A toll of 100 at the end, and 0.1 for each step that it is put off: with discount 1 the sweeps have
    # to count a thousand steps before they find that putting it off for ever is worse.
    env = from_table({0: {0: [(1.0, 0, -0.1, False)], 1: [(1.0, 0, -100.0, True)]}}, initial=0)
    assert_allclose(value_iteration(env, 1), [[-100.1, -100]], atol=1e-6)
    # And with one that is nearly 1: 1 / (1 - 0.9999) = 10,000.
    env = from_table({0: {0: [(1.0, 0, 1.0, False)]}})
    assert_allclose(value_iteration(env, 0.9999, 1e-5), [[10_000]], atol=1.1e-5)


LOOP = {0: {0: [(1.0, 0, 1.0, False)], 1: [(1.0, 0, 0.0, True)]}}


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (
            lambda: value_iteration(random_mdp(0), 1),
            ValueError,
            "state 0 has no finite value.*discount=0.99",
        ),
        (lambda: value_iteration(from_table(LOOP, initial=0), 1), ValueError, "change by 1 in a sweep"),
        (
            lambda: value_iteration(random_mdp(0), 1.1),
            ValueError,
            r"discount must be a number in \[0, 1\]",
        ),
        (lambda: value_iteration(random_mdp(0), [0.9, 0.8]), TypeError, "discount must be one number"),
        (lambda: value_iteration(random_mdp(0), "high"), TypeError, "discount must be"),
        (lambda: value_iteration(random_mdp(0), 0.9, 0), ValueError, "tolerance must be"),
        (
            lambda: value_iteration(jaxq.envs.make("CartPole-v1")),
            TypeError,
            r"jaxq.envs.from_table\(P\)",
        ),
        (lambda: value_iteration("FrozenLake-v1"), TypeError, "made from a table, got 'FrozenLake-v1'"),
        (lambda: policy_evaluation(from_table(WORK), [[1, 0], [1, 0]], 1), ValueError, "state 0 has no"),
        (lambda: policy_evaluation(from_table(WORK), [[1, 0]]), ValueError, r"must have shape \[2, 2\]"),
        (lambda: policy_evaluation(from_table(WORK), [[1, 1], [1, 0]]), ValueError, "sum to 1"),
        (lambda: policy_evaluation(from_table(WORK), [[2, -1], [1, 0]]), ValueError, "policy must be"),
        (lambda: policy_evaluation(from_map("SG"), "greedy"), TypeError, "policy must be"),
        (lambda: greedy_policy([[np.nan, 1.0]]), ValueError, "q must be"),
    ],
)
def test_mistakes_are_one_line(call, error, message):
    with pytest.raises(jaxq.InputError, match=message) as caught:
        call()
    assert isinstance(caught.value, error)
    assert "\n" not in str(caught.value)
