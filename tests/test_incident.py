"""The incident environment: every fault with every action by hand, and what services do to others."""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import jaxq
from jaxq.envs import Incident, incident_params
from jaxq.envs.incident import dynamics
from jaxq.envs.incident.environment import split_observation
from jaxq.envs.incident.params import ACTIONS, COSTS, FAULTS

HEALTHY, CRASH, LEAK, BAD, OVERLOAD, OUTAGE, CORRUPT = range(7)
WAIT, RESTART, ROLL_BACK, SCALE_OUT, FAIL_OVER, CLEAR_CACHE, ISOLATE = range(7)


def situation(*faults, **parts):
    """A state with these faults, nothing under way, and an older version of every service."""
    n = len(faults)
    state = dynamics.IncidentState(
        time=jnp.int32(0),
        fault=jnp.array(faults, jnp.int32),
        leaked=jnp.zeros(n, jnp.int32),
        older=jnp.ones(n, bool),
        age=jnp.full(n, 3, jnp.int32),
        pending=jnp.zeros(n, jnp.int32),
        remaining=jnp.zeros(n, jnp.int32),
        isolated=jnp.zeros(n, bool),
        scaled=jnp.zeros(n, bool),
        restarts=jnp.int32(0),
    )
    return state.replace(**{name: jnp.asarray(part) for name, part in parts.items()})


def action(kind, service=0):
    return jnp.int32(0 if kind == WAIT else 1 + 6 * service + kind - 1)


def quiet(services, **changes):
    """Parameters without new faults but those that follow from others."""
    return jax.tree.map(jnp.asarray, incident_params(services, **{"fault_rate": 0.0, **changes}))


# One service. Rows are faults, columns actions: reward of the first step. Error rates are 0, 1, 0.4 / 8,
# 0.5, 0.3, 0.6, 0.3, at least 1, 0.5, 0, 0.3, 0.2 while something is done, and 1 in isolation; prices
# are 0, 0.1, 0.2, 0.3, 0.6, 0.1, 0.05.
REWARDS = {
    HEALTHY: (0, -1.1, -0.7, -0.3, -0.9, -0.3, -1.05),
    CRASH: (-1, -1.1, -1.2, -1.3, -1.6, -1.1, -1.05),
    LEAK: (-0.05, -1.1, -0.7, -0.35, -0.9, -0.3, -1.05),
    BAD: (-0.5, -1.1, -0.7, -0.8, -1.1, -0.6, -1.05),
    OVERLOAD: (-0.3, -1.1, -0.7, -0.6, -0.9, -0.4, -1.05),
    OUTAGE: (-0.6, -1.1, -0.8, -0.9, -1.2, -0.7, -1.05),
    CORRUPT: (-0.3, -1.1, -0.7, -0.6, -0.9, -0.4, -1.05),
}
# Probability that the fault is still there after the step in which the action is done. Bad deploys pass
# in 0.01 of steps, overloads in 0.1 and, while isolated, in 0.5, outages in 0.03. A cleared cache leads
# to an overload in 0.15 of the cases where nothing is wrong any more: from an overload 0.9 + 0.1 * 0.15.
STAYS = {
    HEALTHY: (1, 1, 1, 1, 1, 0.85, 1),
    CRASH: (1, 0.1, 0.1, 1, 0, 1, 1),
    LEAK: (1, 0, 0, 1, 0, 1, 1),
    BAD: (0.99, 0.99, 0, 0.99, 0.99, 0.99, 0.99),
    OVERLOAD: (0.9, 0.9, 0.9, 0, 0.9, 0.915, 0.5),
    OUTAGE: (0.97, 0.97, 0.97, 0.97, 0.97 * 0.05, 0.97, 0.97),
    CORRUPT: (1, 1, 1, 1, 0.5, 0, 1),
}
STEPS = (1, 2, 3, 4, 1, 1, 1)


@pytest.mark.parametrize("kind", range(7), ids=ACTIONS)
@pytest.mark.parametrize("fault", range(7), ids=FAULTS)
def test_every_fault_with_every_action(fault, kind):
    params = quiet(1)
    state = situation(fault)
    begun = dynamics.begin(state, action(kind), params)
    reward, _ = dynamics.reward_and_cost(state, begun, action(kind), params)
    assert_allclose(reward, REWARDS[fault][kind], atol=1e-6)
    for _ in range(STEPS[kind] - 1):  # meanwhile the fault stays, should it pass or not
        assert_allclose(dynamics.fault_probabilities(begun, params)[0, fault], STAYS[fault][WAIT])
        begun = dynamics.advance(begun, begun.fault, params)
        assert_array_equal(begun.pending, kind)
    probability = dynamics.fault_probabilities(begun, params)[0]
    assert_allclose(probability.sum(), 1, rtol=1e-6)
    assert_allclose(probability[fault], STAYS[fault][kind], atol=1e-6)
    others = {HEALTHY, OVERLOAD} if kind == CLEAR_CACHE else {HEALTHY}
    assert set(np.flatnonzero(probability).tolist()) <= {fault} | others
    after = dynamics.advance(begun, jnp.zeros(1, jnp.int32), params)
    assert dynamics.is_recovered(after)
    assert bool(after.older[0]) == (kind != ROLL_BACK)
    assert bool(after.scaled[0]) == (kind == SCALE_OUT)


