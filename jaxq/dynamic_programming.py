"""Dynamic programming: exact values of environments made from a table, to measure learning against.

Time limits do not count here. They truncate, which is not an end: with the bootstrap taken from the
last state, what Q-learning converges to is the value of going on for ever, and that is what is
computed.
"""

import math
from typing import Any

import numpy as np
import scipy

from jaxq import checks
from jaxq.envs.table import TableEnvironment

# With discount 1 nothing contracts at a known rate. The error is at most the last change times the
# number of steps that an episode is expected to last, which is taken to be less than this.
_LONGEST_EPISODE = 1_000_000
_MOST_SWEEPS = 200_000


class _Model:
    """A table's expected rewards `[S, A]` and weights of what comes next `[S, A, K]`."""

    def __init__(self, env: Any, discount: float) -> None:
        if not isinstance(env, TableEnvironment):
            raise checks.InputTypeError(
                f"exact values need an environment made from a table, got {env!r}; "
                'for example jaxq.envs.make("FrozenLake-v1") or jaxq.envs.from_table(P)'
            )
        checks.in_range("discount", discount, 0, 1)
        if np.ndim(discount):
            raise checks.InputTypeError(f"discount must be one number, got {discount!r}; discount=0.99")
        probability, self.next_state, reward, terminated = env.outcomes
        self.legal = np.ones(probability.shape[:2], bool) if env.legal is None else env.legal
        self.discount = float(discount)
        self.going_on = probability * ~terminated
        self.ending = (probability * terminated).sum(axis=-1)
        self.reward = (probability * reward).sum(axis=-1)

    def q(self, value: np.ndarray) -> np.ndarray:
        """`q[s, a] = E[r + discount * (1 - terminated) * value[s']]`, `[S, A]` from `[S]`."""
        return self.reward + self.discount * np.einsum(
            "sak,sak->sa", self.going_on, value[self.next_state]
        )

    def resting(self, allowed: np.ndarray, every: bool) -> np.ndarray:
        """Find where nothing is ever paid again, whatever allowed action is taken or by the right ones.

        Args:
            allowed: Actions to consider, bool `[S, A]`.
            every: Whether all of them have to keep to such states, or only one.

        Returns:
            bool `[S]`.
        """
        resting = np.ones(len(allowed), bool)
        while True:
            leaves = ((self.going_on > 0) & ~resting[self.next_state]).any(axis=-1)
            rests = (self.reward == 0) & ~leaves
            fewer = (rests | ~allowed).all(axis=1) if every else (rests & allowed).any(axis=1)
            if (fewer == resting).all():
                return resting
            resting = fewer

    def check_finite(self, allowed: np.ndarray, resting: np.ndarray) -> None:
        """Refuse states from which no allowed action ever leads to an end or to rest."""
        finite = resting | (allowed & (self.ending > 0)).any(axis=1)
        while True:
            leads = ((self.going_on > 0) & finite[self.next_state]).any(axis=-1)
            more = finite | (allowed & leads).any(axis=1)
            if (more == finite).all():
                break
            finite = more
        if not finite.all():
            raise checks.InputValueError(
                f"with discount 1 state {np.flatnonzero(~finite)[0]} has no finite value, as rewards go "
                "on for ever and no end can be reached from it; for example discount=0.99"
            )


def value_iteration(
    env: TableEnvironment, discount: float = 0.99, tolerance: float = 1e-6
) -> np.ndarray:
    """Compute the optimal action values by sweeping over the table.

    `q[s, a] <- E[r + discount * (1 - terminated) * max_b q[s', b]]`, from zero, b legal in s'

    It stops at `discount / (1 - discount) * max |change| <= tolerance`, which bounds the error, as a
    sweep is a contraction by `discount`. With discount 1 the bound is that of episodes that are
    expected to last less than a million steps, and values that grow for ever are refused. Rounding in
    float64 comes on top.

    Args:
        env: An environment made from a table; its time limit does not count.
        discount: gamma, in [0, 1].
        tolerance: Largest error of any value, > 0.

    Returns:
        `Q*`, float64 `[S, A]`: of an action that is not legal what it would be worth to take it once.

    Raises:
        InputTypeError: If the environment was not made from a table.
        InputValueError: If a number is out of range, or the values are not finite with discount 1.

    References:
        Sutton and Barto, Reinforcement Learning, 2nd edition, 2018, section 4.4.
        Puterman, Markov Decision Processes, 1994, theorem 6.3.1 (contraction bound).

    Example:
        >>> from jaxq import envs
        >>> P = {0: {0: [(1.0, 0, 1.0, False)], 1: [(1.0, 0, 2.0, True)]}}
        >>> value_iteration(envs.from_table(P, initial=0), discount=0.5).round(3).tolist()
        [[2.0, 2.0]]
    """
    model = _Model(env, discount)
    checks.in_range("tolerance", tolerance, 0, math.inf, open_low=True)
    if model.discount == 1:
        model.check_finite(model.legal, model.resting(model.legal, every=False))
    factor = _LONGEST_EPISODE if model.discount == 1 else model.discount / (1 - model.discount)
    q, change = np.zeros_like(model.reward), math.inf
    for _ in range(_enough_sweeps(model, tolerance)):
        swept = model.q(np.where(model.legal, q, -np.inf).max(axis=1))
        change = np.abs(swept - q).max()
        q = swept
        if factor * change <= tolerance:
            return q
    if model.discount < 1:
        return q  # after as many sweeps as bring any start below the tolerance, but for rounding
    raise checks.InputValueError(
        f"with discount 1 the values do not converge: after {_MOST_SWEEPS} sweeps they still change by "
        f"{change:.3g} in a sweep; for example discount=0.99"
    )


