"""What a recipe makes: components for every slot, and starting values of the leaves they declare."""

import dataclasses
from collections.abc import Callable
from typing import Any, Protocol

import jax
import jax.numpy as jnp

from jaxq import checks
from jaxq.agents.auxiliary import ARGUMENTS as LOSS_ARGUMENTS
from jaxq.agents.bootstraps import ARGUMENTS as RULE_ARGUMENTS
from jaxq.agents.budgets import Budgets
from jaxq.agents.components import arguments, declared_leaves, require
from jaxq.agents.deep_agent import DeepAgent
from jaxq.agents.gradient_update import GradientUpdate
from jaxq.agents.network import EnsembleOf, Network
from jaxq.agents.optimizers import Optimizer
from jaxq.agents.own_parts import check_network, check_optimizer
from jaxq.agents.protocol import Agent
from jaxq.agents.q_function import make_q_function
from jaxq.agents.representations import PARTS as VALUE_PARTS
from jaxq.agents.returns import Sequences
from jaxq.agents.update_schedule import Iteration, UpdateSchedule
from jaxq.hparams import Hparams, Hyperparameter, validated
from jaxq.types import Environment, PyTree, cost_shape

DISCOUNT = Hyperparameter(0.99, 0, 1, meaning="what a reward is worth one step later")
"""gamma, what a reward one step later counts for."""
INITIAL_VALUE = Hyperparameter(0.0, meaning="value of every action before learning, in reward")
"""What actions are thought to be worth at first; more than can be had makes an agent try everything."""


class Algorithm(Protocol):
    """A recipe, ready to be given an environment by `jaxq.Trainer`.

    Attributes:
        name: What the command line calls it.
        hparams: Starting values of the leaves.
        settings: Every keyword that shapes the program, with its value.
    """

    name: str
    hparams: Hparams
    settings: dict[str, Any]

    def bind(self, env: Environment, split: Callable[[PyTree], PyTree]) -> Agent:
        """Make the agent for an environment; see `Agent.bind`."""
        ...


