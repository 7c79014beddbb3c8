"""Tabular agents: acting on a table, and learning from every step as it is taken."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxq.agents.exploration import choose
from jaxq.agents.protocol import Agent, LearningStatistics, PolicyInput, PolicyOutput
from jaxq.agents.table_reads import read_once
from jaxq.agents.world_model import Step, empty_model, no_step, observe, recall
from jaxq.hparams import Hparams
from jaxq.learning import Bootstrap, expected_bootstrap, greedy_bootstrap, mask_illegal, td_target
from jaxq.types import PyTree, StateNumbers, Transition

Rule = Callable[[jax.Array], Bootstrap]
"""Says how the values at `s_t` enter a target, given those that choose, `[A]`."""


class TableLearner(NamedTuple):
    """What a tabular agent has learned.

    Attributes:
        q: The tables, `[K, S, A]`; two for double learning, else one.
        visits: How often each entry was updated from a real step, `[K, S, A]`.
        traces: Eligibility of each entry in each environment, `[E, S, A]`, or nothing.
        waiting: The last step of each environment, whose next action is not known yet, or nothing.
        model: What each pair of state and action led to last, or nothing.
        multipliers: Price of each cost that there is a budget for, `[K]`, or nothing; then `q` is
            `[1 + K, S, A]`, values first and behind them costs.
        spent: These costs of the running episodes so far, `[E, K]`, or nothing.
    """

    q: jax.Array
    visits: jax.Array
    traces: PyTree = ()
    waiting: PyTree = ()
    model: PyTree = ()
    multipliers: PyTree = ()
    spent: PyTree = ()

    def inherit(self, donor: "TableLearner") -> "TableLearner":
        """Return what a donor has learned, with this learner's own place in its own environments.

        Traces and waiting steps belong to episodes that go on where they were: a donor's step would
        be followed by this agent's action.
        """
        return donor._replace(traces=self.traces, waiting=self.waiting, spent=self.spent)


@dataclass(frozen=True, kw_only=True)
class TableAgent(Agent):
    """Acts on a table with exact counts, and updates it from each step of each environment in turn.

    Attributes:
        name: What it is called.
        hparams: Starting values of its hyperparameters.
        recipe: Its static fields; see `jaxq.agents.tabular_algorithm.TabularQLearning`.
        states: The environment's numbered states.
        num_actions: Number of actions A.
        legal_shape: What one environment's legal actions look like; `()` where all always are.
    """

    name: str
    hparams: Hparams
    recipe: Any
    states: StateNumbers
    num_actions: int
    legal_shape: PyTree = ()

    elementwise = True

    @property
    def num_envs(self) -> int:
        """Environments E."""
        return self.recipe.num_envs

    @property
    def iteration_steps(self) -> int:
        """Env steps between two updates: one of each environment."""
        return self.recipe.num_envs

    def init(self, key: jax.Array, hparams: Hparams) -> tuple[TableLearner, PyTree]:
        """Make tables of the initial value; nothing is stored beside them."""
        recipe, shape = self.recipe, (self.states.num, self.num_actions)
        tables = (1 + recipe.double, *shape)
        learner = TableLearner(
            q=jnp.full(tables, hparams.initial_value, jnp.float32),
            visits=jnp.zeros(tables),
            traces=jnp.zeros((recipe.num_envs, *shape)) if recipe.traces else (),
            waiting=no_step(recipe.num_envs, self.legal_shape) if recipe.rule == "sampled" else (),
            model=empty_model(*shape, self.legal_shape) if recipe.planning_steps else (),
        )
        return learner, ()

    def act(
        self, key: jax.Array, learner: TableLearner, hparams: Hparams, inputs: PolicyInput
    ) -> PolicyOutput:
        """Choose by the table's values and the exploration."""
        state = jax.vmap(self.states.of)(inputs.observation)
        q = self._values(learner, state)
        counts = learner.visits[:, state].sum(axis=0)
        legal = inputs.legal_actions
        probs = self.recipe.exploration.probabilities(hparams, inputs.steps, q, counts, legal)
        return PolicyOutput(choose(key, probs))

    def q_values(self, learner: TableLearner, inputs: PolicyInput) -> tuple[jax.Array, PyTree]:
        """Return action values `[E, A]`, the mean of the tables, and no carry."""
        return self._values(learner, jax.vmap(self.states.of)(inputs.observation)), inputs.carry

    @property
    def confidence_kind(self) -> str:
        """What `confidence` gives: how often an entry was updated."""
        return "visits"

    def confidence(self, learner: TableLearner, inputs: PolicyInput) -> jax.Array:
        """Return how often each action's value was updated from a real step, `[E, A]`."""
        return learner.visits[:, jax.vmap(self.states.of)(inputs.observation)].sum(axis=0)

    def exploration_rate(self, hparams: Hparams, steps: jax.Array) -> jax.Array:
        """Return the probability of a random action in each environment, `[E]`."""
        return self.recipe.exploration.epsilons(hparams, steps, self.num_envs)

    def largest_value(self, hparams: Hparams, max_abs_reward: jax.Array) -> jax.Array:
        """Bound the absolute value of any action: `max(max|r| / (1 - discount), |initial_value|)`."""
        largest = jnp.maximum(max_abs_reward, 1.0) / (1.0 - hparams.discount)
        return jnp.maximum(largest, jnp.abs(hparams.initial_value))

    def highest_value(self, hparams: Hparams, largest_return: jax.Array) -> jax.Array:
        """Bound the value of any action from above: `max(largest return, initial_value, 1)`."""
        return jnp.maximum(jnp.maximum(largest_return, hparams.initial_value), 1.0)

    def learn(
        self,
        key: jax.Array,
        learner: TableLearner,
        replay: PyTree,
        hparams: Hparams,
        newest: Transition,
        steps: jax.Array,
    ) -> tuple[TableLearner, PyTree, LearningStatistics]:
        """Learn from the one row of steps that was just taken."""
        newest = jax.tree.map(lambda leaf: leaf[0], newest)
        step = Step(
            jax.vmap(self.states.of)(newest.observation),
            newest.action,
            newest.reward,
            newest.terminated,
            newest.truncated,
            jax.vmap(self.states.of)(newest.next_observation),
            jnp.ones_like(newest.terminated),
            newest.legal_actions,
            newest.next_legal_actions,
        )
        a_t = step.a_tm1
        if self.recipe.rule == "sampled":
            # What follows the step before is known only now.
            step, learner = learner.waiting, learner._replace(waiting=step)

        def one(learner: TableLearner, inputs: tuple) -> tuple[TableLearner, tuple]:
            env, key, step, a_t = inputs
            update_key, plan_key = jax.random.split(key)
            rule = self._rule(learner, hparams, steps, step, a_t, env)
            learner, seen = self._update(update_key, learner, hparams, step, rule, env)
            return self._plan(plan_key, learner, hparams, steps, step, env), seen

        envs = self.recipe.num_envs
        inputs = jnp.arange(envs), jax.random.split(key, envs), step, a_t
        learner, (error, q) = jax.lax.scan(one, learner, inputs)
        size = jnp.abs(error).mean()
        statistics = LearningStatistics(jnp.mean(error**2) / 2, size, q.mean(), size)
        return learner, replay, statistics

    def _values(self, learner: TableLearner, state: jax.Array) -> jax.Array:
        """Return what actions are compared by in states `[...]`, `[..., A]`."""
        return learner.q[:, state].mean(axis=0)

    def _rule(
        self,
        learner: TableLearner,
        hparams: Hparams,
        steps: jax.Array,
        step: Step,
        a_t: jax.Array,
        env: jax.Array,
    ) -> Rule:
        """Return how the values at `s_t` enter the target, as a function of those that choose."""
        recipe = self.recipe
        if recipe.rule == "greedy":
            return greedy_bootstrap
        q = self._values(learner, step.s_t)
        counts = learner.visits[:, step.s_t].sum(axis=0)
        shape = recipe.num_envs, q.shape[0]
        rows = jnp.broadcast_to(q, shape), jnp.broadcast_to(counts, shape)
        legal = jax.tree.map(lambda leaf: jnp.broadcast_to(leaf, shape), step.legal_t)
        probs_t = recipe.exploration.probabilities(hparams, steps, *rows, legal)[env]
        if recipe.rule == "sampled":
            # Nothing was done where an episode had been cut off.
            probs_t = jnp.where(step.truncated, probs_t, jax.nn.one_hot(a_t, q.shape[0]))
        return lambda chooses: expected_bootstrap(probs_t)

    def _update(
        self,
        key: jax.Array,
        learner: TableLearner,
        hparams: Hparams,
        step: Step,
        rule: Rule,
        env: jax.Array,
    ) -> tuple[TableLearner, tuple[jax.Array, jax.Array]]:
        """Move a table toward what a real step says; return it with the TD error and the old value."""
        which = jax.random.randint(key, (), 0, 2) if self.recipe.double else 0
        entry = which, step.s_tm1, step.a_tm1
        error = step.real * self._td_error(learner.q, hparams, step, rule, which)
        visits = learner.visits[entry] + step.real
        q_tm1 = learner.q[:, step.s_tm1].mean(axis=0)
        # Tables are written in place only where all that is read of them is read before.
        error, visits, taken = read_once(error, visits, q_tm1[step.a_tm1])
        rate = step_size(hparams, visits)
        if not self.recipe.traces:
            learner = learner._replace(q=learner.q.at[entry].add(rate * error))
        else:
            greedy = q_tm1[step.a_tm1] >= mask_illegal(q_tm1, step.legal_tm1).max()
            decay = jnp.where(greedy, hparams.discount * hparams.lambda_, 0)
            trace = (decay * learner.traces[env]).at[entry[1:]].add(1)
            q = learner.q.at[0].add(rate * error * trace)
            ended = step.terminated | step.truncated
            traces = learner.traces.at[env].set(jnp.where(ended, 0, trace))
            learner = learner._replace(q=q, traces=traces)
        learner = learner._replace(visits=learner.visits.at[entry].set(visits))
        return learner, (error, taken)

    def _td_error(
        self,
        q: jax.Array,
        hparams: Hparams,
        step: Step,
        rule: Rule,
        which: jax.Array | int,
    ) -> jax.Array:
        """Return what a step says against what the table says, `[]`."""
        rows_t = q[:, step.s_t]
        chooses = rows_t[which]
        values = rows_t[1 - which] if self.recipe.double else chooses
        discount_t = hparams.discount * (1.0 - step.terminated)
        chooses = mask_illegal(chooses, step.legal_t)
        target = td_target(step.r_t, discount_t, rule(chooses), values)
        return target - q[which, step.s_tm1, step.a_tm1]

    def _plan(
        self,
        key: jax.Array,
        learner: TableLearner,
        hparams: Hparams,
        steps: jax.Array,
        step: Step,
        env: jax.Array,
    ) -> TableLearner:
        """Remember a step in the model, and learn from steps of the model."""
        if not self.recipe.planning_steps:
            return learner
        learner = learner._replace(model=observe(learner.model, step))

        def imagine(learner: TableLearner, key: jax.Array) -> tuple[TableLearner, None]:
            recall_key, which_key = jax.random.split(key)
            step = recall(recall_key, learner.model)
            rule = self._rule(learner, hparams, steps, step, step.a_tm1, env)
            which = jax.random.randint(which_key, (), 0, 2) if self.recipe.double else 0
            entry = which, step.s_tm1, step.a_tm1
            error = self._td_error(learner.q, hparams, step, rule, which)
            rate = step_size(hparams, learner.visits[entry])
            return learner._replace(q=learner.q.at[entry].add(rate * error)), None

        keys = jax.random.split(key, self.recipe.planning_steps)
        return jax.lax.scan(imagine, learner, keys)[0]


def step_size(hparams: Hparams, visits: jax.Array) -> jax.Array:
    """Return the step size of an entry after so many visits."""
    # With two tables, an entry may be imagined before it was ever updated from a real step.
    return hparams.learning_rate * jnp.maximum(visits, 1.0) ** -hparams.visit_exponent
