"""Temporal-difference targets and errors, on one transition; callers vmap.

Bootstrap rules differ only in the probabilities they give to the actions at `s_t`; the target is the
same expectation for all of them.
"""

import chex
import jax
import jax.numpy as jnp


def greedy_probabilities(q_t: jax.Array) -> jax.Array:
    """Put all probability on the action with the highest value (the first one in a tie).

    `probs[a] = 1 if a = argmax_b q_t[b] else 0`

    Given the target network's values this is DQN's rule; given the online network's it is double
    DQN's, where one network chooses the action and the other one says what it is worth.

    Args:
        q_t: Action values that choose, `[A]`.

    Returns:
        One-hot probabilities, `[A]`.

    References:
        Mnih et al., Human-level control through deep reinforcement learning, 2015, algorithm 1.
        van Hasselt et al., Deep Reinforcement Learning with Double Q-learning, 2016, equation 4.
    """
    chex.assert_rank(q_t, 1)
    return jax.nn.one_hot(jnp.argmax(q_t), q_t.shape[0], dtype=q_t.dtype)


def td_target(r_t: jax.Array, discount_t: jax.Array, probs_t: jax.Array, q_t: jax.Array) -> jax.Array:
    """Say what the action taken at `s_tm1` turned out to be worth.

    `target = r_t + discount_t * sum_a probs_t[a] * q_t[a]`

    Args:
        r_t: Reward on the way to `s_t`, `[]`.
        discount_t: What the value of `s_t` counts for, `[]`; zero where the episode terminated.
        probs_t: Probability of each action at `s_t`, `[A]`.
        q_t: Value of each action at `s_t`, `[A]`.

    Returns:
        The target, `[]`, through which no gradient flows.

    References:
        Watkins and Dayan, Q-learning, 1992; van Seijen et al., Expected Sarsa, 2009, equation 5.
    """
    chex.assert_rank([r_t, discount_t, probs_t, q_t], [0, 0, 1, 1])
    return jax.lax.stop_gradient(r_t + discount_t * jnp.sum(probs_t * q_t))


def value_of_action(q_tm1: jax.Array, a_tm1: jax.Array) -> jax.Array:
    """Pick the value of the action that was taken, `q_tm1[a_tm1]`.

    Written as a masked sum: the gradient of an index is a scatter, which is slow on CPU.

    Args:
        q_tm1: Action values, `[A]`.
        a_tm1: Action, int32 `[]`, in [0, A).

    Returns:
        Its value, `[]`.
    """
    chex.assert_rank([q_tm1, a_tm1], [1, 0])
    return jnp.sum(q_tm1 * jax.nn.one_hot(a_tm1, q_tm1.shape[0], dtype=q_tm1.dtype))
