"""Recipes for logged data: what they choose, imitate and pull down."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import jaxq
from jaxq.learning import ConstrainedValue, ScalarValue, greedy_bootstrap, imitation_loss
from jaxq.networks import ConstrainedValues, leave_out_unlikely

STATES = jnp.arange(3)
# Action 1 leads on and from 2 to the end, for 1; action 0 leads back; action 2 ends it for nothing.
TABLE = {
    s: {
        0: [(1.0, max(s - 1, 0), 0.0, False)],
        1: [(1.0, s + 1, 0.0, False) if s < 2 else (1.0, s, 1.0, True)],
        2: [(1.0, s, 0.0, True)],
    }
    for s in range(3)
}
# Mostly back, and never action 2.
BEHAVIOUR = np.array([[0.6, 0.4, 0.0], [0.6, 0.4, 0.0], [0.3, 0.7, 0.0]])


@pytest.fixture(scope="module")
def env():
    return jaxq.envs.from_table(TABLE, initial=0)


@pytest.fixture(scope="module")
def data():
    random, rows = np.random.default_rng(0), []
    for _ in range(100):
        state, terminated = int(random.integers(3)), False
        for time in range(20):
            action = int(random.choice(3, p=BEHAVIOUR[state]))
            _, after, reward, terminated = TABLE[state][action][0]
            rows.append((state, action, reward, terminated, time == 19 and not terminated))
            state = after
            if terminated:
                break
    names = ["observation", "action", "reward", "terminated", "truncated"]
    columns = dict(zip(names, map(np.array, zip(*rows, strict=True)), strict=True))
    return jaxq.dataset.validate(columns, num_actions=3)


def trained(env, data, recipe, steps=3_000, **keywords):
    keywords = {
        "hidden_sizes": (),
        "train_interval": 1,
        "discount": 0.9,
        "learning_rate": 0.01,
        **keywords,
    }
    trainer = jaxq.Trainer(env, recipe(replay=jaxq.DatasetReplay(data), **keywords))
    return trainer, trainer.run(trainer.init(jax.random.key(0)), steps)[0]


def worth(env, actions):
    policy = np.eye(3)[np.asarray(actions)]
    return float(jaxq.policy_evaluation(env, policy, 0.9)[0] @ policy[0])


def test_bcq_chooses_what_is_in_the_data_and_beats_the_behaviour(env, data):
    # Untried actions look best, as values begin at 5.
    trainer, state = trained(env, data, jaxq.bcq, initial_value=5.0)
    q = trainer.q_values(state, STATES)
    assert_array_equal(q.argmax(axis=1), [1, 1, 1])
    # What the log never does, and in state 2 even that counts as tried: 0.3 / 0.7 > 0.3.
    assert_array_equal(q < -1e19, [[False, False, True]] * 3)
    exact = jaxq.value_iteration(env, 0.9)
    assert_allclose(q[:, :2], exact[:, :2], atol=0.05)
    behaviour = float(jaxq.policy_evaluation(env, BEHAVIOUR, 0.9)[0] @ BEHAVIOUR[0])
    assert worth(env, q.argmax(axis=1)) > behaviour + 0.2
    # Without the threshold it is double DQN, which follows what nobody tried.
    trainer, state = trained(env, data, jaxq.bcq, initial_value=5.0, bcq_threshold=0.0)
    assert worth(env, trainer.q_values(state, STATES).argmax(axis=1)) == 0


def test_the_threshold_is_a_leaf_that_sweeps(env, data):
    trainer, _ = trained(env, data, jaxq.bcq, steps=1, initial_value=5.0)
    population = jaxq.Population(trainer, size=3)
    hparams = jaxq.grid(trainer.hparams, bcq_threshold=[0.0, 0.3, 1.0])
    state, _ = population.run(population.init(jax.random.key(0), hparams), 3_000)
    chosen = [trainer.q_values(population.agent(state, i), STATES).argmax(axis=1) for i in range(3)]
    # Double DQN, BCQ, and behaviour cloning.
    assert worth(env, chosen[0]) == 0
    assert_array_equal(chosen[1:], [[1, 1, 1], [0, 0, 1]])


def test_behaviour_cloning_gives_the_probabilities_of_the_behaviour(env, data):
    trainer, state = trained(env, data, jaxq.behaviour_cloning, steps=4_000, batch_size=512)
    counts = np.zeros((3, 3))
    np.add.at(counts, (data.observation, data.action), 1)
    probabilities = jax.nn.softmax(trainer.q_values(state, STATES))
    assert_allclose(probabilities, counts / counts.sum(axis=1, keepdims=True), atol=0.03)
    assert_array_equal(trainer.q_values(state, STATES).argmax(axis=1), [0, 0, 1])


def test_values_beside_logits_by_hand():
    q, logits = jnp.array([1.0, 2.0, 3.0]), jnp.log(jnp.array([0.6, 0.3, 0.1]))
    assert_allclose(leave_out_unlikely(q, logits, 0.3), [1, 2, -1e20 * (2 - 1 / 6)], rtol=1e-6)
    assert_allclose(leave_out_unlikely(q, logits, 0.0), q)
    assert_allclose(imitation_loss(logits, jnp.int32(1)), -np.log(0.3), rtol=1e-6)
    value, output = ConstrainedValue(ScalarValue("squared")), ConstrainedValues(q, logits)
    target = value.target(jnp.float32(1), jnp.float32(0.5), greedy_bootstrap(q), output)
    assert_allclose(target, 2.5)
    loss = value.loss(output, jnp.int32(0), target)
    squares = np.mean(np.log([0.6, 0.3, 0.1]) ** 2)
    assert_allclose(loss.loss, 1.5**2 / 2 - np.log(0.6) + 0.01 * squares, rtol=1e-5)
    assert_allclose(loss.td_error, 1.5)


ONE = {"observation": [0], "action": [1], "reward": [3.0], "terminated": [True], "truncated": [False]}


def descended(**changes):
    """Take a step of size 1 on batches of one row, and return the values before and after it."""
    data = jaxq.dataset.validate({name: np.array(column) for name, column in ONE.items()})
    algorithm = jaxq.conservative_dqn(
        replay=jaxq.DatasetReplay(data),
        hidden_sizes=(),
        cql_alpha=0.5,
        initial_value=1.0,
        batch_size=4,
        optimizer=lambda hparams: optax.sgd(1.0),
    )
    trainer = jaxq.Trainer(jaxq.envs.from_dataset(data), algorithm)
    state, agent = trainer.init(jax.random.key(0)), trainer.agent
    batch = agent.source.sample(jax.random.key(1), state.hparams)._replace(**changes)
    learner, *_ = agent.update.step(
        jax.random.key(2), state.learner, state.hparams, batch, lambda interval: jnp.bool_(True)
    )
    return [
        np.asarray(trainer.q_values(s, jnp.array([0])))[0]
        for s in (state, state._replace(learner=learner))
    ]


def test_the_gradient_of_conservative_values_by_hand():
    before, after = descended()
    share = np.exp(before) / np.exp(before).sum()
    # TD error of the action taken, and what pulls the other one down; a value is a weight and a bias.
    gradient = 0.5 * share + np.array([0.0, before[1] - 3.0 - 0.5])
    assert_allclose(after, before - 2 * gradient, rtol=1e-5)


def test_conservative_values_respect_importance_and_what_is_padding():
    before, after = descended()
    _, weighed = descended(weight=jnp.full(4, 0.25))
    assert_allclose(weighed - before, 0.25 * (after - before), rtol=1e-5)
    _, masked = descended(mask=jnp.zeros((4, 1), bool))
    assert_allclose(masked, before)
