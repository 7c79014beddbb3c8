"""The tabular agent with budgets: a table of values and one of each cost, weighed by multipliers."""

from dataclasses import dataclass

import jax
import jax.numpy as jnp

from jaxq.agents.budgets import Multipliers
from jaxq.agents.protocol import LearningStatistics, PolicyInput
from jaxq.agents.table_agent import Rule, TableAgent, TableLearner, step_size
from jaxq.agents.table_reads import read_once
from jaxq.agents.world_model import Step
from jaxq.hparams import Hparams
from jaxq.learning import mask_illegal, priced_target, priced_values
from jaxq.types import PyTree, Transition


@dataclass(frozen=True, kw_only=True)
class ConstrainedTableAgent(TableAgent):
    """Acts on values less costs at their prices; the learner's tables are `[1 + K, S, A]`, values first.

    Attributes:
        multipliers: How budgets are kept.
    """

    multipliers: Multipliers

    def init(self, key: jax.Array, hparams: Hparams) -> tuple[TableLearner, PyTree]:
        """Make tables, values of `initial_value` and costs of zero, and no prices yet."""
        learner, replay = super().init(key, hparams)
        costs = jnp.zeros((len(self.multipliers.names), *learner.q.shape[1:]))
        tables = jnp.concatenate([learner.q, costs])
        return learner._replace(q=tables, **self.multipliers.init()), replay

    def cost_values(self, learner: TableLearner, inputs: PolicyInput) -> jax.Array:
        """Return the discounted costs of actions, `[E, K, A]`; NaN for those without a budget."""
        state = jax.vmap(self.states.of)(inputs.observation)
        return self.multipliers.cost_values(jnp.moveaxis(learner.q[:, state], 0, -1))

    def largest_value(self, hparams: Hparams, max_abs_reward: jax.Array) -> jax.Array:
        """Return infinity: prices know no bound."""
        return jnp.float32(jnp.inf)

    def highest_value(self, hparams: Hparams, largest_return: jax.Array) -> jax.Array:
        """Return infinity: prices know no bound."""
        return jnp.float32(jnp.inf)

    def learn(
        self,
        key: jax.Array,
        learner: TableLearner,
        replay: PyTree,
        hparams: Hparams,
        newest: Transition,
        steps: jax.Array,
    ) -> tuple[TableLearner, PyTree, LearningStatistics]:
        """Move the prices by what episodes cost that have ended, and learn from the row of steps."""
        learner = self.multipliers.updated(learner, hparams, newest)
        # From here on what a step pays has its costs behind it.
        newest = newest._replace(reward=self.multipliers.rewards(newest))
        return super().learn(key, learner, replay, hparams, newest, steps)

    def _values(self, learner: TableLearner, state: jax.Array) -> jax.Array:
        return priced_values(jnp.moveaxis(learner.q[:, state], 0, -1), learner.multipliers)

    def _update(
        self,
        key: jax.Array,
        learner: TableLearner,
        hparams: Hparams,
        step: Step,
        rule: Rule,
        env: jax.Array,
    ) -> tuple[TableLearner, tuple[jax.Array, jax.Array]]:
        """Move all tables toward what a step says of the one policy that they make together."""
        chooses = mask_illegal(self._values(learner, step.s_t), step.legal_t)
        discount_t = hparams.discount * (1.0 - step.terminated)
        target = priced_target(step.r_t, discount_t, rule(chooses), learner.q[:, step.s_t].T)
        error = target - learner.q[:, step.s_tm1, step.a_tm1]
        visits = learner.visits[0, step.s_tm1, step.a_tm1] + 1
        q_tm1 = self._values(learner, step.s_tm1)[step.a_tm1]
        error, visits, q_tm1 = read_once(error, visits, q_tm1)
        learner = learner._replace(
            q=learner.q.at[:, step.s_tm1, step.a_tm1].add(step_size(hparams, visits) * error),
            visits=learner.visits.at[0, step.s_tm1, step.a_tm1].set(visits),
        )
        return learner, (priced_values(error, learner.multipliers), q_tm1)
