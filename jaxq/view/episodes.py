"""Greedy episodes of one agent, step by step, with what it expected and what came."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxq import checks
from jaxq.agents.protocol import first_input, next_input
from jaxq.engine import Trainer
from jaxq.experiment.saved_agent import Learned
from jaxq.learning.policies import ILLEGAL, mask_illegal
from jaxq.precision import in_32_bits


class Episodes(NamedTuple):
    """M greedy episodes of up to T steps, side by side.

    Attributes:
        observation: Observations acted on, `[T, M, ...]`.
        action: Actions taken, int32 `[T, M]`.
        reward: float32 `[T, M]`.
        q: Action values, float32 `[T, M, A]`, -inf where an action was not legal; `None` of an agent
            without.
        terminated: bool `[T, M]`.
        truncated: bool `[T, M]`.
        played: Whether the step belongs to the episode, bool `[T, M]`.
        cost: Costs of the steps, float32 `[T, M, K]`; `None` where there are none.
    """

    observation: np.ndarray
    action: np.ndarray
    reward: np.ndarray
    q: np.ndarray | None
    terminated: np.ndarray
    truncated: np.ndarray
    played: np.ndarray
    cost: np.ndarray | None = None

    def returns_that_followed(self, discount: float) -> np.ndarray:
        """Return discounted returns from each step on, `[T, M]`; NaN in episodes without an end."""
        known = (self.terminated & self.played).any(axis=0)
        found = np.full(self.reward.shape, np.nan)
        total = np.zeros(self.reward.shape[1])
        for time in reversed(range(len(self.reward))):
            total = np.where(self.played[time], self.reward[time] + discount * total, 0.0)
            found[time] = np.where(known & self.played[time], total, np.nan)
        return found

    def costs_of_episodes(self) -> np.ndarray:
        """Return what the episodes cost as far as they were played, `[M, K]`."""
        return np.where(self.played[..., None], self.cost, 0.0).sum(axis=0)

    def td_errors(self, discount: float) -> np.ndarray:
        """Return TD errors of the steps, `[T, M]`; NaN where the next value is not known."""
        taken = np.take_along_axis(self.q, self.action[..., None], axis=2)[..., 0]
        following = np.concatenate([self.q.max(axis=2)[1:], np.full((1, taken.shape[1]), np.nan)])
        following = np.where(self.terminated, 0.0, following)
        following[self.truncated & ~self.terminated] = np.nan
        errors = self.reward + discount * following - taken
        return np.where(self.played, errors, np.nan)


class Player:
    """Plays agents of one trainer, compiled once.

    Args:
        trainer: The trainer of one agent.
        episodes: Episodes M of each agent.
        max_steps: Most steps T of an episode.
    """

    def __init__(self, trainer: Trainer, episodes: int, max_steps: int) -> None:
        self._trainer, self._shape = trainer, (episodes, max_steps)
        self._play = jax.jit(self._episodes)
        self._has_values = has_values(trainer)

    @in_32_bits()
    def __call__(self, learned: Learned, key: jax.Array) -> Episodes:
        """Play an agent's episodes."""
        steps = jax.device_get(self._play(learned, key))
        observation, action, reward, q, terminated, truncated, played, cost = steps
        values = np.where(q == ILLEGAL, -np.inf, q) if self._has_values else None
        cost = cost if self._trainer.env.cost_names else None
        return Episodes(observation, action, reward, values, terminated, truncated, played, cost)

    def _episodes(self, learned: Learned, key: jax.Array) -> tuple:
        env, agent = self._trainer.env, self._trainer.agent
        (episodes, max_steps), params = self._shape, learned.env_params
        reset_key, step_key = jax.random.split(key)
        reset_keys = jax.random.split(reset_key, episodes)
        env_state, first = jax.vmap(env.reset, in_axes=(0, None))(reset_keys, params)
        legal = jax.vmap(env.legal_actions, in_axes=(0, None))(env_state, params)

        def step(game: tuple, time: jax.Array) -> tuple[tuple, tuple]:
            env_state, inputs, ended = game
            output = agent.policy(learned.learner, inputs)
            q = jnp.zeros((episodes, env.num_actions))
            if self._has_values:
                q = mask_illegal(agent.q_values(learned.learner, inputs)[0], inputs.legal_actions)
            keys = jax.random.split(jax.random.fold_in(step_key, time), episodes)
            env_state, timestep = jax.vmap(env.step, in_axes=(0, 0, 0, None))(
                keys, env_state, output.action, params
            )
            seen = (inputs.observation, output.action, timestep.reward, q)
            ends = timestep.terminated, timestep.truncated
            game = env_state, next_input(inputs, output, timestep), ended | ends[0] | ends[1]
            return game, (*seen, *ends, ~ended, timestep.cost)

        inputs = first_input(first, agent.initial_carry(episodes), legal)
        game = env_state, inputs, jnp.zeros(episodes, bool)
        return jax.lax.scan(step, game, jnp.arange(max_steps))[1]


def has_values(trainer: Trainer) -> bool:
    """Tell whether a trainer's agents have action values."""
    observation = jax.ShapeDtypeStruct(
        (1, *trainer.env.observation_spec.shape), trainer.env.observation_spec.dtype
    )

    def ask(learner: Any, observation: jax.Array) -> jax.Array:
        inputs = first_input(observation, trainer.agent.initial_carry(1))
        return trainer.agent.q_values(learner, inputs)[0]

    try:
        jax.eval_shape(ask, trainer.template.learner, observation)
    except checks.InputTypeError:
        return False
    return True
