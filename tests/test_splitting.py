"""One agent split over devices does what it does on one."""

import jax
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import jaxq

pytestmark = pytest.mark.skipif(jax.device_count() < 2, reason="needs two devices")
RECIPES = {
    "dqn": jaxq.dqn,
    "prioritized": jaxq.prioritized_dqn,
    "recurrent": jaxq.r2d2,
    "window": jaxq.pqn,
}


def mesh():
    return jax.make_mesh((2,), ("data",), devices=jax.devices()[:2])


@pytest.fixture(scope="module", params=RECIPES)
def trainers(request, cartpole, small):
    keywords = {
        "recurrent": {"sequence_length": 4, "burn_in": 2, "recurrent_size": 8},
        "window": {"buffer_size": 32, "batch_size": 16, "train_interval": 8},
    }
    keywords = small(**keywords.get(request.param, {}))
    if request.param == "window":
        keywords = {k: v for k, v in keywords.items() if k not in ("learning_starts", "target_interval")}
    algorithm = RECIPES[request.param](**keywords)
    return jaxq.Trainer(cartpole, algorithm), jaxq.Trainer(cartpole, algorithm, mesh=mesh())


def test_the_results_are_those_of_one_device(trainers):
    one, split = (trainer.run(trainer.init(jax.random.key(0)), 96) for trainer in trainers)
    assert_array_equal(one[0].actors.episode_length, split[0].actors.episode_length)
    for left, right in zip(
        *(jax.tree.leaves(part[0].learner.params) for part in (one, split)), strict=True
    ):
        assert_allclose(left, right, atol=1e-4)
    assert_allclose(one[1].loss, split[1].loss, rtol=1e-3)


def test_environments_and_what_they_did_are_spread(trainers):
    state, _ = trainers[1].run(trainers[1].init(jax.random.key(0)), 8)
    assert len(state.actors.observation.sharding.device_set) == 2
    shards = state.actors.observation.addressable_shards
    assert [shard.data.shape[0] for shard in shards] == [2, 2]
    for leaf in jax.tree.leaves(state.memory.ring) if state.memory else []:
        assert all(shard.data.size == leaf.size // 2 for shard in leaf.addressable_shards)
    for leaf in jax.tree.leaves(state.learner):
        assert leaf.sharding.is_fully_replicated


def test_gradients_are_worked_out_on_parts_of_the_batch(trainers):
    trainer = trainers[1]
    state = trainer.init(jax.random.key(0))
    program = trainer._run.lower(state, trainer.iterations(8)).compile().as_text()
    assert "all-reduce" in program
    evaluated = trainer.evaluate(state, jax.random.key(1), num_episodes=3)
    assert np.isfinite(evaluated).all()


@pytest.mark.parametrize(
    ("keywords", "message"),
    [
        ({"num_envs": 5}, "num_envs must be a multiple of the 2 devices, got 5; for example num_envs=6"),
        ({"batch_size": 15}, "batch_size must be a multiple"),
    ],
)
def test_what_does_not_divide_is_refused(cartpole, small, keywords, message):
    with pytest.raises(ValueError, match=message):
        jaxq.Trainer(cartpole, jaxq.dqn(**small(**keywords)), mesh=mesh())


def test_other_meshes_and_recipes_are_refused(cartpole, small):
    agents = jax.make_mesh((2,), ("agents",), devices=jax.devices()[:2])
    with pytest.raises(ValueError, match="'data'"):
        jaxq.Trainer(cartpole, jaxq.dqn(**small()), mesh=agents)
    with pytest.raises(TypeError, match=r"must be a jax\.sharding\.Mesh"):
        jaxq.Trainer(cartpole, jaxq.dqn(**small()), mesh=2)
    with pytest.raises(ValueError, match="cannot be split"):
        jaxq.Trainer(jaxq.envs.make("FrozenLake-v1"), jaxq.q_learning(), mesh=mesh())
    with pytest.raises(ValueError, match="without mesh="):
        jaxq.Population(jaxq.Trainer(cartpole, jaxq.dqn(**small()), mesh=mesh()), 2)
