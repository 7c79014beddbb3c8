import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from worlds import OneStep

import jaxq
from jaxq.engine.devices import num_cores


@pytest.fixture(scope="module")
def trainer(cartpole, small):
    return jaxq.Trainer(cartpole, jaxq.dqn(**small()))


@pytest.fixture(scope="module")
def optimized(cartpole, small):
    """A trainer for tests that compile with all optimizations; it keeps what it has compiled."""
    return jaxq.Trainer(cartpole, jaxq.dqn(**small()))


def test_a_population_may_differ_in_every_leaf(trainer):
    one = trainer.hparams
    hparams = jax.tree.map(lambda leaf: jnp.stack([leaf * 0.5, leaf * 0.9]), one)
    hparams = hparams.replace(
        epsilon_steps=jnp.array([10.0, 0.0]), learning_rate_steps=jnp.array([0.0, 500.0])
    )
    population = jaxq.Population(trainer, size=2)
    state, metrics = population.run(population.init(jax.random.key(0), hparams), 100)
    assert_allclose(metrics.epsilon, hparams.epsilon_end, rtol=1e-5)
    assert np.isfinite(metrics.loss).all()
    for i, key in enumerate(jax.random.split(jax.random.key(0), 2)):
        alone = jaxq.Population(trainer, size=1)
        leaves = jax.tree.map(lambda leaf, i=i: leaf[i : i + 1], hparams)
        single, _ = alone.run(alone.init(key[None], leaves), 100)
        jax.tree.map(
            lambda a, b, i=i: assert_array_equal(a[i], b[0]),
            state.learner.params,
            single.learner.params,
        )


def test_environment_parameters_may_differ_per_agent(small):
    env = jaxq.envs.from_gymnax(OneStep(), OneStep().default_params)
    population = jaxq.Population(jaxq.Trainer(env, jaxq.dqn(**small())), size=3)
    params = env.params.replace(reward=jnp.array([1.0, 2.0, 3.0]))
    state = population.init(jax.random.key(0), env_params=params)
    returns = population.evaluate(state, jax.random.key(1), num_episodes=2)
    assert_array_equal(returns, [[1, 1], [2, 2], [3, 3]])


@pytest.mark.parametrize(("size", "chunk"), [(1, None), (2, None), (3, 2), (7, 2), (8, 1), (4, 100)])
def test_every_size_is_padded_and_trimmed(trainer, size, chunk):
    population = jaxq.Population(trainer, size, chunk=chunk)
    state, metrics = population.run(population.init(jax.random.key(0)), 8)
    assert state.key.shape == metrics.loss.shape == (size,)
    assert state.memory.ring.action.shape[0] == size
    assert state.steps.shape == ()
    assert population.evaluate(state, jax.random.key(1), num_episodes=2).shape == (size, 2)


def test_a_donated_state_is_gone_and_the_new_one_is_the_same(trainer):
    size = 2 * 4 * jax.device_count()
    kept, donated = (jaxq.Population(trainer, size, donate=donate) for donate in (False, True))
    begun = donated.init(jax.random.key(0))
    state, metrics = donated.run(begun, 8)
    other, _ = kept.run(kept.init(jax.random.key(0)), 8)
    jax.tree.map(assert_array_equal, state.learner, other.learner)
    assert begun.memory.ring.observation.is_deleted()
    with pytest.raises(ValueError, match="given to run before"):
        donated.run(begun, 8)
    assert np.isfinite(metrics.loss).all()


def test_an_agent_can_be_taken_out_and_goes_on_alone(trainer):
    population = jaxq.Population(trainer, 3, chunk=1)  # over two devices, of which one is padded
    state, _ = population.run(population.init(jax.random.key(0)), 8)
    agents = [population.agent(state, index) for index in range(3)]
    for index, agent in enumerate(agents):
        assert agent.key == jax.random.split(jax.random.key(0), 3)[index]
        jax.tree.map(
            lambda whole, part, index=index: assert_array_equal(whole[index], part),
            (state.learner, state.memory, state.actors, state.hparams),
            (agent.learner, agent.memory, agent.actors, agent.hparams),
        )
        assert int(agent.steps) == int(state.steps)
        assert all(len(leaf.devices()) == 1 for leaf in jax.tree.leaves(agent))
    on, metrics = trainer.run(agents[2], 8)
    assert int(on.steps) == int(state.steps) + 8
    assert np.isfinite(metrics.loss)


