"""Bootstraps and targets of numbers, with golden numbers worked out by hand."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from jaxq.learning import (
    Bootstrap,
    conservative_penalty,
    expected_bootstrap,
    greedy_bootstrap,
    mix_uniform,
    munchausen_bootstrap,
    td_target,
    value_of_action,
)

LN3, LN4 = np.log(3), np.log(4)
# With temperature 1 the policy is (1/4, 3/4), with 1/2 it is (1/10, 9/10).
Q = jnp.array([0.0, LN3])


def test_every_part_of_the_formula():
    # 1 + 2 + 0.5 * (0.25 * (4 - 4) + 0.75 * (8 + 4))
    bootstrap = Bootstrap(jnp.array([0.25, 0.75]), jnp.array([-4.0, 4.0]), jnp.float32(2.0))
    assert td_target(1.0, 0.5, bootstrap, jnp.array([4.0, 8.0])) == 7.5
    # A terminal state is worth nothing, whatever is said of it.
    assert td_target(1.0, 0.0, bootstrap, jnp.array([4.0, 8.0])) == 3.0


@pytest.mark.parametrize(
    ("bootstrap", "target"),
    [
        # DQN, the target network chooses: 10 + 0.5 * max(5, 1, 0)
        (lambda q_online, q_target: greedy_bootstrap(q_target), 12.5),
        # Double DQN, the online network chooses action 1: 10 + 0.5 * 1
        (lambda q_online, q_target: greedy_bootstrap(q_online), 10.5),
        # Expected SARSA, of a policy that is 0.4 random: 10 + 0.5 * (0.4 * 2 + 0.6 * 1)
        (lambda q_online, q_target: expected_bootstrap(mix_uniform(jnp.eye(3)[1], 0.4)), 10.7),
        # SARSA, action 2 came next: 10 + 0.5 * 0
        (lambda q_online, q_target: expected_bootstrap(jnp.eye(3)[2]), 10.0),
        # Soft Q-learning towards temperature 0 is DQN.
        (lambda q_online, q_target: munchausen_bootstrap(q_online, 0, q_target, 1e-6, 0.0, -1.0), 12.5),
    ],
)
def test_rules_of_bootstrapping(bootstrap, target):
    q_online_t, q_target_t = jnp.array([1.0, 3.0, 2.0]), jnp.array([5.0, 1.0, 0.0])
    assert_allclose(td_target(10.0, 0.5, bootstrap(q_online_t, q_target_t), q_target_t), target)


def test_a_tie_is_worth_the_same_whichever_action_wins_it():
    q_t = jnp.array([3.0, -1.0, 3.0, 3.0])
    assert_allclose(td_target(0.0, 1.0, greedy_bootstrap(q_t), q_t), 3.0, rtol=1e-6)
    # Double DQN cannot tell actions 0 and 1 apart and takes their mean: (5 + 1) / 2.
    assert td_target(0.0, 1.0, greedy_bootstrap(jnp.array([2.0, 2.0])), jnp.array([5.0, 1.0])) == 3.0


@pytest.mark.parametrize(
    ("a_tm1", "temperature", "clip", "bonus"),
    [
        (0, 1.0, -1.0, -0.9),  # 0.9 * ln(1/4) = 0.9 * -1.386 is cut off at 0.9 * -1
        (0, 1.0, -2.0, -1.2476649),  # and here it is not
        (1, 1.0, -1.0, -0.2589139),  # 0.9 * ln(3/4)
        (0, 0.5, -1.0, -0.9),  # 0.9 * 0.5 * ln(1/10) = 0.9 * -1.151 is cut off
        (0, 0.5, -2.0, -1.0361633),
        (1, 0.5, -1.0, -0.0474122),  # 0.9 * 0.5 * ln(9/10)
    ],
)
def test_munchausen_rewards_being_sure(a_tm1, temperature, clip, bonus):
    bootstrap = munchausen_bootstrap(Q, jnp.int32(a_tm1), jnp.zeros(2), temperature, 0.9, clip)
    assert_allclose(bootstrap.bonus, bonus, rtol=1e-5)


def test_munchausen_in_closed_form():
    bootstrap = munchausen_bootstrap(Q, jnp.int32(1), Q, 1.0, 0.9, -1.0)
    assert_allclose(bootstrap.probs_t, [0.25, 0.75], rtol=1e-6)
    assert_allclose(bootstrap.shift_t, [LN4, LN4 - LN3], rtol=1e-6)
    # The sum is ln(e^0 + e^ln 3) = ln 4: 1 + 0.9 ln(3/4) + 0.5 ln 4, and 1 - 0.9 + 0.5 ln 4.
    assert_allclose(td_target(1.0, 0.5, bootstrap, Q), 1.4342332, rtol=1e-6)
    clipped = munchausen_bootstrap(Q, jnp.int32(0), Q, 1.0, 0.9, -1.0)
    assert_allclose(td_target(1.0, 0.5, clipped, Q), 0.7931472, rtol=1e-6)


def test_the_policies_of_the_two_states_are_kept_apart():
    # s_tm1: 0.5 * ln(1/2) for either action; s_t: 0.5 * ln(1 + 3^2).
    bootstrap = munchausen_bootstrap(jnp.zeros(2), jnp.int32(0), Q, 0.5, 1.0, -1.0)
    assert_allclose(bootstrap.bonus, -0.3465736, rtol=1e-6)
    assert_allclose(td_target(0.0, 1.0, bootstrap, Q), -0.3465736 + 1.1512925, rtol=1e-5)


@pytest.mark.parametrize("temperature", [0.03, 1.0, 20.0])
def test_the_sum_of_munchausen_is_the_soft_maximum(temperature):
    q_t = np.random.default_rng(0).normal(0, 5, 6)
    soft = temperature * np.log(np.exp(q_t / temperature).sum())
    q_t = jnp.array(q_t, jnp.float32)
    bootstrap = munchausen_bootstrap(q_t, jnp.int32(0), q_t, temperature, 0.0, -1.0)
    assert_allclose(td_target(0.0, 1.0, bootstrap, q_t), soft, rtol=1e-5)
    assert bootstrap.bonus == 0


def test_munchausen_stays_finite_far_out():
    q = jnp.array([-1e6, 0.0, 1e6])
    bootstrap = munchausen_bootstrap(q, jnp.int32(0), q, 0.03, 0.9, -1.0)
    assert_allclose(bootstrap.bonus, -0.9, rtol=1e-6)
    assert_allclose(td_target(0.0, 1.0, bootstrap, q), 1e6 - 0.9, rtol=1e-6)


def test_no_gradient_flows_through_a_target():
    def target(r_t, q_tm1, q_t, temperature):
        soft = munchausen_bootstrap(q_tm1, jnp.int32(0), q_t, temperature, 0.9, -1.0)
        return td_target(r_t, 1.0, soft, q_t) + td_target(r_t, 1.0, greedy_bootstrap(q_t), q_t)

    for gradient in jax.grad(target, argnums=(0, 1, 2, 3))(1.0, Q, Q + 1, 1.0):
        assert_array_equal(gradient, 0)


def test_value_of_action_and_its_gradient():
    q = jnp.array([1.0, 2.0, 3.0])
    assert value_of_action(q, jnp.int32(1)) == 2.0
    assert_array_equal(jax.grad(value_of_action)(q, jnp.int32(1)), [0.0, 1.0, 0.0])
    assert value_of_action(jnp.array([-jnp.inf, 2.0, jnp.nan]), jnp.int32(1)) == 2.0


def test_conservative_penalty_and_its_gradient():
    # ln(1 + 3) - 0 and ln(1 + 3) - ln 3; softmax (1/4, 3/4) minus one-hot.
    assert_allclose(conservative_penalty(Q, jnp.int32(0)), LN4, rtol=1e-6)
    assert_allclose(conservative_penalty(Q, jnp.int32(1)), LN4 - LN3, rtol=1e-6)
    assert_allclose(jax.grad(conservative_penalty)(Q, jnp.int32(0)), [-0.75, 0.75], rtol=1e-6)
    assert_allclose(jax.grad(conservative_penalty)(Q, jnp.int32(1)), [0.25, -0.25], rtol=1e-6)
    # A constant added to all values makes no difference, and large ones do not overflow.
    assert_allclose(conservative_penalty(Q + 1000, jnp.int32(0)), LN4, rtol=1e-4)


def test_shapes_are_checked_when_tracing():
    for function in (
        lambda: greedy_bootstrap(jnp.zeros((2, 2))),
        lambda: td_target(0.0, 1.0, greedy_bootstrap(jnp.zeros(2)), jnp.zeros(3)),
        lambda: munchausen_bootstrap(jnp.zeros(2), jnp.zeros(2, int), jnp.zeros(2), 1.0, 1.0, -1.0),
        lambda: conservative_penalty(jnp.zeros((2, 2)), jnp.int32(0)),
    ):
        with pytest.raises(AssertionError):
            function()
