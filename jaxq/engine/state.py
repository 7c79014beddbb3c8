"""The state of an agent and of a population, what a run reports, and the checks of both."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxq import checks
from jaxq.engine.rollout import RolloutState
from jaxq.hparams import Hparams
from jaxq.types import ObservationSpec, PyTree

RESERVED = checks.INT32_MAX - 1
"""Numbers from here on are folded into an agent's key for what is not a step of training."""


class AgentState(NamedTuple):
    """All there is to an agent; a population's state has a leading axis N on all leaves but `steps`.

    Attributes:
        key: The agent's PRNG key, which never changes: randomness is folded in from `steps`.
        hparams: Hyperparameters.
        env_params: Environment parameters.
        actors: The environments it acts in.
        memory: What it remembers; of a replay, leaves `[R, E, ...]`.
        learner: What it has learned.
        steps: Env steps of the agent so far, in all its environments, int32 `[]`. Agents of a
            population march in step, so it has no agent axis, which keeps replay writes in place.
    """

    key: jax.Array
    hparams: Hparams
    env_params: PyTree
    actors: RolloutState
    memory: PyTree
    learner: PyTree
    steps: jax.Array


AGENT_AXES = AgentState(0, 0, 0, 0, 0, 0, None)
"""The axes of a population's state, as `in_axes` and `out_axes` of `jax.vmap` take them."""


class Metrics(NamedTuple):
    """What happened during one call of `run`; every leaf is float32 `[]`, or `[N]` in a population.

    Attributes:
        episodes: Episodes that ended.
        episode_return: Their mean undiscounted return; NaN if none ended.
        episode_length: Their mean length in steps; NaN if none ended.
        loss: Mean loss of the gradient steps.
        td_error: Mean absolute TD error.
        q_value: Mean value of the actions in the samples.
        gradient_norm: Mean global norm of the gradients before clipping.
        epsilon: Probability of a random action at the end.
        episode_cost: `None`; see `CostMetrics`.
    """

    episodes: jax.Array
    episode_return: jax.Array
    episode_length: jax.Array
    loss: jax.Array
    td_error: jax.Array
    q_value: jax.Array
    gradient_norm: jax.Array
    epsilon: jax.Array
    # No field: what a run writes down and reads back has a column of numbers for each of these.
    episode_cost = None


class CostMetrics(NamedTuple):
    """What happened during one call of `run` in an environment with costs: `Metrics`, and costs.

    Attributes:
        episodes: As in `Metrics`.
        episode_return: As in `Metrics`.
        episode_length: As in `Metrics`.
        loss: As in `Metrics`.
        td_error: As in `Metrics`.
        q_value: As in `Metrics`.
        gradient_norm: As in `Metrics`.
        epsilon: As in `Metrics`.
        episode_cost: Mean undiscounted costs of the episodes that ended, `[K]` in order of the
            environment's `cost_names`, `[N, K]` in a population; NaN if none ended.
    """

    episodes: jax.Array
    episode_return: jax.Array
    episode_length: jax.Array
    loss: jax.Array
    td_error: jax.Array
    q_value: jax.Array
    gradient_norm: jax.Array
    epsilon: jax.Array
    episode_cost: jax.Array


def check_arguments(env: Any, algorithm: Any) -> None:
    """Check that what a trainer is made of are an environment and a recipe.

    Raises:
        InputTypeError: If one of them is something else.
    """
    if not hasattr(env, "observation_spec"):
        raise checks.InputTypeError(
            f"env must come from jaxq.envs, got {describe(env)}; "
            'for example jaxq.envs.make("CartPole-v1") or jaxq.envs.from_gymnax(env, params)'
        )
    if not hasattr(algorithm, "bind") or isinstance(algorithm, type):
        raise checks.InputTypeError(
            f"algorithm must be a recipe or an agent, got {describe(algorithm)}; "
            "for example jaxq.dqn(), or an object of a subclass of jaxq.Agent"
        )


