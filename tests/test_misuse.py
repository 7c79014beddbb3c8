"""What the Python functions say to arguments that cannot be used, before JAX says anything."""

import copy
import pickle

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from gymnax.environments import spaces
from jax.sharding import Mesh
from test_contract import same
from worlds import Cue

import jaxq
from jaxq.checks import InputError

KEY = jax.random.key(0)


@pytest.fixture(scope="module")
def population():
    return jaxq.Population(jaxq.Trainer(jaxq.envs.make("FrozenLake-v1"), jaxq.q_learning()), size=2)


@pytest.fixture(scope="module")
def state(population):
    return population.init(KEY)


@pytest.fixture(scope="module")
def agent(population, state):
    return population.agent(state, 0)


def test_an_observation_is_checked(population, agent):
    q_values = population.trainer.q_values
    assert q_values(agent, np.zeros((0,), int)).shape == (0, 4)
    assert q_values(agent, np.zeros((2, 0), np.int32)).shape == (2, 0, 4)
    assert q_values(agent, [0.0, 15.0]).shape == (2, 4)
    for wrong in (16, -1, 1.5, np.nan, 2**40, 1j, "a", None, np.array([None]), [[0], [1, 2]]):
        with pytest.raises(InputError, match="observation must be"):
            q_values(agent, wrong)


def test_steps_may_be_an_array_without_axes(population, agent):
    for steps in (jnp.int32(3), np.array(3), np.int64(3)):
        assert population.trainer.run(agent, steps)[0].steps == 3
    for wrong in (jnp.zeros(2), jnp.float32(1.5), jnp.bool_(True), None):
        with pytest.raises(InputError, match="num_steps must be"):
            population.trainer.run(agent, wrong)
    with pytest.raises(InputError, match="one whole number"):
        jax.jit(population.trainer.run)(agent, 1.5)


SCORES = np.zeros(2)
CALLS = {
    "state must be a population's": lambda p, s: jaxq.pbt(KEY, None, SCORES, vary=["discount"]),
    "vary must be names": lambda p, s: jaxq.pbt(KEY, s, SCORES, vary="discount"),
    "scores must be numbers": lambda p, s: jaxq.pbt(KEY, s, "ab", vary=["discount"]),
    "fraction must be one": lambda p, s: jaxq.pbt(KEY, s, SCORES, vary=[], fraction=np.ones(2) / 4),
    "factor must be": lambda p, s: jaxq.pbt(KEY, s, SCORES, vary=[], factor="2"),
    "hparams must be": lambda p, s: jaxq.grid(None),
    "learning_rate must be": lambda p, s: jaxq.grid(p.trainer.hparams, learning_rate=["1"]),
    "chunks must hold": lambda p, s: jaxq.tune(p, chunks=5),
    "seconds must be one": lambda p, s: jaxq.tune(p, seconds=[1, 2]),
    "config must come from": lambda p, s: jaxq.Experiment("x", "run"),
    "directory must be a path, got None": lambda p, s: jaxq.Experiment(
        jaxq.configure("FrozenLake-v1", "q_learning", agents=1, steps=9), None
    ),
    "directory must be a path, got 3": lambda p, s: jaxq.Experiment.resume(3),
    "directory must be a path, got 4": lambda p, s: jaxq.Sweep({}, 4),
}


@pytest.mark.parametrize("message", CALLS)
def test_a_call_that_cannot_be_is_an_input_error(message, population, state, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=message):
        CALLS[message](population, state)
    assert not list(tmp_path.iterdir())


class Complex(Cue):
    def see(self, state):
        return state.cue.astype(jnp.complex64)[None]


class Objects(Cue):
    def see(self, state):
        return np.array([None])


class NoInfo(Cue):
    def step_env(self, *arguments):
        return (*super().step_env(*arguments)[:4], None)


class NoInfoAtAll(Cue):
    def step(self, *arguments):
        return (*super().step(*arguments)[:5], None)


class OtherObservation(Cue):
    def step_env(self, *arguments):
        return (jnp.zeros(3), *super().step_env(*arguments)[1:])


class OtherState(Cue):
    def step_env(self, *arguments):
        observation, state, *others = super().step_env(*arguments)
        return observation, state.replace(cue=jnp.zeros(2)), *others


