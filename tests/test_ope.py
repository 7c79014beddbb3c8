"""Off-policy evaluation of logs: against a table's true values, and with networks."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose
from test_off_policy import BEHAVIOUR, DISCOUNT, TABLE, TARGET

import jaxq
from jaxq import ope

TRUE = float(
    jaxq.policy_evaluation(jaxq.envs.from_table(TABLE, initial=0), TARGET, DISCOUNT)[0] @ TARGET[0]
)


def log(seed, num=120, length=60):
    """Play the behaviour of the repair that may fail, from a table of outcomes."""
    random, rows = np.random.default_rng(seed), []
    for _ in range(num):
        state = 0
        for time in range(length):
            action = int(random.random() < BEHAVIOUR[state][1])
            outcomes = TABLE[state][action]
            _, after, reward, terminated = outcomes[
                random.choice(len(outcomes), p=[outcome[0] for outcome in outcomes])
            ]
            cut = time == length - 1 and not terminated
            rows.append((state, action, reward, terminated, cut, after, BEHAVIOUR[state][action]))
            state = after
            if terminated:
                break
    names = ["observation", "action", "reward", "terminated", "truncated", "next_observation"]
    names = [*names, "behaviour_probability"]
    columns = dict(zip(names, map(np.array, zip(*rows, strict=True)), strict=True))
    return jaxq.dataset.validate(columns)


def target(observation, legal):
    return TARGET[np.asarray(observation).astype(int).reshape(-1)]


@pytest.fixture(scope="module")
def evaluations():
    return [
        ope.evaluate(log(seed), target, DISCOUNT, key=jax.random.key(seed), num_resamples=100)
        for seed in range(100)
    ]


@pytest.mark.learning
@pytest.mark.parametrize("name", ope.ESTIMATORS)
def test_intervals_cover_the_true_value_in_90_of_100_logs(evaluations, name):
    found = [evaluation.estimates[name] for evaluation in evaluations]
    assert sum(e.low <= TRUE <= e.high for e in found) >= 90
    assert_allclose(np.mean([e.value for e in found]), TRUE, atol=0.05)
    # And they are no wider than they have to be.
    assert np.mean([e.high - e.low for e in found]) < 3


def test_a_policy_of_rows_is_that_of_a_function():
    data = log(0, num=50, length=4)
    found = ope.evaluate(data, target, DISCOUNT, num_resamples=20)
    assert found == ope.evaluate(data, TARGET[data.observation], DISCOUNT, num_resamples=20)
    assert found.episodes == 50
    assert 1 < found.effective_episodes < 50
    assert "weighted_importance" in str(found)


def test_the_behaviour_itself_is_worth_its_mean_return():
    data = log(1, num=80)
    found = ope.evaluate(data, BEHAVIOUR[data.observation], 1.0, num_resamples=20)
    mean = np.bincount(data.episode, data.reward).mean()
    for name in ("per_decision_importance", "weighted_importance"):
        assert_allclose(found.estimates[name].value, mean, rtol=1e-5)
    assert_allclose(found.effective_episodes, 80)


@pytest.mark.learning
def test_networks_learn_the_values_of_logs_without_numbered_states():
    data = log(2, num=400)
    vectors = np.eye(3, dtype=np.float32)
    data = data._replace(
        observation=vectors[data.observation], next_observation=vectors[data.next_observation]
    )

    def policy(observation, legal):
        return TARGET[np.asarray(observation).argmax(axis=1)]

    found = ope.evaluate(
        data, policy, DISCOUNT, num_resamples=8, hidden_sizes=(16,), num_updates=1_000
    ).estimates
    table = ope.evaluate(log(2, num=400), target, DISCOUNT).estimates
    for name in ("fitted_q", "doubly_robust"):
        assert found[name].low <= found[name].value <= found[name].high
        assert_allclose(found[name].value, table[name].value, atol=0.1)
    assert_allclose(found["weighted_importance"].value, table["weighted_importance"].value, rtol=1e-4)


def test_what_follows_a_cut_is_valued_and_not_zero():
    # Reward 1 for ever, in episodes of two steps that are cut off.
    columns = {
        "observation": np.zeros(8, int),
        "action": np.tile([0, 1], 4),
        "reward": np.ones(8),
        "terminated": np.zeros(8, bool),
        "truncated": np.tile([False, True], 4),
        "behaviour_probability": np.full(8, 0.5),
        "next_observation": np.zeros(8, int),
    }
    data = jaxq.dataset.validate(columns)
    found = ope.evaluate(data, np.full((8, 2), 0.5), 0.9, num_resamples=2).estimates
    assert_allclose(found["fitted_q"].value, 10, rtol=1e-3)
    assert_allclose(found["doubly_robust"].value, 10, rtol=1e-3)
    assert_allclose(found["weighted_importance"].value, 1.9, rtol=1e-5)


def test_agents_are_evaluated_and_chosen_without_the_environment():
    env = jaxq.envs.from_table(TABLE, initial=0)
    data = log(3, num=300)
    keywords = {"hidden_sizes": (), "train_interval": 1, "discount": DISCOUNT, "learning_rate": 0.01}
    trainer = jaxq.Trainer(env, jaxq.dqn(replay=jaxq.DatasetReplay(data), **keywords))
    state, _ = trainer.run(trainer.init(jax.random.key(0)), 2_000)
    policy = ope.policy_of(trainer, state, epsilon=0.2)
    found = ope.evaluate(data, policy, DISCOUNT, num_resamples=50).estimates["doubly_robust"]
    table = policy(np.arange(3), None)
    exact = float(jaxq.policy_evaluation(env, table, DISCOUNT)[0] @ table[0])
    assert found.low <= exact <= found.high
    best = trainer.q_values(state, jnp.arange(2)).argmax(axis=1)
    assert_allclose(table[np.arange(2), best], 0.9, rtol=1e-6)


def test_what_cannot_be_evaluated_is_refused():
    data = log(0, num=20)
    rows = TARGET[data.observation]
    with pytest.raises(jaxq.InputError, match="needs the column behaviour_probability"):
        ope.evaluate(data._replace(behaviour_probability=None), rows)
    fitted = ope.evaluate(data._replace(behaviour_probability=None), rows, estimators=["fitted_q"])
    assert [*fitted.estimates] == ["fitted_q"]
    with pytest.raises(jaxq.InputError, match="rows that sum to 1"):
        ope.evaluate(data, 2 * rows / 3)
    with pytest.raises(jaxq.InputError, match="of shape"):
        ope.evaluate(data, rows[:5])
    with pytest.raises(jaxq.InputError, match="unknown estimator"):
        ope.evaluate(data, rows, estimators=["doubly"])
    with pytest.raises(jaxq.InputError, match="same wherever a state is"):
        ope.evaluate(data, np.tile([[0.5, 0.5], [0.4, 0.6]], (len(rows), 1))[: len(rows)])
    waits = data._replace(action=np.ones_like(data.action))
    with pytest.raises(jaxq.InputError, match="never does what the log did"):
        ope.evaluate(waits, np.tile([1.0, 0.0], (len(rows), 1)))
    legal = np.ones((len(rows), 2), bool)
    legal[data.action == 0] = [True, False]
    with pytest.raises(jaxq.InputError, match="keep to legal actions"):
        ope.evaluate(data._replace(legal_actions=legal), rows)


def test_a_recurrent_agent_has_no_policy_of_single_observations(cartpole, small):
    trainer = jaxq.Trainer(cartpole, jaxq.dqn(**small(recurrent_size=4)))
    with pytest.raises(jaxq.InputError, match="follows from whole episodes"):
        ope.policy_of(trainer, trainer.init(jax.random.key(0)))
