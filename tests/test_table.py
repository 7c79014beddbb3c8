"""One step of each tabular rule against numbers worked out by hand."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import jaxq
from jaxq.types import Transition

STATES, ACTIONS, GAMMA = 3, 2, 0.5


def agent_of(recipe):
    """The agent of a recipe in a world of three states, which the tests never step."""
    env = jaxq.envs.random_mdp(seed=0, num_states=STATES, num_actions=ACTIONS, branching=2)
    return recipe.bind(env, lambda batch: batch)


def hparams_of(recipe):
    return jax.tree.map(jnp.float32, recipe.hparams.replace(discount=GAMMA))


def steps(*rows):
    """Rows of (state, action, reward, terminated, truncated, next state), as T = 1 row of E."""
    columns = [jnp.array(column) for column in zip(*rows, strict=True)]
    s, a, r, terminated, truncated, s_t = [column[None] for column in columns]
    return Transition(s, a, r.astype(jnp.float32), terminated, truncated, s_t)


def learn(recipe, learner, *transitions, key=0):
    """Learn from one row of transitions after another."""
    agent, hparams = agent_of(recipe), hparams_of(recipe)
    statistics = []
    for number, newest in enumerate(transitions):
        now = newest, jnp.int32(1 + number)
        learner, _, seen = agent.learn(jax.random.key(key), learner, (), hparams, *now)
        statistics.append(seen)
    return learner, statistics


def start(recipe, table=((1.0, 2.0), (3.0, 1.0), (0.0, 0.0))):
    learner, memory = agent_of(recipe).init(jax.random.key(0), hparams_of(recipe))
    assert memory == ()
    return learner._replace(q=jnp.broadcast_to(jnp.array(table), learner.q.shape))


CONSTANT = {"learning_rate": 0.5, "visit_exponent": 0.0}
STEP = steps((0, 1, 1.0, False, False, 1))


def test_q_learning():
    # target = 1 + 0.5 * max(3, 1) = 2.5, error = 2.5 - 2 = 0.5.
    recipe = jaxq.q_learning(**CONSTANT)
    learner, (seen,) = learn(recipe, start(recipe), STEP)
    assert_allclose(learner.q[0], [[1, 2.25], [3, 1], [0, 0]])
    assert_allclose(learner.visits[0], [[0, 1], [0, 0], [0, 0]])
    assert_allclose(seen, (0.125, 0.5, 2.0, 0.5))


def test_the_end_of_an_episode():
    recipe = jaxq.q_learning(**CONSTANT)
    # Terminated: target = 1. Truncated: as if nothing had happened, 2.5.
    learner, _ = learn(recipe, start(recipe), steps((0, 1, 1.0, True, False, 1)))
    assert_allclose(learner.q[0, 0, 1], 1.5)
    learner, _ = learn(recipe, start(recipe), steps((0, 1, 1.0, False, True, 1)))
    assert_allclose(learner.q[0, 0, 1], 2.25)


def test_step_sizes_fall_with_visits():
    recipe = jaxq.q_learning(learning_rate=1.0, visit_exponent=1.0)
    end = steps((0, 1, 4.0, True, False, 1))
    # 1/N is the mean of the targets, whatever the table began with.
    learner, _ = learn(recipe, start(recipe), end, steps((0, 1, 1.0, True, False, 1)))
    assert_allclose(learner.q[0, 0, 1], 2.5)
    recipe = jaxq.q_learning(learning_rate=0.5, visit_exponent=0.5)
    learner, _ = learn(recipe, start(recipe), end, end)
    first = 2 + 0.5 * (4 - 2)
    assert_allclose(learner.q[0, 0, 1], first + 0.5 / np.sqrt(2) * (4 - first), rtol=1e-6)


def test_expected_sarsa():
    # Greedy with epsilon 0.4 at state 1: probs (0.8, 0.2), so 1 + 0.5 * (2.4 + 0.2) = 2.3.
    recipe = jaxq.expected_sarsa(**CONSTANT, epsilon_start=0.4, epsilon_end=0.4)
    learner, _ = learn(recipe, start(recipe), STEP)
    assert_allclose(learner.q[0, 0, 1], 2 + 0.5 * (2.3 - 2), rtol=1e-6)


def test_sarsa_waits_for_the_next_action():
    recipe = jaxq.sarsa(**CONSTANT, epsilon_start=0.4, epsilon_end=0.4)
    learner, (seen,) = learn(recipe, start(recipe), STEP)
    assert_allclose(learner.q, start(recipe).q)
    assert_allclose(seen.td_error, 0.0)
    # The action taken at state 1 was 1, worth 1: target = 1 + 0.5 * 1 = 1.5.
    learner, _ = learn(recipe, start(recipe), STEP, steps((1, 1, 0.0, False, False, 2)))
    assert_allclose(learner.q[0], [[1, 1.75], [3, 1], [0, 0]])


def test_sarsa_takes_the_average_where_an_episode_was_cut_off():
    recipe = jaxq.sarsa(**CONSTANT, epsilon_start=0.4, epsilon_end=0.4)
    cut = steps((0, 1, 1.0, False, True, 1))
    # The next action belongs to another episode; as expected Sarsa, 2.3.
    learner, _ = learn(recipe, start(recipe), cut, steps((2, 1, 0.0, False, False, 2)))
    assert_allclose(learner.q[0, 0, 1], 2.15, rtol=1e-6)


def test_double_q_learning_moves_one_table_by_the_other():
    recipe = jaxq.double_q_learning(**CONSTANT)
    one, two = jnp.array([[1.0, 2.0], [3.0, 1.0], [0, 0]]), jnp.array([[5.0, 4.0], [2.0, 6.0], [0, 0]])
    moved = []
    for key in range(8):
        step = steps((0, 1, 2.0, False, False, 1))
        learner, _ = learn(recipe, start(recipe)._replace(q=jnp.stack([one, two])), step, key=key)
        changed = np.asarray(learner.q != jnp.stack([one, two])).any(axis=(1, 2))
        assert changed.sum() == 1
        moved.append(int(changed[1]))
        if changed[0]:
            # One chooses action 0, which two values at 2: target 2 + 0.5 * 2 = 3, against 2.
            assert_allclose(learner.q[0, 0, 1], 2.5)
        else:
            # Two chooses action 1, which one values at 1: target 2.5, against 4.
            assert_allclose(learner.q[1, 0, 1], 3.25)
        assert_array_equal(learner.visits.sum(axis=(1, 2)), changed)
    assert set(moved) == {0, 1}


def test_q_lambda_passes_errors_back_along_greedy_actions():
    recipe = jaxq.q_lambda(**CONSTANT, lambda_=0.8)
    table = ((1.0, 2.0), (3.0, 1.0), (0.0, 0.0))
    # First 0 -> 1 as above: error 0.5, trace 1 at (0, 1).
    # Then action 0 at state 1, which is greedy: the trace of (0, 1) is 0.5 * 0.8 = 0.4; it ends with
    # reward 5: error = 5 - 3 = 2, so (1, 0) moves by 1 and (0, 1) by 0.4.
    learner, _ = learn(recipe, start(recipe, table), STEP, steps((1, 0, 5.0, True, False, 2)))
    assert_allclose(learner.q[0], [[1, 2.65], [4, 1], [0, 0]], rtol=1e-6)
    assert_array_equal(learner.traces, 0)  # the episode is over
    # Action 1 at state 1 is not greedy: nothing passes back.
    learner, _ = learn(recipe, start(recipe, table), STEP, steps((1, 1, 5.0, False, False, 2)))
    assert_allclose(learner.q[0], [[1, 2.25], [3, 3], [0, 0]], rtol=1e-6)
    assert_allclose(learner.traces[0], [[0, 0], [0, 1], [0, 0]])


def test_dyna_q_repeats_what_it_saw():
    # One pair seen, so every imagined step is that one: error 0.5, 0.25, 0.125 of the distance left.
    recipe = jaxq.dyna_q(**CONSTANT, planning_steps=2)
    learner, _ = learn(recipe, start(recipe), STEP)
    assert_allclose(learner.q[0, 0, 1], 2.5 - 0.5**3 * 0.5)
    assert_allclose(learner.visits[0, 0, 1], 1)  # imagined steps are no visits
    assert int(learner.model.num_pairs) == 1
    learner, _ = learn(recipe, learner, STEP, steps((2, 0, 1.0, True, False, 0)))
    assert int(learner.model.num_pairs) == 2
    assert_array_equal(learner.model.pairs[:2], [1, 4])


def test_environments_side_by_side_are_learned_from_in_turn():
    recipe = jaxq.q_learning(**CONSTANT, num_envs=2)
    rows = (0, 1, 1.0, False, False, 1), (0, 1, 1.0, False, False, 1)
    learner, _ = learn(recipe, start(recipe), steps(*rows))
    assert_allclose(learner.q[0, 0, 1], 2.5 - 0.5**2 * 0.5)


def test_optimistic_values_are_where_a_table_begins():
    trainer = jaxq.Trainer(jaxq.envs.make("FrozenLake-misc"), jaxq.q_learning(initial_value=3.0))
    state = trainer.init(jax.random.key(0))
    assert_array_equal(trainer.q_values(state, jnp.arange(16)), 3.0)


@pytest.mark.parametrize(
    ("keywords", "message"),
    [
        ({"rule": "best"}, "unknown rule"),
        ({"traces": True, "double": True}, "one greedy table"),
        ({"rule": "sampled", "planning_steps": 3}, "rule='expected'"),
        ({"exploration": "ensemble"}, "unknown exploration"),
        ({"planning_steps": -1}, "at least 0"),
        ({"visit_exponent": 1.5}, r"in \[0, 1\]"),
        ({"initial_value": float("inf")}, "finite"),
    ],
)
def test_mistakes_are_refused(keywords, message):
    with pytest.raises(ValueError, match=message):
        jaxq.q_learning(**keywords)


def test_keywords_of_deep_recipes_are_refused():
    with pytest.raises(TypeError, match="no keyword 'hidden_sizes'"):
        jaxq.q_learning(hidden_sizes=(64,))
    with pytest.raises(TypeError, match="belongs to traces=True"):
        jaxq.q_learning(lambda_=0.5)


def test_an_environment_without_numbered_states_is_refused(cartpole):
    with pytest.raises(ValueError, match="needs numbered states, which CartPole-v1 has not"):
        jaxq.Trainer(cartpole, jaxq.q_learning())
