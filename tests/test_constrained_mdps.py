"""Policies within budgets: by hand, against every deterministic one, and by duality."""

import ast
import itertools

import numpy as np
import pytest
from numpy.testing import assert_allclose

import jaxq
from jaxq import constrained_value_iteration
from jaxq.dynamic_programming import greedy_policy, policy_evaluation, value_iteration
from jaxq.envs import from_table, random_mdp

# Waiting pays nothing; working pays 1 at a risk of 1; both go on for ever.
WORK = {0: {0: [(1.0, 0, 0.0, False)], 1: [(1.0, 0, 1.0, False)]}}
RISK = {"risk": [[0.0, 1.0]]}


def test_one_state_by_hand():
    # Discount 0.5 makes 1 / (1 - 0.5) = 2 steps in all. A risk of 0.5 allows working in half a step of
    # them, a quarter; each unit of risk buys a unit of reward.
    solution = constrained_value_iteration(from_table(WORK), RISK, {"risk": 0.5}, 0.5)
    assert_allclose(solution.policy, [[0.75, 0.25]], atol=1e-9)
    assert_allclose(solution.occupancy, [[1.5, 0.5]], atol=1e-9)
    assert_allclose([solution.value, solution.costs["risk"]], 0.5, atol=1e-9)
    assert_allclose(solution.multipliers["risk"], 1, atol=1e-9)
    # With as much as working always takes, 2, nothing binds.
    solution = constrained_value_iteration(from_table(WORK), RISK, {"risk": 3.0}, 0.5)
    assert_allclose(solution.policy, [[0, 1]], atol=1e-9)
    assert_allclose([solution.value, solution.costs["risk"], solution.multipliers["risk"]], [2, 2, 0])


def test_two_states_and_two_costs_by_hand():
    # From 0 the short way (0) ends at once for 10, at a danger of 4; the long way (1) leads to 1, where
    # ending pays 10 (0), or resting (1) for nothing costs a delay of 1. Discount 0.5: long is worth 5.
    # A danger of at most 1 allows the short way a quarter of the time: 0.25 * 10 + 0.75 * 5 = 6.25, and
    # one more unit of danger moves another quarter, worth 2.5 - 1.25.
    table = {
        0: {0: [(1.0, 1, 10.0, True)], 1: [(1.0, 1, 0.0, False)]},
        1: {0: [(1.0, 1, 10.0, True)], 1: [(1.0, 1, 0.0, False)]},
    }
    costs = {"danger": [[4.0, 0.0], [0.0, 0.0]], "delay": [[0.0, 0.0], [0.0, 1.0]]}
    env = from_table(table, initial=0)
    solution = constrained_value_iteration(env, costs, {"danger": 1.0, "delay": 0.5}, 0.5)
    assert_allclose(solution.policy, [[0.25, 0.75], [1, 0]], atol=1e-9)
    assert_allclose(solution.value, 6.25)
    assert_allclose([solution.costs["danger"], solution.costs["delay"]], [1, 0], atol=1e-9)
    assert_allclose([*solution.multipliers.values()], [1.25, 0], atol=1e-9)


def expected(env, policy, reward, discount):
    """The discounted sum of `reward [S, A]` under a policy, from the initial distribution."""
    outcomes = env.outcomes._replace(reward=np.broadcast_to(reward[:, :, None], env.outcomes[0].shape))
    q = policy_evaluation(type(env)(outcomes, env.initial, 1, "costs"), policy, discount)
    return env.initial @ (policy * q).sum(axis=1)


@pytest.mark.parametrize("seed", range(3))
def test_no_deterministic_policy_within_the_budget_is_better(seed):
    env = random_mdp(seed, num_states=5, num_actions=2)
    cost = np.random.default_rng(seed).uniform(size=(5, 2))
    reward = (env.outcomes.probability * env.outcomes.reward).sum(axis=-1)
    every = [np.eye(2)[list(choice)] for choice in itertools.product(range(2), repeat=5)]
    values, spent = np.array(
        [[expected(env, policy, of, 0.9) for of in (reward, cost)] for policy in every]
    ).T
    budget = float(np.quantile(spent, 0.3))
    solution = constrained_value_iteration(env, {"cost": cost}, {"cost": budget}, 0.9)
    within = spent <= budget
    assert within.any()
    assert solution.value >= values[within].max() - 1e-8
    assert solution.costs["cost"] <= budget + 1e-8
    assert_allclose(expected(env, solution.policy, reward, 0.9), solution.value, atol=1e-7)
    assert_allclose(expected(env, solution.policy, cost, 0.9), solution.costs["cost"], atol=1e-7)
    # One budget: at most one state is randomized in.
    assert (solution.policy.max(axis=1) < 1 - 1e-9).sum() <= 1
    # Strong duality: with the cost at its price, the best policy without a budget comes out even.
    price = solution.multipliers["cost"]
    dual = max(v - price * c for v, c in zip(values, spent, strict=True)) + price * budget
    assert_allclose(dual, solution.value, atol=1e-7)


def test_a_budget_that_does_not_bind_leaves_value_iteration():
    env = jaxq.envs.make("FrozenLake-v1")
    zero = np.zeros((env.num_states, env.num_actions))
    solution = constrained_value_iteration(env, {"none": zero}, {"none": 0.0}, 0.9)
    q = value_iteration(env, 0.9, 1e-9)
    assert_allclose(solution.value, env.initial @ q.max(axis=1), atol=1e-8)
    # States that are never come to have their best action too.
    assert ((solution.policy > 1e-6) <= (greedy_policy(q.round(7)) > 0)).all()


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (
            (RISK, {"risk": -0.5}, 0.5),
            ValueError,
            r"no policy meets budgets=\{'risk': -0.5\}: each is over one of them by 0.5 or more",
        ),
        ((RISK, {"danger": 1.0}), ValueError, r"same names, got \['risk'\] and \['danger'\]"),
        (({"risk": [1.0]}, {"risk": 1.0}), ValueError, r"\[1, 2\], got shape \[1\]"),
        ((RISK, 1.0), TypeError, "budgets must be a dictionary by name"),
        (([[0.0, 1.0]], {"risk": 1.0}), TypeError, "costs must be a dictionary by name"),
        ((RISK, {"risk": float("nan")}), ValueError, r"budgets\['risk'\] must be a finite"),
        ((RISK, {"risk": 1.0}, 1.0), ValueError, "discount must be below 1"),
    ],
)
def test_mistakes_are_one_line(arguments, error, message):
    with pytest.raises(jaxq.InputError, match=message) as caught:
        constrained_value_iteration(from_table(WORK), *arguments)
    assert isinstance(caught.value, error)
    assert "\n" not in str(caught.value)


def test_the_budgets_that_an_error_proposes_can_be_met():
    # Either way there is a cost of 1 or more of one kind: together both budgets are out of reach.
    costs = {"a": [[1.0, 0.0]], "b": [[0.0, 1.0]]}
    with pytest.raises(ValueError, match=r"by 0\.5 or more") as caught:
        constrained_value_iteration(from_table(WORK), costs, {"a": 0.5, "b": 0.5}, 0.5)
    proposed = ast.literal_eval(str(caught.value).split("for example budgets=")[1])
    assert constrained_value_iteration(from_table(WORK), costs, proposed, 0.5).value > 0


def test_the_world_must_be_a_table():
    with pytest.raises(TypeError, match=r"jaxq.envs.from_table\(P\)"):
        constrained_value_iteration(jaxq.envs.make("CartPole-v1"), RISK, {"risk": 1.0})
