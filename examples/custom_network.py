"""A network of your own: any flax.linen module from observations to action values.

python examples/custom_network.py [--steps 6000]
"""

import argparse

import flax.linen as nn
import jax
import jax.numpy as jnp

import jaxq


class Fourier(nn.Module):
    """Learned cosines of the observation, which tell close states apart, and two layers behind them.

    Attributes:
        num_actions: Number of actions A.
        num_waves: Number of cosines.
    """

    num_actions: int
    num_waves: int = 32

    @nn.compact
    def __call__(self, observation: jax.Array) -> jax.Array:
        """Map observations `[B, ...]`, as the environment gives them, to action values `[B, A]`."""
        x = observation.reshape(observation.shape[0], -1).astype(jnp.float32)
        waves = jnp.cos(nn.Dense(self.num_waves)(x))
        hidden = nn.relu(nn.Dense(32)(jnp.concatenate([x, waves], axis=1)))
        return jaxq.networks.DuelingHead(self.num_actions)(hidden)


def main() -> None:
    """Train it as double DQN with returns of three steps: the rest of a recipe stays free to choose."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=6_000, help="env steps of the agent")
    options = parser.parse_args()

    env = jaxq.envs.make("CartPole-v1")
    algorithm = jaxq.dqn(network=Fourier(env.num_actions), double=True, n_step=3, learning_rate=1e-3)
    trainer = jaxq.Trainer(env, algorithm)
    state, metrics = trainer.run(trainer.init(jax.random.key(0)), options.steps)
    returns = trainer.evaluate(state, jax.random.key(1), num_episodes=16)
    print(f"loss {metrics.loss:.3f}, mean return {returns.mean():.1f} over {len(returns)} episodes")


if __name__ == "__main__":
    main()