def test_a_mesh_of_the_users_own(trainer):
    mesh = jax.make_mesh((1,), ("agents",), devices=jax.devices()[-1:])
    population = jaxq.Population(trainer, 4, mesh=mesh)
    state, _ = population.run(population.init(jax.random.key(0)), 8)
    spread = jaxq.Population(trainer, 4)
    other, _ = spread.run(spread.init(jax.random.key(0)), 8)
    assert_allclose(state.memory.ring.observation, other.memory.ring.observation, atol=1e-5)
    assert state.memory.ring.action.devices() == {jax.devices()[-1]}


def test_a_grid_orders_its_combinations(trainer):
    hparams = jaxq.grid(trainer.hparams, learning_rate=[1e-4, 1e-3], discount=[0.9, 0.8, 0.7], seeds=2)
    assert_allclose(hparams.learning_rate, np.repeat([1e-4, 1e-3], 6), rtol=1e-6)
    assert_allclose(hparams.discount, np.tile(np.repeat([0.9, 0.8, 0.7], 2), 2), rtol=1e-6)
    assert hparams.epsilon_end.shape == (12,)


CALLS = {
    "static field": (
        lambda t: jaxq.grid(t.hparams, batch_size=[1, 2]),
        TypeError,
        "These may vary: .*learning_rate, .*static",
    ),
    "no sequence": (lambda t: jaxq.grid(t.hparams, discount=0.5), TypeError, r"discount=\[0.5\]"),
    "no values": (lambda t: jaxq.grid(t.hparams, discount=[]), ValueError, "at least one"),
    "discount": (lambda t: jaxq.grid(t.hparams, discount=[0.5, 1.5]), ValueError, r"in \[0, 1\]"),
    "no seeds": (lambda t: jaxq.grid(t.hparams, seeds=0), ValueError, "at least 1"),
    "nan": (
        lambda t: t.init(jax.random.key(0), t.hparams.replace(learning_rate=float("nan"))),
        ValueError,
        "learning_rate must be a finite float32 above 0, got nan",
    ),
    "nan in one agent": (
        lambda t: jaxq.Population(t, 2).init(
            jax.random.key(0), t.hparams.replace(discount=jnp.array([0.5, jnp.nan]))
        ),
        ValueError,
        "got nan",
    ),
    "leading axis": (
        lambda t: jaxq.Population(t, 2).init(jax.random.key(0), jaxq.grid(t.hparams, seeds=3)),
        ValueError,
        r"shape \(2,\) or a single number, got shape \(3,\)",
    ),
    "a dict": (lambda t: t.init(jax.random.key(0), {"learning_rate": 1}), TypeError, "replace"),
    "missing leaf": (
        lambda t: t.init(jax.random.key(0), jaxq.Hparams(learning_rate=1.0)),
        TypeError,
        "start from trainer.hparams",
    ),
    "no key": (lambda t: t.init(0), TypeError, r"jax.random.key\(0\)"),
    "key count": (
        lambda t: jaxq.Population(t, 2).init(jax.random.split(jax.random.key(0), 3)),
        ValueError,
        "one key or 2 keys",
    ),
    "no agents": (lambda t: jaxq.Population(t, 0), ValueError, "size must be at least 1"),
    "half an agent": (lambda t: jaxq.Population(t, 1.5), TypeError, "whole number"),
    "no chunk": (lambda t: jaxq.Population(t, 2, chunk=0), ValueError, "chunk"),
    "no mesh": (lambda t: jaxq.Population(t, 2, mesh=2), TypeError, "jax.make_mesh"),
    "other mesh": (
        lambda t: jaxq.Population(t, 2, mesh=jax.make_mesh((1,), ("x",))),
        ValueError,
        "the one axis 'agents'",
    ),
    "no trainer": (lambda t: jaxq.Population("dqn", 2), TypeError, "jaxq.Trainer"),
    "no environment": (lambda t: jaxq.Trainer("CartPole-v1", jaxq.dqn()), TypeError, "envs.make"),
    "no recipe": (lambda t: jaxq.Trainer(t.env, "dqn"), TypeError, r"jaxq.dqn\(\)"),
    "no steps": (lambda t: t.run(t.init(jax.random.key(0)), 0), ValueError, "num_steps"),
    "NaN steps": (lambda t: t.run(t.init(jax.random.key(0)), float("nan")), TypeError, "whole"),
    "too many steps": (lambda t: t.run(t.init(jax.random.key(0)), 2**40), ValueError, "at most"),
    "no state": (lambda t: t.run(None, 10), TypeError, "state, metrics"),
    "another population's": (
        lambda t: jaxq.Population(t, 2).run(jaxq.Population(t, 3).init(jax.random.key(0)), 9),
        ValueError,
        "must hold 2 agents",
    ),
    "an agent's": (
        lambda t: jaxq.Population(t, 2).run(t.init(jax.random.key(0)), 9),
        ValueError,
        "must hold 2 agents",
    ),
    "a population's": (
        lambda t: t.run(jaxq.Population(t, 2).init(jax.random.key(0)), 9),
        ValueError,
        "must hold one agent",
    ),
    "no such agent": (
        lambda t: jaxq.Population(t, 2).agent(jaxq.Population(t, 2).init(jax.random.key(0)), 2),
        ValueError,
        "below the 2 agents",
    ),
    "half an agent's number": (
        lambda t: jaxq.Population(t, 2).agent(jaxq.Population(t, 2).init(jax.random.key(0)), 0.5),
        TypeError,
        "whole number",
    ),
    "another trainer's": (
        lambda t: t.run(jaxq.Trainer(t.env, jaxq.dqn(hidden_sizes=(3,))).init(jax.random.key(0)), 9),
        ValueError,
        "of this trainer",
    ),
    "beyond 32 bits": (
        lambda t: t.run(t.init(jax.random.key(0))._replace(steps=jnp.int32(2**31 - 50)), 90),
        ValueError,
        "32 bits",
    ),
    "no episodes": (
        lambda t: t.evaluate(t.init(jax.random.key(0)), jax.random.key(0), 0),
        ValueError,
        "num_episodes",
    ),
    "observation": (
        lambda t: t.q_values(t.init(jax.random.key(0)), jnp.zeros(3)),
        ValueError,
        r"shape \[..., 4\], got \(3,\)",
    ),
    "environment parameters": (
        lambda t: t.init(jax.random.key(0), env_params={"gravity": 1}),
        TypeError,
        "start from trainer.env.params",
    ),
    "their text": (
        lambda t: t.init(jax.random.key(0), env_params=t.env.params.replace(gravity="strong")),
        TypeError,
        "must be numeric",
    ),
    "one agent's axis": (
        lambda t: t.init(jax.random.key(0), env_params=t.env.params.replace(gravity=jnp.ones(3))),
        ValueError,
        r"shape \(\), got \(3,\)",
    ),
    "observation's text": (
        lambda t: t.q_values(t.init(jax.random.key(0)), "left"),
        TypeError,
        "must be numbers",
    ),
    "their axis": (
        lambda t: jaxq.Population(t, 2).init(
            jax.random.key(0),
            env_params=t.env.params.replace(gravity=jnp.ones(3)),
        ),
        ValueError,
        r"\(2,\), got \(3,\)",
    ),
}


