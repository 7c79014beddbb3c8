"""Baselines for incidents: what they do by hand, that they keep to the law, and who is better."""

import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_array_equal
from test_incident import (
    BAD,
    CORRUPT,
    CRASH,
    HEALTHY,
    LEAK,
    OUTAGE,
    OVERLOAD,
    action,
    quiet,
    situation,
)

import jaxq
from jaxq.envs import Incident, incident_table
from jaxq.envs.incident import dynamics
from jaxq.envs.incident.params import (
    CLEAR_CACHE,
    FAIL_OVER,
    RESTART,
    ROLL_BACK,
    SCALE_OUT,
    WAIT,
)
from jaxq.envs.incident.policies import POLICIES, always_restart, omniscient_repairer, runbook

REPAIRS = {
    CRASH: RESTART,
    LEAK: RESTART,
    BAD: ROLL_BACK,
    OVERLOAD: SCALE_OUT,
    OUTAGE: FAIL_OVER,
    CORRUPT: CLEAR_CACHE,
}


def seen(state, params):
    env = Incident(state.fault.shape[0])
    return env.observe(jax.random.key(0), state, None, params), env.legal_actions(state, params)


@pytest.mark.parametrize(("fault", "kind"), REPAIRS.items())
@pytest.mark.parametrize("service", range(3))
def test_without_noise_the_runbook_repairs_the_fault_and_not_its_callers(fault, kind, service):
    faults = np.zeros(3, int)
    faults[service] = fault
    age = np.where(faults == BAD, 0, 20)
    leaked = np.where(faults == LEAK, 5, 0)
    state = situation(*faults, age=age, leaked=leaked)
    chosen = runbook(jax.random.key(0), *seen(state, quiet(3, noise=0.0)))
    assert_array_equal(chosen, action(kind, service))


@pytest.mark.parametrize(("fault", "kind"), REPAIRS.items())
def test_the_omniscient_repairer_by_hand(fault, kind):
    # One service, whose fault costs its error rate a step. By (price + steps * loss) / probability: of a
    # crash, restarting (0.1 + 2 * 1) / 0.9 = 2.3 against failing over (0.6 + 1) / 1 = 1.6. Of an outage,
    # waiting costs 0.6 / 0.03 = 20 against (0.6 + 0.6) / 0.95; of an overload 0.3 / 0.1 = 3 against
    # scaling out, 0.3 + 4 * 0.3 = 1.5; of a bad deploy 0.5 / 0.01 against 0.2 + 3 * 0.5; of a leak that
    # has just begun restarting 0.1 + 2 against failing over 0.6 + 0.3 and rolling back 0.2 + 3 * 0.5.
    params, state = quiet(1), situation(fault)
    policy = omniscient_repairer(params)
    chosen = policy(jax.random.key(0), state, dynamics.legal_actions(state, params))
    expected = FAIL_OVER if fault in (CRASH, LEAK) else kind
    assert_array_equal(chosen, action(expected))


def test_the_omniscient_repairer_waits_where_all_is_well_and_begins_with_the_worst():
    params = quiet(2)
    policy = omniscient_repairer(params)
    for faults, expected in [
        ((HEALTHY, HEALTHY), action(WAIT)),
        ((CORRUPT, CRASH), action(FAIL_OVER, 1)),
        # At the front, of which 0.79 would succeed: (0.1 + 2 * 0.395) / 0.9 against 0.6 + 0.395.
        ((CRASH, CORRUPT), action(RESTART, 0)),
    ]:
        state = situation(*faults)
        legal = dynamics.legal_actions(state, params)
        assert_array_equal(policy(jax.random.key(0), state, legal), expected)


def test_always_restarting_restarts_the_worst_unless_it_is_being_restarted():
    params = quiet(2, noise=0.0)
    state = situation(HEALTHY, CORRUPT)
    assert_array_equal(always_restart(None, *seen(state, params)), action(RESTART, 1))
    restarting = dynamics.begin(state, action(RESTART, 1), params)
    assert_array_equal(always_restart(None, *seen(restarting, params)), WAIT)


@functools.cache
def play(name, services=5, episodes=500):
    """Returns of episodes, whether they recovered, and whether every action was legal."""
    env = Incident(services)
    params = jax.tree.map(jnp.asarray, env.default_params)
    knows = name == "omniscient"
    policy = omniscient_repairer(params) if knows else POLICIES[name]

    def episode(key):
        def step(carry, key):
            state, observation, running, total, well = carry
            keys = jax.random.split(key)
            legal = env.legal_actions(state, params)
            chosen = policy(keys[0], state if knows else observation, legal)
            observation, state, reward, terminated, truncated, _ = env.step(
                keys[1], state, chosen, params
            )
            carry = (
                state,
                observation,
                running & ~(terminated | truncated),
                total + running * reward,
                well | (running & terminated),
            )
            return carry, legal[chosen]

        observation, state = env.reset(key, params)
        begin = state, observation, jnp.bool_(True), jnp.float32(0), jnp.bool_(False)
        (_, _, running, total, well), legal = jax.lax.scan(step, begin, jax.random.split(key, 50))
        return total, well, legal.all() & ~running

    return [
        np.asarray(leaf)
        for leaf in jax.jit(jax.vmap(episode))(jax.random.split(jax.random.key(0), episodes))
    ]


@pytest.mark.parametrize("name", [*POLICIES, "omniscient"])
def test_every_action_is_legal(name):
    assert play(name)[2].all()


def test_knowing_more_is_better():
    returns = {name: play(name)[0].mean() for name in [*POLICIES, "omniscient"]}
    ranks = ["never act", "random legal", "runbook", "omniscient"]
    for worse, better in itertools.pairwise(ranks):
        assert returns[worse] < returns[better]
    assert play("omniscient")[1].all()
    assert play("runbook")[1].mean() > 0.97
    assert play("never act")[1].mean() < 0.4


def test_the_omniscient_repairer_is_near_the_optimum_and_not_above():
    table = incident_table(2)
    params = jax.tree.map(jnp.asarray, table.params)
    policy = omniscient_repairer(params)

    def choose(state):
        return policy(jax.random.key(0), state, dynamics.legal_actions(state, params))

    chosen = jax.jit(jax.vmap(choose))(jax.tree.map(jnp.asarray, table.states))
    probabilities = np.eye(table.env.num_actions)[np.append(chosen, 0)]
    q = jaxq.dynamic_programming.policy_evaluation(table.env, probabilities, 0.95)
    value = table.env.initial @ (probabilities * q).sum(axis=1)
    best = table.env.initial @ jaxq.value_iteration(table.env, 0.95).max(axis=1)
    assert 1.1 * best < value <= best + 1e-6
