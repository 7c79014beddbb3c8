"""Small MDPs that show one thing, or nothing in particular."""

import numpy as np
import scipy

from jaxq import checks
from jaxq.envs.table import TableEnvironment, from_table


def maximization_bias(
    *, num_actions: int = 10, num_outcomes: int = 16, mean: float = -0.1, max_steps: int = 200
) -> TableEnvironment:
    """Tempt with a maximum over noise: left looks good and is worth `mean`, right is worth 0.

    State 0 is A, where even actions go right and end the episode, odd ones go left to state 1, B, both
    for nothing. From B every action ends the episode with a noisy reward of mean `mean` and variance 1.
    State 2 is the end. The normal distribution is represented by equally likely quantiles with exactly
    that mean and variance; as every state of a table has the same actions, those of A are repeated.

    Args:
        num_actions: Number of actions A, even, so that chance goes left half of the time.
        num_outcomes: Number of quantiles.
        mean: Mean reward from B.
        max_steps: Steps after which an episode is truncated.

    Returns:
        The environment.

    References:
        Sutton and Barto, Reinforcement Learning, 2nd edition, 2018, example 6.7.
    """
    if checks.whole_number("num_actions", num_actions, minimum=2) % 2:
        raise checks.InputValueError(f"num_actions must be even, got {num_actions}; num_actions=10")
    num_outcomes = checks.whole_number("num_outcomes", num_outcomes, minimum=2)
    checks.in_range("mean", mean, -np.inf, np.inf)
    quantiles = scipy.special.ndtri((np.arange(num_outcomes) + 0.5) / num_outcomes)
    quantiles = (quantiles - quantiles[::-1]) / 2  # exactly symmetric, so that the mean is exact
    rewards = mean + quantiles / np.sqrt(np.mean(quantiles**2))
    right, left = [(1.0, 2, 0.0, True)], [(1.0, 1, 0.0, False)]
    noisy = [(1 / num_outcomes, 2, float(reward), True) for reward in rewards]
    table = {
        0: {a: left if a % 2 else right for a in range(num_actions)},
        1: dict.fromkeys(range(num_actions), noisy),
        2: {a: [(1.0, 2, 0.0, True)] for a in range(num_actions)},
    }
    return from_table(table, initial=0, max_steps=max_steps, name="maximization bias")


def random_mdp(
    seed: int,
    num_states: int = 10,
    num_actions: int = 4,
    branching: int = 3,
    *,
    max_steps: int = 200,
) -> TableEnvironment:
    """Make a random MDP that goes on for ever, begun in any state.

    Each action of each state leads to `branching` different states with probabilities uniform on the
    simplex, and gives a reward drawn once from a standard normal distribution.

    Args:
        seed: Seed; the same seed gives the same MDP.
        num_states: Number of states S.
        num_actions: Number of actions A.
        branching: States that an action may lead to, at most S.
        max_steps: Steps after which an episode is truncated.

    Returns:
        The environment.

    References:
        Archibald, McKinnon and Thomas, On the generation of Markov decision processes, 1995.
    """
    seed = checks.whole_number("seed", seed, minimum=0)
    num_states = checks.whole_number("num_states", num_states)
    num_actions = checks.whole_number("num_actions", num_actions)
    if checks.whole_number("branching", branching) > num_states:
        raise checks.InputValueError(
            f"branching must be at most num_states={num_states}, got {branching}; branching={num_states}"
        )
    random = np.random.default_rng(seed)
    P = np.zeros((num_states, num_actions, num_states))  # noqa: N806
    for s, a in np.ndindex(num_states, num_actions):
        to = random.choice(num_states, branching, replace=False)
        P[s, a, to] = random.dirichlet(np.ones(branching))
    rewards = random.normal(size=(num_states, num_actions))
    return from_table(P, rewards=rewards, max_steps=max_steps, name=f"random MDP {seed}")
