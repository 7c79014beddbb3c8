"""Averaged DQN: targets are the mean of the last K target networks, and K is swept.

python examples/averaged_dqn.py

Anschel et al., Averaged-DQN: Variance Reduction and Stabilization, 2017, algorithm 2.
"""

import tempfile
from dataclasses import dataclass
from functools import partial
from typing import ClassVar

import jax
import jax.numpy as jnp
import orbax.checkpoint as ocp

import jaxq


@dataclass(frozen=True)
class AveragedTarget:
    """The last `most` copies of the network, of which the newest K are averaged; K is a leaf."""

    leaves: ClassVar = {"num_averaged": jaxq.Hyperparameter(5, low=1, high=10)}
    is_online: ClassVar = False
    most: int = 10
    interval: int = 100

    def init(self, params):
        return jax.tree.map(lambda leaf: jnp.stack([leaf] * self.most), params)

    def update(self, state, params, hparams, due):
        moved = jax.tree.map(lambda old, new: jnp.roll(old, 1, 0).at[0].set(new), state, params)
        return jax.tree.map(partial(jnp.where, due(self.interval)), moved, state)

    def evaluate(self, state, params, hparams, apply):
        weight = (jnp.arange(self.most) < hparams.num_averaged) / hparams.num_averaged
        return jax.tree.map(lambda leaf: jnp.tensordot(weight, leaf, 1), jax.vmap(apply)(state))


algorithm = jaxq.dqn(target=AveragedTarget(), hidden_sizes=(64,))
trainer = jaxq.Trainer(jaxq.envs.make("CartPole-v1"), algorithm)
population = jaxq.Population(trainer, size=16)
hparams = jaxq.grid(trainer.hparams, num_averaged=[1, 5], seeds=8)
state, _ = population.run(population.init(jax.random.key(0), hparams), 10_000)
with tempfile.TemporaryDirectory() as directory, ocp.StandardCheckpointer() as checkpointer:
    checkpointer.save(f"{directory}/state", state)
    checkpointer.wait_until_finished()
    state = checkpointer.restore(f"{directory}/state", population.template)
state, _ = population.run(state, 10_000)
returns = population.evaluate(state, jax.random.key(1)).mean(axis=1)
print("num_averaged = 1:", jaxq.iqm(returns[:8]), " num_averaged = 5:", jaxq.iqm(returns[8:]))
