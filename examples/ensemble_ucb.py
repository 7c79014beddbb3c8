"""Exploration by the spread of an ensemble, as in SUNRISE: the mean plus a multiple of the deviation.

python examples/ensemble_ucb.py

Lee et al., SUNRISE: A Simple Unified Framework for Ensemble Learning in Deep RL, 2021, equation 5.
"""

import tempfile
from dataclasses import dataclass

import jax
import orbax.checkpoint as ocp

import jaxq
from jaxq.agents import EpsilonGreedy


@dataclass(frozen=True)
class EnsembleUCB(EpsilonGreedy):
    """The best action by `mean + ucb_weight * standard deviation` of the members' values."""

    @property
    def leaves(self):
        return {**super().leaves, "ucb_weight": jaxq.Hyperparameter(1.0, low=0)}

    def act(self, key, q, hparams, inputs):
        optimistic = q.mean(axis=0) + hparams.ucb_weight * q.std(axis=0)
        return super().act(key, optimistic, hparams, inputs)


ensemble = {"exploration": EnsembleUCB(), "ensemble_size": 5, "hidden_sizes": (64,)}
algorithm = jaxq.dqn(**ensemble, epsilon_start=0, epsilon_end=0)
trainer = jaxq.Trainer(jaxq.envs.make("CartPole-v1"), algorithm)
population = jaxq.Population(trainer, size=16)
hparams = jaxq.grid(trainer.hparams, ucb_weight=[0.0, 1.0], seeds=8)
state, _ = population.run(population.init(jax.random.key(0), hparams), 10_000)
with tempfile.TemporaryDirectory() as directory, ocp.StandardCheckpointer() as checkpointer:
    checkpointer.save(f"{directory}/state", state)
    checkpointer.wait_until_finished()
    state = checkpointer.restore(f"{directory}/state", population.template)
state, _ = population.run(state, 10_000)
returns = population.evaluate(state, jax.random.key(1)).mean(axis=1)
print("ucb_weight = 0:", jaxq.iqm(returns[:8]), " ucb_weight = 1:", jaxq.iqm(returns[8:]))
