"""Off-policy evaluation: what a policy would be worth, from episodes that another one made.

Every estimator takes weights of the episodes, ones for an estimate, counts of a bootstrap sample in
`bootstrap_estimate`, which gives any of them its interval. Episodes are padded to one length T; `mask`
says which steps there are.
"""

from collections.abc import Callable
from typing import NamedTuple

import chex
import jax
import jax.numpy as jnp


class Episodes(NamedTuple):
    """Logged episodes of a finite MDP, N episodes of at most T steps.

    Attributes:
        s_tm1: State acted in, int32 `[N, T]`, in [0, S).
        a_tm1: Action, int32 `[N, T]`, in [0, A).
        r_t: Reward, `[N, T]`.
        s_t: State that it led to, int32 `[N, T]`.
        terminated: Whether it ended the task, bool `[N, T]`.
        behaviour: Probability that the action was taken with, `[N, T]`, in (0, 1].
        mask: Whether there is such a step, bool `[N, T]`; an episode's steps come first.
    """

    s_tm1: jax.Array
    a_tm1: jax.Array
    r_t: jax.Array
    s_t: jax.Array
    terminated: jax.Array
    behaviour: jax.Array
    mask: jax.Array


class Estimate(NamedTuple):
    """An estimate with its bootstrap interval, of the shape that the estimator gives, usually `[]`."""

    value: jax.Array
    low: jax.Array
    high: jax.Array


def importance_ratios(episodes: Episodes, policy: jax.Array) -> jax.Array:
    """Multiply up how much likelier the policy was than the behaviour to come this far.

    `rho_t = prod_{k <= t} policy[s_k, a_k] / behaviour_k`

    Args:
        episodes: N episodes.
        policy: Probability of each action in each state, `[S, A]`.

    Returns:
        Cumulative ratios, `[N, T]`; behind an episode's end its last one.

    References:
        Precup, Sutton and Singh, Eligibility Traces for Off-Policy Policy Evaluation, 2000, section 2.
    """
    chex.assert_rank([episodes.s_tm1, policy], 2)
    ratio = policy[episodes.s_tm1, episodes.a_tm1] / episodes.behaviour
    return jnp.cumprod(jnp.where(episodes.mask, ratio, 1.0), axis=1)


def per_decision_importance(
    episodes: Episodes, policy: jax.Array, discount: jax.Array, weight: jax.Array
) -> jax.Array:
    """Weigh each reward by how likely the policy was to come to it: unbiased, of large variance.

    `sum_i w_i sum_t discount^t rho_{i, t} r_{i, t} / sum_i w_i`

    Args:
        episodes: N episodes, played to their end.
        policy: Probability of each action in each state, `[S, A]`.
        discount: gamma, `[]`, in [0, 1].
        weight: Weight of each episode, `[N]`, >= 0.

    Returns:
        The estimated value of the start, `[]`.

    References:
        Precup, Sutton and Singh, 2000, equation 4.
    """
    returns = _discounted(importance_ratios(episodes, policy) * episodes.r_t, episodes.mask, discount)
    return _mean(returns.sum(axis=1), weight)


def weighted_importance(
    episodes: Episodes, policy: jax.Array, discount: jax.Array, weight: jax.Array
) -> jax.Array:
    """Divide by the sum of the ratios at each step: biased, but consistent, and of small variance.

    `sum_t discount^t sum_i w_i rho_{i, t} r_{i, t} / sum_i w_i rho_{i, t}`

    An episode that has ended counts with its last ratio and a reward of zero.

    Args:
        episodes: N episodes, played to their end.
        policy: Probability of each action in each state, `[S, A]`.
        discount: gamma, `[]`, in [0, 1].
        weight: Weight of each episode, `[N]`, >= 0.

    Returns:
        The estimated value of the start, `[]`.

    References:
        Precup, Sutton and Singh, 2000, section 3 (weighted per-decision estimator).
    """
    ratios = importance_ratios(episodes, policy) * weight[:, None]
    rewards = jnp.where(episodes.mask, episodes.r_t, 0)
    total = ratios.sum(axis=0)
    # Where every episode took what the policy never takes, there is nothing to go by.
    mean = (ratios * rewards).sum(axis=0) / jnp.where(total > 0, total, 1)
    return jnp.sum(discount ** jnp.arange(mean.shape[0]) * mean)


def fitted_q_evaluation(
    episodes: Episodes,
    policy: jax.Array,
    discount: jax.Array,
    weight: jax.Array,
    max_iterations: int = 2_000,
) -> jax.Array:
    """Learn a table of the policy's action values from all steps, by repeated regression.

    `q[s, a] <- mean of r_t + discount * (1 - terminated) * sum_b policy[s_t, b] q[s_t, b]`

    The mean is over all steps in which `a` was taken in `s`, which for a table is what a regression
    gives; what was never tried stays at zero. It ends when no value changes by more than a
    hundred-thousandth of the largest.

    Args:
        episodes: N episodes, which may be cut off.
        policy: Probability of each action in each state, `[S, A]`.
        discount: gamma, `[]`, in [0, 1].
        weight: Weight of each episode, `[N]`, >= 0.
        max_iterations: Iterations after which it ends in any case.

    Returns:
        Action values, `[S, A]`.

    References:
        Le, Voloshin and Yue, Batch Policy Learning under Constraints, 2019, algorithm 3.
    """
    num_states, num_actions = policy.shape
    pair = (episodes.s_tm1 * num_actions + episodes.a_tm1).ravel()
    count = (episodes.mask * weight[:, None]).ravel()
    visits = jax.ops.segment_sum(count, pair, num_states * num_actions)
    continues = discount * (1 - episodes.terminated)

    def sweep(q: jax.Array) -> jax.Array:
        value = jnp.sum(policy * q, axis=1)
        target = (episodes.r_t + continues * value[episodes.s_t]).ravel()
        total = jax.ops.segment_sum(count * target, pair, num_states * num_actions)
        return (total / jnp.where(visits > 0, visits, 1)).reshape(num_states, num_actions)

    def unfinished(carry: tuple) -> jax.Array:
        number, q, before = carry
        moving = jnp.max(jnp.abs(q - before)) > 1e-5 * jnp.max(jnp.abs(q))
        return (number < max_iterations) & (moving | (number == 0))

    zeros = jnp.zeros(policy.shape)
    begin = jnp.int32(0), zeros, zeros
    return jax.lax.while_loop(unfinished, lambda c: (c[0] + 1, sweep(c[1]), c[1]), begin)[1]


