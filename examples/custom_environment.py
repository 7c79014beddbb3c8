"""An environment of your own, written as gymnax 1.0 has it: a corridor with a prize at its end.

python examples/custom_environment.py [--steps 6000]
"""

import argparse
from typing import Any

import jax
import jax.numpy as jnp
from flax import struct
from gymnax.environments import environment, spaces

import jaxq


@struct.dataclass
class State(environment.EnvState):
    """Where the agent is; `time` is counted for the time limit."""

    position: jax.Array


@struct.dataclass
class Params(environment.EnvParams):
    """Numbers of the environment; they may differ per agent, `population.init(key, env_params=...)`."""

    max_steps_in_episode: int = 50
    length: float = 8.0
    step_cost: float = 0.01


class Corridor(environment.Environment):
    """Left or right; a prize of 1 at the right end, and a small cost for each step."""

    default_params = Params()

    def reset_env(self, key: jax.Array, params: Params) -> tuple[jax.Array, State]:
        """Begin in the left half."""
        position = jax.random.uniform(key, maxval=params.length / 2)
        state = State(time=jnp.int32(0), position=position)
        return self._see(state, params), state

    def step_env(self, key: jax.Array, state: State, action: jax.Array, params: Params) -> tuple:
        """Move by one; the time limit is gymnax's own business, as `is_truncated`."""
        position = jnp.clip(state.position + jnp.where(action == 1, 1.0, -1.0), 0.0, params.length)
        state = State(time=state.time + 1, position=position)
        arrived = position >= params.length
        reward = arrived - params.step_cost
        return self._see(state, params), state, reward, arrived, {}

    def _see(self, state: State, params: Params) -> jax.Array:
        return state.position[None] / params.length

    def action_space(self, params: Any = None) -> spaces.Discrete:
        """Left and right."""
        return spaces.Discrete(2)

    def observation_space(self, params: Params) -> spaces.Box:
        """The position as a share of the corridor."""
        return spaces.Box(0.0, 1.0, (1,))


def main() -> None:
    """Train on it, and show what the agent thinks of both actions along the corridor."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=6_000, help="env steps of the agent")
    options = parser.parse_args()

    env = jaxq.envs.from_gymnax(Corridor())
    trainer = jaxq.Trainer(env, jaxq.dqn(hidden_sizes=(32,), learning_rate=2e-3, epsilon_steps=2_000))
    state, _ = trainer.run(trainer.init(jax.random.key(0)), options.steps)
    returns = trainer.evaluate(state, jax.random.key(1), num_episodes=16)
    print(f"{env}: mean return {returns.mean():.2f}")
    for position in (0.0, 0.5, 0.9):
        left, right = trainer.q_values(state, jnp.array([position]))
        print(f"at {position:.0%} of the way: left {left:.2f}, right {right:.2f}")


if __name__ == "__main__":
    main()
