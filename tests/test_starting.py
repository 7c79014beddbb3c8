"""Agents that begin with what others have learned."""

import jax
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import jaxq
from jaxq.checks import InputTypeError, InputValueError

KEY = jax.random.key(0)


@pytest.fixture(scope="module")
def trainer(cartpole, small):
    return jaxq.Trainer(cartpole, jaxq.dqn(**small()))


@pytest.fixture(scope="module")
def learned(trainer):
    return trainer.run(trainer.init(KEY), 400)[0].learner


def test_an_agent_begins_with_what_another_has_learned(trainer, learned):
    state = trainer.init(jax.random.key(1), learner=learned)
    for left, right in zip(jax.tree.leaves(state.learner), jax.tree.leaves(learned), strict=True):
        assert_array_equal(left, right)
    # It fills the replay with what it does, and not with what a new network would do.
    assert int(state.steps) == trainer.warmup_steps
    without = trainer.init(jax.random.key(1))
    assert jax.tree.structure(without) == jax.tree.structure(state)
    state, metrics = trainer.run(state, 100)
    assert np.isfinite(metrics.loss)


@pytest.mark.parametrize("own", [False, True], ids=["of one", "of each"])
def test_a_population_begins_with_what_one_or_each_has_learned(trainer, learned, own):
    population = jaxq.Population(trainer, size=3)
    given = learned
    if own:
        given = population.run(population.init(KEY), 100)[0].learner
    state = population.init(jax.random.key(1), learner=given)
    for left, right in zip(jax.tree.leaves(state.learner), jax.tree.leaves(given), strict=True):
        assert_array_equal(left, right if own else np.broadcast_to(right, left.shape))
    first = trainer.init(
        jax.random.split(jax.random.key(1), 3)[0], learner=population.agent(state, 0).learner
    )
    assert_allclose(first.actors.observation, state.actors.observation[0], rtol=1e-4)


def test_offline_agents_go_on_online_with_the_data_mixed_in(cartpole, small, trainer):
    data = jaxq.collect(trainer, trainer.init(KEY), jax.random.key(1), 300, epsilon=1.0)
    shared = {"hidden_sizes": (16,), "batch_size": 16}
    offline = jaxq.Trainer(cartpole, jaxq.dqn(**shared, replay=jaxq.DatasetReplay(data)))
    state, _ = offline.run(offline.init(KEY), 200)
    mixed = {**small(), "replay": jaxq.DatasetReplay(data, share=0.5)}
    online = jaxq.Trainer(cartpole, jaxq.dqn(**mixed))
    after, metrics = online.run(online.init(KEY, learner=state.learner), 200)
    assert np.isfinite(metrics.loss)
    assert int(after.steps) == online.warmup_steps + 200


def test_tables_keep_what_belongs_to_their_own_episodes():
    env = jaxq.envs.make("Cliff-grid")
    trainer = jaxq.Trainer(env, jaxq.q_lambda(num_envs=4))
    learned = trainer.run(trainer.init(KEY), 400)[0].learner
    state = trainer.init(jax.random.key(1), learner=learned)
    assert_array_equal(state.learner.q, learned.q)
    assert_array_equal(state.learner.traces, trainer.init(jax.random.key(1)).learner.traces)


def test_what_another_recipe_has_learned_is_refused(cartpole, small, trainer, learned):
    with pytest.raises(InputTypeError, match="learner must be what an agent of this algorithm"):
        trainer.init(KEY, learner={"weights": 1.0})
    wide = jaxq.Trainer(cartpole, jaxq.dqn(**small(hidden_sizes=(32,))))
    with pytest.raises(InputValueError, match=r"same network and optimizer, got .*of shape"):
        wide.init(KEY, learner=learned)
    with pytest.raises(InputValueError, match="of one agent or of 3"):
        jaxq.Population(wide, size=3).init(KEY, learner=learned)
