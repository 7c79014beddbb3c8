"""Settings of the tabular recipes."""

import dataclasses

from jaxq import checks
from jaxq.agents.settings import SCHEDULES

RULES = ("greedy", "expected", "sampled")
EXPLORATIONS = ("epsilon_greedy", "boltzmann", "ucb")


@dataclasses.dataclass(frozen=True)
class TableSettings:
    """What shapes the program of a tabular recipe: static, the same for all agents of a population.

    Attributes:
        num_envs: Environments that one agent acts in side by side; it learns from them in turn.
        rule: What follows a step: the best action ("greedy", Q-learning), the behaviour's average
            ("expected", expected Sarsa), or the action really taken next ("sampled", Sarsa).
        double: Whether two tables are kept, where one chooses the action that the other one values.
        traces: Whether a step also updates the steps that led to it, as long as they were greedy.
        planning_steps: Steps of a learned model that are learned from after each real one.
        exploration: How actions are chosen: "epsilon_greedy", "boltzmann" or "ucb"; a random action
            is mixed into each of them with probability epsilon.
        epsilon_schedule: "linear" or "exponential" in env steps, or "ladder": constant, and another
            for each environment.
    """

    num_envs: int = 1
    rule: str = "greedy"
    double: bool = False
    traces: bool = False
    planning_steps: int = 0
    exploration: str = "epsilon_greedy"
    epsilon_schedule: str = "linear"

    def __post_init__(self) -> None:
        """Check every setting, so that a mistake is reported before anything is compiled."""
        object.__setattr__(self, "num_envs", checks.whole_number("num_envs", self.num_envs))
        steps = checks.whole_number("planning_steps", self.planning_steps, minimum=0)
        object.__setattr__(self, "planning_steps", steps)
        checks.known("rule", self.rule, RULES)
        checks.known("exploration", self.exploration, EXPLORATIONS)
        checks.known("epsilon_schedule", self.epsilon_schedule, SCHEDULES)
        for name in ("double", "traces"):
            checks.true_or_false(name, getattr(self, name))
        if self.traces and (self.rule != "greedy" or self.double or self.planning_steps):
            raise checks.InputValueError(
                "traces=True is Watkins's Q(lambda), which follows one greedy table; "
                "leave out rule, double and planning_steps"
            )
        if self.planning_steps and self.rule == "sampled":
            raise checks.InputValueError(
                "a model has no next action that was really taken, which rule='sampled' needs; "
                "use rule='expected' or leave out planning_steps"
            )
