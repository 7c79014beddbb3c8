"""Learning with a network: one gradient step on one batch."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from jaxq import checks
from jaxq.agents import Settings
from jaxq.engine.agent import LearningStatistics
from jaxq.engine.q_function import QFunction
from jaxq.hparams import Hparams
from jaxq.kernels.products import global_norm
from jaxq.learning import conservative_penalty, value_of_action
from jaxq.types import ObservationSpec, PyTree


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

    def inherit(self, donor: "Learner") -> "Learner":
        """Return what a donor has learned, which is all there is to it."""
        return donor


class Batch(NamedTuple):
    """What one gradient step learns from.

    Attributes:
        outputs: Maps parameters to what represents action values at `s_tm1`, leaves `[B, ...]`; of
            an ensemble with K in front.
        a_tm1: Actions taken, int32 `[B]`.
        targets: What the value representation compares with, leaves `[B, ...]` or `[K, B, ...]`.
        weight: How much each transition counts, `[B]` or `[K, B]`.
    """

    outputs: Callable[[PyTree], PyTree]
    a_tm1: jax.Array
    targets: PyTree
    weight: jax.Array


@dataclass(frozen=True)
class Descent:
    """Gradient descent on a network: what all ways to learn with one share.

    Attributes:
        q_function: The network and its value representation.
        settings: For the optimizer and the conservative penalty.
        spec: What one observation looks like.
        split: Spreads arrays `[B, ...]` over the devices that share the agent.
    """

    q_function: QFunction
    settings: Settings
    spec: ObservationSpec
    split: Callable[[PyTree], PyTree]

    @property
    def blank(self) -> jax.Array:
        """A batch of one observation of zeros, for a network to be made from."""
        return jnp.zeros((1, *self.spec.shape), self.spec.dtype)

    def init(self, key: jax.Array, hparams: Hparams, *inputs: jax.Array) -> Learner:
        """Make a network with fresh weights, its copy and its optimizer.

        Args:
            key: PRNG key.
            hparams: The agent's hyperparameters.
            *inputs: What the network is given, if that is not one observation.
        """
        params = self.q_function.init(key, hparams, *(inputs or (self.blank,)))
        # Members of an ensemble are networks of their own, each with an optimizer of its own.
        opt_state = self.q_function.each(self.settings.optimizer(hparams).init)(params)
        return Learner(params, params, opt_state)

    def step(
        self, learner: Learner, hparams: Hparams, batch: Batch, target_due: jax.Array
    ) -> tuple[Learner, LearningStatistics, jax.Array]:
        """Take one gradient step, and move the target network if that is due.

        Args:
            learner: What was learned so far.
            hparams: The agent's hyperparameters.
            batch: What to learn from.
            target_due: Whether the target network is updated after this step, bool `[]`.

        Returns:
            The learner after the step, what the step looked like, and how badly each transition was
            predicted, `[B]` or `[K, B]`.
        """
        value, each = self.q_function.value, self.q_function.each

        def loss_of(params: PyTree) -> tuple[jax.Array, tuple]:
            outputs = batch.outputs(params)
            loss = jax.vmap(value.loss)
            losses = each(lambda out, target: loss(out, batch.a_tm1, target))(outputs, batch.targets)
            total = jnp.mean(batch.weight * losses.loss, axis=-1)
            q = each(jax.vmap(value.q))(outputs)
            if self.settings.conservative:
                penalty = each(lambda q: jax.vmap(conservative_penalty)(q, batch.a_tm1))(q)
                total = total + hparams.conservatism * jnp.mean(penalty, axis=-1)
            taken = each(lambda q: jax.vmap(value_of_action)(q, batch.a_tm1))(q)
            # Summed, so that each member's gradient is that of its own loss, whatever their number.
            return total.sum(), (total.mean(), losses, taken)

        gradient, (loss, losses, taken) = jax.grad(loss_of, has_aux=True)(learner.params)
        learner = self._descend(learner, hparams, gradient, target_due)
        norm = each(global_norm)(gradient).mean()
        statistics = LearningStatistics(loss, jnp.abs(losses.td_error).mean(), taken.mean(), norm)
        return learner, statistics, losses.priority

    def _descend(
        self, learner: Learner, hparams: Hparams, gradient: PyTree, target_due: jax.Array
    ) -> Learner:
        optimizer = self.settings.optimizer(hparams)
        update = self.q_function.each(optimizer.update)
        updates, opt_state = update(gradient, learner.opt_state, learner.params)
        params = optax.apply_updates(learner.params, updates)
        moved = optax.incremental_update(params, learner.target_params, hparams.target_rate)
        target_params = jax.tree.map(partial(jnp.where, target_due), moved, learner.target_params)
        return Learner(params, target_params, opt_state)


def check_optimizer(
    descent: Descent, hparams: Hparams, init: Callable[[jax.Array, Hparams], tuple[Learner, Any]]
) -> None:
    """Check that an optimizer of the user's own keeps the shapes of weights and of its state.

    Args:
        descent: What it is a part of.
        hparams: The agent's hyperparameters.
        init: Makes a learner, and something beside it.

    Raises:
        InputValueError: If it does not, or needs more than gradients and weights.
    """

    def stepped(learner: Learner, hparams: Hparams) -> tuple[PyTree, Any]:
        update = descent.q_function.each(descent.settings.optimizer(hparams).update)
        updates, opt_state = update(learner.params, learner.opt_state, learner.params)
        return optax.apply_updates(learner.params, updates), opt_state

    try:
        learner, _ = jax.eval_shape(init, jax.random.key(0), hparams)
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
