"""Ranking: what a trained agent makes of one observation, action by action.

Beside the protocol `jaxq.Agent`, an agent may have

- `confidence_kind` and `confidence(learner, inputs)`, what is known of its values, `[E, A]`; see
  `jaxq.planning.Plan` for the kinds;
- `cost_values(learner, inputs)`, the discounted costs that it expects, `[E, K, A]`, in order of the
  environment's `cost_names`, NaN for those that it knows nothing of; or `()`.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxq import checks
from jaxq.agents.protocol import PolicyInput, first_input
from jaxq.engine import AgentState, Trainer
from jaxq.engine.state import check_state
from jaxq.envs.words import Words, words_of
from jaxq.planning.arguments import (
    checked_env_state,
    checked_legal_actions,
    checked_one_observation,
    checked_policy_carry,
    checked_simulation,
)
from jaxq.planning.plans import Outlook, Plan, PlannedAction
from jaxq.planning.programs import Answers, programs_of
from jaxq.planning.simulation import outlooks
from jaxq.precision import in_32_bits
from jaxq.types import PyTree

ROLLOUTS = ("best", "all")
_NO_REASON = "not legal in this state"
_BEST_OTHER = "the best other action"


@in_32_bits()
def plan(
    trainer: Trainer,
    state: AgentState,
    observation: Any,
    legal_actions: Any = None,
    *,
    carry: PyTree = None,
    previous_action: int = -1,
    previous_reward: float = 0.0,
    env_state: PyTree = None,
    horizon: int | None = None,
    samples: int = 256,
    key: jax.Array | None = None,
    rollouts: str = "best",
    budgets: dict[str, float] | None = None,
) -> Plan:
    """Say what to do next: the corrective actions, best first, and what speaks for each.

    `advantage(a) = q(o, a) - q(o, wait)`, or without an action that does nothing
    `q(o, a) - max_{b != a} q(o, b)` over legal b.

    With a state of the environment and a horizon, the greedy policy is rolled out in the simulator, the
    action first and no exploration behind it: the expected path, the probability to recover and to break
    budgets with Wilson's 95% intervals, and the mean reward and costs with Student's.

    What the environment calls its actions, which of them does nothing, what is legal in an observation,
    why something is not, and what recovery is, it says itself; see `jaxq.envs.words`.

    Args:
        trainer: The agent's trainer.
        state: The agent; of a population `population.agent(state, i)`.
        observation: One observation.
        legal_actions: Actions that may be taken, bool `[A]`; if not given, as `env_state` or else the
            observation tells.
        carry: What the policy carries, of one environment, as a recurrent agent's `policy` returned it
            one step before; if not given, an episode begins.
        previous_action: With `carry`, the action one step before.
        previous_reward: With `carry`, its reward.
        env_state: The state of the environment that the observation is of.
        horizon: Steps to look ahead; no rollouts if not given.
        samples: Rollouts of each action that is rolled out, at least 2.
        key: PRNG key of the rollouts; that of seed 0 if not given.
        rollouts: "best" to roll out the best action, "all" for every legal one.
        budgets: Most that the sum of a cost within the horizon may come to, by name.

    Returns:
        The plan; it prints as a table, and `to_json()` writes it down.

    Raises:
        InputTypeError: If an argument has the wrong type, or there is a horizon and no `env_state`.
        InputValueError: If an argument has another shape or is out of range, no action is legal, or the
            agent's values are not finite.

    Example:
        >>> import jax, jaxq
        >>> trainer = jaxq.Trainer(jaxq.envs.make("Cliff-grid"), jaxq.q_learning())
        >>> state, _ = trainer.run(trainer.init(jax.random.key(0)), 20_000)
        >>> plan = jaxq.plan(trainer, state, 36)
        >>> plan.best.name
        'up'
    """
    if not checks.is_concrete((state, observation, legal_actions, carry, env_state)):
        raise checks.InputTypeError(
            "a plan is made of numbers, and inside jax.jit there are none yet; call jaxq.plan outside, "
            "or trainer.q_values inside"
        )
    check_state(state, trainer.template)
    inputs = first_input(
        checked_one_observation(trainer, observation)[None], trainer.agent.initial_carry(1)
    )
    if carry is not None:
        inputs = inputs._replace(
            first=jnp.zeros(1, bool),
            previous_action=jnp.full(1, _checked_action(trainer, previous_action), jnp.int32),
            previous_reward=jnp.full(1, previous_reward, jnp.float32),
            carry=checked_policy_carry(trainer, carry),
            steps=jnp.int32(1),
        )
    return plan_of(
        trainer,
        state.learner,
        state.env_params,
        inputs,
        legal_actions,
        env_state=env_state,
        horizon=horizon,
        samples=samples,
        key=key,
        rollouts=rollouts,
        budgets=budgets,
    )


def plan_of(
    trainer: Trainer,
    learner: PyTree,
    env_params: PyTree,
    inputs: PolicyInput,
    legal_actions: Any = None,
    *,
    env_state: PyTree = None,
    horizon: int | None = None,
    samples: int = 256,
    key: jax.Array | None = None,
    rollouts: str = "best",
    budgets: dict[str, float] | None = None,
) -> Plan:
    """Do what `plan` does, for what a policy is given of one environment, its observation checked."""
    words = words_of(trainer.env)
    if env_state is not None:
        env_state = checked_env_state(trainer, env_params, env_state)
    key = jax.random.key(0) if key is None else key
    simulation = checked_simulation(trainer, env_state, horizon, samples, key, budgets)
    checks.one_of("rollouts", rollouts, ROLLOUTS)
    observation = np.asarray(inputs.observation[0])
    legal = _legal(trainer, env_params, env_state, observation, words, legal_actions)
    mask = np.ones(trainer.env.num_actions, bool) if legal is None else legal
    given = jnp.asarray(mask)[None] if trainer.env.has_legal_actions else ()
    inputs = inputs._replace(legal_actions=given)
    asked = _ask(trainer, learner, inputs)
    order = [int(a) for a in np.lexsort((-asked.q, ~mask))]
    looked: dict[int, Outlook] = {}
    if simulation is not None:
        chosen = order[: int(mask.sum()) if rollouts == "all" else 1]
        found = outlooks(trainer, learner, env_params, inputs, chosen, words, simulation)
        looked = dict(zip(chosen, found, strict=True))
    compared, advantage = _advantages(asked.q, mask, words)

    def planned(action: int) -> PlannedAction:
        reason = None
        if not mask[action]:
            tell = words.illegal_reason
            reason = (tell and tell(observation, action)) or _NO_REASON
        return PlannedAction(
            action=action,
            name=words.action_names[action],
            q_value=float(asked.q[action]),
            advantage=advantage[action],
            confidence=None if isinstance(asked.confidence, tuple) else float(asked.confidence[action]),
            legal=None if legal is None else bool(legal[action]),
            reason=reason,
            expected_costs=_costs(trainer, asked.costs, action),
            outlook=looked.get(action),
        )

    kind = None if isinstance(asked.confidence, tuple) else trainer.agent.confidence_kind
    return Plan(tuple(map(planned, order)), compared, kind)


def _checked_action(trainer: Trainer, action: Any) -> int:
    action = checks.whole_number("previous_action", action, minimum=-1)
    if action >= trainer.env.num_actions:
        raise checks.InputValueError(
            f"previous_action must be one of {trainer.env.num_actions} actions, got {action}"
        )
    return action


def _legal(
    trainer: Trainer,
    env_params: PyTree,
    env_state: PyTree,
    observation: np.ndarray,
    words: Words,
    given: Any,
) -> np.ndarray | None:
    """Return which actions are legal, bool `[A]`; `None` if some may not be, and nobody said which."""
    env = trainer.env
    if given is not None:
        return checked_legal_actions(given, env.num_actions)
    if not env.has_legal_actions:
        return np.ones(env.num_actions, bool)
    if env_state is not None:
        legal = programs_of(trainer).legal_actions(env_state, env_params)
        return checked_legal_actions(legal, env.num_actions)
    observed = words.observed_legal_actions and words.observed_legal_actions(observation)
    return None if observed is None else checked_legal_actions(observed, env.num_actions)


def _ask(trainer: Trainer, learner: PyTree, inputs: PolicyInput) -> Answers:
    """Ask the agent for its values, what is known of them, and the costs it expects."""
    asked = jax.tree.map(np.asarray, programs_of(trainer).ask(learner, inputs))
    if not np.isfinite(asked.q).all():
        raise checks.InputValueError(
            "the agent's values are not finite, as of one that has diverged; plan with another agent"
        )
    return asked


def _advantages(q: np.ndarray, mask: np.ndarray, words: Words) -> tuple[str, list[float | None]]:
    """Return what advantages compare with, and those of all actions."""
    if words.no_op is not None:
        return words.action_names[words.no_op], [float(value - q[words.no_op]) for value in q]

    def advantage(action: int) -> float | None:
        others = mask & (np.arange(len(q)) != action)
        return float(q[action] - q[others].max()) if others.any() else None

    return _BEST_OTHER, [advantage(action) for action in range(len(q))]


def _costs(trainer: Trainer, costs: PyTree, action: int) -> dict[str, float] | None:
    if not len(costs):
        return None
    values = zip(getattr(trainer.env, "cost_names", ()), costs[:, action], strict=True)
    return {name: float(value) for name, value in values if not np.isnan(value)}
