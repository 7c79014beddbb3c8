"""Evaluation: whole episodes, played greedily."""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxq.agents.protocol import Agent, first_input, next_input
from jaxq.types import Environment, PyTree, TimeStep, cost_shape


class EpisodeOutcomes(NamedTuple):
    """What whole episodes came to, leaves `[M]` for M episodes, or `[N, M]` of a population.

    Attributes:
        returns: Undiscounted returns, float32 `[M]`; NaN for an episode that was given up.
        costs: Undiscounted costs, float32 `[M, K]` in order of the environment's `cost_names`; NaN
            likewise. K is 0 where there are none.
        lengths: Steps that were played, int32 `[M]`.
    """

    returns: jax.Array
    costs: PyTree = ()
    lengths: PyTree = ()


def greedy_episodes(
    env: Environment,
    env_params: PyTree,
    agent: Agent,
    learner: PyTree,
    key: jax.Array,
    num_episodes: int,
    max_steps: int,
    outcomes: bool,
) -> EpisodeOutcomes:
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
        outcomes: Whether costs and lengths are counted too.

    Returns:
        What the episodes came to, `()` for what is not counted.
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
        time, env_state, inputs, episodes, ended = game
        keys = jax.random.split(jax.random.fold_in(step_key, time), num_episodes)
        output = agent.policy(learner, inputs)
        env_state, timestep = jax.vmap(env.step, in_axes=(0, 0, 0, None))(
            keys, env_state, output.action, env_params
        )
        episodes = _counted(episodes, timestep, ended)
        ended = ended | timestep.terminated | timestep.truncated
        return time + 1, env_state, next_input(inputs, output, timestep), episodes, ended

    episodes = blank_episodes(env, (num_episodes,), outcomes)
    ended = jnp.zeros(num_episodes, bool)
    game = jnp.int32(0), env_state, inputs, episodes, ended
    *_, episodes, ended = jax.lax.while_loop(unfinished, step, game)
    return episodes._replace(
        returns=jnp.where(ended, episodes.returns, jnp.nan),
        costs=jax.tree.map(lambda cost: jnp.where(ended[:, None], cost, jnp.nan), episodes.costs),
    )


def blank_episodes(env: Environment, shape: tuple[int, ...], outcomes: bool) -> EpisodeOutcomes:
    """Make zeros for so many episodes, `()` for what is not counted."""
    if not outcomes:
        return EpisodeOutcomes(jnp.zeros(shape))
    costs = jax.tree.map(lambda leaf: jnp.zeros(shape + leaf.shape), cost_shape(env))
    return EpisodeOutcomes(jnp.zeros(shape), costs, jnp.zeros(shape, jnp.int32))


def with_costs(episodes: EpisodeOutcomes) -> EpisodeOutcomes:
    """Give episodes of an environment without costs an array of none."""
    if jax.tree.leaves(episodes.costs):
        return episodes
    return episodes._replace(costs=jnp.zeros((*episodes.returns.shape, 0)))


def _counted(episodes: EpisodeOutcomes, timestep: TimeStep, ended: jax.Array) -> EpisodeOutcomes:
    """Add a step to the episodes that have not ended before it."""
    return EpisodeOutcomes(
        episodes.returns + jnp.where(ended, 0, timestep.reward),
        jax.tree.map(lambda total: total + jnp.where(ended[:, None], 0, timestep.cost), episodes.costs),
        jax.tree.map(lambda steps: steps + ~ended, episodes.lengths),
    )
