"""Everything is a pure function: train and score an agent inside a jit and a vmap of your own.

python examples/pure_functions.py [--steps 8000]
"""

import argparse

import jax
import jax.numpy as jnp

import jaxq


def main() -> None:
    """Learn how often to update the target network, as one compiled function of that number."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=8_000, help="env steps of each agent")
    options = parser.parse_args()

    env = jaxq.envs.make("CartPole-v1")
    trainer = jaxq.Trainer(env, jaxq.dqn(hidden_sizes=(32,), learning_rate=3e-3, target_interval=10))

    @jax.jit
    def score(key: jax.Array, target_rate: jax.Array) -> jax.Array:
        """Train an agent from nothing, and return its mean return: a function like any other."""
        init_key, evaluation_key = jax.random.split(key)
        hparams = trainer.hparams.replace(target_rate=target_rate)
        state = trainer.init(init_key, hparams)
        state, _ = trainer.run(state, options.steps)
        return trainer.evaluate(state, evaluation_key, num_episodes=8).mean()

    target_rates = jnp.array([0.01, 0.1, 1.0])
    # The same key three times: whatever differs, the target rate alone made it.
    scores = jax.vmap(score, in_axes=(None, 0))(jax.random.key(0), target_rates)
    for target_rate, value in zip(target_rates, scores, strict=True):
        print(f"target rate {target_rate:.2f}: mean return {value:.1f}")


if __name__ == "__main__":
    main()