def test_a_leak_uses_all_memory_and_becomes_a_crash():
    params = quiet(1, leak_steps=4)
    state, seen = situation(LEAK), []
    for _ in range(4):
        begun = dynamics.begin(state, action(WAIT), params)
        seen.append(dynamics.symptoms(begun, params)[0])
        probability = dynamics.fault_probabilities(begun, params)
        state = dynamics.advance(begun, jnp.argmax(probability, axis=1).astype(jnp.int32), params)
    # A quarter of the way from a healthy service (0, 0.1, 0.4, 0.3) to (0.4, 0.6, 0.6, 1) in each step.
    share = np.array([[0.25], [0.5], [0.75], [1.0]])
    assert_allclose(seen, [0, 0.1, 0.4, 0.3] + share * [0.4, 0.5, 0.2, 0.7], rtol=1e-5)
    assert_array_equal(state.fault, [CRASH])
    assert_array_equal(state.leaked, [0])


def test_a_failing_service_takes_its_callers_along():
    # The front calls the back with 0.7 of its requests. A crash of the back leaves 0.3 of them, and as
    # what fails is tried again, an overload of the front follows with probability 0.1 * 0.7.
    params = quiet(2)
    state = situation(HEALTHY, CRASH)
    flow = dynamics.flow(state, params)
    assert_allclose(flow.availability, [0.3, 0], atol=1e-6)
    assert_allclose(dynamics.fault_probabilities(state, params)[0, OVERLOAD], 0.07, rtol=1e-5)
    # Isolated, 0.2 of that reaches the front: 1 - 0.7 * 0.2.
    isolated = dynamics.begin(state, action(ISOLATE, 1), params)
    assert_allclose(dynamics.flow(isolated, params).availability, [0.86, 0], atol=1e-6)
    assert_allclose(dynamics.fault_probabilities(isolated, params)[0, OVERLOAD], 0.014, rtol=1e-5)
    # More replicas carry the retries.
    scaled = state.replace(scaled=jnp.array([True, False]))
    assert_allclose(dynamics.fault_probabilities(scaled, params)[0, OVERLOAD], 0)
    # Users send half of their requests to each.
    reward, cost = dynamics.reward_and_cost(state, state, action(WAIT), params)
    assert_allclose(reward, -1 + 0.3 / 2, atol=1e-6)
    assert_array_equal(cost, [1, 0, 0])


def test_failures_run_through_a_chain_of_services():
    # 2 has half its requests failing, 1 calls it with 0.7, 0 calls 1 with 0.7 and 2 with 0.4.
    one = 1 - 0.7 * 0.5
    expected = [(1 - 0.7 * (1 - one)) * (1 - 0.4 * 0.5), one, 0.5]
    flow = dynamics.flow(situation(HEALTHY, HEALTHY, BAD), quiet(3))
    assert_allclose(flow.availability, expected, rtol=1e-6)


def test_isolation_ends_when_the_service_is_well():
    params = quiet(1)
    state = situation(CRASH, isolated=[True])
    stays = dynamics.advance(dynamics.begin(state, action(WAIT), params), state.fault, params)
    assert stays.isolated[0]
    restarting = dynamics.begin(state, action(RESTART), params)
    healed = dynamics.advance(restarting, jnp.zeros(1, jnp.int32), params)
    assert healed.isolated[0]  # something is still under way
    assert not dynamics.is_recovered(healed)
    assert dynamics.is_recovered(dynamics.advance(healed, jnp.zeros(1, jnp.int32), params))


def test_a_new_bad_deploy_leaves_an_older_version():
    params = quiet(1)
    state = situation(HEALTHY, older=[False])
    deployed = dynamics.advance(state, jnp.array([BAD], jnp.int32), params)
    assert (bool(deployed.older[0]), int(deployed.age[0])) == (True, 0)
    again = dynamics.advance(deployed, jnp.array([BAD], jnp.int32), params)
    assert int(again.age[0]) == 1
    begun = dynamics.begin(again, action(ROLL_BACK), params)
    done = begun.replace(remaining=jnp.zeros(1, jnp.int32))
    rolled_back = dynamics.advance(done, jnp.zeros(1, jnp.int32), params)
    assert (bool(rolled_back.older[0]), int(rolled_back.age[0])) == (False, 20)


