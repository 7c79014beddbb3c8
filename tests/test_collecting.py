"""Logs of trained agents: what is in them, and that learning from them works."""

import jax
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from worlds import chain

import jaxq


@pytest.fixture(scope="module")
def learned():
    """An agent that walks the masked chain, which is cut off after 20 steps."""
    env = chain()
    trainer = jaxq.Trainer(env, jaxq.q_learning(learning_rate=1.0, visit_exponent=0.0, num_envs=4))
    return trainer, trainer.run(trainer.init(jax.random.key(0)), 8_000)[0]


def test_a_log_holds_whole_episodes_with_probabilities_and_legal_actions(learned, tmp_path):
    trainer, state = learned
    data = jaxq.collect(trainer, state, jax.random.key(1), 500, epsilon=0.3, num_envs=4)
    assert len(data.action) >= 500
    assert_array_equal(data.legal_actions, trainer.env.legal[data.observation])
    assert data.legal_actions[np.arange(len(data.action)), data.action].all()
    best = np.where(data.legal_actions, trainer.q_values(state, data.observation), -np.inf).argmax(
        axis=1
    )
    share = 0.3 / data.legal_actions.sum(axis=1)
    expected = share + 0.7 * (data.action == best)
    assert_allclose(data.behaviour_probability, expected, rtol=1e-5)
    ends = data.terminated | data.truncated
    assert ends[-1]
    assert_array_equal(data.observation[1:][~ends[:-1]], data.next_observation[:-1][~ends[:-1]])
    assert_array_equal(data.next_legal_actions[~ends], trainer.env.legal[data.next_observation[~ends]])
    # Every episode begins where episodes begin, and the time limit cuts it off.
    assert (data.observation[np.append(True, ends[:-1])] == 0).all()
    assert np.bincount(data.episode).max() <= 20
    jaxq.dataset.save(data, tmp_path / "log.npz")
    for name, loaded in jaxq.dataset.load(tmp_path / "log.npz")._asdict().items():
        assert_array_equal(loaded, getattr(data, name))


def test_costs_are_logged(learned, tmp_path):
    table = {
        0: {a: [(1.0, 1, 0.0, False)] for a in range(2)},
        1: {a: [(1.0, 1, 1.0, True)] for a in (0, 1)},
    }
    costs = {"wear": np.array([[1.0, 2.0], [3.0, 4.0]]), "noise": np.zeros((2, 2))}
    env = jaxq.envs.from_table(table, initial=0, costs=costs)
    trainer = jaxq.Trainer(env, jaxq.q_learning(num_envs=4))
    data = jaxq.collect(
        trainer, trainer.init(jax.random.key(0)), jax.random.key(1), 100, epsilon=1.0, num_envs=4
    )
    assert data.cost_names == env.cost_names
    assert_array_equal(
        data.cost[:, env.cost_names.index("wear")], costs["wear"][data.observation, data.action]
    )
    jaxq.dataset.save(data, tmp_path / "log.npz")
    assert_array_equal(jaxq.dataset.load(tmp_path / "log.npz").cost, data.cost)


def test_the_same_key_logs_the_same_and_without_epsilon_the_choice_is_certain(learned):
    trainer, state = learned
    logs = [jaxq.collect(trainer, state, jax.random.key(1), 50, num_envs=3) for _ in range(2)]
    for left, right in zip(*logs, strict=True):
        assert_array_equal(left, right)
    assert (logs[0].behaviour_probability == 1).all()
    returns = np.bincount(logs[0].episode, logs[0].reward)
    assert_array_equal(np.unique(returns), np.unique(trainer.evaluate(state, jax.random.key(2), 4)))


@pytest.mark.parametrize("keywords", [{}, {"recurrent_size": 8}, {"exploration": "ensemble"}])
def test_deep_agents_are_logged_and_learned_from(cartpole, small, keywords):
    trainer = jaxq.Trainer(cartpole, jaxq.dqn(**small(**keywords)))
    state = trainer.init(jax.random.key(0))
    data = jaxq.collect(trainer, state, jax.random.key(1), 300, epsilon=0.5)
    assert data.observation.shape[1:] == (4,)
    offline = jaxq.Trainer(cartpole, jaxq.dqn(replay=jaxq.DatasetReplay(data), n_step=3))
    _, metrics = offline.run(offline.init(jax.random.key(0)), 100)
    assert np.isfinite(metrics.loss)


@pytest.mark.parametrize(
    ("arguments", "keywords"),
    [((100, 1.5), {}), ((0,), {}), ((100, "much"), {}), ((100,), {"num_envs": 0})],
)
def test_what_cannot_be_collected_is_refused(learned, arguments, keywords):
    trainer, state = learned
    with pytest.raises(jaxq.InputError):
        jaxq.collect(trainer, state, jax.random.key(0), *arguments, **keywords)
    with pytest.raises(jaxq.InputError):
        jaxq.collect(trainer, trainer.hparams, jax.random.key(0), 10)
