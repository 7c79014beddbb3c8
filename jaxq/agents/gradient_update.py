"""The gradient step: one update of a network on one batch of runs of steps."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from jaxq.agents import auxiliary, bootstraps
from jaxq.agents.budgets import Multipliers
from jaxq.agents.components import arguments
from jaxq.agents.protocol import LearningStatistics
from jaxq.agents.q_function import Evaluate, QFunction
from jaxq.hparams import Hparams
from jaxq.kernels.norms import global_norm
from jaxq.learning import Bootstrap, mask_illegal, n_step_return, n_step_sums, value_of_action
from jaxq.types import PyTree, Trajectory


class LearnerState(NamedTuple):
    """What an agent with a network has learned.

    Attributes:
        params: The online network.
        target_params: State of the target parameters, such as a slower copy.
        opt_state: State of the optimizer.
        multipliers: Price of each cost that there is a budget for, `[K]`; `()` without budgets.
        spent: These costs of the running episodes so far, since it learns, `[E, K]`; `()` likewise.
    """

    params: PyTree
    target_params: PyTree
    opt_state: Any
    multipliers: PyTree = ()
    spent: PyTree = ()

    def inherit(self, donor: "LearnerState") -> "LearnerState":
        """Return what a donor has learned, with what was spent in this learner's own episodes."""
        return donor._replace(spent=self.spent)


class Targets(NamedTuple):
    """What predictions are compared with, `[N]` for N steps flattened from a batch.

    Attributes:
        targets: Targets in the value representation's own form, leaves `[N, ...]` or `[K, N, ...]`.
        mask: Whether there is something to learn, bool `[N]`.
    """

    targets: PyTree
    mask: jax.Array