def test_legal_actions_by_hand():
    state = situation(
        HEALTHY, BAD, CRASH, older=[False, True, True], scaled=[True, False, False]
    ).replace(isolated=jnp.array([False, True, False]), pending=jnp.array([0, 0, RESTART]))
    legal = dynamics.legal_actions(state, quiet(3))
    expected = [[1, 0, 0, 1, 1, 1], [1, 1, 1, 1, 1, 0], [0] * 6]
    assert_array_equal(legal, np.append(1, np.ravel(expected)))


def test_an_illegal_action_waits_and_costs_its_price():
    params = quiet(1)
    state = situation(BAD, older=[False])
    begun = dynamics.begin(state, action(ROLL_BACK), params)
    jax.tree.map(assert_array_equal, begun, dynamics.begin(state, action(WAIT), params))
    reward, cost = dynamics.reward_and_cost(state, begun, action(ROLL_BACK), params)
    assert_allclose(reward, -0.5 - 0.2, rtol=1e-6)
    assert_array_equal(cost, [1, 0, 0])


def test_costs_of_needless_actions_and_of_restarts():
    params = quiet(2, window=3, restart_limit=1)
    state, costs = situation(HEALTHY, HEALTHY), []
    # Restarts in steps 0, 1 and 4; the one of step 1 is the second in three steps.
    for kind, service in [(RESTART, 0), (RESTART, 1), (WAIT, 0), (WAIT, 0), (RESTART, 0)]:
        begun = dynamics.begin(state, action(kind, service), params)
        costs.append(dynamics.reward_and_cost(state, begun, action(kind, service), params)[1])
        state = dynamics.advance(begun, begun.fault, params)
    assert COSTS == ("availability", "needless_action", "restart_limit")
    assert_array_equal(costs, [[1, 1, 0], [1, 1, 1], [1, 0, 0], [0, 0, 0], [1, 1, 0]])


def test_symptoms_without_noise_by_hand():
    env, params = Incident(2), quiet(2, noise=0.0)
    state = situation(HEALTHY, OUTAGE, older=[True, False], age=[5, 20], scaled=[False, True])
    seen = split_observation(env.observe(jax.random.key(0), state, None, params), 2)
    # The outage's errors and latency come to the front with a weight of 0.7.
    assert_allclose(seen.symptoms, [[0.7 * 0.6, 0.7 * 0.9, 0.4, 0.3], [0.6, 0.9, 0.2, 0.3]], rtol=1e-6)
    assert_allclose(seen.age[:, 0], [0.25, 1])
    assert_array_equal(seen.known, [[1, 0, 0], [0, 0, 1]])
    assert seen.fault.shape == (2, 0)
    begun = dynamics.begin(state, action(SCALE_OUT), params)
    seen = split_observation(env.observe(jax.random.key(0), begun, None, params), 2)
    assert_array_equal(seen.pending, [[0, 0, 1, 0, 0], [0] * 5])
    assert_allclose(seen.remaining[:, 0], [1, 0])


def test_full_observation_shows_the_faults_and_no_noise():
    env, params = Incident(2, full_observation=True), quiet(2, noise=0.5)
    observation = env.observe(jax.random.key(0), situation(CRASH, CORRUPT), None, params)
    seen = split_observation(observation, 2)
    assert_array_equal(seen.fault.argmax(axis=-1), [CRASH, CORRUPT])
    assert_allclose(seen.symptoms[1], [0.3, 0.1, 0.4, 0.3], rtol=1e-6)
    assert observation.shape == env.observation_space(params).shape


def test_noise_has_the_given_deviation():
    env, params = Incident(1), quiet(1, noise=0.05)
    keys = jax.random.split(jax.random.key(0), 4_000)
    seen = jax.vmap(lambda key: env.observe(key, situation(OUTAGE), None, params))(keys)
    # Far from 0 and 1, where it is cut off: the error rate of 0.6.
    assert_allclose(seen[:, 0].mean(), 0.6, atol=0.005)
    assert_allclose(seen[:, 0].std(), 0.05, rtol=0.05)
    assert ((seen >= 0) & (seen <= 1)).all()


def rollout(env, params, policy, key, num_steps):
    """Step the raw environment, and return states, actions and what `step` gave back."""

    def step(state, key):
        action_key, step_key = jax.random.split(key)
        chosen = policy(action_key, state)
        result = env.step(step_key, state, chosen, params)
        return result[1], (state, chosen, result)

    _, state = env.reset(key, params)
    return jax.jit(lambda: jax.lax.scan(step, state, jax.random.split(key, num_steps))[1])()


