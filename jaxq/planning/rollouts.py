"""Rollouts: the greedy policy played on from a state of the environment, as one pure function."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxq.agents.protocol import PolicyInput, next_input
from jaxq.kernels.threefry import unrolled_threefry
from jaxq.types import PyTree


class Ends(NamedTuple):
    """How rollouts ended, leaves `[n]`.

    Attributes:
        recovered: Whether they ended well, bool `[n]`.
        reward: Sum of rewards, `[n]`.
        cost: Sums of costs, `[n, K]`; `()` where there are none.
    """

    recovered: jax.Array
    reward: jax.Array
    cost: PyTree


class Steps(NamedTuple):
    """The steps of rollouts, summed over those that were still going on.

    Attributes:
        actions: How often each action was taken, `[H, A]`.
        reward: Sum of the rewards of a step, `[H]`.
        total_reward: Sum of the rewards up to a step, over all rollouts, `[H]`.
    """

    actions: jax.Array
    reward: jax.Array
    total_reward: jax.Array


class _Game(NamedTuple):
    """A rollout: the environment, what the policy sees, and what was added up while it went on."""

    env_state: PyTree
    inputs: PolicyInput
    going_on: jax.Array
    recovered: jax.Array
    reward: jax.Array
    cost: PyTree


def rollouts(
    env: Any,
    agent: Any,
    learner: PyTree,
    env_params: PyTree,
    env_state: PyTree,
    inputs: PolicyInput,
    actions: jax.Array,
    key: jax.Array,
    horizon: int,
    samples: int,
    recovered: Callable | None,
) -> tuple[Ends, Steps]:
    """Play episodes on from a state: one action, and behind it the greedy policy.

    Args:
        env: The environment.
        agent: The agent.
        learner: What it has learned.
        env_params: Parameters of the environment.
        env_state: The state to begin in.
        inputs: What the policy sees in it, of one environment.
        actions: The actions to begin with, int32 `[F]`; each is tried with the same chances.
        key: PRNG key.
        horizon: Steps H.
        samples: Rollouts n of each action.
        recovered: Whether a step ended an episode well, out of a `TimeStep`; `None` if nobody knows.

    Returns:
        How they ended, leaves `[F, n, ...]`, and their steps, leaves `[F, H, ...]`.
    """

    def step(game: _Game, key: jax.Array, forced: jax.Array) -> tuple[_Game, Steps]:
        output = agent.policy(learner, game.inputs)
        output = output._replace(action=jnp.where(forced >= 0, forced, output.action))
        env_state, timestep = env.step(key, game.env_state, output.action[0], env_params)
        well = jnp.zeros((), bool) if recovered is None else recovered(timestep)
        cost = jax.tree.map(
            lambda total, more: total + game.going_on * more, game.cost, getattr(timestep, "cost", ())
        )
        one = jax.tree.map(lambda leaf: leaf[None], timestep)
        reward = game.going_on * timestep.reward
        after = _Game(
            env_state,
            next_input(game.inputs, output, one),
            game.going_on & ~(timestep.terminated | timestep.truncated),
            game.recovered | (game.going_on & well),
            game.reward + reward,
            cost,
        )
        taken = game.going_on * jax.nn.one_hot(output.action[0], env.num_actions)
        return after, Steps(taken, reward, after.reward)

    def from_action(first: jax.Array) -> tuple[Ends, Steps]:
        def all_step(games: _Game, time: jax.Array) -> tuple[_Game, Steps]:
            keys = jax.random.split(jax.random.fold_in(unrolled_threefry(key), time), samples)
            forced = jnp.where(time == 0, first, -1)
            games, rows = jax.vmap(step, in_axes=(0, 0, None))(games, keys, forced)
            return games, jax.tree.map(lambda leaf: leaf.sum(axis=0), rows)

        yes, no, zero = jnp.ones((), bool), jnp.zeros((), bool), jnp.zeros(())
        names = getattr(env, "cost_names", ())
        cost = jnp.zeros(len(names)) if names else ()
        begin = _Game(env_state, inputs, yes, no, zero, cost)
        games = jax.tree.map(lambda leaf: jnp.broadcast_to(leaf[None], (samples, *leaf.shape)), begin)
        games, rows = jax.lax.scan(all_step, games, jnp.arange(horizon))
        return Ends(games.recovered, games.reward, games.cost), rows

    return jax.lax.map(from_action, actions)
