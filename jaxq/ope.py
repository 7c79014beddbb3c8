"""Off-policy evaluation: what a policy would be worth, by logged data alone, before it acts anywhere.

    >>> import jax, jaxq, numpy as np
    >>> columns = {"observation": [0, 0, 0, 0], "action": [0, 1, 0, 1], "reward": [0.0, 1.0, 0.0, 1.0]}
    >>> columns |= {"terminated": [True] * 4, "truncated": [False] * 4}
    >>> data = jaxq.dataset.validate({**columns, "behaviour_probability": [0.5] * 4})
    >>> always_1 = np.tile([0.0, 1.0], (4, 1))
    >>> print(jaxq.ope.evaluate(data, always_1).estimates["per_decision_importance"].value)
    1.0

The value is the discounted return from where the log's episodes begin. As everywhere in jaxq, an episode
that was cut off has not ended: estimators that learn values go on from where it was cut, if the log says
where that is; importance sampling alone counts what was paid until then.
"""

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxq import checks
from jaxq.agents.protocol import first_input
from jaxq.dataset import Dataset
from jaxq.engine.state import AgentState, check_state
from jaxq.engine.trainer import Trainer
from jaxq.fitted_q import fitted_q_network
from jaxq.learning import (
    Episodes,
    Estimate,
    bootstrap_estimate,
    doubly_robust,
    fitted_q_evaluation,
    mix_uniform,
    per_decision_importance,
    weighted_importance,
)
from jaxq.logged_episodes import LoggedEpisodes, Policy, read
from jaxq.precision import in_32_bits
from jaxq.types import PyTree

ESTIMATORS = ("per_decision_importance", "weighted_importance", "fitted_q", "doubly_robust")
"""The estimators by name: all but `fitted_q` need the probabilities that the behaviour acted by, and the
last two learn values."""

_TABLE_RESAMPLES, _NETWORK_RESAMPLES = 200, 20


class Evaluation(NamedTuple):
    """What a policy would be worth; prints as a table.

    Attributes:
        estimates: Value and ends of its interval by estimator.
        confidence: Share of intervals that are to cover the value.
        episodes: Number of episodes N.
        effective_episodes: `(sum_i rho_i)^2 / sum_i rho_i^2` with the ratios of whole episodes, in
            [0, N]: how many episodes of the policy's own the log is worth to importance sampling. NaN
            where the behaviour's probabilities are not known.
    """

    estimates: dict[str, Estimate]
    confidence: float
    episodes: int
    effective_episodes: float

    def __str__(self) -> str:
        """Write a line for each estimator."""
        head = f"{self.confidence:.0%} intervals by bootstrap over {self.episodes:,} episodes"
        if not np.isnan(self.effective_episodes):
            head += f", worth {self.effective_episodes:.3g} of the policy's own"
        lines = [
            f"{name:24} {e.value:10.4g}  [{e.low:.4g}, {e.high:.4g}]"
            for name, e in self.estimates.items()
        ]
        return "\n".join([head, *lines])


@in_32_bits()
def evaluate(
    data: Dataset,
    policy: Policy | Any,
    discount: float = 0.99,
    *,
    estimators: Iterable[str] = ESTIMATORS,
    key: jax.Array | None = None,
    confidence: float = 0.95,
    num_resamples: int | None = None,
    hidden_sizes: tuple[int, ...] = (64, 64),
    num_updates: int = 2_000,
) -> Evaluation:
    """Say what a policy would be worth, with an interval.

    Where observations are state numbers, values are learned as a table and exactly; else by a network,
    anew for each sample of the bootstrap.

    Args:
        data: Logged transitions of whole episodes.
        policy: Probabilities of actions in each row, `[T, A]`, or a function of observations and legal
            actions, such as `policy_of(trainer, state)`.
        discount: gamma, in [0, 1].
        estimators: Names of estimators.
        key: PRNG key of the bootstrap; `jax.random.key(0)` if not given.
        confidence: Share of intervals that are to cover the value, in (0, 1).
        num_resamples: Samples of the bootstrap; 200, and 20 where a network is learned for each.
        hidden_sizes: Widths of the network's layers.
        num_updates: Gradient steps of each network.

    Returns:
        Estimates and intervals.

    Raises:
        InputTypeError: If an argument has the wrong type.
        InputValueError: If the data lacks the behaviour's probabilities that an estimator needs, the
            policy is none, or never does what the log did.

    References:
        Precup, Sutton and Singh, 2000, equation 4 and section 3; Le, Voloshin and Yue, 2019, algorithm
        3; Jiang and Li, 2016, equation 10; Hanna, Stone and Niekum, 2017 (intervals).
    """
    names = [checks.one_of("estimator", name, ESTIMATORS) for name in estimators]
    checks.one_number("discount", discount, 0, 1)
    checks.one_number("confidence", confidence, 0, 1, open_low=True)
    log = read(data, policy, needs_behaviour=any(name != "fitted_q" for name in names))
    learns = bool({"fitted_q", "doubly_robust"} & {*names})
    if num_resamples is None:
        num_resamples = _NETWORK_RESAMPLES if learns and not log.is_table else _TABLE_RESAMPLES
    num_resamples = checks.whole_number("num_resamples", num_resamples, minimum=2)
    key = jax.random.key(0) if key is None else key
    found = _bootstrapped(
        key,
        log,
        jnp.float32(discount),
        names=tuple(names),
        confidence=float(confidence),
        num_resamples=num_resamples,
        hidden_sizes=tuple(hidden_sizes),
        num_updates=checks.whole_number("num_updates", num_updates),
    )
    found = jax.tree.map(np.asarray, found)
    estimates = {name: Estimate(*(float(part[i]) for part in found)) for i, name in enumerate(names)}
    return Evaluation(estimates, confidence, log.episodes.mask.shape[0], log.effective_episodes)


