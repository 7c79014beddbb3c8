"""Acting: the environments of one agent stepped together, and their episodes counted."""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxq.engine.agent import Acting, Situation
from jaxq.hparams import Hparams
from jaxq.types import Environment, PyTree, TimeStep, Transition


class Actors(NamedTuple):
    """The E environments of one agent, in the middle of their episodes.

    Attributes:
        env_state: Environment states, leaves `[E, ...]`.
        observation: Observations to act on next, `[E, ...]`.
        episode_return: Undiscounted rewards of the running episodes so far, `[E]`.
        episode_length: Steps of the running episodes so far, int32 `[E]`.
        max_abs_reward: Largest absolute reward of any step so far, `[E]`.
        carry: What acting remembers from step to step.
    """

    env_state: PyTree
    observation: jax.Array
    episode_return: jax.Array
    episode_length: jax.Array
    max_abs_reward: jax.Array
    carry: PyTree


class EpisodeTotals(NamedTuple):
    """Sums over the episodes that ended: their number, their returns and their lengths.

    Number and lengths are int32: no more than the env steps of an agent, which are counted in 32 bits.
    """

    episodes: jax.Array
    episode_return: jax.Array
    episode_length: jax.Array


def start(env: Environment, env_params: PyTree, acting: Acting, key: jax.Array, num_envs: int) -> Actors:
    """Begin an episode in each of E environments."""
    keys = jax.random.split(key, num_envs)
    env_state, observation = jax.vmap(env.reset, in_axes=(0, None))(keys, env_params)
    zeros = jnp.zeros(num_envs)
    lengths = zeros.astype(jnp.int32)
    return Actors(env_state, observation, zeros, lengths, zeros, acting.start(num_envs))


class Actor(NamedTuple):
    """Who acts, and where.

    Attributes:
        env: The environment.
        env_params: Its parameters.
        acting: How actions are chosen.
        learner: What was learned so far.
        hparams: The agent's hyperparameters.
    """

    env: Environment
    env_params: PyTree
    acting: Acting
    learner: PyTree
    hparams: Hparams


def rollout(
    actor: Actor, actors: Actors, keys: jax.Array, steps: jax.Array
) -> tuple[Actors, Transition, EpisodeTotals]:
    """Step E environments T times.

    Args:
        actor: Who acts, and where.
        actors: The environments as they are.
        keys: PRNG keys, for each step one to act and one for each environment, `[T, 1 + E]`.
        steps: Env steps of the agent so far, int32 `[]`.

    Returns:
        The environments after T steps, what happened, leaves `[T, E, ...]`, and the totals of the
        episodes that ended on the way.
    """
    num_envs = actors.episode_length.shape[0]

    def step(actors: Actors, inputs: tuple) -> tuple[Actors, tuple[Transition, EpisodeTotals]]:
        number, keys = inputs
        begins = actors.episode_length == 0
        situation = Situation(actors.observation, begins, actors.carry, steps + number * num_envs)
        decision = actor.acting.act(keys[0], actor.learner, actor.hparams, situation)
        env_state, timestep = jax.vmap(actor.env.step, in_axes=(0, 0, 0, None))(
            keys[1:], actors.env_state, decision.action, actor.env_params
        )
        transition = Transition(
            actors.observation,
            decision.action,
            timestep.reward,
            timestep.terminated,
            timestep.truncated,
            timestep.final_observation,
            decision.extras,
        )
        counted, totals = _count(actors, timestep)
        carry = actor.acting.receive(decision.carry, decision.action, timestep.reward)
        after = counted._replace(env_state=env_state, observation=timestep.observation, carry=carry)
        return after, (transition, totals)

    numbers = jnp.arange(keys.shape[0], dtype=jnp.int32)
    actors, (transitions, totals) = jax.lax.scan(step, actors, (numbers, keys))
    return actors, transitions, jax.tree.map(lambda x: x.sum(axis=0), totals)


def _count(actors: Actors, timestep: TimeStep) -> tuple[Actors, EpisodeTotals]:
    """Add a step to the running episodes, and sum up those that it ended."""
    ended = timestep.terminated | timestep.truncated
    episode_return = actors.episode_return + timestep.reward
    episode_length = actors.episode_length + 1
    totals = EpisodeTotals(
        ended.sum(dtype=jnp.int32),
        jnp.sum(ended * episode_return),
        jnp.sum(ended * episode_length),
    )
    running = actors._replace(
        episode_return=jnp.where(ended, 0, episode_return),
        episode_length=jnp.where(ended, 0, episode_length),
        # One that is no number says nothing about how large the others may be.
        max_abs_reward=jnp.fmax(actors.max_abs_reward, jnp.abs(timestep.reward)),
    )
    return running, totals
