"""Population-based training: between segments, the worst agents go on from where the best are."""

from collections.abc import Iterable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxq import checks
from jaxq.agents.protocol import inherited
from jaxq.engine.state import AgentState, check_alive, check_key, describe
from jaxq.hparams import Hparams, check_may_vary
from jaxq.precision import in_32_bits
from jaxq.types import PyTree


def pbt(
    key: jax.Array,
    state: AgentState,
    scores: Any,
    *,
    vary: Sequence[str],
    fraction: float = 0.25,
    factor: float = 1.25,
) -> AgentState:
    """Let the worst agents take over what the best ones have learned, and vary how they learn on.

    An agent of the worst `fraction` takes what one drawn from the best `fraction` has learned, its
    weights and their slower copy, its optimizer's state or its tables, and its hyperparameters; each
    leaf to vary is then multiplied or divided by `factor`. Of `discount` it is the horizon,
    `1 / (1 - discount)`. Everything else stays the agent's own: its key, its environments, what it
    remembers, and what a table notes of running episodes, their traces and their last steps.

    Args:
        key: PRNG key; another one for each round.
        state: The population, between two calls of `run`.
        scores: How well each agent does, `[N]`, more is better; NaN is worst.
        vary: Names of the leaves to vary.
        fraction: Share of the agents that is replaced, and share that is copied, in (0, 0.5].
        factor: By how much a leaf changes, > 1.

    Returns:
        The population to train on.

    Raises:
        InputTypeError: If a name to vary is no leaf of the agents' hyperparameters.
        InputValueError: If there are not two agents at least, or a number is out of range.

    References:
        Jaderberg et al., Population Based Training of Neural Networks, 2017, section 4.1.1
        (truncation selection, perturbation).

    Example:
        >>> import jax, jaxq
        >>> trainer = jaxq.Trainer(jaxq.envs.make("Catch-bsuite"), jaxq.pqn())
        >>> population = jaxq.Population(trainer, size=4)
        >>> state, metrics = population.run(population.init(jax.random.key(0)), 1_000)
        >>> state = jaxq.pbt(jax.random.key(1), state, metrics.episode_return, vary=["learning_rate"])
        >>> state.hparams.learning_rate.shape
        (4,)
    """
    check_key(key)
    if not isinstance(state, AgentState):
        raise checks.InputTypeError(
            f"state must be a population's, got {describe(state)}; "
            "for example state, metrics = population.run(state, 10_000)"
        )
    check_alive(state)
    scores = _checked_scores(scores, state)
    checks.one_number("fraction", fraction, 0, 0.5, open_low=True)
    checks.one_number("factor", factor, 1, jnp.inf, open_low=True)
    if isinstance(vary, str) or not isinstance(vary, Iterable):
        raise checks.InputTypeError(
            f"vary must be names of leaves, got {describe(vary)}; for example vary=['learning_rate']"
        )
    for name in vary:
        check_may_vary(name, state.hparams)
    return _next_round(key, state, scores, vary, fraction, factor)


@in_32_bits()
def _next_round(
    key: jax.Array,
    state: AgentState,
    scores: np.ndarray,
    vary: Sequence[str],
    fraction: float,
    factor: float,
) -> AgentState:
    """Do what `pbt` does, on checked arguments."""
    source_key, vary_key = jax.random.split(key)
    source = _sources(source_key, scores, fraction)
    hparams = _taken(state.hparams, source)
    for number, name in enumerate(vary):
        up = jax.random.bernoulli(jax.random.fold_in(vary_key, number), shape=source.shape)
        change = jnp.where(up, factor, 1 / factor)
        hparams = _varied(hparams, name, source != jnp.arange(source.size), change)
    learner = inherited(state.learner, _taken(state.learner, source))
    return state._replace(learner=learner, hparams=hparams)


def _checked_scores(scores: Any, state: AgentState) -> np.ndarray:
    expected = state.actors.episode_length.shape[:-1]
    try:
        scores = np.asarray(scores, np.float64)
    except (TypeError, ValueError):
        raise checks.InputTypeError(
            f"scores must be numbers, got {describe(scores)}; "
            "for example population.evaluate(state, key).mean(axis=1)"
        ) from None
    if len(expected) != 1 or expected[0] < 2:
        raise checks.InputValueError("pbt needs a population of two agents at least")
    if scores.shape != expected:
        raise checks.InputValueError(
            f"scores must be one number per agent, shape {expected}, got {scores.shape}; "
            "for example population.evaluate(state, key).mean(axis=1)"
        )
    return scores


def _sources(key: jax.Array, scores: np.ndarray, fraction: float) -> jax.Array:
    """Say which agent each one goes on from: its own number, but for the worst ones, int32 `[N]`."""
    replaced = max(int(fraction * scores.size), 1)
    # A stable sort, with what is no number in front: the same scores make the same choice.
    order = np.argsort(np.where(np.isnan(scores), -np.inf, scores), kind="stable")
    donors = jax.random.choice(key, jnp.asarray(order[-replaced:]), (replaced,))
    return jnp.arange(scores.size).at[order[:replaced]].set(donors)


def _taken(tree: PyTree, source: jax.Array) -> PyTree:
    """Reorder agents, and leave every leaf spread over the devices as it was."""
    return jax.tree.map(lambda leaf: jax.device_put(leaf[source], leaf.sharding), tree)


def _varied(hparams: Hparams, name: str, replaced: jax.Array, change: jax.Array) -> Hparams:
    """Multiply a leaf of the agents that were replaced, and leave that of the others to the bit."""
    leaf = getattr(hparams, name)
    new = 1 - (1 - leaf) / change if name == "discount" else leaf * change
    declared = hparams.declared[name]
    new = jax.device_put(jnp.clip(new, declared.low, declared.high), leaf.sharding)
    return hparams.replace(**{name: jnp.where(replaced, new, leaf)})
