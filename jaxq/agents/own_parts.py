"""Checks of a network and an optimizer of the user's own, before anything is compiled."""

from typing import Any

import jax
import jax.numpy as jnp
import optax

from jaxq import checks
from jaxq.agents.gradient_update import GradientUpdate, LearnerState
from jaxq.agents.q_function import QFunction
from jaxq.hparams import Hparams
from jaxq.types import Environment, PyTree


def check_network(env: Environment, q_function: QFunction, sizes: tuple[int, ...]) -> None:
    """Check that a network or torso of the user's own fits the environment.

    Args:
        env: The environment.
        q_function: The network with its value representation.
        sizes: Sizes of the batches that it will be given.

    Raises:
        InputValueError: If it does not, with what it gives.
    """
    spec = env.observation_spec

    def values(params: PyTree, observation: jax.Array) -> jax.Array:
        size = observation.shape[0]
        previous = jnp.zeros(size, jnp.int32), jnp.zeros(size)
        return q_function.step(params, q_function.initial_carry(size), observation, previous)[0]

    for size in dict.fromkeys(sizes):
        batch = jax.ShapeDtypeStruct((size, *spec.shape), spec.dtype)
        members = (q_function.members,) if q_function.members else ()
        try:
            variables = jax.eval_shape(q_function.init, jax.random.key(0), Hparams())
            q = jax.eval_shape(values, variables, batch)
            others = sorted(set(variables) - {"params"})
            shape = list(q.shape[len(members) :])
            got = f"variables {others} beside its params" if others else f"{q.dtype}{shape}"
        except Exception as error:
            got = f"an error: {(str(error) or type(error).__name__).splitlines()[0]}"
        expected = f"float32[{size}, {env.num_actions}]"
        if got != expected:
            raise checks.InputValueError(
                f"the network must map observations {jnp.dtype(batch.dtype)}{list(batch.shape)} of "
                f"{env.name} to action values {expected}, for batches of any size, got {got}"
            )


def check_optimizer(update: GradientUpdate, hparams: Hparams) -> None:
    """Check that an optimizer of the user's own keeps the shapes of weights and of its state.

    Args:
        update: What it is a part of.
        hparams: The agent's hyperparameters.

    Raises:
        InputValueError: If it does not, or needs more than gradients and weights.
    """

    def stepped(learner: LearnerState, hparams: Hparams) -> tuple[PyTree, Any]:
        transform = update.q_function.each(update.optimizer(hparams).update)
        updates, opt_state = transform(learner.params, learner.opt_state, learner.params)
        return optax.apply_updates(learner.params, updates), opt_state

    try:
        learner = jax.eval_shape(update.init, jax.random.key(0), hparams)
        after = jax.eval_shape(stepped, learner, hparams)
        same = jax.tree.map(_shape, after) == jax.tree.map(_shape, (learner.params, learner.opt_state))
        reason = None if same else "after a step weights or state have other shapes, types or parts"
    except Exception as error:
        reason = (str(error) or type(error).__name__).splitlines()[0]
    if reason is not None:
        raise checks.InputValueError(
            f"the optimizer must take a gradient, its state and the weights, and return both as they "
            f"were: {reason}; for example optimizer=lambda hparams: optax.sgd(hparams.learning_rate)"
        )


def _shape(leaf: jax.ShapeDtypeStruct) -> tuple:
    return leaf.shape, leaf.dtype
