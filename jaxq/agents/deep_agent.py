"""The agent with a network: the components of a recipe, put together for an environment."""

from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxq.agents.experience import Source
from jaxq.agents.exploration import EpsilonGreedy
from jaxq.agents.gradient_update import GradientUpdate, LearnerState
from jaxq.agents.protocol import Agent, LearningStatistics, PolicyInput, PolicyOutput
from jaxq.agents.q_function import QFunction, StepExtras
from jaxq.agents.update_schedule import Iteration
from jaxq.hparams import Hparams
from jaxq.learning import mask_illegal
from jaxq.types import PyTree, Transition


class Carry(NamedTuple):
    """What an agent carries from step to step: its network's part, and its exploration's."""

    network: PyTree
    exploration: PyTree


@dataclass(frozen=True, kw_only=True)
class DeepAgent(Agent):
    """Acts on the values of a network, and learns from batches of what it did.

    Attributes:
        name: What it is called.
        hparams: Starting values of its hyperparameters.
        num_envs: Environments E.
        batch_size: Runs in one gradient step.
        update_rows: Observations that one update holds at once.
        iteration: Env steps and updates of one iteration.
        exploration: How it explores.
        source: What it keeps of its steps, and its batches.
        update: The gradient step.
        scheduled: Components whose hyperparameters change with time.
        split: Spreads arrays `[B, ...]` over the devices that share the agent.
        legal_shape: What one environment's legal actions look like; `()` where all always are.
        cost_shape: What one environment's costs look like; `()` where it has none.
        collects: Whether it acts while it learns.
    """

    name: str
    hparams: Hparams
    num_envs: int
    batch_size: int
    update_rows: int
    iteration: Iteration
    exploration: EpsilonGreedy
    source: Source
    update: GradientUpdate
    scheduled: tuple[Any, ...]
    split: Any
    legal_shape: PyTree = ()
    cost_shape: PyTree = ()
    collects: bool = True

    @property
    def iteration_steps(self) -> int:
        """Env steps of the agent in one iteration."""
        return self.iteration.steps

    @property
    def warmup_steps(self) -> int:
        """Env steps before the first gradient step, whole iterations."""
        return self.iteration.warmup_steps

    @property
    def q_function(self) -> QFunction:
        """The network and its value representation."""
        return self.update.q_function

    def init(self, key: jax.Array, hparams: Hparams) -> tuple[LearnerState, PyTree]:
        """Make a network, its target, its optimizer, and an empty replay."""
        shapes = jax.eval_shape(lambda: jax.tree.map(lambda leaf: leaf[0], self._blank_extras()))
        return self.update.init(key, hparams), self.source.init(
            shapes, self.legal_shape, self.cost_shape
        )

    def initial_carry(self, num_envs: int) -> Carry:
        """Return what is carried before the first step in E environments."""
        return Carry(self.q_function.initial_carry(num_envs), self.exploration.init(num_envs))

    def act(
        self, key: jax.Array, learner: LearnerState, hparams: Hparams, inputs: PolicyInput
    ) -> PolicyOutput:
        """Choose by the network's values and the exploration, and keep what learning needs beside."""
        noise_key, action_key = jax.random.split(key)
        before = self._before(inputs)
        q, after = self._step(learner, before, inputs, noise_key)
        q = mask_illegal(q, inputs.legal_actions)
        explored = self.exploration.act(
            action_key, q, hparams, inputs._replace(carry=inputs.carry.exploration)
        )
        extras = StepExtras()
        if self.q_function.recurrent_size:
            extras = StepExtras(before, inputs.previous_action, inputs.previous_reward)
        if self.q_function.members:
            shape = (self.num_envs, self.q_function.members)
            # Beside the two keys above, which are numbers 0 and 1.
            mask_key = jax.random.fold_in(key, 2)
            mask = jax.random.bernoulli(mask_key, hparams.mask_probability, shape)
            extras = extras._replace(mask=mask)
        return PolicyOutput(explored.action, Carry(after, explored.carry), extras)

    def q_values(self, learner: LearnerState, inputs: PolicyInput) -> tuple[jax.Array, Carry]:
        """Return action values `[E, A]`, of an ensemble the mean of its members', and the carry."""
        q, after = self._step(learner, self._before(inputs), inputs, None)
        q = q.mean(axis=0) if self.q_function.members else q
        return q, inputs.carry._replace(network=after)

    @property
    def confidence_kind(self) -> str | None:
        """What `confidence` gives: "ensemble spread", "return spread", or nothing."""
        if not self.q_function.has_spread:
            return None
        return "ensemble spread" if self.q_function.members else "return spread"

    def confidence(self, learner: LearnerState, inputs: PolicyInput) -> jax.Array:
        """Return how widely action values are spread, `[E, A]`; the less, the surer they are."""
        return self.q_function.spread(self._outputs(learner, inputs))

    def cost_values(self, learner: LearnerState, inputs: PolicyInput) -> PyTree:
        """Return the discounted costs of actions, `[E, K, A]`, NaN without budget; `()` without any."""
        multipliers = self.update.multipliers
        return () if multipliers is None else multipliers.cost_values(self._outputs(learner, inputs))

    def observe(self, replay: PyTree, newest: Transition, steps: jax.Array) -> PyTree:
        """Store an iteration's transitions."""
        return self.source.add(replay, newest, steps)

    def learn(
        self,
        key: jax.Array,
        learner: LearnerState,
        replay: PyTree,
        hparams: Hparams,
        newest: Transition,
        steps: jax.Array,
    ) -> tuple[LearnerState, PyTree, LearningStatistics]:
        """Take one iteration's gradient steps."""
        # Schedules go by what was done before the iteration: so the last update still has a step size.
        for component in self.scheduled:
            hparams = component.at_step(hparams, steps - self.iteration.steps)
        value_t = partial(self.update.value_t, learner, hparams)
        if self.update.multipliers is not None:
            learner = self.update.multipliers.updated(learner, hparams, newest)
        step = self.update.priced(learner).step
        key, batches = self.source.batches(key, replay, hparams, newest, steps, value_t)

        def update(carry: tuple, inputs: tuple) -> tuple[tuple, LearningStatistics]:
            learner, priorities = carry
            (number, key), plan = inputs
            sample_key, network_key = jax.random.split(key)
            batch = self.split(batches.draw(sample_key, plan, priorities))
            due = self.iteration.due(steps, number)
            learner, statistics, errors = step(network_key, learner, hparams, batch, due)
            priorities = self.source.reprioritize(priorities, batch, errors, hparams)
            return (learner, priorities), statistics

        inputs = self.iteration.numbered_keys(key), batches.plan
        carry = learner, batches.priorities
        (learner, priorities), statistics = jax.lax.scan(update, carry, inputs)
        replay = self.source.with_priorities(replay, priorities)
        return learner, replay, jax.tree.map(jnp.mean, statistics)

    def exploration_rate(self, hparams: Hparams, steps: jax.Array) -> jax.Array:
        """Return the probability of a random action in each environment, `[E]`."""
        return self.exploration.epsilons(hparams, steps, self.num_envs)

    def largest_value(self, hparams: Hparams, max_abs_reward: jax.Array) -> jax.Array:
        """Bound the absolute value of any action.

        `max((max|r| + bonus) / (1 - discount), |initial_value|)`, where `max|r|` is at least 1; infinity
        with discount 1, as then there is no largest return, and with budgets, as prices know no bound.
        """
        if self.update.multipliers is not None:
            return jnp.float32(jnp.inf)
        max_abs_reward = jnp.maximum(max_abs_reward, self.source.max_abs_reward)
        bonus = getattr(self.update.rule, "largest_bonus", lambda *_: 0.0)
        reward = jnp.maximum(max_abs_reward, 1.0) + bonus(hparams, self.q_function.num_actions)
        largest = reward / (1.0 - hparams.discount)
        if "initial_value" not in hparams:
            return largest
        return jnp.maximum(largest, jnp.abs(hparams.initial_value))

    def highest_value(self, hparams: Hparams, largest_return: jax.Array) -> jax.Array:
        """Bound the value of any action from above.

        `max(largest return, 1) + bonus / (1 - discount)`, or `initial_value` if that is more: a network
        begins anywhere near zero. Infinity with budgets, as prices know no bound, and with logged data,
        which may be of another environment.
        """
        if self.update.multipliers is not None or self.source.max_abs_reward:
            return jnp.float32(jnp.inf)
        highest = jnp.maximum(largest_return, 1.0)
        if hasattr(self.update.rule, "largest_bonus"):
            bonus = self.update.rule.largest_bonus(hparams, self.q_function.num_actions)
            highest += bonus / (1.0 - hparams.discount)
        if "initial_value" not in hparams:
            return highest
        return jnp.maximum(highest, hparams.initial_value)

    def _before(self, inputs: PolicyInput) -> PyTree:
        """Return what the network carries, anew where an episode begins."""
        if not self.q_function.recurrent_size:
            return ()
        blank = self.q_function.initial_carry(inputs.first.shape[0])
        first = inputs.first.reshape(-1, *[1] * (blank.ndim - 1))
        return jnp.where(first, blank, inputs.carry.network)

    def _outputs(self, learner: LearnerState, inputs: PolicyInput) -> PyTree:
        """Return what the network says of observations, without noise."""
        previous = inputs.previous_action, inputs.previous_reward
        before = self._before(inputs)
        return self.q_function.outputs(learner.params, before, inputs.observation, previous)[0]

    def _step(
        self, learner: LearnerState, before: PyTree, inputs: PolicyInput, key: jax.Array | None
    ) -> tuple[jax.Array, PyTree]:
        previous = inputs.previous_action, inputs.previous_reward
        q_function = self.update.priced(learner).q_function
        return q_function.step(learner.params, before, inputs.observation, previous, key)

    def _blank_extras(self) -> StepExtras:
        extras, members = StepExtras(), self.q_function.members
        if self.q_function.recurrent_size:
            carry = self.q_function.initial_carry(1)
            extras = StepExtras(carry, jnp.full(1, -1, jnp.int32), jnp.zeros(1))
        return extras._replace(mask=jnp.zeros((1, members), bool)) if members else extras
