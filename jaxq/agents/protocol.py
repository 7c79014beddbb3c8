"""What the engine asks of an agent: how it acts, what it keeps, and how it learns."""

from collections.abc import Callable
from typing import Any, NamedTuple, Protocol, Self

import jax
import jax.numpy as jnp

from jaxq import checks
from jaxq.hparams import Hparams
from jaxq.learning import mask_illegal
from jaxq.types import Environment, PyTree, TimeStep, Transition


class PolicyInput(NamedTuple):
    """What a policy chooses actions by.

    Attributes:
        observation: Observations of E environments, `[E, ...]`.
        first: Whether each of them begins an episode, bool `[E]`.
        previous_action: Actions before, int32 `[E]`; -1 where an episode begins.
        previous_reward: Their rewards, float32 `[E]`; 0 where an episode begins.
        carry: What the policy carries from step to step, leaves `[E, ...]` or shared.
        steps: Env steps of the agent so far, int32 `[]`.
        legal_actions: Actions that may be taken, bool `[E, A]`; `()` where all always may.
    """

    observation: jax.Array
    first: jax.Array
    previous_action: jax.Array
    previous_reward: jax.Array
    carry: PyTree
    steps: jax.Array
    legal_actions: PyTree = ()


class PolicyOutput(NamedTuple):
    """What a policy does.

    Attributes:
        action: Actions, int32 `[E]`.
        carry: What it carries to the next step, of the structure of the input's.
        extras: What is stored beside the transition, leaves `[E, ...]`.
    """

    action: jax.Array
    carry: PyTree = ()
    extras: PyTree = ()


def first_input(observation: jax.Array, carry: PyTree, legal_actions: PyTree = ()) -> PolicyInput:
    """Return the input of a policy where episodes begin.

    Args:
        observation: First observations, `[E, ...]`.
        carry: The agent's `initial_carry(E)`.
        legal_actions: Actions that may be taken, bool `[E, A]`, or `()`.
    """
    size = observation.shape[0]
    first, no_action = jnp.ones(size, bool), jnp.full(size, -1, jnp.int32)
    return PolicyInput(
        observation, first, no_action, jnp.zeros(size), carry, jnp.int32(0), legal_actions
    )


def next_input(inputs: PolicyInput, output: PolicyOutput, timestep: TimeStep) -> PolicyInput:
    """Return the input of a policy after a step, leaves `[E, ...]`."""
    first = timestep.terminated | timestep.truncated
    return PolicyInput(
        timestep.observation,
        first,
        jnp.where(first, -1, output.action),
        jnp.where(first, 0, timestep.reward),
        output.carry,
        inputs.steps + first.shape[0],
        timestep.legal_actions,
    )


class LearningStatistics(NamedTuple):
    """Averages over the updates of an iteration, float32 `[]`; NaN where an agent has no such number.

    Attributes:
        loss: Mean loss.
        td_error: Mean absolute TD error.
        q_value: Mean value of the actions taken.
        gradient_norm: Global norm of the gradient before clipping; of a table, the absolute TD error.
    """

    loss: Any = jnp.nan
    td_error: Any = jnp.nan
    q_value: Any = jnp.nan
    gradient_norm: Any = jnp.nan