class TwoRewards(Cue):
    def reward(self, *_):
        return jnp.ones(2)


class Alone(Cue):
    def reset(self, *arguments):
        return super().reset(*arguments)[0]


class Negative(Cue):
    def action_space(self, params=None):
        space = spaces.Discrete(2)
        space.n = -3
        return space


WORLDS = {
    Complex: "must be numbers or truth values, got complex64",
    Objects: "reset or step failed",
    NoInfo: "reset or step failed",
    NoInfoAtAll: "info must hold 'final_observation'",
    OtherObservation: "reset or step failed: select cases must have the same shapes",
    OtherState: "reset or step failed: select cases must have the same shapes",
    TwoRewards: "must be single numbers",
    Alone: "reset or step failed: not enough values",
    Negative: "number of actions must be a whole number of at least 1, got -3",
}


@pytest.mark.parametrize("world", WORLDS, ids=lambda world: world.__name__)
def test_an_environment_that_does_not_fit_is_an_input_error(world):
    with pytest.raises(InputError, match=WORLDS[world]):
        jaxq.envs.from_gymnax(world())


@pytest.mark.parametrize("dtype", ["float99", "complex64", object])
def test_an_observation_type_is_one_of_numbers(dtype):
    with pytest.raises(InputError, match="observation_dtype must be"):
        jaxq.envs.from_gymnax(Cue(), observation_dtype=dtype)


class OfOneSize(nn.Module):
    """A network for batches of one size."""

    size: int

    @nn.compact
    def __call__(self, observation):
        return nn.Dense(2)(observation.reshape(self.size, 1))


@pytest.mark.parametrize("size", [1, 4, 16])
def test_a_network_takes_batches_of_any_size(size, small):
    with pytest.raises(InputError, match="for batches of any size"):
        jaxq.Trainer(jaxq.envs.from_gymnax(Cue()), jaxq.dqn(**small(network=OfOneSize(size))))


def grows(hparams):
    return optax.GradientTransformation(lambda params: (), lambda update, *_: (update, (1,)))


OPTIMIZERS = {
    "missing 3 required keyword": lambda hparams: optax.lbfgs(hparams.learning_rate),
    "other shapes, types or parts": grows,
    "no attribute 'init'": lambda hparams: None,
    "takes 0 positional arguments": lambda: optax.sgd(0.1),
}


@pytest.mark.parametrize("message", OPTIMIZERS)
def test_an_optimizer_takes_gradients_and_weights_alone(message, small):
    with pytest.raises(InputError, match=f"the optimizer must take.*{message}"):
        jaxq.Trainer(jaxq.envs.from_gymnax(Cue()), jaxq.dqn(**small(optimizer=OPTIMIZERS[message])))


def pickled(value):
    return pickle.loads(pickle.dumps(value))


@pytest.mark.parametrize("duplicate", [copy.copy, copy.deepcopy, pickled])
def test_populations_and_trainers_can_be_copied(duplicate, population, state):
    again = duplicate(population)
    assert again is not population
    same(again.run(state, 20), population.run(state, 20))
    assert duplicate(population.trainer).algorithm == population.trainer.algorithm


class OfAnySize(nn.Module):
    @nn.compact
    def __call__(self, observation):
        return nn.Dense(2)(observation)


def sgd(hparams):
    return optax.sgd(hparams.learning_rate)


def test_a_trainer_on_an_environment_of_ones_own_can_be_pickled(small):
    algorithm = jaxq.dqn(**small(network=OfAnySize(), optimizer=sgd))
    trainer = jaxq.Trainer(jaxq.envs.from_gymnax(Cue(), name="mine"), algorithm)
    again = pickled(trainer)
    assert again.env.name == "mine"
    assert again.algorithm == algorithm
    assert jax.tree.map(jnp.shape, again.template) == jax.tree.map(jnp.shape, trainer.template)


def test_a_mesh_is_pickled_by_the_numbers_of_its_devices(population):
    mesh = Mesh(np.array(jax.devices()[:1]), ("agents",))
    assert pickled(jaxq.Population(population.trainer, size=2, mesh=mesh)).mesh == mesh
