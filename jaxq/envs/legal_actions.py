"""Legal actions: checks of the masks that environments give."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxq import checks
from jaxq.types import Environment

_EPISODES, _STEPS = 16, 16


def checked_mask(legal: Any, shape: tuple[int, int]) -> np.ndarray | None:
    """Return a table of legal actions as bool `[S, A]`, or `None` if none is given.

    Raises:
        InputTypeError: If they are no truth values.
        InputValueError: If the shape is another one, or a state has no legal action.
    """
    if legal is None:
        return None
    mask = np.asarray(legal)
    if mask.dtype != bool:
        raise checks.InputTypeError(
            f"legal_actions must be true or false, got {mask.dtype}; for example P[..., 0] > 0"
        )
    if mask.shape != shape:
        raise checks.InputValueError(
            f"legal_actions must have shape {list(shape)}, got {list(mask.shape)}"
        )
    without = np.flatnonzero(~mask.any(axis=1))
    if without.size:
        raise checks.InputValueError(
            f"legal_actions must allow an action in every state, got none in state {without[0]}; "
            "where an episode ends, allow any"
        )
    return mask


def check_legal_actions(env: Environment) -> None:
    """Check the masks of an environment of the user's own, in the first steps of some episodes.

    Args:
        env: The environment, which has `legal_actions`.

    Raises:
        InputValueError: If masks have another shape, or a state has no legal action.
    """

    def play(key: jax.Array) -> jax.Array:
        reset_key, step_key = jax.random.split(key)
        state, _ = env.reset(reset_key, env.params)

        def step(state: Any, key: jax.Array) -> tuple[Any, jax.Array]:
            legal = env.legal_actions(state, env.params)
            action = jax.random.categorical(key, jnp.where(legal, 0.0, -jnp.inf)).astype(jnp.int32)
            return env.step(key, state, action, env.params)[0], legal

        return jax.lax.scan(step, state, jax.random.split(step_key, _STEPS))[1]

    keys = jax.random.split(jax.random.key(0), _EPISODES)
    try:
        mask = jax.eval_shape(
            lambda key: env.legal_actions(env.reset(key, env.params)[0], env.params), keys[0]
        )
    except Exception as error:
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise checks.InputValueError(f"{env.name}: legal_actions failed: {reason}") from error
    if mask.shape != (env.num_actions,):
        raise checks.InputValueError(
            f"{env.name}: legal_actions must be bool [{env.num_actions}], one for each action, got "
            f"{list(mask.shape)}"
        )
    if not jax.jit(jax.vmap(play))(keys).any(axis=-1).all():
        raise checks.InputValueError(
            f"{env.name}: legal_actions must allow an action in every state, got a state without one; "
            "end the episode there, or allow an action that does nothing"
        )
