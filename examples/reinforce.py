"""REINFORCE (Williams, 1992), an agent without a value function, trained like any other.

python examples/reinforce.py
"""

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
        return jaxq.PolicyOutput(self.network.apply(learner[0], inputs.observation).argmax(axis=-1))

    def learn(self, key, learner, replay, hparams, newest, steps):
        goes_on = 0.99 * ~(newest.terminated | newest.truncated)
        back = lambda later, now: (now[0] + now[1] * later,) * 2
        returns = jax.lax.scan(back, jnp.zeros(8), (newest.reward, goes_on), reverse=True)[1]
        advantage = (returns - returns.mean()) / (returns.std() + 1e-6)

        def loss(params):
            log_pi = jax.nn.log_softmax(self.network.apply(params, newest.observation))
            return -jnp.mean(jnp.sum(log_pi * jax.nn.one_hot(newest.action, 2), axis=-1) * advantage)

        value, gradient = jax.value_and_grad(loss)(learner[0])
        update, moments = optax.adam(hparams.learning_rate).update(gradient, learner[1])
        return (optax.apply_updates(learner[0], update), moments), replay, jaxq.LearningStatistics(value)


trainer = jaxq.Trainer(jaxq.envs.make("CartPole-v1"), Reinforce())
population = jaxq.Population(trainer, size=16)
hparams = jaxq.grid(trainer.hparams, learning_rate=[1e-3, 1e-2], seeds=8)
state, _ = population.run(population.init(jax.random.key(0), hparams), 50_000)
with tempfile.TemporaryDirectory() as directory:
    checkpointer = ocp.Checkpointer(ocp.StandardCheckpointHandler())
    checkpointer.save(f"{directory}/state", state)
    state = checkpointer.restore(f"{directory}/state", population.template)
state, _ = population.run(state, 50_000)
returns = population.evaluate(state, jax.random.key(1)).mean(axis=1)
print("learning_rate = 1e-3:", jaxq.iqm(returns[:8]), " learning_rate = 1e-2:", jaxq.iqm(returns[8:]))
