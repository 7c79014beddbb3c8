"""A sweep is one population: every combination of hyperparameters, several seeds each, compiled once.

python examples/sweep.py [--steps 6000] [--seeds 4]
"""

import argparse
import itertools

import jax
import numpy as np

import jaxq

LEARNING_RATES = [1e-3, 5e-3]
DISCOUNTS = [0.95, 0.99]


def main() -> None:
    """Sweep, and print the interquartile mean of each combination with its 95% interval."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=6_000, help="env steps of each agent")
    parser.add_argument("--seeds", type=int, default=4, help="agents of each combination")
    options = parser.parse_args()

    trainer = jaxq.Trainer(jaxq.envs.make("CartPole-v1"), jaxq.dqn(hidden_sizes=(32,)))
    hparams = jaxq.grid(
        trainer.hparams, learning_rate=LEARNING_RATES, discount=DISCOUNTS, seeds=options.seeds
    )
    combinations = list(itertools.product(LEARNING_RATES, DISCOUNTS))
    population = jaxq.Population(trainer, size=len(combinations) * options.seeds)
    state = population.init(jax.random.key(0), hparams)
    state, _ = population.run(state, options.steps)
    returns = population.evaluate(state, jax.random.key(1), num_episodes=16)

    # Agents are in the order of the combinations, the seeds of each side by side.
    scores = np.mean(returns, axis=1).reshape(len(combinations), options.seeds)
    for (learning_rate, discount), row in zip(combinations, scores, strict=True):
        low, high = jaxq.bootstrap_interval(row)
        print(
            f"learning rate {learning_rate:g}, discount {discount:g}: "
            f"IQM {jaxq.iqm(row):.1f} [{low:.1f}, {high:.1f}]"
        )


if __name__ == "__main__":
    main()
