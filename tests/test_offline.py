"""Learning from logged data: exact values of a table, what is drawn, and what is refused."""

import pickle

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from test_contract import same

import jaxq
from jaxq.replay.dataset import LoggedSteps

# A corridor: 0 and 1 lead on by action 1, back by action 0; from 2 action 1 ends it with a reward of 1.
TABLE = {
    0: {0: [(1.0, 0, 0.0, False)], 1: [(1.0, 1, 0.0, False)]},
    1: {0: [(1.0, 0, 0.0, False)], 1: [(1.0, 2, 0.0, False)]},
    2: {0: [(1.0, 1, 0.1, False)], 1: [(1.0, 2, 1.0, True)]},
}
DISCOUNT = 0.9


def walks(num=60, length=12, seed=0, skew=0.5, next_observation=False):
    """Log random walks in the corridor, which are cut off after some steps."""
    random = np.random.default_rng(seed)
    rows = []
    for _ in range(num):
        state = int(random.integers(3))
        for time in range(length):
            action = int(random.random() < skew)
            _, after, reward, terminated = TABLE[state][action][0]
            cut = time == length - 1 and not terminated
            rows.append((state, action, reward, terminated, cut, after, skew if action else 1 - skew))
            state = after
            if terminated:
                break
    names = ["observation", "action", "reward", "terminated", "truncated", "next_observation"]
    columns = dict(
        zip([*names, "behaviour_probability"], map(np.array, zip(*rows, strict=True)), strict=True)
    )
    if not next_observation:
        del columns["next_observation"]
    return jaxq.dataset.validate(columns)


def linear(**keywords):
    """Keywords of a network that is a table."""
    return {
        "hidden_sizes": (),
        "train_interval": 1,
        "learning_rate": 0.01,
        "discount": DISCOUNT,
        **keywords,
    }


@pytest.fixture(scope="module")
def corridor():
    return jaxq.envs.from_table(TABLE, initial=0)


@pytest.mark.parametrize("next_observation", [False, True])
@pytest.mark.parametrize("n_step", [1])
def test_offline_dqn_reaches_the_exact_values(corridor, next_observation, n_step):
    replay = jaxq.DatasetReplay(walks(next_observation=next_observation))
    trainer = jaxq.Trainer(corridor, jaxq.dqn(replay=replay, n_step=n_step, **linear()))
    state, metrics = trainer.run(trainer.init(jax.random.key(0)), 4_000)
    exact = jaxq.value_iteration(corridor, DISCOUNT)
    assert_allclose(trainer.q_values(state, jnp.arange(3)), exact, atol=0.01)
    assert metrics.episodes == 0
    assert int(state.steps) == 4_000
    assert trainer.evaluate(state, jax.random.key(1), num_episodes=2).tolist() == [1, 1]


def steps_of(data, n_step=1, batch_size=512, num_actions=2):
    spec = jaxq.envs.from_dataset(data).observation_spec
    steps = LoggedSteps.of(data, spec, num_actions, batch_size, n_step)
    return steps.sample(jax.random.key(0), jaxq.Hparams(discount=0.5))


def log(**changes):
    """Two episodes: three steps that terminate, two that are cut off."""
    columns = {
        "observation": np.arange(5),
        "action": np.array([0, 1, 0, 1, 0]),
        "reward": np.array([1.0, 2.0, 4.0, 8.0, 16.0]),
        "terminated": np.array([False, False, True, False, False]),
        "truncated": np.array([False, False, False, False, True]),
    }
    return jaxq.dataset.validate({**columns, **changes})


def rows_of(batch):
    """Return reward, discount and what follows by row."""
    return {
        int(row): (float(r), float(d), int(s))
        for row, r, d, s in zip(
            batch.index,
            batch.reward[:, 0],
            batch.discount[:, 0],
            batch.next_observation[:, 0],
            strict=True,
        )
    }


def test_what_is_drawn_of_single_steps():
    # Nobody knows what the last step led to, so it is never drawn.
    assert rows_of(steps_of(log())) == {
        0: (1, 0.5, 1),
        1: (2, 0.5, 2),
        2: (4, 0.0, 2),
        3: (8, 0.5, 4),
    }
    known = log(next_observation=np.array([1, 2, 9, 4, 7]))
    assert rows_of(steps_of(known))[4] == (16, 0.5, 7)


def test_returns_of_two_steps_end_with_the_episode():
    known = log(next_observation=np.array([1, 2, 9, 4, 7]))
    assert rows_of(steps_of(known, n_step=2)) == {
        0: (2, 0.25, 2),
        1: (4, 0.0, 2),
        2: (4, 0.0, 2),
        3: (16, 0.25, 7),
        4: (16, 0.5, 7),
    }
    # Without the column, returns that reach the cut are not known.
    assert set(rows_of(steps_of(log(), n_step=2))) == {0, 1, 2}


def test_legal_actions_belong_to_what_follows():
    legal = np.array([[1, 0], [1, 1], [1, 0], [0, 1], [1, 1]], bool)
    following = np.array([[1, 1], [1, 0], [1, 1], [1, 1], [1, 0]], bool)
    data = log(
        legal_actions=legal, next_legal_actions=following, next_observation=np.array([1, 2, 9, 4, 7])
    )
    batch = steps_of(data)
    expected = {0: legal[1], 1: legal[2], 3: legal[4], 4: following[4]}
    for row, own, after in zip(batch.index, batch.legal_tm1[:, 0], batch.legal_t[:, 0], strict=True):
        assert_array_equal(own, legal[row])
        if int(row) in expected:
            assert_array_equal(after, expected[int(row)])
    # Legal actions at a cut that nobody wrote down.
    assert 4 not in rows_of(steps_of(data._replace(next_legal_actions=None)))


