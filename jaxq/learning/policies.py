"""Policies: the probability of each action in one state, and one action drawn from them.

A way of exploring is a composition of these, for example
`sample_action(key, mix_uniform(greedy_probabilities(q), epsilon))`; expected SARSA bootstraps from the
very probabilities that it acts by.
"""

from typing import Any

import chex
import jax
import jax.numpy as jnp

from jaxq.kernels.argmax import argmax

UNTRIED = 1e30
"""Upper confidence bound of an action without a try; finite, so that no infinity enters arithmetic."""


ILLEGAL = -1e30
"""Value of an action that may not be taken; finite, so that no infinity enters arithmetic."""


def mask_illegal(q: jax.Array, legal: Any) -> jax.Array:
    """Make illegal actions worth less than any other, so that no policy by value takes one.

    Args:
        q: Action values, `[..., A]`, well above -1e30.
        legal: Whether each action may be taken, bool `[..., A]`, for each member of an ensemble the
            same; `()` if all may.

    Returns:
        The values, with `ILLEGAL` (-1e30) in the place of those of illegal actions, `[..., A]`.

    Example:
        >>> import jax.numpy as jnp
        >>> int(jnp.argmax(mask_illegal(jnp.array([2.0, 1.0]), jnp.array([False, True]))))
        1
    """
    if isinstance(legal, tuple):
        return q
    lead = (1,) * (q.ndim - legal.ndim)
    return jnp.where(legal.reshape(*lead, *legal.shape), q, ILLEGAL)


def greedy_probabilities(q: jax.Array) -> jax.Array:
    """Share all probability equally between the actions of the highest value.

    `probs[a] = [q[a] = max q] / |{b: q[b] = max q}|`

    Ties matter where tables begin at zero: always the first of equals would never try the others.

    Args:
        q: Action values, `[A]`.

    Returns:
        Probabilities, `[A]`; one-hot where no two actions share the maximum.

    References:
        Watkins and Dayan, Q-learning, 1992.

    Example:
        >>> import jax.numpy as jnp
        >>> print(greedy_probabilities(jnp.array([2.0, 1.0, 2.0])))
        [0.5 0.  0.5]
    """
    chex.assert_rank(q, 1)
    # The first of the best is always among them. Comparing with the maximum alone finds none at all
    # where the compiler works q out twice and rounds it differently, and 0 / 0 is what acts then.
    first = jnp.arange(q.shape[0]) == argmax(q)
    best = ((q == jnp.max(q)) | first).astype(q.dtype)
    return best / jnp.sum(best)


def boltzmann_probabilities(q: jax.Array, temperature: jax.Array) -> jax.Array:
    """Prefer actions by the exponential of their values.

    `probs[a] = exp(q[a] / tau) / sum_b exp(q[b] / tau)`

    Towards temperature 0 it becomes greedy with equal shares for ties, towards infinity uniform.

    Args:
        q: Action values, `[A]`.
        temperature: tau, in units of q, `[]`, > 0.

    Returns:
        Probabilities, `[A]`.

    References:
        Sutton and Barto, Reinforcement Learning, 2nd edition, 2018, equation 2.11.
    """
    chex.assert_rank([q, temperature], [1, 0])
    # The difference comes first: q / tau of two large values would lose what sets them apart.
    return jax.nn.softmax((q - jnp.max(q)) / temperature)


def scaled_log_probabilities(q: jax.Array, temperature: jax.Array) -> jax.Array:
    """Tell how much value the Boltzmann policy sees each action fall short by.

    `tau * log(probs[a]) = q[a] - tau * log(sum_b exp(q[b] / tau))`

    Computed on values from which the maximum was taken off, so it is finite for every temperature
    above 0, also for actions whose probability is zero in float32.

    Args:
        q: Action values, `[A]`.
        temperature: tau, in units of q, `[]`, > 0.

    Returns:
        Logarithms of `boltzmann_probabilities` times tau, in units of q, `[A]`, <= 0.

    References:
        Vieillard et al., Munchausen Reinforcement Learning, 2020, section 2 (where it is the bonus).
    """
    chex.assert_rank([q, temperature], [1, 0])
    below = q - jnp.max(q)
    return below - temperature * jnp.log(jnp.sum(jnp.exp(below / temperature)))


