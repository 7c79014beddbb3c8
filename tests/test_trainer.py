"""One agent: what its methods take, and what they leave behind."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from test_contract import same

import jaxq


@pytest.fixture(scope="module")
def trainer(cartpole, small):
    return jaxq.Trainer(cartpole, jaxq.dqn(**small(double=True, dueling=True, n_step=3)))


def test_run_and_evaluate_work_inside_jit(trainer):
    state = trainer.init(jax.random.key(0))
    outside = trainer.run(state, 40)
    inside = jax.jit(trainer.run)(state, 40)
    # A program of the user's own is compiled as it says, and may round differently.
    jax.tree.map(
        lambda a, b: assert_allclose(a, b, rtol=1e-4, atol=1e-6),
        *(part[0]._replace(key=None) for part in (inside, outside)),
    )
    returns = jax.jit(lambda state, key: trainer.evaluate(state, key, num_episodes=3))(
        state, jax.random.key(1)
    )
    assert_allclose(returns, trainer.evaluate(state, jax.random.key(1), num_episodes=3))


def test_init_and_run_work_inside_vmap(trainer):
    keys = jax.random.split(jax.random.key(0), 3)
    vmapped, _ = jax.jit(jax.vmap(lambda key: trainer.run(trainer.init(key), 40)))(keys)
    single, _ = trainer.run(trainer.init(keys[1]), 40)
    jax.tree.map(
        lambda a, b: assert_allclose(a[1], b, atol=1e-4), vmapped.learner.params, single.learner.params
    )


def test_cartpole_pays_one_per_step(trainer):
    _, metrics = trainer.run(trainer.init(jax.random.key(0)), 400)
    assert_allclose(metrics.episode_return, metrics.episode_length)
    returns = trainer.evaluate(trainer.init(jax.random.key(0)), jax.random.key(1), num_episodes=6)
    assert (returns >= 5).all()  # no CartPole episode is shorter


def test_the_replay_holds_what_the_environments_did(trainer):
    """Follow each environment through the ring: a step moves the cart by 0.02 times its velocity."""
    state, _ = trainer.run(trainer.init(jax.random.key(0)), 60)
    ring = jax.device_get(state.memory.ring)
    last = min(int(state.steps) // 4, ring.action.shape[0]) - 1
    before, after = ring.observation[:last], ring.observation[1 : last + 1]
    moved = np.isclose(after[..., 0], before[..., 0] + 0.02 * before[..., 1], atol=1e-6)
    ended = ring.ending[:last] > 0
    assert_array_equal(moved, ~ended)
    assert ended.any()


def test_the_last_update_has_a_learning_rate_and_the_next_one_none(trainer):
    """Ten iterations of 4 steps behind the warm-up, at whose end the rate is zero."""
    hparams = trainer.hparams.replace(learning_rate_steps=80)
    state, _ = trainer.run(trainer.init(jax.random.key(0), hparams), 36)
    weights = []
    for _ in range(3):
        weights.append(np.asarray(jax.tree.leaves(state.learner.params)[0]))
        state, _ = trainer.run(state, 4)
    assert int(state.steps) == 88
    assert (weights[1] != weights[0]).any()
    assert (weights[2] == weights[1]).all()


@pytest.mark.optimized
def test_an_agent_is_bit_identical_in_larger_populations(trainer):
    keys = jax.random.split(jax.random.key(3), 5)
    small, large = (jaxq.Population(trainer, size, chunk=4) for size in (5, 11))
    state, _ = small.run(small.init(keys), 200)
    larger, _ = large.run(large.init(jnp.concatenate([keys, keys, keys[:1]])), 200)
    for i in range(5):
        for place in (i, i + 5):
            one, other = (
                jax.tree.map(lambda leaf, k=k: leaf[k], s._replace(steps=None))
                for s, k in ((state, i), (larger, place))
            )
            same(one, other)


def test_segments_give_a_learning_curve_and_change_no_bit(trainer):
    state = trainer.init(jax.random.key(0))
    whole, metrics = trainer.run(state, 7 * trainer.iteration_steps)
    pieces, curve = trainer.run(state, 7 * trainer.iteration_steps, segments=3)
    same(pieces, whole)
    assert curve.loss.shape == (3,)
    assert curve.episodes.sum() == metrics.episodes
    # Seven iterations are three, two and two.
    assert_allclose(curve.loss @ jnp.array([3.0, 2.0, 2.0]) / 7, metrics.loss, rtol=1e-5)


def test_segments_of_a_population(trainer):
    population = jaxq.Population(trainer, size=2)
    state = population.init(jax.random.key(0))
    whole, _ = population.run(state, 80)
    pieces, curve = population.run(state, 80, segments=2)
    same(pieces, whole)
    assert curve.episode_return.shape == (2, 2)


@pytest.mark.parametrize("segments", [0, -1, 2.5, 1_000_000])
def test_segments_that_cannot_be_are_refused(trainer, segments):
    with pytest.raises(jaxq.InputError, match="segments"):
        trainer.run(trainer.init(jax.random.key(0)), 100, segments=segments)
