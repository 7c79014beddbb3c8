"""What the trainer asks of an algorithm that has been given an environment: acting and learning."""

from collections.abc import Callable
from typing import NamedTuple, Protocol

import jax

from jaxq.hparams import Hparams
from jaxq.types import PyTree, Transition


class Situation(NamedTuple):
    """What an agent has to choose actions for.

    Attributes:
        observation: Observations of its E environments, `[E, ...]`.
        begins: Whether each of them begins an episode, bool `[E]`.
        carry: What acting remembers from step to step.
        steps: Env steps of the agent so far, int32 `[]`.
    """

    observation: jax.Array
    begins: jax.Array
    carry: PyTree
    steps: jax.Array


class Decision(NamedTuple):
    """What an agent does.

    Attributes:
        action: Actions, int32 `[E]`.
        carry: What acting remembers for the next step.
        extras: What is stored beside the transition, leaves `[E, ...]`.
    """

    action: jax.Array
    carry: PyTree = ()
    extras: PyTree = ()


class Acting(Protocol):
    """How actions are chosen while training."""

    def start(self, num_envs: int) -> PyTree:
        """Return what acting remembers before the first step in E environments."""
        ...

    def act(self, key: jax.Array, learner: PyTree, hparams: Hparams, situation: Situation) -> Decision:
        """Choose an action in each environment."""
        ...

    def receive(self, carry: PyTree, action: jax.Array, reward: jax.Array) -> PyTree:
        """Note in a decision's carry what was done, int32 `[E]`, and what it paid, `[E]`."""
        ...


class Experience(NamedTuple):
    """What there is to learn from.

    Attributes:
        memory: What is remembered, the newest transitions included.
        newest: The iteration's transitions, leaves `[T, E, ...]`.
        steps: Env steps of the agent, the newest included, int32 `[]`.
    """

    memory: PyTree
    newest: Transition
    steps: jax.Array


class LearningStatistics(NamedTuple):
    """What learning looked like, averaged over an iteration.

    Attributes:
        loss: Mean loss.
        td_error: Mean absolute TD error.
        q_value: Mean value of the actions taken.
        gradient_norm: Global norm of the gradient before clipping; of a table, the absolute TD error.
    """

    loss: jax.Array
    td_error: jax.Array
    q_value: jax.Array
    gradient_norm: jax.Array


class Learning(Protocol):
    """What is remembered, and how it is learned from.

    Attributes:
        iteration_steps: Env steps of the agent in one iteration: some rows of all environments.
        warmup_steps: Env steps that fill the memory before the first update, whole iterations.
    """

    iteration_steps: int
    warmup_steps: int

    def init(self, key: jax.Array, hparams: Hparams) -> tuple[PyTree, PyTree]:
        """Make what will be learned, and an empty memory."""
        ...

    def remember(self, memory: PyTree, newest: Transition, steps: jax.Array) -> PyTree:
        """Store an iteration's transitions, leaves `[T, E, ...]`, begun after `steps` env steps."""
        ...

    def learn(
        self, key: jax.Array, learner: PyTree, hparams: Hparams, experience: Experience
    ) -> tuple[PyTree, PyTree, LearningStatistics]:
        """Learn for one iteration, and return the learner, the memory and what it looked like."""
        ...


class Agent(NamedTuple):
    """An algorithm made ready for an environment.

    Attributes:
        acting: How it explores.
        learning: How it learns.
        values: Maps what was learned, observations `[B, ...]` and a carry to action values `[B, A]`
            without exploration, and the next carry, which `acting.receive` is to note the step in.
        carry: Makes the carry of B episodes that begin.
    """

    acting: Acting
    learning: Learning
    values: Callable[[PyTree, jax.Array, PyTree], tuple[jax.Array, PyTree]]
    carry: Callable[[int], PyTree]
