"""Behaviour: the probabilities with which an agent that learns takes its actions."""

import jax
import jax.numpy as jnp

from jaxq.agents import Settings, TableSettings
from jaxq.hparams import Hparams
from jaxq.learning import (
    action_at,
    boltzmann_probabilities,
    epsilon_ladder,
    exponential_schedule,
    greedy_probabilities,
    linear_schedule,
    mix_uniform,
    ucb_values,
)


def epsilons(settings: Settings | TableSettings, hparams: Hparams, steps: jax.Array) -> jax.Array:
    """Return the probability of a random action in each environment, `[E]`."""
    start, end, length = hparams.epsilon_start, hparams.epsilon_end, hparams.epsilon_steps
    if settings.epsilon_schedule == "ladder":
        return epsilon_ladder(start, end, settings.num_envs)
    exponential = settings.epsilon_schedule == "exponential"
    schedule = exponential_schedule if exponential else linear_schedule
    return jnp.broadcast_to(schedule(steps, start, end, length), settings.num_envs)


def probabilities(
    settings: Settings | TableSettings,
    hparams: Hparams,
    steps: jax.Array,
    q: jax.Array,
    counts: jax.Array | None = None,
) -> jax.Array:
    """Return the probabilities of actions in each environment.

    Args:
        settings: Which exploration, and which schedule.
        hparams: Its numbers.
        steps: Env steps of the agent so far, int32 `[]`.
        q: Action values, `[E, A]`.
        counts: How often each action was taken here, `[E, A]`; only "ucb" uses it.

    Returns:
        Probabilities, `[E, A]`.
    """
    if settings.exploration == "boltzmann":
        temperature = linear_schedule(
            steps, hparams.temperature_start, hparams.temperature_end, hparams.temperature_steps
        )
        probs = jax.vmap(boltzmann_probabilities, in_axes=(0, None))(q, temperature)
    elif settings.exploration == "ucb":
        optimistic = jax.vmap(ucb_values, in_axes=(0, 0, None))(q, counts, hparams.count_bonus)
        probs = jax.vmap(greedy_probabilities)(optimistic)
    else:
        probs = jax.vmap(greedy_probabilities)(q)
    return jax.vmap(mix_uniform)(probs, epsilons(settings, hparams, steps))


def choose(key: jax.Array, probs: jax.Array) -> jax.Array:
    """Draw an action in each environment, int32 `[E]`, from probabilities `[E, A]`."""
    return jax.vmap(action_at)(jax.random.uniform(key, probs.shape[:1]), probs)
