"""DQN with a table for a network is Q-learning, and must come to the Q* of value iteration."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from gymnax.environments import spaces
from numpy.testing import assert_allclose
from worlds import World

import jaxq

STATES, ACTIONS, GAMMA = 6, 3, 0.8


class RandomMDP(World):
    """A Markov decision process with random transitions and rewards; the time limit cuts it off."""

    num_actions = ACTIONS

    def __init__(self, seed):
        generator = np.random.default_rng(seed)
        self.transition = generator.dirichlet(np.full(STATES, 0.5), (STATES, ACTIONS))
        self.payoff = generator.normal(size=(STATES, ACTIONS))

    def observation_space(self, params):
        return spaces.Discrete(STATES)

    def see(self, state):
        return state.cue

    def reset_env(self, key, params):
        _, state = super().reset_env(key, params)
        state = state.replace(cue=jax.random.randint(key, (), 0, STATES))
        return self.see(state), state

    def step_env(self, key, state, action, params):
        reward = jnp.asarray(self.payoff, jnp.float32)[state.cue, action]
        logits = jnp.log(jnp.asarray(self.transition, jnp.float32))[state.cue, action]
        cue = jax.random.categorical(key, logits).astype(jnp.int32)
        state = state.replace(time=state.time + 1, cue=cue)
        return self.see(state), state, reward, jnp.zeros((), bool), {}


def value_iteration(world):
    q = np.zeros((STATES, ACTIONS))
    for _ in range(500):
        q = world.payoff + GAMMA * world.transition @ q.max(axis=1)
    return q


@pytest.mark.learning
@pytest.mark.optimized
@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("double", [False, True])
def test_a_table_comes_to_q_star(seed, double):
    world = RandomMDP(seed)
    env = jaxq.envs.from_gymnax(world, world.default_params.replace(max_steps_in_episode=20))
    recipe = jaxq.dqn(
        hidden_sizes=(),
        num_envs=8,
        buffer_size=40_000,
        batch_size=256,
        train_interval=8,
        target_interval=80,
        loss="squared",
        double=double,
        discount=GAMMA,
        learning_rate=0.02,
        learning_rate_steps=80_000,
        epsilon_end=1.0,
    )
    trainer = jaxq.Trainer(env, recipe)
    state = trainer.init(jax.random.key(seed))
    q_star, errors = value_iteration(world), []
    for _ in range(4):
        state, _ = trainer.run(state, 20_000)
        q = trainer.q_values(state, jnp.arange(STATES))
        errors.append(np.abs(q - q_star).max())
    assert errors[-1] < errors[0]
    # What 40,000 sampled transitions leave of doubt about 18 expectations.
    assert_allclose(q, q_star, atol=0.1)
