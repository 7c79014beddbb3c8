"""Small incidents as tables: that the simulator does the same, and what optimal play comes to."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import stats

import jaxq
from jaxq.envs import Incident, incident_table
from jaxq.envs.incident.table import _keys

table_of_two = functools.cache(lambda: incident_table(2))


def at(states, number):
    return jax.tree.map(lambda leaf: jnp.asarray(leaf[number]), states)


def simulator(table):
    env = Incident(len(table.params.traffic), full_observation=True)
    return env, jax.tree.map(jnp.asarray, table.params)


def numbers(table, states):
    """The table's numbers of simulated states, of those that are not the end."""
    lookup = {key: number for number, key in enumerate(_keys(table.states, table.params))}
    return [lookup[key] for key in _keys(jax.tree.map(np.asarray, states), table.params)]


def test_one_crashed_service_by_hand():
    # Restarting costs 1 + 0.1 in its first step and 1 in its second, and works in 0.9 of the cases, so
    # v = -1.1 - g (1 + g * 0.1 * v'), v' = v; failing over costs 1 + 0.6 once and always works.
    table = incident_table(1, first_fault=[1, 0, 0, 0, 0, 0])
    number = numbers(table, at(table.states, np.array([0])))[0]
    q = jaxq.value_iteration(table.env, 0.9, 1e-9)
    assert_allclose(q[number, 4], -1.6, atol=1e-6)
    assert_allclose(q[number, 1], -1.1 - 0.9 * (1 + 0.1 * 0.9 * 1.6), atol=1e-6)
    assert_allclose(q[number, 0], -1 - 0.9 * 1.6, atol=1e-6)
    assert table.env.initial[number] == 1


def test_the_simulator_does_what_the_table_says():
    table = table_of_two()
    env, params = simulator(table)
    random, num = np.random.default_rng(0), 1_000
    chosen = random.choice(table.env.num_states - 1, 60, replace=False)
    actions = random.integers(table.env.num_actions, size=60)
    keys = jax.random.split(jax.random.key(0), (60, num))
    step = jax.vmap(jax.vmap(env.step_env, (0, None, None, None)), (0, 0, 0, None))
    _, after, reward, terminated, info = jax.jit(step)(
        keys, at(table.states, chosen), jnp.asarray(actions), params
    )
    values = []
    for i, (s, a) in enumerate(zip(chosen, actions, strict=True)):
        probability, following, rewards, _ = (leaf[s, a] for leaf in table.env.outcomes)
        going_on = ~np.asarray(terminated[i])
        reached = np.full(num, table.env.num_states - 1)
        reached[going_on] = numbers(table, jax.tree.map(lambda leaf: leaf[i][going_on], after))  # noqa: B023
        possible = probability > 0
        counts = [(reached == to).sum() for to in following[possible]]
        assert sum(counts) == num  # nothing that the table does not know
        if possible.sum() > 1:
            values.append(stats.chisquare(counts, num * probability[possible]).pvalue)
        assert_allclose(reward[i], rewards[0], rtol=1e-6)
        for k, cost in enumerate(table.costs.values()):
            assert_allclose(info["cost"][i, :, k], cost[s, a])
    # The least of so many p-values is below this in one of a hundred.
    assert len(values) > 20
    assert min(values) > 0.01 / len(values)


def test_episodes_begin_as_often_as_the_table_says():
    table = table_of_two()
    env, params = simulator(table)
    _, states = jax.vmap(env.reset_env, (0, None))(jax.random.split(jax.random.key(1), 5_000), params)
    counts = np.bincount(numbers(table, states), minlength=table.env.num_states)
    begins = table.env.initial > 0
    assert counts[~begins].sum() == 0
    assert stats.chisquare(counts[begins], 5_000 * table.env.initial[begins]).pvalue > 0.01


def test_optimal_play_in_the_simulator_comes_to_its_value():
    table, discount, steps, num = table_of_two(), 0.95, 100, 4_000
    q = jaxq.value_iteration(table.env, discount)
    env, params = simulator(table)
    params = params.replace(max_steps_in_episode=jnp.int32(steps))
    keys = jax.random.split(jax.random.key(2), num)
    _, states = jax.vmap(env.reset_env, (0, None))(keys, params)
    step = jax.jit(jax.vmap(env.step_env, (0, 0, 0, None)))
    returns, running = np.zeros(num), np.ones(num, bool)
    for t in range(steps):
        live = np.flatnonzero(running)
        if not live.size:
            break
        best = np.zeros(num, np.int32)
        best[live] = q[numbers(table, at(states, live))].argmax(axis=1)
        keys = jax.vmap(lambda key: jax.random.fold_in(key, 1))(keys)
        _, states, reward, terminated, _ = step(keys, states, jnp.asarray(best), params)
        returns[live] += discount**t * np.asarray(reward)[live]
        running &= ~np.asarray(terminated)
    expected = table.env.initial @ q.max(axis=1)
    error = returns.std() / np.sqrt(num)
    assert abs(returns.mean() - expected) < 3 * error
    assert error < 0.03 * abs(expected)


def test_waiting_in_place_of_an_illegal_action_is_never_worse():
    table = table_of_two()
    q = jaxq.value_iteration(table.env, 0.95)
    assert_array_equal(table.legal_actions[:, 0], True)
    assert (~table.legal_actions).any()
    assert (q <= q[:, :1] + 1e-6)[~table.legal_actions].all()


def test_budgets_bind_in_an_incident():
    # Failing over is so dear that restarting is better, but it takes fewer steps below the objective.
    table = incident_table(1, price=[0, 0.1, 0.2, 0.3, 1.5, 0.1, 0.05])
    free = table.env.initial @ jaxq.value_iteration(table.env, 0.95).max(axis=1)
    costs = {"availability": table.costs["availability"]}
    loose = jaxq.constrained_value_iteration(table.env, costs, {"availability": 100.0}, 0.95)
    assert_allclose(loose.value, free, atol=1e-5)
    least = loose.costs["availability"] * 0.98
    tight = jaxq.constrained_value_iteration(table.env, costs, {"availability": least}, 0.95)
    assert_allclose(tight.costs["availability"], least, atol=1e-6)
    assert tight.value < loose.value
    assert tight.multipliers["availability"] > 0


def test_what_is_too_large_is_refused():
    with pytest.raises(ValueError, match=r"more than 1,000 states; make it smaller.*services=2"):
        incident_table(2, max_states=1_000)
    with pytest.raises(TypeError, match="did you mean noise"):
        jaxq.envs.make("Incident-table", noisy=1)
    with pytest.raises(ValueError, match="at most 3 services, got 5; services=2"):
        incident_table(5)
    with pytest.raises(ValueError, match=r"too many states to count.*window=2"):
        incident_table(3, window=30, leak_steps=1_000)