@pytest.mark.parametrize("case", CALLS)
def test_mistakes_are_refused_with_the_corrected_call(trainer, case):
    call, error, message = CALLS[case]
    with pytest.raises(error, match=message) as caught:
        call(trainer)
    assert isinstance(caught.value, jaxq.InputError)


def test_an_episode_that_does_not_end_is_given_up(small):
    from worlds import Endless

    env = jaxq.envs.from_gymnax(Endless(), Endless().default_params)
    trainer = jaxq.Trainer(env, jaxq.dqn(**small()))
    state = trainer.init(jax.random.key(0))
    returns = trainer.evaluate(state, jax.random.key(0), num_episodes=3, max_steps=10)
    assert np.isnan(returns).all()


@pytest.fixture
def threaded(monkeypatch, trainer):
    """Make a population that some threads share, whatever the cores of this machine."""

    def make(size, threads=2, trainer=trainer, **keywords):
        monkeypatch.setattr("jaxq.engine.population.default_threads", lambda mesh: threads)
        return jaxq.Population(trainer, size, **keywords)

    return make


def equal(one, other):
    key_data = [part._replace(key=jax.random.key_data(part.key)) for part in (one, other)]
    jax.tree.map(assert_array_equal, *key_data)


@pytest.mark.optimized
@pytest.mark.parametrize(("size", "chunk"), [(2, None), (5, 2), (3, 100)])
def test_threads_train_the_same_agents(threaded, optimized, size, chunk):
    two = threaded(size, 2, optimized, chunk=chunk)
    one, three = (threaded(size, threads, optimized, chunk=two.chunk) for threads in (1, 3))
    assert two._spread.workers == min(2, -(-size // two.chunk))
    found = []
    for population in (one, two, three):
        state, metrics = population.run(population.init(jax.random.key(0)), 100)
        state, metrics = population.run(state, 50)
        found.append((state, metrics, population.evaluate(state, jax.random.key(1), num_episodes=2)))
    for other in found[1:]:
        equal(found[0][0], other[0])
        jax.tree.map(assert_array_equal, found[0][1:], other[1:])


def test_threads_take_a_donated_state_and_no_other(threaded):
    donated, kept = threaded(4, chunk=2, donate=True), threaded(4, chunk=2)
    begun = kept.init(jax.random.key(0))
    state, _ = kept.run(begun, 8)
    again, _ = donated.run(begun, 8)
    equal(state, again)
    assert begun.memory.ring.observation.is_deleted()
    assert donated.memory().copies == kept.memory().copies - 1 == 2


def test_threads_are_left_inside_a_program_of_the_users_own(threaded):
    population = threaded(4, chunk=2)
    begun = population.init(jax.random.key(0))
    state, _ = population.run(begun, 8)
    inside, _ = jax.jit(lambda state: population.run(state, 8))(begun)
    closed_over, _ = jax.jit(lambda: population.run(begun, 8))()
    for other in (inside, closed_over):
        jax.tree.map(
            lambda a, b: assert_allclose(a, b, atol=1e-5), state.learner.params, other.learner.params
        )


def test_threads_are_left_where_their_shares_do_not_fit(threaded, monkeypatch):
    use = threaded(4, chunk=2).memory()
    assert use.copies == 3
    room = use.total - use.agents * use.agent // 2
    monkeypatch.setattr("jaxq.engine.population.memory_limit", lambda mesh: room)
    population = threaded(4, chunk=2)
    assert population.memory().copies == 2
    assert population._spread.workers == 1
    population.run(population.init(jax.random.key(0)), 8)


def test_every_core_has_agents_of_its_own_before_a_chunk_has_several(trainer):
    cores = num_cores()
    chunks = {size: jaxq.Population(trainer, size).chunk for size in (1, cores, 2 * cores, 9 * cores)}
    assert list(chunks.values()) == [1, 1, 2, 4]


@pytest.mark.optimized
def test_a_chunk_reproduces_an_agent_of_a_larger_population(optimized):
    large, small = jaxq.Population(optimized, 16), jaxq.Population(optimized, 1, chunk=4)
    keys = jax.random.split(jax.random.key(0), 16)
    many, _ = large.run(large.init(keys), 100)
    one, _ = small.run(small.init(keys[7:8]), 100)
    jax.tree.map(lambda a, b: assert_array_equal(a[7], b[0]), many.learner, one.learner)


def test_populations_of_a_trainer_share_their_programs(trainer, monkeypatch):
    """Another one of as many chunks for each worker compiles nothing."""
    first = jaxq.Population(trainer, 2, chunk=2)
    state, _ = first.run(first.init(jax.random.key(0)), 8)
    first.evaluate(state, jax.random.key(1), num_episodes=2)

    def fail(*_):
        raise AssertionError("traced again")

    monkeypatch.setattr(trainer, "play_agent", fail)
    for name in ("init", "run"):
        monkeypatch.setattr(trainer.loop, name, fail)
    second = jaxq.Population(trainer, 1, chunk=2)
    state, _ = second.run(second.init(jax.random.key(0)), 8)
    second.evaluate(state, jax.random.key(1), num_episodes=2)
