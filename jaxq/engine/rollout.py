"""Acting: the environments of one agent stepped together, and their episodes counted."""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxq.agents.protocol import Agent, PolicyInput
from jaxq.hparams import Hparams
from jaxq.types import Environment, PyTree, TimeStep, Transition, cost_shape


class RolloutState(NamedTuple):
    """The E environments of one agent, in the middle of their episodes.

    Attributes:
        env_state: Environment states, leaves `[E, ...]`.
        observation: Observations to act on next, `[E, ...]`.
        episode_return: Undiscounted rewards of the running episodes so far, `[E]`.
        episode_length: Steps of the running episodes so far, int32 `[E]`.
        max_abs_reward: Largest absolute reward of any step so far, `[E]`.
        previous_action: Actions of the last step, int32 `[E]`; -1 where an episode begins.
        previous_reward: Their rewards, `[E]`; 0 where an episode begins.
        carry: What the policy carries from step to step.
        episode_cost: Costs of the running episodes so far, `[E, K]`; `()` where there are none.
    """

    env_state: PyTree
    observation: jax.Array
    episode_return: jax.Array
    episode_length: jax.Array
    max_abs_reward: jax.Array
    previous_action: jax.Array
    previous_reward: jax.Array
    carry: PyTree
    episode_cost: PyTree = ()


class EpisodeTotals(NamedTuple):
    """Sums over the episodes that ended: their number, returns, lengths, and costs `[K]` if any.

    Number and lengths are int32: no more than the env steps of an agent, which are counted in 32 bits.
    """

    episodes: jax.Array
    episode_return: jax.Array
    episode_length: jax.Array
    episode_cost: PyTree = ()


def start(env: Environment, env_params: PyTree, agent: Agent, key: jax.Array) -> RolloutState:
    """Begin an episode in each of an agent's E environments."""
    num_envs = agent.num_envs
    keys = jax.random.split(key, num_envs)
    env_state, observation = jax.vmap(env.reset, in_axes=(0, None))(keys, env_params)
    zeros = jnp.zeros(num_envs)
    lengths = zeros.astype(jnp.int32)
    no_action = jnp.full(num_envs, -1, jnp.int32)
    carry = agent.initial_carry(num_envs)
    cost = jax.tree.map(lambda leaf: jnp.zeros((num_envs, *leaf.shape)), cost_shape(env))
    return RolloutState(
        env_state, observation, zeros, lengths, zeros, no_action, jnp.zeros(num_envs), carry, cost
    )


class RolloutContext(NamedTuple):
    """What stays the same during a rollout.

    Attributes:
        env: The environment.
        env_params: Its parameters.
        agent: The agent that acts.
        learner: What it has learned.
        hparams: Its hyperparameters.
    """

    env: Environment
    env_params: PyTree
    agent: Agent
    learner: PyTree
    hparams: Hparams


def rollout(
    context: RolloutContext, state: RolloutState, keys: jax.Array, steps: jax.Array
) -> tuple[RolloutState, Transition, EpisodeTotals]:
    """Step E environments T times.

    Args:
        context: What stays the same.
        state: The environments as they are.
        keys: PRNG keys, for each step one to act and one for each environment, `[T, 1 + E]`.
        steps: Env steps of the agent so far, int32 `[]`.

    Returns:
        The environments after T steps, what happened, leaves `[T, E, ...]`, and the totals of the
        episodes that ended on the way.
    """
    num_envs = state.episode_length.shape[0]

    def step(state: RolloutState, inputs: tuple) -> tuple[RolloutState, tuple]:
        number, keys = inputs
        legal = jax.vmap(context.env.legal_actions, in_axes=(0, None))(
            state.env_state, context.env_params
        )
        given = policy_input(state, steps + number * num_envs, legal)
        output = context.agent.act(keys[0], context.learner, context.hparams, given)
        env_state, timestep = jax.vmap(context.env.step, in_axes=(0, 0, 0, None))(
            keys[1:], state.env_state, output.action, context.env_params
        )
        transition = Transition(
            state.observation,
            output.action,
            timestep.reward,
            timestep.terminated,
            timestep.truncated,
            timestep.final_observation,
            output.extras,
            legal,
            timestep.final_legal_actions,
            timestep.cost,
        )
        counted, totals = _count(state, timestep)
        ended = timestep.terminated | timestep.truncated
        after = counted._replace(
            env_state=env_state,
            observation=timestep.observation,
            previous_action=jnp.where(ended, -1, output.action),
            previous_reward=jnp.where(ended, 0, timestep.reward),
            carry=output.carry,
        )
        return after, (transition, totals)

    numbers = jnp.arange(keys.shape[0], dtype=jnp.int32)
    state, (transitions, totals) = jax.lax.scan(step, state, (numbers, keys))
    return state, transitions, jax.tree.map(lambda x: x.sum(axis=0), totals)


def policy_input(state: RolloutState, steps: jax.Array, legal_actions: PyTree) -> PolicyInput:
    """Return what a policy chooses by, after `steps` env steps of the agent, among legal actions."""
    return PolicyInput(
        state.observation,
        state.episode_length == 0,
        state.previous_action,
        state.previous_reward,
        state.carry,
        steps,
        legal_actions,
    )


def _count(state: RolloutState, timestep: TimeStep) -> tuple[RolloutState, EpisodeTotals]:
    """Add a step to the running episodes, and sum up those that it ended."""
    ended = timestep.terminated | timestep.truncated
    episode_return = state.episode_return + timestep.reward
    episode_length = state.episode_length + 1
    episode_cost = jax.tree.map(jnp.add, state.episode_cost, timestep.cost)
    totals = EpisodeTotals(
        ended.sum(dtype=jnp.int32),
        jnp.sum(ended * episode_return),
        jnp.sum(ended * episode_length),
        jax.tree.map(lambda cost: jnp.sum(ended[:, None] * cost, axis=0), episode_cost),
    )
    running = state._replace(
        episode_return=jnp.where(ended, 0, episode_return),
        episode_length=jnp.where(ended, 0, episode_length),
        episode_cost=jax.tree.map(lambda cost: jnp.where(ended[:, None], 0, cost), episode_cost),
        # One that is no number says nothing about how large the others may be.
        max_abs_reward=jnp.fmax(state.max_abs_reward, jnp.abs(timestep.reward)),
    )
    return running, totals
