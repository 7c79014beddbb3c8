"""The tabular recipes, for environments whose states can be numbered.

Keywords of all of them are the fields of `TabularQLearning`, those of its exploration, and the leaves
that the two declare.
"""

from typing import Any

from jaxq.agents.algorithm import Algorithm
from jaxq.agents.tabular_algorithm import compose_table


def q_learning(**keywords: Any) -> Algorithm:
    """Q-learning: a table learns from each step what the best action that follows is worth.

    `q[s, a] += alpha * (r_t + discount_t * max_b q[s_t, b] - q[s, a])`, with
    `alpha = learning_rate / N(s, a)^visit_exponent`

    The table converges to the optimal action values with probability one if every pair of state and
    action is visited for ever and the step sizes of each pair sum to infinity while their squares do
    not: so with `visit_exponent` in (0.5, 1], `learning_rate` in (0, 1], bounded rewards, a discount
    below 1 (or an end that every policy reaches) and epsilon_end above 0. A `visit_exponent` of 0
    makes the step size constant, which converges to a neighbourhood, or exactly where nothing is
    random.

    Args:
        **keywords: Fields of `jaxq.agents.TabularQLearning`, and starting values of the leaves.

    Returns:
        The recipe.

    Raises:
        InputTypeError: If a keyword does not exist or has the wrong type.
        InputValueError: If a value is out of range, or two do not fit together.

    References:
        Watkins and Dayan, Q-learning, 1992, theorem; Even-Dar and Mansour, Learning Rates for
        Q-learning, 2003, for the exponents.

    Example:
        >>> import jaxq
        >>> jaxq.q_learning(learning_rate=0.1, visit_exponent=0).settings["rule"]
        'greedy'
    """
    return compose_table("q_learning", {}, keywords)


def constrained_q_learning(**keywords: Any) -> Algorithm:
    """Constrained Q-learning: the largest return whose mean costs per episode stay within budgets.

    Tables of values and of each cost, all updated toward the action that is best by
    `q[s, a] - sum_k multiplier_k q_k[s, a]`, and
    `multiplier_k <- max(0, multiplier_k + multiplier_learning_rate * (cost_k - budget_k))` per episode.

    For `budgets={"violations": 1.0}` and what it promises see `constrained_dqn`: it is the mean over
    training that meets budgets and, as `multiplier_learning_rate` goes to zero and tables keep up, comes
    to the best return within them. Without budgets it is `q_learning`.

    References:
        Altman, Constrained Markov Decision Processes, 1999; Tessler et al., Reward Constrained Policy
        Optimization, 2019, algorithm 1.
    """
    return compose_table("constrained_q_learning", {}, keywords)


def double_q_learning(**keywords: Any) -> Algorithm:
    """Double Q-learning: two tables, where one chooses the action that the other one values.

    `q1[s, a] += alpha * (r_t + discount_t * q2[s_t, argmax_b q1[s_t, b]] - q1[s, a])`, or the same
    with the tables exchanged, by the toss of a coin.

    References:
        van Hasselt, Double Q-learning, 2010, algorithm 1.
    """
    return compose_table("double_q_learning", {"double": True}, keywords)


def sarsa(**keywords: Any) -> Algorithm:
    """Sarsa: learns what the behaviour itself is worth, from the action really taken next.

    `q[s, a] += alpha * (r_t + discount_t * q[s_t, a_t] - q[s, a])`

    Where an episode is cut off no action follows; there it takes the behaviour's average.

    References:
        Rummery and Niranjan, 1994; Sutton and Barto, 2018, section 6.4; Singh et al., Convergence
        Results for Single-Step On-Policy Algorithms, 2000, for its convergence as epsilon vanishes.
    """
    return compose_table("sarsa", {"rule": "sampled"}, keywords)


def expected_sarsa(**keywords: Any) -> Algorithm:
    """Expected Sarsa: learns what the behaviour itself is worth, from its average.

    `q[s, a] += alpha * (r_t + discount_t * sum_b pi(b | s_t) q[s_t, b] - q[s, a])`

    References:
        van Seijen et al., A Theoretical and Empirical Analysis of Expected Sarsa, 2009, equation 5.
    """
    return compose_table("expected_sarsa", {"rule": "expected"}, keywords)


def q_lambda(**keywords: Any) -> Algorithm:
    """Watkins's Q(lambda): every step also updates the greedy steps that led to it.

    `trace *= discount * lambda; trace[s, a] += 1; q += alpha * td_error * trace`, with the trace set
    to zero where an action was not greedy and where an episode begins.

    References:
        Watkins, Learning from Delayed Rewards, 1989; Sutton and Barto, 2018, section 12.10.
    """
    defaults = {"traces": True, "learning_rate": 0.1, "visit_exponent": 0.0}
    return compose_table("q_lambda", defaults, keywords)


def dyna_q(**keywords: Any) -> Algorithm:
    """Dyna-Q: learns a model, and from steps of the model as from real ones.

    The model remembers what each pair of state and action led to last; ten steps of it, from pairs
    seen before, follow each real one.

    References:
        Sutton, Integrated Architectures for Learning, Planning, and Reacting, 1990; Sutton and
        Barto, 2018, section 8.2.
    """
    return compose_table("dyna_q", {"planning_steps": 10}, keywords)
