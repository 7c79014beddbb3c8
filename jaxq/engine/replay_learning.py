"""Learning from a replay: updates on samples of what was remembered."""

import jax
import jax.numpy as jnp

from jaxq.agents import Settings
from jaxq.engine.agent import Experience, LearningStatistics
from jaxq.engine.learner import Batch, Descent, Learner
from jaxq.engine.rhythm import Rhythm
from jaxq.hparams import Hparams
from jaxq.learning import Bootstrap, greedy_bootstrap, linear_schedule, munchausen_bootstrap
from jaxq.replay import Memory, PrioritizedReplay, UniformReplay
from jaxq.types import PyTree, Sample, Transition


class ReplayLearning:
    """Remembers transitions in a ring, and learns from samples of it."""

    def __init__(self, descent: Descent) -> None:
        self._descent = descent
        self._q_function = descent.q_function
        self._settings = settings = descent.settings
        self._rhythm = Rhythm(settings)
        self.iteration_steps = self._rhythm.iteration_steps
        self.warmup_steps = self._rhythm.warmup_steps
        kind = PrioritizedReplay if settings.prioritized else UniformReplay
        self.replay = kind(
            descent.spec,
            self._rhythm.ring_rows,
            settings.num_envs,
            settings.batch_size,
            settings.n_step,
        )

    def init(self, key: jax.Array, hparams: Hparams) -> tuple[Learner, Memory]:
        """Make a network with fresh weights, its copy, its optimizer, and an empty ring."""
        learner = self._descent.init(key, hparams)
        members = self._q_function.members
        extras = jnp.zeros(members, bool) if members else ()
        return learner, self.replay.init(extras)

    def remember(self, memory: Memory, newest: Transition, steps: jax.Array) -> Memory:
        """Write an iteration's transitions over the oldest ones."""
        return self.replay.add(memory, newest, steps // self._settings.num_envs)

    def learn(
        self, key: jax.Array, learner: Learner, hparams: Hparams, experience: Experience
    ) -> tuple[Learner, Memory, LearningStatistics]:
        """Take one iteration's gradient steps."""
        memory, _, steps = experience
        rows = steps // self._settings.num_envs
        importance = importance_exponent(self._settings, hparams, steps - self.iteration_steps)

        def update(carry: tuple, inputs: tuple) -> tuple[tuple, LearningStatistics]:
            learner, priorities = carry
            number, key = inputs
            sample_key, network_key = jax.random.split(key)
            sample = self.replay.sample(
                sample_key, memory._replace(priorities=priorities), rows, hparams, importance
            )
            batch = self._batch(learner, hparams, self._descent.split(sample), network_key)
            if self._q_function.members:
                batch = batch._replace(weight=self._masks(memory, sample) * batch.weight[None])
            due = self._rhythm.target_due(steps, number)
            learner, statistics, priority = self._descent.step(learner, hparams, batch, due)
            priority = priority.mean(axis=0) if self._q_function.members else priority
            priorities = self.replay.reprioritize(priorities, sample, priority, hparams)
            return (learner, priorities), statistics

        inputs = self._rhythm.numbered_keys(key)
        carry = learner, memory.priorities
        (learner, priorities), statistics = jax.lax.scan(update, carry, inputs)
        statistics = jax.tree.map(jnp.mean, statistics)
        return learner, memory._replace(priorities=priorities), statistics

    def _masks(self, memory: Memory, sample: Sample) -> jax.Array:
        """Say which members of an ensemble learn from which transition, `[K, B]`."""
        masks = memory.ring.extras.reshape(-1, self._q_function.members)
        return masks[sample.index].T.astype(jnp.float32)

    def _batch(self, learner: Learner, hparams: Hparams, sample: Sample, key: jax.Array) -> Batch:
        """Work out targets, and say what is compared with them."""
        q_function = self._q_function
        online_key, target_key, rule_key = jax.random.split(key, 3)
        output_t = q_function.target_output(learner.target_params, sample.s_t, target_key)
        bootstrap = self._bootstrap(learner, hparams, sample, output_t, rule_key)
        target = jax.vmap(q_function.value.target)
        targets = q_function.each(
            lambda bootstrap, output: target(sample.r_t, sample.discount_t, bootstrap, output)
        )(bootstrap, output_t)

        def outputs(params: PyTree) -> PyTree:
            return q_function.output(params, sample.s_tm1, online_key)

        return Batch(outputs, sample.a_tm1, targets, sample.weight)

    def _bootstrap(
        self, learner: Learner, hparams: Hparams, sample: Sample, output_t: PyTree, key: jax.Array
    ) -> Bootstrap:
        """Apply the recipe's rule for what follows at `s_t`."""
        q_function, each = self._q_function, self._q_function.each
        if self._settings.double:
            q_online_t = q_function.member_values(learner.params, sample.s_t, key)
            return each(jax.vmap(greedy_bootstrap))(q_online_t)
        q_target_t = q_function.policy_values(learner.target_params, sample.s_t, output_t, key)
        if not self._settings.munchausen:
            return each(jax.vmap(greedy_bootstrap))(q_target_t)
        rule = jax.vmap(munchausen_bootstrap, in_axes=(0, 0, 0, None, None, None))
        numbers = hparams.munchausen_temperature, hparams.munchausen_scale, hparams.munchausen_clip
        q_target_tm1 = q_function.member_values(learner.target_params, sample.s_tm1, key)
        return each(lambda q_tm1, q_t: rule(q_tm1, sample.a_tm1, q_t, *numbers))(
            q_target_tm1, q_target_t
        )


def importance_exponent(settings: Settings, hparams: Hparams, steps: jax.Array) -> jax.Array:
    """Return how much of the bias of a prioritized draw is corrected after `steps` env steps, `[]`."""
    if not settings.prioritized:
        return jnp.float32(0)
    return linear_schedule(steps, hparams.importance_start, 1.0, hparams.importance_steps)
