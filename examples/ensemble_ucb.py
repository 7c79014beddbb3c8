"""Exploration by the spread of an ensemble, as SUNRISE has it: the mean plus a multiple of the deviation.

python examples/ensemble_ucb.py [--steps 20000]

Lee et al., SUNRISE: A Simple Unified Framework for Ensemble Learning in Deep RL, 2021, equation 5.
"""

import argparse
import tempfile
from dataclasses import dataclass

import jax
import orbax.checkpoint as ocp

import jaxq
from jaxq.agents.exploration import EpsilonGreedy


@dataclass(frozen=True)
class EnsembleUCB(EpsilonGreedy):
    """The best action by `mean + ucb_weight * standard deviation` of the members' values."""

    @property
    def leaves(self):
        return {**super().leaves, "ucb_weight": jaxq.Hyperparameter(1.0, low=0)}

    def act(self, key, q, hparams, inputs):
        optimistic = q.mean(axis=0) + hparams.ucb_weight * q.std(axis=0)
        return super().act(key, optimistic, hparams, inputs)


def main() -> None:
    """Train 8 seeds with each of two weights, half before and half behind a checkpoint."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--steps", type=int, default=20_000)
    steps = parser.parse_args().steps
    algorithm = jaxq.dqn(
        exploration=EnsembleUCB(),
        ensemble_size=5,
        hidden_sizes=(64,),
        epsilon_start=0,
        epsilon_end=0,
    )
    trainer = jaxq.Trainer(jaxq.envs.make("CartPole-v1"), algorithm)
    population = jaxq.Population(trainer, size=16)
    hparams = jaxq.grid(trainer.hparams, ucb_weight=[0.0, 1.0], seeds=8)
    state, _ = population.run(population.init(jax.random.key(0), hparams), steps // 2)
    with tempfile.TemporaryDirectory() as directory, ocp.StandardCheckpointer() as checkpointer:
        checkpointer.save(f"{directory}/state", state)
        checkpointer.wait_until_finished()
        state = checkpointer.restore(f"{directory}/state", population.template)
    state, _ = population.run(state, steps // 2)
    returns = population.evaluate(state, jax.random.key(1)).mean(axis=1)
    print("weight 0:", jaxq.iqm(returns[:8]), "weight 1:", jaxq.iqm(returns[8:]))


if __name__ == "__main__":
    main()
