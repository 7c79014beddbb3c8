"""Collecting: whole episodes of a trained agent as logged data."""

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxq import checks, dataset
from jaxq.agents.protocol import PolicyInput, first_input, next_input
from jaxq.engine.state import AgentState, check_key, check_state
from jaxq.engine.trainer import Trainer
from jaxq.kernels.threefry import unrolled_threefry
from jaxq.learning import mix_uniform, sample_action
from jaxq.precision import in_32_bits
from jaxq.types import PyTree

_MOST_STEPS = 100_000


class _Game(NamedTuple):
    """E environments in the middle of their episodes, and what the policy knows of them."""

    env_state: PyTree
    inputs: PolicyInput


@in_32_bits()
def collect(
    trainer: Trainer,
    state: AgentState,
    key: jax.Array,
    num_steps: int,
    epsilon: float = 0.0,
    *,
    num_envs: int = 16,
) -> dataset.Dataset:
    """Let a trained agent act, and log what it did.

    `behaviour[a] = epsilon / A + (1 - epsilon) * [a is the agent's choice]`, over the A legal actions

    Args:
        trainer: The agent's trainer.
        state: The agent; of a population, `population.agent(state, i)`.
        key: PRNG key.
        num_steps: Steps to log at least, in all environments together. Episodes that run then are
            played to their end, and logged whole.
        epsilon: Probability of a random action, in [0, 1].
        num_envs: Environments side by side, at most `num_steps`.

    Returns:
        The data, episode after episode, with `next_observation`, `behaviour_probability` and, where the
            environment has them, costs and legal actions; save it by `jaxq.dataset.save`.

    Raises:
        InputTypeError: If an argument has the wrong type.
        InputValueError: If a number is out of range, `state` is another trainer's, or an episode goes
            on beyond 100,000 steps.

    Example:
        >>> import jax, jaxq
        >>> trainer = jaxq.Trainer(jaxq.envs.make("CartPole-v1"), jaxq.dqn())
        >>> state = trainer.init(jax.random.key(0))
        >>> data = jaxq.collect(trainer, state, jax.random.key(1), 100, epsilon=0.1, num_envs=2)
        >>> len(data.action) >= 100
        True
    """
    if not isinstance(trainer, Trainer):
        raise checks.InputTypeError(
            f"trainer must be a jaxq.Trainer, got {type(trainer).__name__}; for example "
            "jaxq.collect(trainer, state, jax.random.key(0), 10_000, epsilon=0.1)"
        )
    check_state(state, trainer.template)
    check_key(key)
    num_steps = checks.whole_number("num_steps", num_steps)
    num_envs = min(checks.whole_number("num_envs", num_envs), num_steps)
    checks.one_number("epsilon", epsilon, 0, 1)
    rows = -(-num_steps // num_envs)
    return _logged(trainer, _played(trainer, state, key, epsilon, rows, num_envs), rows)


def _played(
    trainer: Trainer, state: AgentState, key: jax.Array, epsilon: float, rows: int, num_envs: int
) -> dict[str, np.ndarray]:
    """Play until every environment has ended an episode behind so many rows, leaves `[T, E, ...]`."""
    begin_key, step_key = jax.random.split(unrolled_threefry(key))
    game = jax.jit(partial(_begin, trainer, num_envs=num_envs))(state, begin_key)
    play = jax.jit(partial(_play, trainer, length=rows))
    parts: list[dict[str, Any]] = []
    while not parts or not _ended(parts)[rows - 1 :].any(axis=0).all():
        if len(parts) * rows > rows + _MOST_STEPS:
            raise checks.InputValueError(
                f"an episode of {trainer.env.name} has not ended within {_MOST_STEPS:,} steps, and only "
                "whole episodes are logged; for example give the environment a time limit"
            )
        game, part = play(state, game, jax.random.fold_in(step_key, len(parts)), jnp.float32(epsilon))
        parts.append(jax.tree.map(np.asarray, part))
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _ended(parts: list[dict[str, Any]]) -> np.ndarray:
    return np.concatenate([part["terminated"] | part["truncated"] for part in parts])


def _begin(trainer: Trainer, state: AgentState, key: jax.Array, *, num_envs: int) -> _Game:
    env, params = trainer.env, state.env_params
    env_state, observation = jax.vmap(env.reset, in_axes=(0, None))(
        jax.random.split(key, num_envs), params
    )
    legal = jax.vmap(env.legal_actions, in_axes=(0, None))(env_state, params)
    return _Game(env_state, first_input(observation, trainer.agent.initial_carry(num_envs), legal))


def _play(
    trainer: Trainer,
    state: AgentState,
    game: _Game,
    key: jax.Array,
    epsilon: jax.Array,
    *,
    length: int,
) -> tuple[_Game, dict[str, jax.Array]]:
    env, agent, num_actions = trainer.env, trainer.agent, trainer.env.num_actions
    num_envs = game.inputs.first.shape[0]

    def step(game: _Game, key: jax.Array) -> tuple[_Game, dict[str, jax.Array]]:
        env_state, inputs = game
        output = agent.policy(state.learner, inputs)
        choice = jax.nn.one_hot(output.action, num_actions)
        behaviour = jax.vmap(mix_uniform, in_axes=(0, None, 0))(choice, epsilon, inputs.legal_actions)
        act_key, step_key = jax.random.split(key)
        action = jax.vmap(sample_action)(jax.random.split(act_key, num_envs), behaviour)
        env_state, timestep = jax.vmap(env.step, in_axes=(0, 0, 0, None))(
            jax.random.split(step_key, num_envs), env_state, action, state.env_params
        )
        logged = {
            "observation": inputs.observation,
            "action": action,
            "reward": timestep.reward,
            "terminated": timestep.terminated,
            "truncated": timestep.truncated & ~timestep.terminated,
            "next_observation": timestep.final_observation,
            "behaviour_probability": jnp.minimum(behaviour[jnp.arange(num_envs), action], 1),
        }
        if env.cost_names:
            logged["cost"] = timestep.cost
        if env.has_legal_actions:
            logged["legal_actions"] = inputs.legal_actions
            logged["next_legal_actions"] = timestep.final_legal_actions
        return _Game(env_state, next_input(inputs, output._replace(action=action), timestep)), logged

    return jax.lax.scan(step, game, jax.random.split(key, length))


def _logged(trainer: Trainer, columns: dict[str, np.ndarray], rows: int) -> dataset.Dataset:
    """Put whole episodes one behind the other, environment after environment."""
    ended = columns["terminated"] | columns["truncated"]
    # Of each environment, up to the first end that is not before the last row asked for.
    lengths = rows + ended[rows - 1 :].argmax(axis=0)
    kept = {
        name: np.concatenate([leaf[:length, env] for env, length in enumerate(lengths)])
        for name, leaf in columns.items()
    }
    names = trainer.env.cost_names
    return dataset.validate(kept | ({"cost_names": names} if names else {}), trainer.env.num_actions)