def checked_observation(observation: Any, spec: ObservationSpec) -> jax.Array:
    """Return observations as an array `[..., *spec.shape]` in their own type.

    Raises:
        InputTypeError: If they are not numeric.
        InputValueError: If they have another shape.
    """
    try:
        array = _cast(observation, spec)
    except checks.InputError:
        raise
    except (TypeError, ValueError, OverflowError):
        raise checks.InputTypeError(
            f"observation must be numbers, got {describe(observation)}"
        ) from None
    split = array.ndim - len(spec.shape)
    if split < 0 or array.shape[split:] != spec.shape:
        raise checks.InputValueError(
            f"observation must have shape [..., {', '.join(map(str, spec.shape))}], got {array.shape}"
        )
    return array


def _cast(observation: Any, spec: ObservationSpec) -> jax.Array:
    """Return observations in their own type, if that keeps what they say."""
    if not checks.is_concrete(observation):
        return jnp.asarray(observation, spec.dtype)
    given = observation if hasattr(observation, "dtype") else np.asarray(observation)
    if not any(jnp.issubdtype(given.dtype, kind) for kind in (jnp.bool_, jnp.integer, jnp.floating)):
        raise TypeError
    with np.errstate(invalid="ignore"):
        array = jnp.asarray(given, spec.dtype)
    if given.dtype != spec.dtype and jnp.issubdtype(spec.dtype, jnp.integer):
        kept = np.asarray(given) == np.asarray(array)
        if not np.all(kept):
            raise checks.InputValueError(
                f"observation must be whole numbers of type {spec.dtype}, got "
                f"{np.asarray(given)[~kept].flat[0]}"
            )
    if spec.num_categories is not None:
        states = np.asarray(array)
        inside = (states >= 0) & (states < spec.num_categories)
        if not np.all(inside):
            raise checks.InputValueError(
                f"observation must be a state number in [0, {spec.num_categories}), got "
                f"{states[~inside].flat[0]}"
            )
    return array


def check_key(key: Any) -> None:
    """Check that a value is one PRNG key.

    Raises:
        InputTypeError: If it is something else.
    """
    dtype, shape = getattr(key, "dtype", None), getattr(key, "shape", None)
    typed = dtype is not None and jnp.issubdtype(dtype, jax.dtypes.prng_key)
    if not (shape == () if typed else dtype == jnp.uint32 and shape == (2,)):
        raise checks.InputTypeError(
            f"key must be one PRNG key, got {describe(key)}; for example jax.random.key(0)"
        )


def check_state(state: Any, template: AgentState, lead: tuple[int, ...] = ()) -> None:
    """Check that a value is a state with the shapes and types of a template.

    Args:
        state: What should be a state.
        template: The state of one agent as its trainer makes it, as arrays or their shapes.
        lead: `()` for one agent, `(N,)` for a population.

    Raises:
        InputTypeError: If it is no state at all.
        InputValueError: If it has other shapes or types, or its memory was given away.
    """
    if not isinstance(state, AgentState):
        raise checks.InputTypeError(
            f"state must come from init() or run(), got {describe(state)}; "
            "run() returns two values: state, metrics = trainer.run(state, num_steps)"
        )
    if _shapes(state, lead) != _shapes(template, ()):
        agents = f"{lead[0]} agents" if lead else "one agent"
        raise checks.InputValueError(
            f"state must hold {agents} of this trainer, as its own init() makes them; got one of other "
            f"shapes, with running episodes of shape {list(state.actors.episode_length.shape)}"
        )
    check_alive(state)


