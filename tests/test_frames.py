"""Frame stacking: which observations are shown, across the ends of episodes."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_array_equal
from worlds import Countdown, TwoSteps

import jaxq


def stacked(world, frames, **params):
    env = jaxq.envs.from_gymnax(world, world.default_params.replace(**params))
    return jaxq.envs.stack_frames(env, frames)


def play(env, num_steps):
    def step(state, key):
        state, timestep = env.step(key, state, jnp.int32(0), env.params)
        return state, timestep

    state, observation = env.reset(jax.random.key(0), env.params)
    return observation, jax.lax.scan(step, state, jax.random.split(jax.random.key(1), num_steps))[1]


def test_the_newest_comes_last_and_an_episode_begins_with_its_first():
    # TwoSteps shows the time, 0 and 1, and terminates at 2.
    first, timestep = play(stacked(TwoSteps(), 3), 3)
    assert_array_equal(first, [0, 0, 0])
    assert_array_equal(timestep.observation, [[0, 0, 1], [0, 0, 0], [0, 0, 1]])
    assert_array_equal(timestep.final_observation, [[0, 0, 1], [0, 1, 2], [0, 0, 1]])
    assert_array_equal(timestep.terminated, [False, True, False])


def test_a_truncated_episode_is_not_carried_on():
    env = stacked(Countdown(), 2, max_steps_in_episode=2)
    first, timestep = play(env, 2)
    hot = np.eye(5)
    assert env.observation_spec.shape == (10,)
    assert_array_equal(first, [*hot[0], *hot[0]])
    assert_array_equal(timestep.final_observation[1], [*hot[1], *hot[2]])
    assert_array_equal(timestep.observation[1], [*hot[0], *hot[0]])


def test_pictures_are_joined_on_their_channels():
    with jax.numpy_rank_promotion("allow"):
        env = jaxq.envs.stack_frames(jaxq.envs.make("Breakout-MinAtar"), 2)
        state, observation = env.reset(jax.random.key(0), env.params)
        _, timestep = env.step(jax.random.key(1), state, jnp.int32(1), env.params)
    assert observation.shape == env.observation_spec.shape == (10, 10, 8)
    assert observation.dtype == env.observation_spec.dtype == bool
    assert_array_equal(timestep.observation[..., :4], observation[..., 4:])


def test_a_trainer_takes_it():
    env = stacked(TwoSteps(), 2)
    trainer = jaxq.Trainer(env, jaxq.dqn(hidden_sizes=(8,), num_envs=2, learning_starts=20))
    assert trainer.q_values(trainer.init(jax.random.key(0)), jnp.zeros(2)).shape == (2,)
    assert repr(env) == "TwoSteps(2 actions, observation float32[1]), 2 frames"


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: jaxq.envs.stack_frames("CartPole-v1"), "expected an environment of jaxq's"),
        (lambda: jaxq.envs.stack_frames(jaxq.envs.make("Cliff-grid")), "single numbers"),
        (lambda: stacked(TwoSteps(), 0), "num_frames must be at least 1"),
    ],
)
def test_mistakes_are_one_line(call, message):
    with pytest.raises(jaxq.InputError, match=message):
        call()