@in_32_bits()
def policy_of(trainer: Trainer, state: AgentState, epsilon: float = 0.0) -> Policy:
    """Return the policy of a trained agent, as `evaluate` takes it.

    `policy[a] = epsilon / A + (1 - epsilon) * [a is the agent's choice]`, over the A legal actions

    Args:
        trainer: The agent's trainer.
        state: The agent.
        epsilon: Probability of a random action, in [0, 1].

    Returns:
        A function of observations and legal actions.

    Raises:
        InputTypeError: If an argument has the wrong type.
        InputValueError: If the agent is recurrent, so that what it does does not follow from one
            observation.
    """
    return policies_of(trainer)(state, epsilon)


def policies_of(trainer: Trainer) -> Callable[..., Policy]:
    """Return `policy_of` for the agents of one trainer, which share a program.

    Args:
        trainer: The agents' trainer.

    Returns:
        A function of a state and of epsilon, 0 if not given.

    Raises:
        InputTypeError: If it is something else.
        InputValueError: If its agents are recurrent.
    """
    if not isinstance(trainer, Trainer):
        raise checks.InputTypeError(
            f"trainer must be a jaxq.Trainer, got {type(trainer).__name__}; for example "
            "jaxq.ope.policy_of(trainer, state)"
        )
    agent, num_actions = trainer.agent, trainer.env.num_actions
    if getattr(getattr(agent, "q_function", None), "recurrent_size", 0):
        raise checks.InputValueError(
            "what a recurrent agent does follows from whole episodes; give its probabilities in each row"
        )

    @jax.jit
    def probabilities(
        learner: PyTree, epsilon: jax.Array, observation: jax.Array, legal: PyTree
    ) -> jax.Array:
        carry = agent.initial_carry(observation.shape[0])
        action = agent.policy(learner, first_input(observation, carry, legal)).action
        choice = jax.nn.one_hot(action, num_actions)
        return jax.vmap(mix_uniform, in_axes=(0, None, 0))(choice, epsilon, legal)

    def make(state: AgentState, epsilon: float = 0.0) -> Policy:
        check_state(state, trainer.template)
        checks.one_number("epsilon", epsilon, 0, 1)

        def policy(observation: np.ndarray, legal: np.ndarray | None) -> np.ndarray:
            observed = jnp.asarray(observation, trainer.env.observation_spec.dtype)
            masks = () if legal is None else jnp.asarray(legal)
            return np.asarray(probabilities(state.learner, jnp.float32(epsilon), observed, masks))

        return policy

    return make


@partial(
    jax.jit, static_argnames=("names", "confidence", "num_resamples", "hidden_sizes", "num_updates")
)
def _bootstrapped(
    key: jax.Array,
    log: LoggedEpisodes,
    discount: jax.Array,
    *,
    names: tuple[str, ...],
    confidence: float,
    num_resamples: int,
    hidden_sizes: tuple[int, ...],
    num_updates: int,
) -> Estimate:
    """Return all estimates with their intervals, leaves `[names]`."""

    def fit(weight: jax.Array) -> jax.Array:
        sizes = {"hidden_sizes": hidden_sizes, "num_updates": num_updates}
        return fitted_q_network(key, log.rows, discount, weight, **sizes)

    estimator = partial(_estimates, names, log, fit)
    sizes = {"confidence": confidence, "num_resamples": num_resamples}
    return bootstrap_estimate(key, estimator, log.episodes, log.policy, discount, **sizes)


def _estimates(
    names: tuple[str, ...],
    log: LoggedEpisodes,
    fit: Callable[[jax.Array], jax.Array],
    episodes: Episodes,
    policy: jax.Array,
    discount: jax.Array,
    weight: jax.Array,
) -> jax.Array:
    """Return the estimates of one sample of episodes, `[names]`."""
    known = episodes._replace(mask=log.known)
    q = None
    if {"fitted_q", "doubly_robust"} & {*names}:
        q = fitted_q_evaluation(known, policy, discount, weight) if log.is_table else fit(weight)
    arguments = policy, discount, weight
    found = {
        "per_decision_importance": lambda: per_decision_importance(episodes, *arguments),
        "weighted_importance": lambda: weighted_importance(episodes, *arguments),
        "fitted_q": lambda: _start_value(episodes, policy, weight, q),
        "doubly_robust": lambda: doubly_robust(known, *arguments, q=q),
    }
    return jnp.stack([found[name]() for name in names])


def _start_value(episodes: Episodes, policy: jax.Array, weight: jax.Array, q: Any) -> jax.Array:
    value = jnp.sum(policy * q, axis=1)[episodes.s_tm1[:, 0]]
    return jnp.sum(weight * value) / jnp.sum(weight)
