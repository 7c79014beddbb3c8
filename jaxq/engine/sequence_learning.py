"""Learning from sequences: updates of a recurrent network on stored runs of steps."""

import jax
import jax.numpy as jnp

from jaxq.engine.agent import Experience, LearningStatistics
from jaxq.engine.learner import Batch, Descent, Learner
from jaxq.engine.recurrent import episode_begin, previous_features
from jaxq.engine.replay_learning import importance_exponent
from jaxq.engine.rhythm import Rhythm
from jaxq.hparams import Hparams
from jaxq.learning import greedy_bootstrap, n_step_return
from jaxq.replay import Memory, PrioritizedSequenceReplay, SequenceReplay, Steps
from jaxq.types import PyTree, Transition

ETA = 0.9
"""What a sequence's largest TD error counts for in its priority, against their mean."""


class SequenceLearning:
    """Remembers steps with what was known before them, and learns from runs of them."""

    def __init__(self, descent: Descent, num_actions: int) -> None:
        self._descent = descent
        self._q_function = descent.q_function
        self._settings = settings = descent.settings
        self._num_actions = num_actions
        self._rhythm = Rhythm(settings)
        self.iteration_steps = self._rhythm.iteration_steps
        self.warmup_steps = self._rhythm.warmup_steps
        sizes = (
            descent.spec,
            self._rhythm.ring_rows,
            settings.num_envs,
            settings.batch_size,
            settings.sequence_rows,
        )
        self.replay = (
            PrioritizedSequenceReplay(*sizes, settings.sequence_stride)
            if settings.prioritized
            else SequenceReplay(*sizes)
        )

    def init(self, key: jax.Array, hparams: Hparams) -> tuple[Learner, Memory]:
        """Make a network with fresh weights, its copy, its optimizer, and an empty ring."""
        begin = episode_begin((1,), self._settings.recurrent_size)
        previous = previous_features(begin.action, begin.reward, self._num_actions)
        learner = self._descent.init(key, hparams, begin.hidden, self._descent.blank, previous)
        return learner, self.replay.init(jax.tree.map(lambda leaf: leaf[0], begin))

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
            drawn = self.replay.sample(
                key, memory._replace(priorities=priorities), rows, hparams, importance
            )
            batch = self._batch(learner, hparams, self._descent.split(drawn))
            due = self._rhythm.target_due(steps, number)
            learner, statistics, errors = self._descent.step(learner, hparams, batch, due)
            if self._settings.prioritized:
                # Of steps whose end is lost, nothing is known.
                errors = jnp.where(batch.weight > 0, errors, 0)
                priority = mixed_priority(errors.reshape(self._settings.batch_size, -1))
                priorities = self.replay.reprioritize(priorities, drawn, priority, hparams)
            return (learner, priorities), statistics

        carry = learner, memory.priorities
        carry, statistics = jax.lax.scan(update, carry, self._rhythm.numbered_keys(key))
        learner, priorities = carry
        return learner, memory._replace(priorities=priorities), jax.tree.map(jnp.mean, statistics)

    def _batch(self, learner: Learner, hparams: Hparams, drawn: Steps) -> Batch:
        """Work out targets behind the burn-in, and say what is compared with them."""
        sequences, burn_in = drawn.transition, self._settings.burn_in
        tail = jax.tree.map(lambda leaf: leaf[:, burn_in:], sequences._replace(extras=()))
        target_t = self._following(learner.target_params, sequences)
        online_t = target_t
        if self._settings.double:
            online_t = self._following(learner.params, sequences)
        targets, last = jax.vmap(self._targets, in_axes=(None, 0, 0, 0))(
            hparams.discount, tail, online_t, target_t
        )
        weight = jnp.take_along_axis(drawn.known[:, burn_in:], last, axis=1).astype(jnp.float32)
        if self._settings.prioritized:
            weight = weight * drawn.weight[:, None]

        def outputs(params: PyTree) -> jax.Array:
            _, output_tm1 = self._unroll(params, sequences)
            return _flat(output_tm1[:, burn_in:])

        return Batch(outputs, _flat(tail.action), _flat(targets), _flat(weight))

    def _targets(
        self, discount: jax.Array, run: Transition, online_t: jax.Array, target_t: jax.Array
    ) -> tuple[jax.Array, jax.Array]:
        """Work out the target of every step in a run of T, and the step each return goes to, `[T]`."""
        value = self._q_function.value
        length = run.reward.shape[0]
        window = jnp.arange(length)[:, None] + jnp.arange(self._settings.n_step)[None]
        inside = jnp.minimum(window, length - 1)
        # What lies behind the run is not known, so the run's last step ends every return.
        truncated = run.truncated.at[-1].set(True)
        result = jax.vmap(n_step_return, in_axes=(0, 0, 0, None))(
            run.reward[inside], run.terminated[inside], truncated[inside], discount
        )
        last = jnp.arange(length) + result.last
        bootstrap = jax.vmap(lambda output: greedy_bootstrap(value.q(output)))(online_t[last])
        targets = jax.vmap(value.target)(result.r_t, result.discount_t, bootstrap, target_t[last])
        return targets, last

    def _unroll(self, params: PyTree, sequences: Transition) -> tuple[jax.Array, jax.Array]:
        """Run the network over sequences: states after each step, `[B, T, H]`, and outputs, `[B, T, A]`.

        No gradient flows into the burn-in, which only brings the state up to date.
        """
        network, burn_in = self._q_function.network, self._settings.burn_in
        ended = sequences.terminated | sequences.truncated
        begins = jnp.pad(ended[:, :-1], ((0, 0), (1, 0)))
        carry, previous = sequences.extras.hidden, self._previous(sequences, begins)

        def run(params: PyTree, carry: jax.Array, part: slice) -> tuple[jax.Array, jax.Array]:
            inputs = sequences.observation[:, part], begins[:, part], previous[:, part]
            return network.apply(params, carry, *inputs, method="unroll")

        if not burn_in:
            return run(params, carry, slice(None))
        early = run(jax.lax.stop_gradient(params), carry, slice(burn_in))
        late = run(params, early[0][:, -1], slice(burn_in, None))
        return jax.tree.map(lambda *parts: jnp.concatenate(parts, axis=1), early, late)

    def _previous(self, sequences: Transition, begins: jax.Array) -> jax.Array:
        """Describe what was done before each observation, `[B, T, A + 1]`; nothing where one begins."""
        known = sequences.extras
        action = jnp.concatenate([known.action[:, None], sequences.action[:, :-1]], axis=1)
        reward = jnp.concatenate([known.reward[:, None], sequences.reward[:, :-1]], axis=1)
        action, reward = jnp.where(begins, -1, action), jnp.where(begins, 0, reward)
        return previous_features(action, reward, self._num_actions)

    def _following(self, params: PyTree, sequences: Transition) -> jax.Array:
        """Return the outputs where each step behind the burn-in ended, `[B, T - burn_in, A]`."""
        burn_in = self._settings.burn_in
        carries, _ = self._unroll(params, sequences)
        network = self._q_function.network
        previous = previous_features(sequences.action, sequences.reward, self._num_actions)
        inputs = carries, sequences.next_observation, previous
        return network.apply(params, *(leaf[:, burn_in:] for leaf in inputs), method="branch")


def mixed_priority(errors: jax.Array) -> jax.Array:
    """Say how much there is to learn from sequences.

    `eta * max_t |error_t| + (1 - eta) * mean_t |error_t|` with `eta = 0.9`

    Args:
        errors: TD errors, or sizes of them, `[B, T]`.

    Returns:
        `[B]`.

    References:
        Kapturowski et al., Recurrent Experience Replay in Distributed Reinforcement Learning, 2019,
        section 2.3.
    """
    sizes = jnp.abs(errors)
    return ETA * sizes.max(axis=-1) + (1 - ETA) * sizes.mean(axis=-1)


def _flat(leaf: jax.Array) -> jax.Array:
    return leaf.reshape(-1, *leaf.shape[2:])
