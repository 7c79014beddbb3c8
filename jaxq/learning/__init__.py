"""The maths of Q-learning: pure functions on one transition or one trajectory, which callers vmap."""

from jaxq.learning.exploration import epsilon_greedy, linear_schedule
from jaxq.learning.returns import NStepReturn, n_step_return
from jaxq.learning.targets import greedy_probabilities, td_target, value_of_action

__all__ = [
    "NStepReturn",
    "epsilon_greedy",
    "greedy_probabilities",
    "linear_schedule",
    "n_step_return",
    "td_target",
    "value_of_action",
]