def test_a_population_shares_the_data_and_differs_in_leaves(corridor):
    data = walks()
    trainer = jaxq.Trainer(corridor, jaxq.dqn(replay=jaxq.DatasetReplay(data), **linear()))
    assert jax.tree.leaves(trainer.template.memory) == []
    hparams = jaxq.grid(trainer.hparams, discount=[0.5, 0.9], seeds=2)
    population = jaxq.Population(trainer, size=4)
    state, _ = population.run(population.init(jax.random.key(0), hparams), 3_000)
    for i, discount in enumerate([0.5, 0.5, 0.9, 0.9]):
        q = trainer.q_values(population.agent(state, i), jnp.arange(3))
        assert_allclose(q, jaxq.value_iteration(corridor, discount), atol=0.02)
    same(state, population.run(population.init(jax.random.key(0), hparams), 3_000)[0])


def test_the_specs_of_a_log_are_enough_to_train_and_it_cannot_be_played(corridor):
    data = walks()
    replay = jaxq.DatasetReplay(data)
    logged = jaxq.Trainer(jaxq.envs.from_dataset(data), jaxq.dqn(replay=replay, **linear()))
    real = jaxq.Trainer(corridor, jaxq.dqn(replay=replay, **linear()))
    states = [trainer.run(trainer.init(jax.random.key(0)), 200)[0] for trainer in (logged, real)]
    same(states[0].learner, states[1].learner)
    with pytest.raises(jaxq.InputError, match="a log cannot be played"):
        logged.evaluate(states[0], jax.random.key(1))
    again = pickle.loads(pickle.dumps(real))
    same(again.run(again.init(jax.random.key(0)), 200)[0], states[1])


@pytest.mark.parametrize(
    "keywords", [{}, {"prioritized": True}, {"exploration": "ensemble", "ensemble_size": 2}]
)
def test_data_is_mixed_into_the_batches_of_an_agent_that_acts(corridor, keywords):
    replay = jaxq.DatasetReplay(walks(), share=0.25)
    trainer = jaxq.Trainer(corridor, jaxq.dqn(replay=replay, batch_size=16, **keywords))
    _, metrics = trainer.run(trainer.init(jax.random.key(0)), 500)
    assert metrics.episodes > 0
    assert np.isfinite(metrics.loss)
    source = trainer.agent.source
    assert (source.replayed.replay.batch_size, source.logged.steps.batch_size) == (12, 4)


@pytest.mark.parametrize(
    "keywords", [{"exploration": "ensemble", "ensemble_size": 3}, {"value": "quantile"}]
)
def test_other_recipes_learn_from_it_too(corridor, keywords):
    algorithm = jaxq.dqn(replay=jaxq.DatasetReplay(walks()), **linear(learning_rate=0.02), **keywords)
    trainer = jaxq.Trainer(corridor, algorithm)
    state, _ = trainer.run(trainer.init(jax.random.key(0)), 2_000)
    assert_array_equal(trainer.q_values(state, jnp.arange(3)).argmax(axis=1), [1, 1, 1])


@pytest.mark.parametrize(
    ("keywords", "message"),
    [
        ({"recurrent_size": 8}, "a log does not hold what a recurrent network carried"),
        ({"prioritized": True}, "drawn from uniformly"),
        ({"num_envs": 4}, "no use of num_envs=4"),
        ({"buffer_size": 500}, "no use of buffer_size=500"),
        ({"memory": "window"}, "leave out prioritized and replay"),
    ],
)
def test_what_logs_cannot_give_is_refused(keywords, message):
    with pytest.raises(jaxq.InputError, match=message):
        jaxq.dqn(replay=jaxq.DatasetReplay(log()), **keywords)


def test_data_of_another_environment_is_refused(corridor, cartpole):
    with pytest.raises(jaxq.InputError, match="must have shape"):
        jaxq.Trainer(cartpole, jaxq.dqn(replay=jaxq.DatasetReplay(log())))
    with pytest.raises(jaxq.InputError, match="state numbers in"):
        jaxq.Trainer(corridor, jaxq.dqn(replay=jaxq.DatasetReplay(log())))
    data = jaxq.dataset.validate(log()._replace(observation=np.zeros(5, int)), num_actions=3)
    with pytest.raises(jaxq.InputError, match="has 3 actions"):
        jaxq.Trainer(corridor, jaxq.dqn(replay=jaxq.DatasetReplay(data)))
    masked = jaxq.envs.from_table(TABLE, initial=0, legal_actions=np.ones((3, 2), bool))
    with pytest.raises(jaxq.InputError, match="no column legal_actions"):
        jaxq.Trainer(masked, jaxq.dqn(replay=jaxq.DatasetReplay(walks())))
    for wrong in ({"data": {}}, {"data": log(), "share": 0}):
        with pytest.raises(jaxq.InputError):
            jaxq.DatasetReplay(**wrong)