def checked_learner(learner: Any, template: PyTree, lead: tuple[int, ...] = ()) -> PyTree:
    """Return what an agent has learned as what others begin with, leaves `lead + [...]`.

    Args:
        learner: The learner's state of an agent, or of as many as `lead` says.
        template: That of one agent as its trainer makes it, as arrays or their shapes.
        lead: `()` for one agent, `(N,)` for a population.

    Raises:
        InputTypeError: If it is something else.
        InputValueError: If shapes or types are others.
    """
    if jax.tree.structure(learner) != jax.tree.structure(template):
        raise checks.InputTypeError(
            f"learner must be what an agent of this algorithm has learned, got {describe(learner)}; "
            "for example learner=state.learner"
        )
    leaves, wanted = jax.tree.leaves_with_path(learner), jax.tree.leaves(template)

    def others(axes: tuple[int, ...]) -> list[tuple]:
        """List the leaves that are not as the template has them behind some leading axes."""
        return [
            (path, leaf)
            for (path, leaf), want in zip(leaves, wanted, strict=True)
            if jnp.shape(leaf) != axes + want.shape or jnp.result_type(leaf) != want.dtype
        ]

    if not others(()):
        return jax.tree.map(lambda leaf: jnp.broadcast_to(leaf, lead + jnp.shape(leaf)), learner)
    if not others(lead):
        return learner
    agents = f"of one agent or of {lead[0]}" if lead else "of one agent"
    path, leaf = others(lead)[0]
    raise checks.InputValueError(
        f"learner must be {agents} with the same network and optimizer, got "
        f"{jax.tree_util.keystr(path)[1:]} of shape {list(jnp.shape(leaf))}"
    )


def check_alive(state: AgentState) -> None:
    """Check that a state's memory was not given away.

    Raises:
        InputValueError: If it was.
    """
    if any(isinstance(leaf, jax.Array) and _is_gone(leaf) for leaf in jax.tree.leaves(state)):
        raise checks.InputValueError(
            "this state was given to run before, by a population with donate=True, which has used its "
            "memory for the next one; go on with that: state, metrics = population.run(state, steps)"
        )


def _is_gone(leaf: jax.Array) -> bool:
    return checks.is_concrete(leaf) and leaf.is_deleted()


def _shapes(state: AgentState, lead: tuple[int, ...]) -> list[tuple]:
    """List where each leaf stands, its shape without the leading axis, its type, and that axis."""
    # The clock has no agent axis, and keys come in two kinds.
    leaves = jax.tree.leaves_with_path(state._replace(steps=None, key=None))
    cut = len(lead)
    return [(path, leaf.shape[cut:], leaf.dtype, leaf.shape[:cut] == lead) for path, leaf in leaves]


def env_params_like(own: PyTree, env_params: PyTree, lead: tuple[int, ...] = ()) -> PyTree:
    """Return environment parameters as arrays of the types that the environment's own have.

    Args:
        own: The environment's own parameters.
        env_params: The parameters to use; the environment's own if `None`.
        lead: `()` for one agent, `(N,)` for a population; leaves may have it in front or not.

    Returns:
        The parameters, every leaf with `lead` in front.

    Raises:
        InputTypeError: If they have another structure, or a leaf is not numeric.
        InputValueError: If a leaf has another shape.
    """
    env_params = own if env_params is None else env_params
    if jax.tree.structure(env_params) != jax.tree.structure(own):
        raise checks.InputTypeError(
            f"env_params must be a {type(own).__name__} whose leaves are all set, "
            f"got {env_params!r}; start from trainer.env.params"
        )
    return jax.tree.map(lambda new, default: _env_param(new, default, lead), env_params, own)


def _env_param(new: Any, default: jax.Array, lead: tuple[int, ...]) -> jax.Array:
    try:
        array = jnp.asarray(new, default.dtype)
    except (TypeError, ValueError):
        raise checks.InputTypeError(f"a leaf of env_params must be numeric, got {new!r}") from None
    if array.shape not in (default.shape, lead + default.shape):
        raise checks.InputValueError(
            f"a leaf of env_params must have shape {lead + default.shape}, got {array.shape}; "
            "start from trainer.env.params"
        )
    return jnp.broadcast_to(array, lead + default.shape)


def describe(value: Any) -> str:
    """Say briefly what a value is."""
    if hasattr(value, "shape") and hasattr(value, "dtype"):
        return f"{value.dtype}{list(value.shape)}"
    return repr(value) if isinstance(value, str | int | float | None) else type(value).__name__
