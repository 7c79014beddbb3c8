"""REINFORCE: an agent without a value function, trained, swept and resumed like any other.

python examples/reinforce.py [--steps 100000]

Williams, Simple Statistical Gradient-Following Algorithms for Connectionist RL, 1992.
"""

import sys
import tempfile

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax
import orbax.checkpoint as ocp

import jaxq


class Reinforce(jaxq.Agent):
    """Raises the log-probability of actions by the return that followed them in a window of steps."""

    name, num_envs, iteration_steps = "reinforce", 8, 8 * 128
    hparams = jaxq.Hparams.of(learning_rate=jaxq.Hyperparameter(1e-2, low=0))
    network = nn.Sequential([nn.Dense(64), nn.tanh, nn.Dense(2)])

    def init(self, key, hparams):
        params = self.network.init(key, jnp.zeros(4))
        return (params, optax.adam(1.0).init(params)), ()

    def act(self, key, learner, hparams, inputs):
        logits = self.network.apply(learner[0], inputs.observation)
        return jaxq.PolicyOutput(jax.random.categorical(key, logits))

    def policy(self, learner, inputs):
        logits = self.network.apply(learner[0], inputs.observation)
        return jaxq.PolicyOutput(jnp.argmax(logits, axis=-1))

    def learn(self, key, learner, replay, hparams, newest, steps):
        rewards = newest.reward, newest.terminated | newest.truncated
        back = jax.lax.scan(lambda g, x: (x[0] + 0.99 * g * ~x[1],) * 2, 0 * rewards[0][0], rewards, reverse=True)
        advantage = (back[1] - back[1].mean()) / (back[1].std() + 1e-6)

        def loss(params):
            log_pi = jax.nn.log_softmax(self.network.apply(params, newest.observation))
            taken = jnp.take_along_axis(log_pi, newest.action[..., None], axis=-1)[..., 0]
            return -jnp.mean(taken * advantage)

        value, gradient = jax.value_and_grad(loss)(learner[0])
        update, moments = optax.adam(hparams.learning_rate).update(gradient, learner[1])
        learner = optax.apply_updates(learner[0], update), moments
        return learner, replay, jaxq.LearningStatistics(loss=value)


steps = int(sys.argv[-1]) if "--steps" in sys.argv else 100_000
trainer = jaxq.Trainer(jaxq.envs.make("CartPole-v1"), Reinforce())
population = jaxq.Population(trainer, size=16)
hparams = jaxq.grid(trainer.hparams, learning_rate=[1e-3, 1e-2], seeds=8)
state, _ = population.run(population.init(jax.random.key(0), hparams), steps // 2)
with tempfile.TemporaryDirectory() as directory, ocp.StandardCheckpointer() as checkpointer:
    checkpointer.save(f"{directory}/state", state)
    checkpointer.wait_until_finished()
    state = checkpointer.restore(f"{directory}/state", population.template)
state, _ = population.run(state, steps // 2)
returns = population.evaluate(state, jax.random.key(1)).mean(axis=1)
print("learning rate 1e-3:", jaxq.iqm(returns[:8]), "1e-2:", jaxq.iqm(returns[8:]))
