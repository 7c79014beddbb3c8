"""What a transition's action turned out to be worth, on one transition; callers vmap.

All rules of bootstrapping are one formula,

`target = r_t + bonus + discount_t * sum_a probs_t[a] * (Z(s_t, a) + shift_t[a])`

and differ only in the `Bootstrap` that fills it. `Z` is a number here; `jaxq.learning.values` has it for
distributions too.
"""

from typing import NamedTuple

import chex
import jax
import jax.numpy as jnp

from jaxq.learning.policies import (
    boltzmann_probabilities,
    greedy_probabilities,
    scaled_log_probabilities,
)


class Bootstrap(NamedTuple):
    """How the values at `s_t` enter a target.

    Attributes:
        probs_t: What each action at `s_t` counts for, `[A]`, a probability distribution.
        shift_t: What is added to each action's value, `[A]`.
        bonus: What is added to the reward, `[]`.
    """

    probs_t: jax.Array
    shift_t: jax.Array
    bonus: jax.Array


def greedy_bootstrap(q_t: jax.Array) -> Bootstrap:
    """Bootstrap from the best action.

    `probs_t = greedy_probabilities(q_t)`, no shift, no bonus

    Given the target network's values this is DQN's rule, and a table's own values Q-learning's. Given
    the online network's it is double DQN's: one network chooses, and the other one says what the
    choice is worth.

    Args:
        q_t: Action values that choose, `[A]`; between actions of the same value they do not.

    Returns:
        The bootstrap.

    References:
        Watkins and Dayan, Q-learning, 1992.
        Mnih et al., Human-level control through deep reinforcement learning, 2015, algorithm 1.
        van Hasselt et al., Deep Reinforcement Learning with Double Q-learning, 2016, equation 4.
    """
    return expected_bootstrap(greedy_probabilities(q_t))


def expected_bootstrap(probs_t: jax.Array) -> Bootstrap:
    """Bootstrap from what a policy would get.

    `probs_t` as given, no shift, no bonus

    With the behaviour's own probabilities it is expected SARSA; with `jax.nn.one_hot(a_t, A)` for the
    action that really came next, SARSA.

    Args:
        probs_t: Probability of each action at `s_t`, `[A]`.

    Returns:
        The bootstrap.

    References:
        van Seijen et al., A Theoretical and Empirical Analysis of Expected Sarsa, 2009, equation 5.
        Sutton and Barto, Reinforcement Learning, 2nd edition, 2018, equations 6.7 and 6.9.
    """
    chex.assert_rank(probs_t, 1)
    return Bootstrap(probs_t, jnp.zeros_like(probs_t), jnp.zeros((), probs_t.dtype))


def munchausen_bootstrap(
    q_target_tm1: jax.Array,
    a_tm1: jax.Array,
    q_target_t: jax.Array,
    temperature: jax.Array,
    scale: jax.Array,
    clip: jax.Array,
) -> Bootstrap:
    """Bootstrap from a soft policy, and reward the action for how sure the policy was of it.

    With `pi(.|s) = softmax(q_target(s) / tau)`:
    `probs_t = pi(.|s_t)`, `shift_t = -tau log pi(.|s_t)` and
    `bonus = scale * max(tau log pi(a_tm1|s_tm1), clip)`

    With `scale = 0` what remains is soft Q-learning, whose sum is `tau logsumexp(q_target_t / tau)`.

    Args:
        q_target_tm1: The target network's values at `s_tm1`, `[A]`.
        a_tm1: Action taken there, int32 `[]`, in [0, A).
        q_target_t: The target network's values at `s_t`, `[A]`.
        temperature: tau, in units of q, `[]`, > 0; 0.03 in the paper.
        scale: alpha, what the scaled log-policy counts for, `[]`, in [0, 1]; 0.9 in the paper.
        clip: l_0, the lowest that the scaled log-policy may be, `[]`, <= 0; -1 in the paper.

    Returns:
        The bootstrap.

    References:
        Vieillard et al., Munchausen Reinforcement Learning, 2020, section 2.
    """
    chex.assert_rank([q_target_tm1, a_tm1, q_target_t], [1, 0, 1])
    chex.assert_equal_shape([q_target_tm1, q_target_t])
    surprise = value_of_action(scaled_log_probabilities(q_target_tm1, temperature), a_tm1)
    return Bootstrap(
        probs_t=boltzmann_probabilities(q_target_t, temperature),
        shift_t=-scaled_log_probabilities(q_target_t, temperature),
        bonus=scale * jnp.clip(surprise, clip, 0),
    )