@dataclass(frozen=True)
class GradientUpdate:
    """Gradient descent on the loss between predictions and targets.

    Attributes:
        q_function: The network and its value representation.
        rule: The bootstrap rule.
        target: The target parameters.
        losses: Auxiliary losses.
        optimizer: Makes an optax transformation out of the hyperparameters.
        n_step: Steps whose rewards are summed inside a run; a replay of single steps has summed them.
        multipliers: How budgets are kept, or `None`.
    """

    q_function: QFunction
    rule: Callable[..., Bootstrap]
    target: Any
    losses: tuple[Callable[..., jax.Array], ...]
    optimizer: Callable[[Hparams], optax.GradientTransformation]
    n_step: int
    multipliers: Multipliers | None = None

    def init(self, key: jax.Array, hparams: Hparams) -> LearnerState:
        """Make a network with fresh weights, its target and its optimizer."""
        params = self.q_function.init(key, hparams)
        # Members of an ensemble are networks of their own, each with an optimizer of its own.
        opt_state = self.q_function.each(self.optimizer(hparams).init)(params)
        prices = {} if self.multipliers is None else self.multipliers.init()
        return LearnerState(params, self.target.init(params), opt_state, **prices)

    def priced(self, learner: LearnerState) -> "GradientUpdate":
        """Return the update in which actions compare by the learner's prices of costs, if it has any."""
        if self.multipliers is None:
            return self
        value = replace(self.q_function.value, multiplier=learner.multipliers)
        return replace(self, q_function=self.q_function._replace(value=value))

    def step(
        self,
        key: jax.Array,
        learner: LearnerState,
        hparams: Hparams,
        batch: Trajectory,
        due: Callable[[int], jax.Array],
    ) -> tuple[LearnerState, LearningStatistics, jax.Array]:
        """Take one gradient step, and let the target follow.

        Args:
            key: PRNG key for noise and fractions.
            learner: What was learned so far.
            hparams: The agent's hyperparameters, with what their schedules have come to.
            batch: B runs of T steps.
            due: Tells whether what happens every so many env steps is due.

        Returns:
            The learner after the step, what the step looked like, and how badly each step behind the
            burn-in was predicted, `[B, T]`.
        """
        online_key, target_key, rule_key = jax.random.split(key, 3)
        targets = self.targets(learner, hparams, batch, target_key, rule_key)
        loss_of = partial(self._loss, hparams, batch, targets, online_key)
        gradient, (statistics, priority) = jax.grad(loss_of, has_aux=True)(learner.params)
        norm = self.q_function.each(global_norm)(gradient).mean()
        learner = self._descend(learner, hparams, gradient, due)
        priority = priority.mean(axis=0) if self.q_function.members else priority
        shape = batch.action.shape[0], -1
        return learner, statistics._replace(gradient_norm=norm), priority.reshape(shape)

    def targets(
        self,
        learner: LearnerState,
        hparams: Hparams,
        batch: Trajectory,
        target_key: jax.Array,
        rule_key: jax.Array,
    ) -> Targets:
        """Work out what the actions of a batch turned out to be worth.

        Args:
            learner: What was learned so far.
            hparams: The agent's hyperparameters.
            batch: B runs of T steps.
            target_key: PRNG key for noise and fractions of what is bootstrapped from.
            rule_key: PRNG key for noise of the values that the rule asks for.
        """
        q_function, mask = self.q_function, self._tail(batch.mask)
        if not isinstance(batch.returns, tuple):
            returns = self._tail(batch.returns)
            return Targets(jax.vmap(q_function.value.constant_target)(returns), mask)
        evaluate = self.with_target(learner, hparams)
        output_t = evaluate(lambda params: q_function.following(params, batch, target_key))
        inputs = self._rule_inputs(learner, hparams, batch, evaluate, output_t, rule_key)
        r_t, discount_t, last = self._returns(hparams, batch)
        if last is not None:
            pick = q_function.each(lambda outputs: jax.tree.map(lambda leaf: leaf[last], outputs))
            output_t, mask = pick(output_t), mask[last]
            inputs = {name: pick(x) if name in PICKED else x for name, x in inputs.items()}
        bootstrap = self._bootstrap(hparams, inputs)
        target = jax.vmap(q_function.value.target)
        targets = q_function.each(lambda bootstrap, output: target(r_t, discount_t, bootstrap, output))(
            bootstrap, output_t
        )
        return Targets(targets, mask)

    def with_target(self, learner: LearnerState, hparams: Hparams) -> Evaluate:
        """Return what calls a function of parameters with those of the target."""
        return partial(self.target.evaluate, learner.target_params, learner.params, hparams)

    def value_t(
        self, learner: LearnerState, hparams: Hparams, runs: Trajectory, key: jax.Array
    ) -> jax.Array:
        """Return what the rule makes of the values behind each of N runs of one step, `[N]`.

        Args:
            learner: What was learned so far.
            hparams: The agent's hyperparameters.
            runs: Runs of one step, which begin from what the network carried there.
            key: PRNG key for noise.
        """
        q_function, evaluate = self.q_function, self.with_target(learner, hparams)
        q_target_t = evaluate(lambda params: q_function.values_t(params, runs, key))
        inputs = {
            "q_target_t": lambda: q_target_t,
            "q_online_t": lambda: q_function.values_t(learner.params, runs, key),
        }
        needed = arguments(self.rule, "bootstrap", bootstraps.ARGUMENTS)
        found = {name: self._masked(inputs[name](), runs.legal_t) for name in needed if name in inputs}
        bootstrap = self._bootstrap(hparams, found)
        return jnp.sum(bootstrap.probs_t * (q_target_t + bootstrap.shift_t), axis=-1)

    def _rule_inputs(
        self,
        learner: LearnerState,
        hparams: Hparams,
        batch: Trajectory,
        evaluate: Evaluate,
        output_t: PyTree,
        key: jax.Array,
    ) -> dict[str, jax.Array]:
        """Work out what the rule asks for, and nothing else."""
        q_function = self.q_function
        inputs = {
            "a_tm1": lambda: self._tail(batch.action),
            "q_online_t": lambda: q_function.values_t(learner.params, batch, key),
            "q_target_t": lambda: q_function.choosing_values(evaluate, batch, output_t, key),
            "q_target_tm1": lambda: evaluate(lambda p: q_function.values_tm1(p, batch, key)),
        }
        legal = {
            "q_target_tm1": batch.legal_tm1,
            "q_online_t": batch.legal_t,
            "q_target_t": batch.legal_t,
        }
        needed = arguments(self.rule, "bootstrap", bootstraps.ARGUMENTS)
        found = {name: inputs[name]() for name in needed if name in inputs}
        return {
            name: self._masked(value, legal[name]) if name in legal else value
            for name, value in found.items()
        }

    def _bootstrap(self, hparams: Hparams, inputs: dict[str, jax.Array]) -> Bootstrap:
        """Apply the rule to each step, and to each member of an ensemble."""
        names, members = [*inputs], self.q_function.members
        with_hparams = "hparams" in arguments(self.rule, "bootstrap", bootstraps.ARGUMENTS)

        def one(*values: jax.Array) -> Bootstrap:
            given = {"hparams": hparams} if with_hparams else {}
            return self.rule(**given, **dict(zip(names, values, strict=True)))

        rule = jax.vmap(one)
        if members:
            rule = jax.vmap(rule, in_axes=[None if name == "a_tm1" else 0 for name in names])
        return rule(*inputs.values())

    def _returns(
        self, hparams: Hparams, batch: Trajectory
    ) -> tuple[jax.Array, jax.Array, jax.Array | None]:
        """Return rewards `[N]`, discounts `[N]`, and for each step the one its return goes to.

        With budgets costs stand behind rewards, `[N, 1 + K]`.
        """
        rewards = batch.reward if self.multipliers is None else self.multipliers.rewards(batch)
        tail = [leaf[:, self.q_function.burn_in :] for leaf in (rewards, batch.discount)]
        if not self.q_function.recurrent_size:
            return _flat(tail[0]), _flat(tail[1]), None
        ends = [leaf[:, self.q_function.burn_in :] for leaf in (batch.terminated, batch.truncated)]

        def returns(reward: jax.Array, terminated: jax.Array, truncated: jax.Array) -> tuple:
            length = reward.shape[0]
            window = jnp.arange(length)[:, None] + jnp.arange(self.n_step)[None]
            inside = jnp.minimum(window, length - 1)
            # What lies behind the run is not known, so the run's last step ends every return.
            truncated = truncated.at[-1].set(True)
            alone = reward if self.multipliers is None else reward[:, 0]
            result = jax.vmap(n_step_return, in_axes=(0, 0, 0, None))(
                alone[inside], terminated[inside], truncated[inside], hparams.discount
            )
            r_t = result.r_t
            if self.multipliers is not None:
                sums = jax.vmap(n_step_sums, in_axes=(0, 0, None))
                r_t = sums(reward[inside], result.last, hparams.discount)
            return r_t, result.discount_t, jnp.arange(length) + result.last

        r_t, discount_t, last = jax.vmap(returns)(tail[0], *ends)
        runs = jnp.arange(last.shape[0])[:, None] * last.shape[1]
        return _flat(r_t), _flat(discount_t), _flat(runs + last)

    def _loss(
        self,
        hparams: Hparams,
        batch: Trajectory,
        targets: Targets,
        key: jax.Array,
        params: PyTree,
    ) -> tuple[jax.Array, tuple[LearningStatistics, jax.Array]]:
        """Return the loss; with it statistics, and how badly each step was predicted."""
        value, each = self.q_function.value, self.q_function.each
        a_tm1 = self._tail(batch.action)
        outputs = self.q_function.predictions(params, batch, key)
        loss = jax.vmap(value.loss)
        losses = each(lambda out, target: loss(out, a_tm1, target))(outputs, targets.targets)
        weight = self._weight(batch, targets.mask)
        total = jnp.mean(weight * losses.loss, axis=-1)
        q = each(jax.vmap(value.q))(outputs)
        for auxiliary_loss in self.losses:
            extra = self._auxiliary(auxiliary_loss, hparams, batch, q)
            total = total + jnp.mean(weight * extra, axis=-1)
        taken = each(lambda q: jax.vmap(value_of_action)(q, a_tm1))(q)
        statistics = LearningStatistics(
            total.mean(), jnp.abs(losses.td_error).mean(), taken.mean(), jnp.float32(0)
        )
        # Summed, so that each member's gradient is that of its own loss, whatever their number.
        return total.sum(), (statistics, losses.priority)

    def _weight(self, batch: Trajectory, mask: jax.Array) -> jax.Array:
        """Return how much each step counts, `[N]`, or each for each member, `[K, N]`."""
        length = mask.shape[0] // batch.weight.shape[0]

        def of_steps(runs: jax.Array) -> jax.Array:
            return jnp.repeat(runs, length, axis=-1) if length > 1 else runs

        weight = mask * of_steps(batch.weight)
        if not self.q_function.members:
            return weight
        # A run of steps is learned from by those that learn from its first one.
        return of_steps(batch.extras.mask.T.astype(jnp.float32)) * weight[None]

    def _auxiliary(
        self, loss: Callable[..., jax.Array], hparams: Hparams, batch: Trajectory, q: jax.Array
    ) -> jax.Array:
        """Return an auxiliary loss of each step, `[N]` or `[K, N]`."""
        known = {
            "a_tm1": lambda: self._tail(batch.action),
            "r_t": lambda: self._tail(batch.reward),
            "discount_t": lambda: self._tail(batch.discount),
        }
        needed = arguments(loss, "auxiliary", auxiliary.ARGUMENTS)
        q = self._masked(q, batch.legal_tm1)
        given = {name: known[name]() for name in needed if name in known}

        def one(q_tm1: jax.Array, given: dict[str, jax.Array]) -> jax.Array:
            rest = {"hparams": hparams, "q_tm1": q_tm1}
            return loss(**given, **{name: rest[name] for name in needed if name in rest})

        return self.q_function.each(lambda q: jax.vmap(one)(q, given))(q)

    def _descend(
        self,
        learner: LearnerState,
        hparams: Hparams,
        gradient: PyTree,
        due: Callable[[int], jax.Array],
    ) -> LearnerState:
        update = self.q_function.each(self.optimizer(hparams).update)
        updates, opt_state = update(gradient, learner.opt_state, learner.params)
        params = optax.apply_updates(learner.params, updates)
        params = self.q_function.with_hparams(params, hparams)
        target_params = self.target.update(learner.target_params, params, hparams, due)
        return learner._replace(params=params, target_params=target_params, opt_state=opt_state)

    def _masked(self, q: jax.Array, legal: PyTree) -> jax.Array:
        """Mask values `[N, A]` or `[K, N, A]` by the legal actions of a batch, `[B, T, ...]` or `()`."""
        actions = self.q_function.num_actions
        return mask_illegal(q, jax.tree.map(lambda leaf: leaf[..., :actions], self._tail(legal)))

    def _tail(self, tree: PyTree) -> PyTree:
        """Flatten what is behind the burn-in, leaves `[B, T, ...]` to `[N, ...]`."""
        return self.q_function.behind_burn_in(tree)


PICKED = ("q_online_t", "q_target_t")
"""What a rule knows of the step that a return goes to, not of the one it begins with."""


def _flat(leaf: jax.Array) -> jax.Array:
    return leaf.reshape(-1, *leaf.shape[2:])
