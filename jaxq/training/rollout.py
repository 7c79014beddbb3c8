"""Acting: the environments of one agent stepped together, and their episodes counted."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxq.types import Environment, PyTree, Transition

Policy = Callable[[jax.Array, jax.Array, jax.Array], jax.Array]
"""Chooses actions `[E]` from a key, observations `[E, ...]` and the number of env steps so far."""


class Actors(NamedTuple):
    """The E environments of one agent, in the middle of their episodes.

    Attributes:
        env_state: Environment states, leaves `[E, ...]`.
        observation: Observations to act on next, `[E, ...]`.
        episode_return: Undiscounted rewards of the running episodes so far, `[E]`.
        episode_length: Steps of the running episodes so far, int32 `[E]`.
    """

    env_state: PyTree
    observation: jax.Array
    episode_return: jax.Array
    episode_length: jax.Array


class EpisodeTotals(NamedTuple):
    """Sums over the episodes that ended: their number, their returns and their lengths."""

    episodes: jax.Array
    episode_return: jax.Array
    episode_length: jax.Array


def start(env: Environment, env_params: PyTree, key: jax.Array, num_envs: int) -> Actors:
    """Begin an episode in each of E environments."""
    keys = jax.random.split(key, num_envs)
    env_state, observation = jax.vmap(env.reset, in_axes=(0, None))(keys, env_params)
    zeros = jnp.zeros(num_envs)
    return Actors(env_state, observation, zeros, zeros.astype(jnp.int32))


def rollout(
    env: Environment,
    env_params: PyTree,
    policy: Policy,
    actors: Actors,
    key: jax.Array,
    steps: jax.Array,
    length: int,
) -> tuple[Actors, Transition, EpisodeTotals]:
    """Step E environments T times.

    Args:
        env: The environment.
        env_params: Its parameters.
        policy: Chooses the actions.
        actors: The environments as they are.
        key: PRNG key.
        steps: Env steps of the agent so far, int32 `[]`.
        length: Number of steps T of each environment.

    Returns:
        The environments after T steps, what happened, leaves `[T, E, ...]`, and the totals of the
        episodes that ended on the way.
    """
    num_envs = actors.episode_length.shape[0]

    def step(actors: Actors, inputs: tuple) -> tuple[Actors, tuple[Transition, EpisodeTotals]]:
        number, key = inputs
        keys = jax.random.split(key, num_envs + 1)
        action = policy(keys[0], actors.observation, steps + number * num_envs)
        env_state, timestep = jax.vmap(env.step, in_axes=(0, 0, 0, None))(
            keys[1:], actors.env_state, action, env_params
        )
        transition = Transition(
            actors.observation,
            action,
            timestep.reward,
            timestep.terminated,
            timestep.truncated,
            timestep.final_observation,
        )
        ended = timestep.terminated | timestep.truncated
        episode_return = actors.episode_return + timestep.reward
        episode_length = actors.episode_length + 1
        totals = EpisodeTotals(
            ended.sum(),
            jnp.sum(ended * episode_return),
            jnp.sum(ended * episode_length).astype(jnp.float32),
        )
        actors = Actors(
            env_state,
            timestep.observation,
            jnp.where(ended, 0, episode_return),
            jnp.where(ended, 0, episode_length),
        )
        return actors, (transition, totals)

    numbers = jnp.arange(length, dtype=jnp.int32)
    inputs = numbers, jax.random.split(key, length)
    actors, (transitions, totals) = jax.lax.scan(step, actors, inputs)
    return actors, transitions, jax.tree.map(lambda x: x.sum(axis=0), totals)