def fitted_q_value(
    episodes: Episodes, policy: jax.Array, discount: jax.Array, weight: jax.Array
) -> jax.Array:
    """Average the values of `fitted_q_evaluation` over the states in which the episodes began, `[]`."""
    q = fitted_q_evaluation(episodes, policy, discount, weight)
    return _mean(jnp.sum(policy * q, axis=1)[episodes.s_tm1[:, 0]], weight)


def doubly_robust(
    episodes: Episodes,
    policy: jax.Array,
    discount: jax.Array,
    weight: jax.Array,
    q: jax.Array | None = None,
) -> jax.Array:
    """Correct learned values by importance-weighted errors: right if either of the two is.

    `v(s_0) + sum_t discount^t rho_t (r_t + discount_t v(s_t) - q(s_tm1, a_tm1))`

    is averaged over episodes, with `v` the mean of `q` under the policy.

    Args:
        episodes: N episodes, which may be cut off: there `v` stands for what would follow.
        policy: Probability of each action in each state, `[S, A]`.
        discount: gamma, `[]`, in [0, 1].
        weight: Weight of each episode, `[N]`, >= 0.
        q: Learned action values, `[S, A]`; those of `fitted_q_evaluation` if not given.

    Returns:
        The estimated value of the start, `[]`.

    References:
        Jiang and Li, Doubly Robust Off-policy Value Evaluation for Reinforcement Learning, 2016,
        equation 10; Thomas and Brunskill, Data-Efficient Off-Policy Policy Evaluation, 2016, equation 1.
    """
    if q is None:
        q = fitted_q_evaluation(episodes, policy, discount, weight)
    v = jnp.sum(policy * q, axis=1)
    discount_t = discount * (1 - episodes.terminated)
    error = episodes.r_t + discount_t * v[episodes.s_t] - q[episodes.s_tm1, episodes.a_tm1]
    corrections = _discounted(importance_ratios(episodes, policy) * error, episodes.mask, discount)
    return _mean(v[episodes.s_tm1[:, 0]] + corrections.sum(axis=1), weight)


def bootstrap_estimate(
    key: jax.Array,
    estimator: Callable[[Episodes, jax.Array, jax.Array, jax.Array], jax.Array],
    episodes: Episodes,
    policy: jax.Array,
    discount: jax.Array,
    *,
    confidence: float = 0.95,
    num_resamples: int = 200,
) -> Estimate:
    """Estimate a policy's value, and say between which values it lies, by drawing episodes again.

    The interval is between quantiles of the estimates from samples of as many episodes, drawn with
    replacement.

    Args:
        key: PRNG key.
        estimator: One of this module's, or any other function of the same arguments.
        episodes: N episodes.
        policy: Probability of each action in each state, `[S, A]`.
        discount: gamma, `[]`, in [0, 1].
        confidence: Share of intervals that are to cover the value, in (0, 1).
        num_resamples: Number of samples R, at least 2.

    Returns:
        The estimate and the ends of its interval.

    References:
        Efron and Tibshirani, An Introduction to the Bootstrap, 1993, section 13.3 (percentile interval);
        Hanna, Stone and Niekum, Bootstrapping with Models, 2017 (of off-policy estimates).
    """
    num = episodes.r_t.shape[0]

    def resampled(key: jax.Array) -> jax.Array:
        drawn = jax.random.randint(key, (num,), 0, num)
        weight = jnp.zeros(num).at[drawn].add(1.0)
        return estimator(episodes, policy, discount, weight)

    values = jax.lax.map(resampled, jax.random.split(key, num_resamples))
    # The order statistic `tail * (R + 1)` of R samples: usual quantiles make short intervals of few.
    tail = (1 - confidence) / 2 * (num_resamples + 1) - 1
    tail = max(tail / (num_resamples - 1), 0.0)
    low, high = jnp.quantile(values, jnp.array([tail, 1 - tail]), axis=0)
    return Estimate(estimator(episodes, policy, discount, jnp.ones(num)), low, high)


def _discounted(values: jax.Array, mask: jax.Array, discount: jax.Array) -> jax.Array:
    """Discount `[N, T]` by the step, and leave out what is padding."""
    return jnp.where(mask, values, 0) * (discount ** jnp.arange(values.shape[1]))[None]


def _mean(values: jax.Array, weight: jax.Array) -> jax.Array:
    return jnp.sum(weight * values) / jnp.sum(weight)
