"""Learning from a window: updates on the newest transitions, which are then forgotten."""

import jax
import jax.numpy as jnp

from jaxq.engine.agent import Experience, LearningStatistics
from jaxq.engine.learner import Batch, Descent, Learner
from jaxq.engine.rhythm import Rhythm
from jaxq.hparams import Hparams
from jaxq.learning import greedy_probabilities, lambda_returns
from jaxq.replay import shuffled_minibatches
from jaxq.types import PyTree, Transition


class WindowLearning:
    """Works out lambda-returns over the newest window, and goes through it in shuffled batches."""

    def __init__(self, descent: Descent) -> None:
        self._descent = descent
        self._q_function = descent.q_function
        self._settings = descent.settings
        self._rhythm = Rhythm(descent.settings)
        self.iteration_steps = self._rhythm.iteration_steps
        self.warmup_steps = self._rhythm.warmup_steps

    def init(self, key: jax.Array, hparams: Hparams) -> tuple[Learner, PyTree]:
        """Make a network with fresh weights and its optimizer; there is nothing to remember."""
        return self._descent.init(key, hparams), ()

    def remember(self, memory: PyTree, newest: Transition, steps: jax.Array) -> PyTree:
        """Forget."""
        return memory

    def learn(
        self, key: jax.Array, learner: Learner, hparams: Hparams, experience: Experience
    ) -> tuple[Learner, PyTree, LearningStatistics]:
        """Take one iteration's gradient steps."""
        settings, newest = self._settings, experience.newest
        target_key, shuffle_key, network_key = jax.random.split(key, 3)
        window = newest.observation, newest.action, self._returns(learner, hparams, newest, target_key)
        epochs = settings.batch_size // settings.train_interval
        per_epoch = settings.buffer_size // settings.batch_size
        # Only numbers are dealt here: the transitions of all epochs' minibatches would be as many
        # windows, held for each of the agents that train side by side.
        window = jax.tree.map(lambda leaf: leaf.reshape(-1, *leaf.shape[2:]), window)
        numbers = jnp.arange(settings.buffer_size).reshape(newest.reward.shape)
        minibatches = jax.vmap(shuffled_minibatches, in_axes=(0, None, None))(
            jax.random.split(shuffle_key, epochs), numbers, per_epoch
        ).reshape(-1, settings.batch_size)

        def update(learner: Learner, inputs: tuple) -> tuple[Learner, LearningStatistics]:
            number, key, chosen = inputs
            minibatch = jax.tree.map(lambda leaf: leaf[chosen], window)
            observation, action, returns = self._descent.split(minibatch)
            batch = Batch(
                lambda params: self._q_function.output(params, observation, key),
                action,
                jax.vmap(self._q_function.value.constant_target)(returns),
                jnp.ones(settings.batch_size),
            )
            due = self._rhythm.target_due(experience.steps, number)
            learner, statistics, _ = self._descent.step(learner, hparams, batch, due)
            return learner, statistics

        inputs = *self._rhythm.numbered_keys(network_key), minibatches
        learner, statistics = jax.lax.scan(update, learner, inputs)
        return learner, experience.memory, jax.tree.map(jnp.mean, statistics)

    def _returns(
        self, learner: Learner, hparams: Hparams, newest: Transition, key: jax.Array
    ) -> jax.Array:
        """Work out the lambda-return of every transition in the window, `[T, E]`."""
        shape = newest.reward.shape
        observation = newest.next_observation.reshape(-1, *self._descent.spec.shape)
        q_t = self._q_function.q_values(learner.target_params, observation, key)
        chooses = (
            self._q_function.q_values(learner.params, observation, key) if self._settings.double else q_t
        )
        v_t = jnp.sum(jax.vmap(greedy_probabilities)(chooses) * q_t, axis=-1).reshape(shape)
        returns = jax.vmap(lambda_returns, in_axes=(1, 1, 1, None, None, 1), out_axes=1)
        return returns(
            newest.reward,
            newest.terminated,
            newest.truncated,
            hparams.discount,
            hparams.trace_decay,
            v_t,
        )
