"""The compiled programs of planning, kept for as long as their trainer is."""

import functools
import weakref
from typing import Any, NamedTuple

import jax

from jaxq.agents.protocol import PolicyInput
from jaxq.engine import Trainer
from jaxq.engine.programs import Program
from jaxq.planning.rollouts import rollouts
from jaxq.types import PyTree


class Programs(NamedTuple):
    """What is compiled once for a trainer.

    Attributes:
        ask: What an agent says of one observation; see `Answers`.
        legal_actions: The environment's, of a state and parameters.
        rollouts: See `jaxq.planning.rollouts`.
    """

    ask: Program
    legal_actions: Program
    rollouts: Program


class Answers(NamedTuple):
    """What an agent says of one observation.

    Attributes:
        q: Action values, float32 `[A]`.
        confidence: What is known of them, `[A]`; `()` of agents that do not say.
        costs: Discounted costs that are expected, `[K, A]`; `()` of agents without cost critics.
    """

    q: Any
    confidence: Any
    costs: Any


_PROGRAMS: weakref.WeakKeyDictionary[Trainer, Programs] = weakref.WeakKeyDictionary()


def programs_of(trainer: Trainer) -> Programs:
    """Return a trainer's programs."""
    found = _PROGRAMS.get(trainer)
    if found is None:
        # Of the trainer's parts alone, so that it can be forgotten.
        env, agent = trainer.env, trainer.agent
        found = _PROGRAMS[trainer] = Programs(
            Program(functools.partial(_ask, agent)),
            Program(env.legal_actions),
            Program(functools.partial(rollouts, env, agent), static_argnums=(6, 7, 8)),
        )
    return found


def _ask(agent: Any, learner: PyTree, inputs: PolicyInput) -> Answers:
    q, _ = agent.q_values(learner, inputs)
    knows = getattr(agent, "confidence_kind", None) is not None
    cost_values = getattr(agent, "cost_values", None)
    answers = Answers(
        q,
        agent.confidence(learner, inputs) if knows else (),
        () if cost_values is None else cost_values(learner, inputs),
    )
    return jax.tree.map(lambda leaf: leaf[0], answers)
