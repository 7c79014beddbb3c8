"""Settings of JAX that belong to the program around jaxq change no number."""

import contextlib

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from numpy.testing import assert_array_equal
from test_contract import same
from worlds import Cue

import jaxq
from jaxq.learning import exponential_schedule, linear_schedule
from jaxq.networks import Head, ImplicitQuantileNetwork, QNetwork, RecurrentQNetwork, Torso
from jaxq.replay import PrioritizedReplay
from jaxq.types import ObservationSpec, Transition


@contextlib.contextmanager
def settings():
    """Set what programs around jaxq are known to set: types of 64 bits, and strict promotion."""
    with jax.enable_x64(True), jax.numpy_dtype_promotion("strict"):
        yield


class Mixed(nn.Module):
    """A network that mixes types, as strict promotion does not allow."""

    @nn.compact
    def __call__(self, observation):
        return nn.Dense(2)(observation * jnp.arange(1, 2)[None]) + jnp.int32(1)


class Wide(Cue):
    """A world whose rewards are numbers of 64 bits, where there are any."""

    def __init__(self):
        super().__init__()
        self.rewards = jnp.array([-1.0, 1.0])

    def reward(self, state, action, params):
        return self.rewards[(action == state.cue).astype(int)] * params.reward


def sgd(hparams):
    return optax.chain(optax.scale(-1), optax.scale_by_schedule(lambda count: count * jnp.float32(1e-3)))


def trained(small):
    """Do all that an agent can do."""
    env = jaxq.envs.from_gymnax(Wide())
    trainer = jaxq.Trainer(env, jaxq.dqn(**small(network=Mixed(), optimizer=sgd)))
    state = trainer.init(jax.random.key(0))
    state, metrics = trainer.run(state, 40)
    returns = trainer.evaluate(state, jax.random.key(1), num_episodes=3)
    return state, metrics, returns, trainer.q_values(state, np.ones((2, 1)))


@pytest.fixture(scope="module")
def expected(small):
    return trained(small)


def types(tree):
    return [leaf.dtype for leaf in jax.tree.leaves(tree)]


def test_an_agent_is_the_same(small, expected):
    with settings():
        found = trained(small)
    same(found, expected)
    assert types(found) == types(expected)


def test_an_agent_is_the_same_inside_programs_of_others():
    trainer = jaxq.Trainer(jaxq.envs.make("FrozenLake-v1"), jaxq.q_learning())

    def agent(key, num_steps):
        return trainer.run(trainer.init(key), num_steps)

    keys = jax.random.split(jax.random.key(0), 2)
    expected = jax.jit(jax.vmap(agent, in_axes=(0, None)))(keys, 20)
    with settings():
        found = jax.jit(jax.vmap(agent, in_axes=(0, None)))(keys, jnp.asarray(20))
    same(found, expected)


@pytest.mark.parametrize("id", ["FrozenLake-misc", "FrozenLake-v1"])
def test_an_environment_is_the_same(id):
    def play():
        env = jaxq.envs.make(id)
        state, _ = env.reset(jax.random.key(0), env.params)
        return env.params, env.step(jax.random.key(1), state, jnp.int32(1), env.params)

    expected = jax.jit(play)()
    with settings():
        found = jax.jit(play)()
    same(found, expected)
    assert types(found) == types(expected)


def test_a_population_in_rounds_is_the_same(tmp_path):
    def rounds(trainer):
        hparams = jaxq.grid(trainer.hparams, learning_rate=[0.1, 0.5], seeds=2)
        population = jaxq.Population(trainer, size=4)
        state = population.init(jax.random.key(0), hparams.replace(discount=np.full(4, 0.9)))
        state, metrics = population.run(state, 20)
        scores = metrics.episode_return
        state = jaxq.pbt(jax.random.key(1), state, scores, vary=["learning_rate", "discount"])
        return population.run(state, 20)

    trainer = jaxq.Trainer(jaxq.envs.make("FrozenLake-v1"), jaxq.q_learning())
    expected = rounds(trainer)
    with settings():
        same(rounds(trainer), expected)


def test_an_experiment_is_the_same(tmp_path):
    config = jaxq.configure("FrozenLake-v1", "q_learning", agents=2, steps=40, segments=2)
    expected = jaxq.Experiment(config, tmp_path / "plain").run()
    with settings():
        assert_array_equal(jaxq.Experiment(config, tmp_path / "set").run(), expected)


def test_the_settings_are_as_before_behind_a_call():
    with settings():
        jaxq.envs.make("FrozenLake-v1")
        with pytest.raises(jaxq.checks.InputValueError):
            jaxq.envs.make("CartPole")
        assert jax.config.jax_enable_x64
        assert jax.config.jax_numpy_dtype_promotion == "strict"


SPECS = [
    ObservationSpec((4,), jnp.dtype("float32")),
    ObservationSpec((5, 5, 2), jnp.dtype("bool")),
    ObservationSpec((), jnp.dtype("int32"), 7),
]


@pytest.mark.parametrize("spec", SPECS, ids=["numbers", "boards", "states"])
def test_networks_compute_in_float32(spec):
    torso = Torso(spec, (8,), layer_norm=True, noisy=True)
    made = [QNetwork(torso, Head(2, 5, dueling=True, noisy=True)), RecurrentQNetwork(torso, Head(2), 4)]
    made += [ImplicitQuantileNetwork(torso, Head(2), 4)]
    keys = {"params": jax.random.key(0), "noise": jax.random.key(1), "quantiles": jax.random.key(2)}
    observation = jnp.zeros((3, *spec.shape), spec.dtype)
    for network in made:
        with settings():
            carry = [network.initial_carry(3)] if hasattr(network, "initial_carry") else []
            found = jax.eval_shape(network.init_with_output, keys, *carry, observation)
        assert {str(dtype) for dtype in types(found)} == {"float32"}


def test_a_replay_gives_the_same_sample():
    replay = PrioritizedReplay(SPECS[0], num_rows=4, num_envs=2, batch_size=3, n_step=2)
    rows = Transition(
        observation=np.ones((4, 2, 4), np.float32),
        action=np.ones((4, 2), np.int32),
        reward=np.ones((4, 2), np.float32),
        terminated=np.zeros((4, 2), bool),
        truncated=np.zeros((4, 2), bool),
        next_observation=np.ones((4, 2, 4), np.float32),
    )

    def drawn():
        memory = replay.add(replay.init(), rows, jnp.int32(0))
        numbers = {"discount": 0.9, "priority_exponent": 0.5, "importance": 1}
        hparams = jaxq.Hparams(**{name: jnp.float32(number) for name, number in numbers.items()})
        sample = replay.sample(jax.random.key(0), memory, jnp.int32(4), hparams)
        return sample, replay.reprioritize(memory.priorities, sample, sample.reward[:, 0], hparams)

    expected = jax.jit(drawn)()
    with settings():
        found = jax.jit(drawn)()
    same(found, expected)
    assert types(found) == types(expected)


def test_schedules_take_steps_and_lengths_of_any_type():
    with settings():
        for schedule in (linear_schedule, exponential_schedule):
            value = schedule(jnp.int32(1), jnp.float32(1), jnp.float32(0.25), jnp.float32(2))
            assert value.dtype == jnp.float32
            assert 0.4 < value < 0.7