def policy_evaluation(env: TableEnvironment, policy: Any, discount: float = 0.99) -> np.ndarray:
    """Compute the action values of a policy, by solving the linear system that they satisfy.

    `q[s, a] = E[r + discount * (1 - terminated) * sum_b policy[s', b] q[s', b]]`

    Args:
        env: An environment made from a table; its time limit does not count.
        policy: Probability of each action in each state, `[S, A]`.
        discount: gamma, in [0, 1].

    Returns:
        The policy's values, float64 `[S, A]`.

    Raises:
        InputTypeError: If the environment was not made from a table, or the policy is no array.
        InputValueError: If the policy has another shape or does not sum to 1, or if with discount 1
            it never comes to an end.

    References:
        Sutton and Barto, Reinforcement Learning, 2nd edition, 2018, equation 4.4.
    """
    model = _Model(env, discount)
    policy = _checked(policy, model.reward.shape)
    num_states = len(model.going_on)
    weight = (policy[:, :, None] * model.going_on).ravel()
    row = np.repeat(np.arange(num_states), weight.size // num_states)
    transitions = scipy.sparse.csc_array(
        (weight, (row, model.next_state.ravel())), shape=(num_states, num_states)
    )
    reward = (policy * model.reward).sum(axis=1)
    solved = np.ones(num_states, bool)
    if model.discount == 1:
        # Where nothing is paid any more the value is zero, and the system would be singular.
        solved = ~model.resting(policy > 0, every=True)
        model.check_finite(policy > 0, ~solved)
    system = scipy.sparse.eye_array(num_states, format="csc") - model.discount * transitions
    value = np.zeros(num_states)
    if solved.any():
        value[solved] = scipy.sparse.linalg.spsolve(system[solved][:, solved].tocsc(), reward[solved])
    return model.q(value)


def greedy_policy(q: Any) -> np.ndarray:
    """Choose uniformly among the best actions, those that differ from the best by rounding included.

    Args:
        q: Action values, `[..., A]`.

    Returns:
        Probability of each action, float64 `[..., A]`.

    Raises:
        InputTypeError: If `q` is not an array of numbers.
        InputValueError: If a value is not finite.

    Example:
        >>> greedy_policy([[1.0, 3.0, 3.0]]).tolist()
        [[0.0, 0.5, 0.5]]
    """
    checks.in_range("q", q, -math.inf, math.inf)
    q = np.asarray(q, np.float64)
    best = q.max(axis=-1, keepdims=True)
    ties = best - q <= 1e-9 * np.maximum(1, np.abs(best))
    return ties / ties.sum(axis=-1, keepdims=True)


def _enough_sweeps(model: _Model, tolerance: float) -> int:
    """Count sweeps, by `|q_n - Q*| <= discount^n |Q*|` and `|Q*| <= max |reward| / (1 - discount)`."""
    if model.discount == 1:
        return _MOST_SWEEPS
    largest = np.abs(model.reward).max() / (1 - model.discount)
    if model.discount == 0 or largest <= tolerance:
        return 1
    return math.ceil(math.log(tolerance / largest) / math.log(model.discount))


def _checked(policy: Any, shape: tuple[int, ...]) -> np.ndarray:
    checks.in_range("policy", policy, 0, 1)
    policy = np.asarray(policy, np.float64)
    if policy.shape != shape or (abs(policy.sum(axis=-1) - 1) > 1e-5).any():
        raise checks.InputValueError(
            f"policy must have shape {list(shape)} and rows that sum to 1, got shape "
            f"{list(policy.shape)}; for example jaxq.dynamic_programming.greedy_policy(q)"
        )
    return policy