def test_it_is_a_gymnax_environment_with_costs_and_legal_actions_in_info():
    env = Incident(3)
    params = jax.tree.map(jnp.asarray, env.default_params)
    states, _, (_, after, _, terminated, truncated, info) = rollout(
        env,
        params,
        lambda key, state: jax.random.randint(key, (), 0, env.num_actions),
        jax.random.key(0),
        300,
    )
    assert info["cost"].shape == (300, 3)
    assert info["legal_actions"].shape == (300, env.num_actions)
    ended = np.asarray(terminated | truncated)
    assert ended.any()
    # Legal actions in `info` are those of the final observation: where an episode goes on, of the next.
    legal = jax.vmap(lambda state: env.legal_actions(state, params))(after)
    assert_array_equal(info["legal_actions"][~ended], legal[~ended])
    assert_array_equal(after.time[ended], 0)
    assert (states.fault[np.append(True, ended[:-1])] > 0).any(axis=1).all()  # each begins with a fault


def test_waiting_for_ever_is_cut_off_and_not_the_end():
    env = jaxq.envs.make(
        "Incident-v0", services=2, first_fault=[1, 0, 0, 0, 0, 0], max_steps_in_episode=7
    )

    def step(carry, key):
        state, timestep = env.step(key, carry, jnp.int32(0), env.params)
        return state, timestep

    state, _ = env.reset(jax.random.key(0), env.params)
    _, timestep = jax.lax.scan(step, state, jax.random.split(jax.random.key(1), 21))
    assert_array_equal(np.flatnonzero(timestep.truncated), [6, 13, 20])  # nobody restarts what crashed
    assert not timestep.terminated.any()
    assert env.time_limit == "truncates"
    ends = np.asarray(timestep.truncated)
    assert (timestep.final_observation[ends] != timestep.observation[ends]).any(axis=1).all()


def test_parameters_may_differ_per_agent():
    env = jaxq.envs.make("Incident-v0", services=2, first_fault=[1, 0, 0, 0, 0, 0], extra_fault=0.0)
    price = jnp.array([[0.0] * 7, [0.5] * 7], jnp.float32)
    params = jax.vmap(lambda price: env.params.replace(price=price))(price)
    state, _ = env.reset(jax.random.key(0), env.params)
    step = jax.vmap(lambda params: env.step(jax.random.key(1), state, jnp.int32(1), params)[1].reward)
    rewards = step(params)
    assert_allclose(rewards[0] - rewards[1], 0.5, rtol=1e-5)


def test_actions_have_names():
    env = Incident(2)
    names = [env.action_name(a) for a in range(env.num_actions)]
    assert names[:3] == ["wait", "restart service 0", "roll back service 0"]
    assert names[-1] == "isolate service 1"


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"services": 0}, ValueError, "services must be at least 1"),
        ({"fault_rates": 0.1}, TypeError, "did you mean fault_rate"),
        ({"noise": -1}, ValueError, "noise must be a finite float32 of at least 0"),
        ({"noise": [0.1, 0.2]}, ValueError, r"noise must be one number, got shape \[2\]"),
        ({"traffic": [0.5] * 5}, ValueError, r"must sum to 1, got a sum of 2.5; .*0\.2"),
        ({"fault_rate": 0.2}, ValueError, "at most 1 for each service"),
        ({"dependencies": np.ones((5, 5))}, ValueError, "call only those behind them"),
        ({"price": [1.0]}, ValueError, r"shape \[7\], got shape \[1\]"),
        ({"leak_steps": 1.5}, TypeError, "leak_steps must be whole numbers"),
        ({"window": 31}, ValueError, r"window must be a number in \[1, 30\]"),
        ({"noise": -1, "relief": 2}, ValueError, "2 mistakes: noise must .* relief must"),
        ({"full_observation": 1}, TypeError, "True or False"),
    ],
)
def test_mistakes_are_one_line(changes, error, message):
    with pytest.raises(jaxq.InputError, match=message) as caught:
        jaxq.envs.make("Incident-v0", **changes)
    assert isinstance(caught.value, error)
    assert "\n" not in str(caught.value)


def row(*cells):
    return "| " + " | ".join(cell if isinstance(cell, str) else f"{cell:.4g}" for cell in cells) + " |"


def test_the_documentation_has_the_numbers():
    page = (Path(__file__).parents[1] / "docs" / "incident.md").read_text()
    params = incident_params(5)
    for fault, name in enumerate(FAULTS):
        assert row(name, *params.symptoms[fault], params.passing[fault]) in page
        assert fault == HEALTHY or row(name, *params.repair[fault, 1:]) in page
    for kind, name in enumerate(ACTIONS):
        assert row(name, params.price[kind], params.duration[kind], params.disruption[kind]) in page
    assert all(f"| {name} | " in page for name in COSTS)