def ucb_values(q: jax.Array, counts: jax.Array, bonus: jax.Array) -> jax.Array:
    """Add to each action's value how uncertain it still is.

    `ucb[a] = q[a] + bonus * sqrt(ln(sum_b counts[b] + 1) / counts[a])`

    Actions without a try come first, whatever the bonus: theirs is `UNTRIED` (1e30) instead of the
    formula's infinity. `greedy_probabilities` of the result is the policy.

    Args:
        q: Action values, `[A]`, well below 1e30.
        counts: How often each action was tried in this state, `[A]`, >= 0.
        bonus: c, weight of the uncertainty, in units of q, `[]`, >= 0.

    Returns:
        Upper confidence bounds, `[A]`.

    References:
        Sutton and Barto, Reinforcement Learning, 2nd edition, 2018, equation 2.10, where the time t
        of the choice to be made is the number of tries so far plus one.
    """
    chex.assert_rank([q, counts, bonus], [1, 1, 0])
    chex.assert_equal_shape([q, counts])
    counts = counts.astype(q.dtype)
    tried = counts > 0
    spread = jnp.sqrt(jnp.log(jnp.sum(counts) + 1) / jnp.where(tried, counts, 1))
    # What may not be taken is never tried.
    return jnp.where(q > ILLEGAL, jnp.where(tried, q + bonus * spread, UNTRIED), ILLEGAL)


def mix_uniform(probs: jax.Array, epsilon: jax.Array, legal: Any = ()) -> jax.Array:
    """With probability epsilon do anything that is legal, otherwise follow the policy.

    `mixed[a] = epsilon * legal[a] / sum_b legal[b] + (1 - epsilon) * probs[a]`

    Args:
        probs: Probabilities of the policy, `[A]`.
        epsilon: Probability of a random action, `[]`, in [0, 1].
        legal: Whether each action may be taken, bool `[A]`, one at least; `()` if all may.

    Returns:
        Probabilities, `[A]`.

    References:
        Sutton and Barto, Reinforcement Learning, 2nd edition, 2018, section 2.2.
    """
    chex.assert_rank([probs, epsilon], [1, 0])
    if isinstance(legal, tuple):
        return epsilon / probs.shape[0] + (1 - epsilon) * probs
    return epsilon * legal / jnp.maximum(legal.sum(), 1) + (1 - epsilon) * probs


def sample_action(key: jax.Array, probs: jax.Array) -> jax.Array:
    """Draw an action.

    Args:
        key: PRNG key.
        probs: Probability of each action, `[A]`; their sum may differ from 1 by rounding.

    Returns:
        The action, int32 `[]`, never one of probability zero.
    """
    return action_at(jax.random.uniform(key), probs)


def action_at(uniform: jax.Array, probs: jax.Array) -> jax.Array:
    """Find the action that a uniform number falls on when the probabilities are laid end to end.

    `min {a: probs[a] > 0 and sum_{b <= a} probs[b] > uniform * sum_b probs[b]}`

    One random number per action drawn, so numbers drawn in bulk can be spent here too.

    Args:
        uniform: A number in [0, 1), `[]`.
        probs: Probability of each action, `[A]`, not all zero.

    Returns:
        The action, int32 `[]`, never one of probability zero.

    References:
        Devroye, Non-Uniform Random Variate Generation, 1986, chapter 3 (inversion).

    Example:
        >>> import jax.numpy as jnp
        >>> print(action_at(0.7, jnp.array([0.5, 0.0, 0.5])))
        2
    """
    chex.assert_rank([uniform, probs], [0, 1])
    num_actions = probs.shape[0]
    # Parallel prefix sums need not be monotone: rounding can lift one over its successor, and let an
    # action of probability zero own a sliver. So only actions with some probability have an end, and
    # the draw is scaled by the furthest end, which `uniform < 1` then never reaches: the action whose
    # end it is always qualifies.
    end = jnp.where(probs > 0, jnp.cumsum(probs), 0)
    reached = end > uniform * jnp.max(end)
    # The smallest index as a masked minimum: argmax took up to twice as long on CPU.
    return jnp.min(jnp.where(reached, jnp.arange(num_actions, dtype=jnp.int32), num_actions - 1))


def epsilon_greedy(key: jax.Array, q: jax.Array, epsilon: jax.Array) -> jax.Array:
    """Choose a uniformly random action with probability epsilon, else one of the best.

    `pi(a) = epsilon / A + (1 - epsilon) * greedy(q)[a]`

    Args:
        key: PRNG key.
        q: Action values, `[A]`.
        epsilon: Probability of a random action, `[]`, in [0, 1].

    Returns:
        The action, int32 `[]`.

    References:
        Sutton and Barto, Reinforcement Learning, 2nd edition, 2018, section 2.2.
    """
    return sample_action(key, mix_uniform(greedy_probabilities(q), epsilon))
