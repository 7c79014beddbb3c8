"""Checks of what a plan is asked with."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxq import checks
from jaxq.engine import Trainer
from jaxq.engine.state import check_key, checked_observation, describe
from jaxq.planning.simulation import Simulation
from jaxq.types import PyTree


def checked_simulation(
    trainer: Trainer,
    env_state: PyTree,
    horizon: Any,
    samples: Any,
    key: Any,
    budgets: Any,
) -> Simulation | None:
    """Check what a rollout needs, and put it together; `None` where none is asked for.

    Raises:
        InputTypeError: If there is no state to begin in, or a number is no whole number.
        InputValueError: If the state is of another environment, or a number is out of range.
    """
    if horizon is None:
        if budgets is not None:
            raise checks.InputTypeError(
                "budgets are for rollouts, which need a horizon; for example horizon=20"
            )
        return None
    if env_state is None:
        raise checks.InputTypeError(
            "a rollout begins in a state of the environment; env_state, observation = "
            "trainer.env.reset(key, trainer.env.params), and plan(..., env_state=env_state, horizon=20)"
        )
    check_key(key)
    return Simulation(
        env_state,
        checks.whole_number("horizon", horizon),
        checks.whole_number("samples", samples, minimum=2),
        key,
        _checked_budgets(budgets, getattr(trainer.env, "cost_names", ())),
    )


def checked_env_state(trainer: Trainer, env_params: PyTree, env_state: PyTree) -> PyTree:
    """Return a state of the environment in the types that its steps keep.

    Raises:
        InputValueError: If it is of another environment.
    """
    like, _ = jax.eval_shape(trainer.env.reset, jax.random.key(0), env_params)
    shapes = [jax.tree.structure(tree) for tree in (env_state, like)]
    if shapes[0] == shapes[1]:
        leaves = [jnp.asarray(leaf) for leaf in jax.tree.leaves(env_state)]
        wanted = jax.tree.leaves(like)
        if all(leaf.shape == want.shape for leaf, want in zip(leaves, wanted, strict=True)):
            pairs = zip(leaves, wanted, strict=True)
            leaves = [
                leaf if leaf.dtype == want.dtype else leaf.astype(want.dtype) for leaf, want in pairs
            ]
            return jax.tree.unflatten(shapes[0], leaves)
    raise checks.InputValueError(
        f"env_state must be one state of {trainer.env.name} as its reset returns it, got "
        f"{type(env_state).__name__}; for example env_state, observation = "
        "trainer.env.reset(key, trainer.env.params)"
    )


def _checked_budgets(budgets: Any, cost_names: tuple[str, ...]) -> dict[str, float]:
    if budgets is None:
        return {}
    if not isinstance(budgets, dict):
        raise checks.InputTypeError(
            f'budgets must be numbers by name, got {budgets!r}; for example {{"violations": 1.0}}'
        )
    if not cost_names:
        raise checks.InputValueError(
            "budgets are on costs, and this environment has none; leave them out"
        )
    for name, most in budgets.items():
        checks.one_of("cost", name, cost_names)
        checks.one_number(f"the budget on {name}", most, -np.inf, np.inf)
    return {name: float(most) for name, most in budgets.items()}


def checked_one_observation(trainer: Trainer, observation: Any) -> jax.Array:
    """Return one observation in its own type.

    Raises:
        InputTypeError: If it is no numbers.
        InputValueError: If it has another shape, or a number is not finite.
    """
    shape = trainer.env.observation_spec.shape
    observation = checked_observation(observation, trainer.env.observation_spec)
    if observation.shape != shape:
        raise checks.InputValueError(
            f"a plan is for one observation of shape {list(shape)}, got {list(observation.shape)}; "
            "for example plan(trainer, state, observations[0])"
        )
    if not np.isfinite(np.asarray(observation, np.float64)).all():
        raise checks.InputValueError("observation must be finite numbers, got NaN or infinity")
    return observation


def checked_legal_actions(legal_actions: Any, num_actions: int) -> np.ndarray:
    """Return a mask of legal actions, bool `[A]`.

    Raises:
        InputValueError: If it has another shape or type, or no action is legal.
    """
    mask = np.asarray(legal_actions)
    if mask.dtype != bool or mask.shape != (num_actions,):
        raise checks.InputValueError(
            f"legal_actions must be bool [{num_actions}], got {describe(mask)}; "
            "for example legal_actions=timestep.legal_actions"
        )
    if not mask.any():
        raise checks.InputValueError("no action is legal, so there is none to plan")
    return mask


def checked_policy_carry(trainer: Trainer, carry: Any) -> PyTree:
    """Return what a policy carries, of one environment.

    Raises:
        InputValueError: If it is another agent's.
    """
    like = jax.eval_shape(lambda: trainer.agent.initial_carry(1))
    shapes = [jax.tree.map(jnp.shape, tree) for tree in (carry, like)]
    if jax.tree.structure(carry) != jax.tree.structure(like) or shapes[0] != shapes[1]:
        raise checks.InputValueError(
            "carry must be what the policy carries of one environment, as "
            "trainer.agent.policy(state.learner, inputs).carry, got one of other shapes; "
            "leave it out where an episode begins"
        )
    return carry
