"""Learning: one gradient step of one agent on one sample."""

from functools import partial
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax

from jaxq.algorithms import Algorithm
from jaxq.hparams import Hparams
from jaxq.learning import td_target, value_of_action
from jaxq.types import PyTree, Sample


class Learner(NamedTuple):
    """What an agent has learned.

    Attributes:
        params: The online network.
        target_params: The slower copy that targets are computed with.
        opt_state: State of the optimizer.
    """

    params: PyTree
    target_params: PyTree
    opt_state: Any


class LearningStatistics(NamedTuple):
    """What one gradient step looked like.

    Attributes:
        loss: Mean loss over the batch.
        td_error: Mean absolute TD error.
        q_value: Mean value of the actions taken.
        gradient_norm: Global norm of the gradient before clipping.
    """

    loss: jax.Array
    td_error: jax.Array
    q_value: jax.Array
    gradient_norm: jax.Array


def init(
    algorithm: Algorithm, network: nn.Module, key: jax.Array, hparams: Hparams, batch: jax.Array
) -> Learner:
    """Make a network with fresh weights, its copy and its optimizer; `batch` shows the shapes."""
    params = network.init(key, batch)
    return Learner(params, params, algorithm.settings.optimizer(hparams).init(params))


def learn(
    algorithm: Algorithm,
    network: nn.Module,
    learner: Learner,
    hparams: Hparams,
    sample: Sample,
    target_due: jax.Array,
) -> tuple[Learner, LearningStatistics]:
    """Take one gradient step, and move the target network if that is due.

    Args:
        algorithm: The recipe, for its bootstrap rule, loss and optimizer.
        network: The network, as made by the recipe.
        learner: What was learned so far.
        hparams: The agent's hyperparameters.
        sample: Transitions, leaves `[B, ...]`.
        target_due: Whether the target network is updated after this step, bool `[]`.

    Returns:
        The learner after the step, and what the step looked like.
    """
    targets = _targets(algorithm, network, learner, sample)

    def loss_of(params: PyTree) -> tuple[jax.Array, tuple[jax.Array, jax.Array]]:
        q_tm1 = network.apply(params, sample.s_tm1)
        taken = jax.vmap(value_of_action)(q_tm1, sample.a_tm1)
        td_error = targets - taken
        return algorithm.loss(td_error).mean(), (td_error, taken)

    (loss, (td_error, taken)), gradient = jax.value_and_grad(loss_of, has_aux=True)(learner.params)
    optimizer = algorithm.settings.optimizer(hparams)
    updates, opt_state = optimizer.update(gradient, learner.opt_state, learner.params)
    params = optax.apply_updates(learner.params, updates)
    moved = optax.incremental_update(params, learner.target_params, hparams.target_rate)
    target_params = jax.tree.map(partial(jnp.where, target_due), moved, learner.target_params)
    statistics = LearningStatistics(
        loss, jnp.abs(td_error).mean(), taken.mean(), optax.tree.norm(gradient)
    )
    return Learner(params, target_params, opt_state), statistics


def _targets(algorithm: Algorithm, network: nn.Module, learner: Learner, sample: Sample) -> jax.Array:
    q_target_t = network.apply(learner.target_params, sample.s_t)
    needs_online = algorithm.settings.double
    q_online_t = network.apply(learner.params, sample.s_t) if needs_online else q_target_t
    probs_t = jax.vmap(algorithm.bootstrap_probabilities)(q_online_t, q_target_t)
    return jax.vmap(td_target)(sample.r_t, sample.discount_t, probs_t, q_target_t)