class Agent(Protocol):
    """An agent: pure functions of what it has learned, which `jaxq.Trainer` trains on an environment.

    Subclass it to write one: `hparams`, `num_envs`, `iteration_steps`, `init`, `act`, `learn`, and
    `policy` or `q_values`, are needed; the rest has defaults. The trainer vmaps, sweeps, saves and
    resumes whatever pytrees these functions return.

    Attributes:
        name: What it is called.
        hparams: Starting values of its hyperparameters.
        num_envs: Environments E that it acts in side by side.
        iteration_steps: Env steps of the agent between two calls of `learn`, a multiple of E.
        warmup_steps: Env steps before the first call of `learn`, a multiple of `iteration_steps`.
        batch_size: Observations that one update learns from, of which a mesh gets shares; `None` if
            it cannot be split.
        update_rows: Observations that one update holds at once, for estimates of memory.
        elementwise: Whether all that it does is elementwise, as of a table, so that its numbers do not
            depend on how many agents are trained side by side.
        collects: Whether it acts while it learns; one that learns from logged data does not, and is
            given `None` as the newest transitions.
    """

    name: str = "agent"
    hparams: Hparams
    num_envs: int
    iteration_steps: int
    warmup_steps: int = 0
    batch_size: int | None = None
    update_rows: int = 0
    elementwise: bool = False
    collects: bool = True

    def bind(self, env: Environment, split: Callable[[PyTree], PyTree]) -> Self:
        """Return the agent for an environment.

        Args:
            env: The environment.
            split: Spreads arrays `[B, ...]` over the devices that share the agent.
        """
        return self

    def init(self, key: jax.Array, hparams: Hparams) -> tuple[PyTree, PyTree]:
        """Make what is learned, the learner's state, and what is stored, the replay's state or `()`.

        In population-based training a learner's state takes another's place; one with a method
        `inherit(donor)` says itself what it takes over.
        """
        ...

    def initial_carry(self, num_envs: int) -> PyTree:
        """Return what the policy carries before the first step in E environments."""
        return ()

    def act(
        self, key: jax.Array, learner: PyTree, hparams: Hparams, inputs: PolicyInput
    ) -> PolicyOutput:
        """Choose actions to learn from."""
        ...

    def observe(self, replay: PyTree, newest: Transition, steps: jax.Array) -> PyTree:
        """Store an iteration's transitions.

        Args:
            replay: The replay's state.
            newest: The transitions, leaves `[T, E, ...]`.
            steps: Env steps of the agent before them, int32 `[]`.

        Returns:
            The replay's state with them.
        """
        return replay

    def learn(
        self,
        key: jax.Array,
        learner: PyTree,
        replay: PyTree,
        hparams: Hparams,
        newest: Transition,
        steps: jax.Array,
    ) -> tuple[PyTree, PyTree, LearningStatistics]:
        """Learn for one iteration.

        Args:
            key: PRNG key.
            learner: What is learned.
            replay: The replay's state, which `observe` has added the newest transitions to.
            hparams: The agent's hyperparameters.
            newest: The iteration's transitions, leaves `[T, E, ...]`.
            steps: Env steps of the agent, the newest included, int32 `[]`.

        Returns:
            Learner, replay and statistics after it.
        """
        ...

    def q_values(self, learner: PyTree, inputs: PolicyInput) -> tuple[jax.Array, PyTree]:
        """Return action values `[E, A]` without exploration, and the carry for the next step."""
        raise checks.InputTypeError(f"{self.name} has no action values; ask its policy")

    def policy(self, learner: PyTree, inputs: PolicyInput) -> PolicyOutput:
        """Choose the best actions that are legal; by default those of the largest `q_values`."""
        q, carry = self.q_values(learner, inputs)
        q = mask_illegal(q, inputs.legal_actions)
        return PolicyOutput(jnp.argmax(q, axis=-1).astype(jnp.int32), carry)

    def exploration_rate(self, hparams: Hparams, steps: jax.Array) -> jax.Array:
        """Return the probability of a random action, `[]` or `[E]`; NaN if there is no such number."""
        return jnp.float32(jnp.nan)

    def largest_value(self, hparams: Hparams, max_abs_reward: jax.Array) -> jax.Array:
        """Bound the absolute value of any action, `[]`, from the largest absolute reward seen."""
        return jnp.float32(jnp.inf)

    def highest_value(self, hparams: Hparams, largest_return: jax.Array) -> jax.Array:
        """Bound the value of any action from above, `[]`, where no policy can expect a larger return."""
        return jnp.float32(jnp.inf)


def inherited(learner: PyTree, donor: PyTree) -> PyTree:
    """Return a learner's state with what a donor has learned, by its own `inherit` if it has one."""
    inherit = getattr(learner, "inherit", None)
    return donor if inherit is None else inherit(donor)


def check_agent(agent: Any) -> None:
    """Check that an agent has all of the protocol, and that its sizes go together.

    Raises:
        InputTypeError: Naming what is missing, or if a size is no whole number.
        InputValueError: If a size is out of range.
    """
    needed = (*Agent.__annotations__, *(name for name in vars(Agent) if not name.startswith("_")))
    missing = [name for name in dict.fromkeys(needed) if not hasattr(agent, name)]
    if missing:
        raise checks.InputTypeError(
            f"an agent must have {', '.join(missing)}, got {type(agent).__name__} without; "
            "subclass jaxq.Agent, which has defaults for all that is optional"
        )
    num_envs = checks.whole_number("num_envs", agent.num_envs)
    iteration = checks.whole_number("iteration_steps", agent.iteration_steps)
    warmup = checks.whole_number("warmup_steps", agent.warmup_steps, minimum=0)
    for name, steps, unit in (
        ("iteration_steps", iteration, num_envs),
        ("warmup_steps", warmup, iteration),
    ):
        if steps % unit:
            raise checks.InputValueError(
                f"{name} of {agent.name} must be a multiple of {unit}, got {steps}; "
                f"for example {name}={-(-steps // unit) * unit}"
            )
    undeclared = [name for name, leaf in agent.hparams.declared.items() if leaf is None]
    if undeclared:
        raise checks.InputTypeError(
            f"hparams of {agent.name} must say what {', '.join(undeclared)} may be; for example "
            f"jaxq.Hparams.of({undeclared[0]}=jaxq.Hyperparameter(1e-3, low=0))"
        )
