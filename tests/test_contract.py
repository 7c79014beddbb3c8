"""What every recipe promises, whatever it learns and however."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import jaxq
from jaxq.algorithms import ALGORITHMS

# A recipe that joins ALGORITHMS joins the contract; sizes that keep its test small stand here.
CASES = {
    "dqn": {},
    "dqn, double, dueling, 3 steps": {"double": True, "dueling": True, "n_step": 3},
    "dqn, 3 environments, a step per 2": {"num_envs": 3, "train_interval": 2},
}


def same(left, right):
    """Check two pytrees for equality to the last bit."""

    def raw(leaf):
        typed = jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)
        return jax.random.key_data(leaf) if typed else leaf

    jax.tree.map(lambda a, b: assert_array_equal(raw(a), raw(b)), left, right)


def agent(state, i):
    """Take one agent out of a population."""
    return jax.tree.map(lambda leaf: leaf[i], state._replace(steps=None))


@pytest.fixture(scope="module", params=CASES)
def trainer(request, cartpole, small):
    name = request.param.split(",")[0]
    return jaxq.Trainer(cartpole, ALGORITHMS[name](**small(**CASES[request.param])))


@pytest.fixture(scope="module")
def population(trainer):
    return jaxq.Population(trainer, size=5)


@pytest.fixture(scope="module")
def trained(population):
    return population.run(population.init(jax.random.key(3)), 400)


def test_every_recipe_is_in_the_contract():
    assert {name.split(",")[0] for name in CASES} == set(ALGORITHMS)


def test_the_same_key_gives_the_same_agent(trainer):
    first, second, other = (trainer.run(trainer.init(jax.random.key(seed)), 200) for seed in (1, 1, 2))
    same(first, second)
    assert not np.array_equal(first[0].memory.action, other[0].memory.action)


def test_seeds_train_different_networks(trained):
    state, _ = trained
    for leaf in jax.tree.leaves(state.learner.params):
        if leaf.ndim > 2:
            assert len({leaf[i].tobytes() for i in range(5)}) == 5


def test_a_run_in_pieces_is_the_same_run(trainer):
    state = trainer.init(jax.random.key(0))
    whole, _ = trainer.run(state, 30 * trainer.iteration_steps)
    pieces = state
    for _ in range(3):
        pieces, _ = trainer.run(pieces, 10 * trainer.iteration_steps)
    same(whole, pieces)


def test_vmap_equals_a_loop(trainer):
    keys = jax.random.split(jax.random.key(0), 3)
    vmapped, _ = jax.jit(jax.vmap(lambda key: trainer.run(trainer.init(key), 40)))(keys)
    for i, key in enumerate(keys):
        single, _ = trainer.run(trainer.init(key), 40)
        jax.tree.map(
            lambda a, b, i=i: assert_allclose(a[i], b, atol=1e-4),
            vmapped.learner.params,
            single.learner.params,
        )


def test_run_and_evaluate_work_inside_jit(trainer):
    state = trainer.init(jax.random.key(0))
    outside = trainer.run(state, 40)
    inside = jax.jit(trainer.run)(state, 40)
    same(inside, outside)
    returns = jax.jit(lambda state, key: trainer.evaluate(state, key, num_episodes=3))(
        state, jax.random.key(1)
    )
    assert_array_equal(returns, trainer.evaluate(state, jax.random.key(1), num_episodes=3))


def test_a_second_run_traces_nothing(population, trainer, trained, monkeypatch):
    def fail(*_):
        raise AssertionError("traced again")

    state, _ = trained
    trainer.run(trainer.init(jax.random.key(0)), 40)
    monkeypatch.setattr(trainer, "_iterate", fail)
    population.run(state, 400)
    population.run(state, 160)
    trainer.run(trainer.init(jax.random.key(5)), 120)


def test_an_agent_is_bit_identical_whatever_its_population(trainer, trained):
    state, metrics = trained
    keys = jax.random.split(jax.random.key(3), 5)
    alone = jaxq.Population(trainer, size=1)
    for i in (0, 4):
        same(
            (agent(state, i), jax.tree.map(lambda leaf, i=i: leaf[i], metrics)),
            jax.tree.map(
                lambda leaf: leaf[0],
                _without_steps(alone.run(alone.init(keys[i : i + 1]), 400)),
            ),
        )
    backwards = jaxq.Population(trainer, size=5)
    reversed_state, _ = backwards.run(backwards.init(keys[::-1]), 400)
    larger = jaxq.Population(trainer, size=11)
    larger_state, _ = larger.run(larger.init(jnp.concatenate([keys, keys, keys[:1]])), 400)
    for i in range(5):
        same(agent(state, i), agent(reversed_state, 4 - i))
        same(agent(state, i), agent(larger_state, i))
        same(agent(state, i), agent(larger_state, i + 5))


def _without_steps(outputs):
    state, metrics = outputs
    return state._replace(steps=None), metrics


def test_nothing_leaks_between_agents(population, trainer, trained):
    """An agent that breaks, its learning rate absurd, leaves the others as they were."""
    state, _ = trained
    rates = jnp.full(5, trainer.hparams.learning_rate).at[2].set(1e30)
    broken, _ = population.run(
        population.init(jax.random.key(3), trainer.hparams.replace(learning_rate=rates)), 400
    )
    for i in (0, 1, 3, 4):
        same(agent(state, i)._replace(hparams=None), agent(broken, i)._replace(hparams=None))
    assert (
        not np.isfinite(trainer_q(trainer, broken, 2)).all()
        or (abs(trainer_q(trainer, broken, 2)) > 1e6).any()
    )


def trainer_q(trainer, state, i):
    one = agent(state, i)._replace(steps=state.steps)
    return np.asarray(trainer.q_values(one, jnp.ones(4)))


def test_metrics_are_finite_and_per_agent(trained):
    _state, metrics = trained
    for name, leaf in metrics._asdict().items():
        assert leaf.shape == (5,), name
        assert leaf.dtype == np.float32, name
        assert np.isfinite(leaf).all(), name
    assert (metrics.episodes > 0).all()
    assert_allclose(metrics.episode_return, metrics.episode_length)  # CartPole pays 1 per step


def test_evaluation_plays_whole_episodes(population, trained):
    state, _ = trained
    returns = population.evaluate(state, jax.random.key(1), num_episodes=6)
    assert returns.shape == (5, 6)
    assert (returns >= 5).all()  # no CartPole episode is shorter
    again = population.evaluate(state, jax.random.key(1), num_episodes=6)
    assert_array_equal(returns, again)


def test_num_steps_is_rounded_up_to_whole_iterations(trainer):
    state = trainer.init(jax.random.key(0))
    assert state.steps == trainer.warmup_steps
    for num_steps in (1, trainer.iteration_steps, trainer.iteration_steps + 1):
        after, _ = trainer.run(state, num_steps)
        advanced = int(after.steps - state.steps)
        assert num_steps <= advanced < num_steps + trainer.iteration_steps


def test_the_replay_holds_what_the_environments_did(trainer):
    """Follow each environment through the ring: every next observation is acted on next."""
    state, _ = trainer.run(trainer.init(jax.random.key(0)), 60)
    memory = jax.device_get(state.memory)
    rows = int(state.steps) // trainer.algorithm.settings.num_envs
    last = min(rows, trainer.replay.num_rows) - 1
    ended = memory.terminated[:last] | memory.truncated[:last]
    follows = (memory.next_observation[:last] == memory.observation[1 : last + 1]).all(axis=-1)
    assert_array_equal(follows, ~ended)
    assert ended.any()