@dataclasses.dataclass(frozen=True)
class DeepQLearning:
    """Q-learning with a network, as a composition of components.

    Attributes:
        name: What it is called.
        network: How observations become what heads make values of.
        value: How values are represented; see `jaxq.agents.representations`.
        bootstrap: How what follows enters a target; see `jaxq.agents.bootstraps`.
        returns: Over how many steps rewards are summed.
        target: The target parameters; see `jaxq.agents.target_params`.
        experience: What is kept of the steps, and its batches.
        sequences: Runs of steps of a recurrent agent, or `None`.
        ensemble: Members, or `None`.
        exploration: How actions are chosen; see `jaxq.agents.exploration`.
        auxiliary: Auxiliary losses.
        optimizer: The optimizer.
        schedule: How often it learns from how many environments.
        budgets: What episodes may cost, or `None`; see `jaxq.agents.budgets`.
        hparams: Starting values of the leaves that these declare.
        settings: Every keyword that shapes the program, with its value.
    """

    name: str
    network: Network
    value: Any
    bootstrap: Any
    returns: Any
    target: Any
    experience: Any
    sequences: Sequences | None
    ensemble: EnsembleOf | None
    exploration: Any
    auxiliary: tuple[Any, ...]
    optimizer: Optimizer
    schedule: UpdateSchedule
    budgets: Budgets | None = None
    hparams: Hparams = dataclasses.field(default_factory=Hparams)
    settings: dict[str, Any] = dataclasses.field(default_factory=dict, compare=False)

    def __post_init__(self) -> None:
        """Check that the components go together."""
        arguments(self.bootstrap, "bootstrap", RULE_ARGUMENTS)
        for loss in self.auxiliary:
            arguments(loss, "auxiliary", LOSS_ARGUMENTS)
        require(self.exploration, "exploration", ("bind", "init", "act", "epsilons"))
        require(self.target, "target", ("init", "update", "evaluate", "is_online"))
        require(self.value, "value", VALUE_PARTS)
        self._check_sequences()
        if self.network.torso is not None and not self.network.head_size(self.value.needs_hidden_layer):
            self.network.check_normalizes(0)
        # The rule first: what it goes with says more than what the rest would.
        for component in (self.bootstrap, *self.components):
            check = getattr(component, "check", None)
            if check is not None:
                check(self)

    def _check_sequences(self) -> None:
        if self.sequences is None:
            return
        length = self.sequences.sequence_length
        if self.returns.n_step > length:
            raise checks.InputValueError(
                f"n_step must fit into the sequence, got {self.returns.n_step} > {length}; "
                f"for example sequence_length={2 * self.returns.n_step}",
                keywords=["n_step", "sequence_length"],
            )

    @property
    def components(self) -> tuple[Any, ...]:
        """All components, in the order in which their leaves are listed."""
        optional = (self.sequences, self.ensemble, self.budgets)
        optional = [part for part in optional if part is not None]
        return (
            self.optimizer,
            self.network,
            self.value,
            self.exploration,
            self.target,
            self.experience,
            self.bootstrap,
            self.returns,
            *self.auxiliary,
            *optional,
            self.schedule,
        )

    @property
    def leaves(self) -> dict[str, Hyperparameter]:
        """The hyperparameters that the components declare."""
        found = {"discount": DISCOUNT}
        if self.value.has_initial_value and not self.network.is_own:
            found["initial_value"] = INITIAL_VALUE
        return joined_leaves([found, *map(declared_leaves, self.components)])

    def bind(self, env: Environment, split: Callable[[PyTree], PyTree]) -> DeepAgent:
        """Put the components together for an environment.

        Raises:
            InputValueError: If a network of the user's own does not fit it, or an optimizer needs more
                than gradients, or if there is a budget for a cost that the environment has not.
        """
        network, schedule, experience = self.network, self.schedule, self.experience
        window = experience.window
        burn_in = 0 if self.sequences is None or window is not None else self.sequences.burn_in
        q_function = make_q_function(env, network, self.value, self.ensemble, burn_in)
        batch_size, rows = experience.batch_size, self._rows_of_run
        if network.is_own or network.torso is not None:
            check_network(env, q_function, (schedule.num_envs, 1, batch_size))
        update = GradientUpdate(
            q_function,
            self.bootstrap,
            self.target,
            self.auxiliary,
            self.optimizer.optimizer,
            self.returns.n_step,
            None if self.budgets is None else self.budgets.bind(env, schedule.num_envs),
        )
        if not self.optimizer.is_built_in:
            check_optimizer(update, validated(self.hparams, self.hparams))
        needed = experience.rows_needed(self.returns, self.sequences)
        iteration = Iteration.of(schedule, window, needed)
        return DeepAgent(
            name=self.name,
            hparams=self.hparams,
            num_envs=schedule.num_envs,
            batch_size=batch_size,
            update_rows=window if window is not None else batch_size * rows,
            iteration=iteration,
            exploration=self.exploration.bind(env),
            source=experience.bind(self, env, iteration),
            update=update,
            scheduled=tuple(part for part in self.components if hasattr(part, "at_step")),
            split=split,
            legal_shape=legal_shape(env),
            cost_shape=cost_shape(env),
            collects=getattr(experience, "collects", True),
        )

    @property
    def _rows_of_run(self) -> int:
        return 1 if self.sequences is None else self.sequences.rows


def legal_shape(env: Environment) -> PyTree:
    """Return what legal actions of an environment look like, bool `[A]`; `()` where all always are."""
    if not env.has_legal_actions:
        return ()
    return jax.ShapeDtypeStruct((env.num_actions,), jnp.dtype(bool))


def joined_leaves(declarations: list[dict[str, Hyperparameter]]) -> dict[str, Hyperparameter]:
    """Put the leaves of components together.

    Raises:
        InputValueError: If two components declare one leaf with other ranges.
    """
    found: dict[str, Hyperparameter] = {}
    for declared in declarations:
        for name, leaf in declared.items():
            if found.setdefault(name, leaf) != leaf:
                raise checks.InputValueError(
                    f"two components declare the leaf {name} with other defaults or ranges, "
                    f"{found[name]} and {leaf}; call one of them by another name"
                )
    return found
