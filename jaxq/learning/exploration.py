"""Exploration: how actions are chosen while learning, in one environment; callers vmap."""

import chex
import jax
import jax.numpy as jnp


def linear_schedule(
    step: jax.Array, start: jax.Array, end: jax.Array, num_steps: jax.Array
) -> jax.Array:
    """Go from `start` to `end` in a straight line over `num_steps`, and stay there.

    `start + min(step / num_steps, 1) * (end - start)`; with `num_steps = 0` it is `end` throughout.

    Args:
        step: Env steps of the agent so far, `[]`.
        start: Value at step 0, `[]`.
        end: Value from `num_steps` on, `[]`.
        num_steps: Length of the schedule in env steps, `[]`, >= 0.

    Returns:
        The value at `step`, `[]`.
    """
    fraction = jnp.where(step < num_steps, step / jnp.maximum(num_steps, 1), 1.0)
    return start + fraction * (end - start)


def epsilon_greedy(key: jax.Array, q: jax.Array, epsilon: jax.Array) -> jax.Array:
    """Choose a uniformly random action with probability epsilon, else one of the best.

    `pi(a) = epsilon / A + (1 - epsilon) [a = argmax q]`

    Args:
        key: PRNG key.
        q: Action values, `[A]`.
        epsilon: Probability of a random action, `[]`, in [0, 1].

    Returns:
        The action, int32 `[]`.

    References:
        Sutton and Barto, Reinforcement Learning, 2nd edition, 2018, section 2.4.
    """
    chex.assert_rank([q, epsilon], [1, 0])
    explore_key, action_key = jax.random.split(key)
    random_action = jax.random.randint(action_key, (), 0, q.shape[0])
    explore = jax.random.uniform(explore_key) < epsilon
    return jnp.where(explore, random_action, jnp.argmax(q)).astype(jnp.int32)
