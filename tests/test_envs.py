import gymnax
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from gymnax.environments import environment, spaces
from numpy.testing import assert_allclose, assert_array_equal
from worlds import Endless, World

import jaxq

CONTINUOUS = {
    "Pendulum-v1",
    "MountainCarContinuous-v0",
    "PointRobot-misc",
    "Reacher-misc",
    "Swimmer-misc",
}
# MNISTBandit downloads its data, which a test must not depend on.
DISCRETE = [id for id in gymnax.registered_envs if id not in CONTINUOUS | {"MNISTBandit-bsuite"}]
STEPS = 40


def play(env, key, num_steps=STEPS, params=None):
    """Act at random, inside a scan, which only takes states whose types never change."""
    params = env.params if params is None else params

    def step(carry, key):
        state, observation = carry
        action_key, step_key = jax.random.split(key)
        action = jax.random.randint(action_key, (), 0, env.num_actions)
        state, timestep = env.step(step_key, state, action, params)
        return (state, timestep.observation), (observation, action, timestep)

    reset_key, key = jax.random.split(key)
    _, outputs = jax.jit(jax.lax.scan, static_argnums=0)(
        step, env.reset(reset_key, params), jax.random.split(key, num_steps)
    )
    return outputs


@pytest.mark.parametrize("id", DISCRETE)
@pytest.mark.filterwarnings("ignore")
def test_every_discrete_environment_steps_inside_a_scan(id):
    with jax.numpy_rank_promotion("allow"):
        env = jaxq.envs.make(id)
        observation, _, timestep = play(env, jax.random.key(0))
    spec = env.observation_spec
    for part in (observation, timestep.observation, timestep.final_observation):
        assert part.shape == (STEPS, *spec.shape)
        assert part.dtype == spec.dtype
        trainer = jaxq.Trainer(env, jaxq.dqn(**jaxq.preset(id).keywords))
        state = trainer.template
        assert jax.eval_shape(trainer.run_agent, state, jnp.int32(1))[0] == state
    assert timestep.reward.dtype == jnp.float32
    assert timestep.terminated.dtype == timestep.truncated.dtype == bool
    assert not (timestep.terminated & timestep.truncated).any()


@pytest.mark.parametrize("id", sorted(CONTINUOUS))
def test_continuous_actions_are_refused_by_name(id):
    with pytest.raises(ValueError, match=rf"{id} has continuous actions.*CartPole-v1.*FrozenLake"):
        jaxq.envs.make(id)


@pytest.mark.parametrize("id", [id for id in DISCRETE if id.endswith("MinAtar")])
def test_minatar_boards_lose_nothing_as_bool(id):
    with jax.numpy_rank_promotion("allow"):
        as_bool = jaxq.envs.make(id)
        as_float = jaxq.envs.from_gymnax(*gymnax.make(id))
        narrow, wide = (play(env, jax.random.key(1), 300)[0] for env in (as_bool, as_float))
    assert narrow.dtype == bool
    assert wide.dtype == jnp.float32
    assert_array_equal(narrow.astype(jnp.float32), wide)


def test_the_final_observation_is_from_before_the_reset(cartpole):
    observation, _action, timestep = play(cartpole, jax.random.key(0), 400)
    ended = np.asarray(timestep.terminated)
    assert ended.any()
    raw, params = gymnax.make("CartPole-v1")
    for t in np.flatnonzero(ended)[:5]:
        assert not raw.observation_space(params).contains(timestep.final_observation[t] * 2).all()
        assert abs(timestep.observation[t]).max() <= 0.05  # where CartPole starts
    going = np.flatnonzero(~ended[:-1])
    assert_array_equal(timestep.final_observation[going], observation[going + 1])


def test_the_time_limit_truncates():
    env = jaxq.envs.from_gymnax(Endless(), Endless().default_params.replace(max_steps_in_episode=5))
    _, _, timestep = play(env, jax.random.key(0), 12)
    assert not timestep.terminated.any()
    assert_array_equal(np.flatnonzero(timestep.truncated), [4, 9])


def test_reaching_the_goal_at_the_time_limit_is_termination():
    env = jaxq.envs.from_gymnax(World(), World().default_params.replace(max_steps_in_episode=1))
    _, _, timestep = play(env, jax.random.key(0), 3)
    assert timestep.terminated.all()
    assert not timestep.truncated.any()


def test_parameters_are_arrays_that_may_differ(cartpole):
    lengths = jnp.array([1, 3])
    params = jax.vmap(lambda n: cartpole.params.replace(max_steps_in_episode=n))(lengths)
    ended = jax.vmap(lambda params: play(cartpole, jax.random.key(0), 6, params)[2].truncated)(params)
    assert_array_equal(ended, [[1, 1, 1, 1, 1, 1], [0, 0, 1, 0, 0, 1]])


def test_keywords_reach_the_environment():
    env = jaxq.envs.make("FrozenLake-misc", map_name="8x8")
    assert env.observation_spec.num_categories == 64


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: jaxq.envs.make("CartPole-v2"), ValueError, "did you mean CartPole-v1"),
        (lambda: jaxq.envs.make("cartpole"), ValueError, "did you mean CartPole-v1"),
        (lambda: jaxq.envs.make(3), TypeError, "must be a name"),
        (lambda: jaxq.envs.make("CartPole-v1", gravity=1), TypeError, "does not take"),
        (lambda: jaxq.envs.make("FrozenLake-misc", map_name="9x9"), ValueError, "cannot be made"),
        (lambda: jaxq.envs.from_gymnax("CartPole-v1"), TypeError, r"jaxq.envs.make"),
        (lambda: jaxq.envs.from_gymnax(Hot()), ValueError, "continuous actions"),
        (lambda: jaxq.envs.from_gymnax(Old()), TypeError, "six values"),
        (lambda: jaxq.envs.from_gymnax(Pair()), TypeError, "must be one array"),
        (lambda: jaxq.envs.from_gymnax(Growing()), ValueError, "must have one shape"),
        (lambda: jaxq.envs.from_gymnax(Vector()), ValueError, "single numbers"),
    ],
)
def test_what_cannot_be_used_is_refused(call, error, message):
    with pytest.raises(error, match=message):
        call()


class Hot(World):
    def action_space(self, params=None):
        return spaces.Box(-1, 1, (1,))


class Old(World):
    def step(self, key, state, action, params):
        return super().step(key, state, action, params)[:5]


class Vector(World):
    def reward(self, state, action, params):
        return jnp.ones(1)


class Pair(World):
    def see(self, state):
        return {"a": jnp.zeros(1), "b": jnp.zeros(1)}


class Growing(World):
    def step(self, key, state, action, params=None):
        _, *rest = environment.Environment.step(self, key, state, action, params)
        return jnp.zeros(3), *rest


def test_the_listing_names_every_environment():
    with jax.numpy_rank_promotion("allow"):
        listing = jaxq.envs.listing()
    assert [info.id for info in listing] == list(gymnax.registered_envs)
    assert {info.id for info in listing if info.actions is None} == CONTINUOUS
    assert all(info.note for info in listing if info.actions is None)


def test_repr_says_what_it_is(cartpole):
    assert repr(cartpole) == "CartPole-v1(2 actions, observation float32[4])"
    assert_allclose(cartpole.params.gravity, 9.8, rtol=1e-6)
