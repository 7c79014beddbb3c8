"""Evaluation: whole episodes, played greedily."""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from jaxq.types import Environment, PyTree


def greedy_returns(
    env: Environment,
    env_params: PyTree,
    values: Callable[[jax.Array, PyTree], tuple[jax.Array, PyTree]],
    receive: Callable[[PyTree, jax.Array, jax.Array], PyTree],
    carry: PyTree,
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
        values: Maps observations `[M, ...]` and a carry to action values `[M, A]` and the next carry.
        receive: Notes actions and rewards, `[M]`, in the carry that `values` returned.
        carry: The carry of M episodes that begin.
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

    def unfinished(game: tuple) -> jax.Array:
        return (game[0] < max_steps) & ~game[-1].all()

    def step(game: tuple) -> tuple:
        time, env_state, observation, carry, returns, ended = game
        keys = jax.random.split(jax.random.fold_in(step_key, time), num_episodes)
        q, carry = values(observation, carry)
        action = jnp.argmax(q, axis=-1).astype(jnp.int32)
        env_state, timestep = jax.vmap(env.step, in_axes=(0, 0, 0, None))(
            keys, env_state, action, env_params
        )
        carry = receive(carry, action, timestep.reward)
        returns = returns + jnp.where(ended, 0, timestep.reward)
        ended = ended | timestep.terminated | timestep.truncated
        return time + 1, env_state, timestep.observation, carry, returns, ended

    returns, ended = jnp.zeros(num_episodes), jnp.zeros(num_episodes, bool)
    game = jnp.int32(0), env_state, observation, carry, returns, ended
    *_, returns, ended = jax.lax.while_loop(unfinished, step, game)
    return jnp.where(ended, returns, jnp.nan)
