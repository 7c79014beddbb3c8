"""Evaluation: whole episodes, played greedily."""

import jax
import jax.numpy as jnp

from jaxq.agents.protocol import Agent, first_input, next_input
from jaxq.types import Environment, PyTree


def greedy_returns(
    env: Environment,
    env_params: PyTree,
    agent: Agent,
    learner: PyTree,
    key: jax.Array,
    num_episodes: int,
    max_steps: int,
) -> jax.Array:
    """Play one episode to its end in each of several environments.

    One environment each: counting the first episodes to end in fewer environments would favour
    short ones.

    Args:
        env: The environment.
        env_params: Its parameters.
        agent: The agent.
        learner: What it has learned.
        key: PRNG key.
        num_episodes: Number of episodes M.
        max_steps: Steps after which an episode that does not end is given up.

    Returns:
        Undiscounted returns, float32 `[M]`; NaN for an episode that was given up.
    """
    reset_key, step_key = jax.random.split(key)
    env_state, observation = jax.vmap(env.reset, in_axes=(0, None))(
        jax.random.split(reset_key, num_episodes), env_params
    )

    legal = jax.vmap(env.legal_actions, in_axes=(0, None))(env_state, env_params)
    inputs = first_input(observation, agent.initial_carry(num_episodes), legal)

    def unfinished(game: tuple) -> jax.Array:
        return (game[0] < max_steps) & ~game[-1].all()

    def step(game: tuple) -> tuple:
        time, env_state, inputs, returns, ended = game
        keys = jax.random.split(jax.random.fold_in(step_key, time), num_episodes)
        output = agent.policy(learner, inputs)
        env_state, timestep = jax.vmap(env.step, in_axes=(0, 0, 0, None))(
            keys, env_state, output.action, env_params
        )
        returns = returns + jnp.where(ended, 0, timestep.reward)
        ended = ended | timestep.terminated | timestep.truncated
        return time + 1, env_state, next_input(inputs, output, timestep), returns, ended

    returns, ended = jnp.zeros(num_episodes), jnp.zeros(num_episodes, bool)
    game = jnp.int32(0), env_state, inputs, returns, ended
    *_, returns, ended = jax.lax.while_loop(unfinished, step, game)
    return jnp.where(ended, returns, jnp.nan)