def td_target(r_t: jax.Array, discount_t: jax.Array, bootstrap: Bootstrap, q_t: jax.Array) -> jax.Array:
    """Say what the action taken at `s_tm1` turned out to be worth.

    `target = r_t + bonus + discount_t * sum_a probs_t[a] * (q_t[a] + shift_t[a])`

    Args:
        r_t: Reward on the way to `s_t`, `[]`.
        discount_t: What the value of `s_t` counts for, `[]`; zero where the episode terminated.
        bootstrap: How the actions at `s_t` enter.
        q_t: Value of each action at `s_t`, `[A]`.

    Returns:
        The target, `[]`, through which no gradient flows.

    References:
        Those of `greedy_bootstrap`, `expected_bootstrap` and `munchausen_bootstrap`.

    Example:
        >>> import jax.numpy as jnp
        >>> q_online_t, q_target_t = jnp.array([1.0, 2.0]), jnp.array([6.0, 4.0])
        >>> float(td_target(1.0, 0.5, greedy_bootstrap(q_target_t), q_target_t))
        4.0
        >>> float(td_target(1.0, 0.5, greedy_bootstrap(q_online_t), q_target_t))
        3.0
    """
    chex.assert_rank([r_t, discount_t, q_t], [0, 0, 1])
    chex.assert_equal_shape([bootstrap.probs_t, bootstrap.shift_t, q_t])
    v_t = jnp.sum(bootstrap.probs_t * (q_t + bootstrap.shift_t))
    return jax.lax.stop_gradient(r_t + bootstrap.bonus + discount_t * v_t)


def value_of_action(q_tm1: jax.Array, a_tm1: jax.Array) -> jax.Array:
    """Pick the value of the action that was taken, `q_tm1[a_tm1]`.

    Written as a masked sum: the gradient of an index is a scatter, which is slow on CPU.

    Args:
        q_tm1: Action values, `[A]`; those of other actions may be infinite or NaN.
        a_tm1: Action, int32 `[]`, in [0, A).

    Returns:
        Its value, `[]`.
    """
    chex.assert_rank([q_tm1, a_tm1], [1, 0])
    return jnp.sum(jnp.where(jnp.arange(q_tm1.shape[0]) == a_tm1, q_tm1, 0))


def conservative_penalty(q_tm1: jax.Array, a_tm1: jax.Array) -> jax.Array:
    """Penalize values of actions that are high without being the one in the data.

    `penalty = log(sum_a exp(q_tm1[a])) - q_tm1[a_tm1]`

    Added to the loss when learning from a fixed dataset. Its gradient, `softmax(q_tm1)` minus one-hot
    `a_tm1`, pushes down what the values prefer and up what was done.

    Args:
        q_tm1: Action values, `[A]`.
        a_tm1: Action in the data, int32 `[]`, in [0, A).

    Returns:
        The penalty, `[]`, > 0; gradients flow.

    References:
        Kumar et al., Conservative Q-Learning for Offline Reinforcement Learning, 2020, equation 4.
    """
    chex.assert_rank([q_tm1, a_tm1], [1, 0])
    return jax.nn.logsumexp(q_tm1) - value_of_action(q_tm1, a_tm1)
