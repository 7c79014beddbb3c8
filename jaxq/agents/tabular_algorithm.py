"""Tabular Q-learning: what a tabular recipe makes."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from jaxq import checks
from jaxq.agents.algorithm import DISCOUNT, INITIAL_VALUE, joined_leaves, legal_shape
from jaxq.agents.budgets import Budgets
from jaxq.agents.components import check_fields, declared_leaves
from jaxq.agents.composition import check_epsilon_steps
from jaxq.agents.constrained_table import ConstrainedTableAgent
from jaxq.agents.exploration import Boltzmann, EpsilonGreedy, UpperConfidenceBound
from jaxq.agents.keywords import Keywords, Owner
from jaxq.agents.table_agent import TableAgent
from jaxq.hparams import Hparams, Hyperparameter
from jaxq.types import Environment, PyTree

RULES = ("greedy", "expected", "sampled")
EXPLORATIONS = {
    "epsilon_greedy": EpsilonGreedy,
    "boltzmann": Boltzmann,
    "ucb": UpperConfidenceBound,
}


@dataclasses.dataclass(frozen=True)
class Traces:
    """Eligibility traces: a step also updates the greedy steps that led to it."""

    leaves: ClassVar[Mapping[str, Hyperparameter]] = {
        "lambda_": Hyperparameter(0.9, 0, 1, meaning="what is left of a trace after one step")
    }


OWNERS = [
    Owner(Boltzmann(), "probabilities by value", "exploration='boltzmann'"),
    Owner(UpperConfidenceBound(), "counts", "exploration='ucb'"),
    Owner(Traces, "eligibility traces", "traces=True"),
]


@dataclasses.dataclass(frozen=True)
class TabularQLearning:
    """Q-learning with a table, whose leaves `learning_rate` and `visit_exponent` make its step sizes.

    Attributes:
        num_envs: Environments that one agent acts in side by side; it learns from them in turn.
        rule: What follows a step: the best action ("greedy", Q-learning), the behaviour's average
            ("expected", expected Sarsa), or the action really taken next ("sampled", Sarsa).
        double: Whether two tables are kept, where one chooses the action that the other one values.
        traces: Whether a step also updates the steps that led to it, as long as they were greedy.
        planning_steps: Steps of a learned model that are learned from after each real one.
        exploration: How actions are chosen; see `jaxq.agents.exploration`.
        budgets: What episodes may cost, or `None`; see `jaxq.agents.budgets`.
        name: What it is called.
        hparams: Starting values of the leaves.
        settings: Every keyword that shapes the program, with its value.
    """

    num_envs: int = 1
    rule: str = "greedy"
    double: bool = False
    traces: bool = False
    planning_steps: int = 0
    exploration: Any = dataclasses.field(default_factory=EpsilonGreedy)
    budgets: Budgets | None = None
    name: str = "q_learning"
    hparams: Hparams = dataclasses.field(default_factory=Hparams)
    settings: dict[str, Any] = dataclasses.field(default_factory=dict, compare=False)

    def __post_init__(self) -> None:
        """Check the fields, and that they go together."""
        check_fields(self, planning_steps=0)
        checks.one_of("rule", self.rule, RULES)
        if self.traces and (self.rule != "greedy" or self.double or self.planning_steps):
            raise checks.InputValueError(
                "traces=True is Watkins's Q(lambda), which follows one greedy table; "
                "leave out rule, double and planning_steps",
                keywords=["traces", "rule", "double", "planning_steps"],
            )
        if self.budgets and (
            self.double or self.traces or self.planning_steps or self.rule == "sampled"
        ):
            raise checks.InputValueError(
                "budgets go with tables that learn from each real step by itself; "
                "leave out double, traces, planning_steps and rule='sampled', or budgets",
                keywords=["budgets", "double", "traces", "planning_steps", "rule"],
            )
        if self.planning_steps and self.rule == "sampled":
            raise checks.InputValueError(
                "a model has no next action that was really taken, which rule='sampled' needs; "
                "use rule='expected' or leave out planning_steps",
                keywords=["planning_steps", "rule"],
            )

    @property
    def leaves(self) -> dict[str, Hyperparameter]:
        """The hyperparameters: the table's own and those of its exploration."""
        own = {
            "learning_rate": Hyperparameter(
                1.0, 0, open_low=True, meaning="step size at the first visit of a state and action"
            ),
            "visit_exponent": Hyperparameter(
                0.6, 0, 1, meaning="power of the number of visits that it is divided by"
            ),
            "discount": DISCOUNT,
            "initial_value": INITIAL_VALUE,
        }
        traces = [dict(Traces.leaves)] if self.traces else []
        budgets = [self.budgets.leaves] if self.budgets else []
        return joined_leaves([own, declared_leaves(self.exploration), *traces, *budgets])

    def bind(self, env: Environment, split: Callable[[PyTree], PyTree]) -> TableAgent:
        """Make the agent for an environment.

        Raises:
            InputValueError: If it has no numbered states, or not a cost that there is a budget for.
        """
        if env.states is None:
            raise checks.InputValueError(
                f"{self.name} keeps a table and needs numbered states, which {env.name} has not; "
                "use a deep recipe such as jaxq.dqn(), or jaxq.envs.from_table(P)"
            )
        parts = {
            "name": self.name,
            "hparams": self.hparams,
            "recipe": self,
            "states": env.states,
            "num_actions": env.num_actions,
            "legal_shape": legal_shape(env),
        }
        if self.budgets is None:
            return TableAgent(**parts)
        return ConstrainedTableAgent(**parts, multipliers=self.budgets.bind(env, self.num_envs))


def compose_table(name: str, defaults: Mapping[str, Any], given: Mapping[str, Any]) -> TabularQLearning:
    """Fill the slots of a tabular recipe; arguments as of `jaxq.agents.composition.compose`."""
    keywords = Keywords(name, {"epsilon_steps": 20_000, **defaults}, given)
    exploration = keywords.choose("exploration", EXPLORATIONS, "epsilon_greedy")
    budgets = Budgets.of(keywords.take("budgets", {}))
    fixed = {"exploration": exploration, "budgets": budgets, "name": name}
    fixed |= {"hparams": Hparams(), "settings": {}}
    algorithm = keywords.make(TabularQLearning, **fixed)
    keywords.check_used(OWNERS)
    check_epsilon_steps(keywords, algorithm.leaves)
    hparams = keywords.hparams(algorithm.leaves, OWNERS)
    return dataclasses.replace(algorithm, hparams=hparams, settings=keywords.settings)
