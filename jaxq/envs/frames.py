"""Frame stacking: the last observations in the place of the last one, for worlds that hide something."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxq import checks
from jaxq.envs.words import Words, words_of
from jaxq.types import Environment, ObservationSpec, PyTree, StateNumbers, TimeStep


class StackedState(NamedTuple):
    """The environment's own state, and the frames that are remembered, `[F, ...]`, the newest last."""

    env: PyTree
    frames: jax.Array


class StackedFrames:
    """An environment whose observations are the last F of another's, joined on the last axis.

    Where an episode begins, the first observation fills all frames.

    Attributes:
        env: The environment inside.
        name: Its name.
        num_actions: Its number of actions A.
        observation_spec: Its observation, F times as long on the last axis.
        params: Its parameters.
        states: `None`; what was seen before is part of these observations.
        num_frames: Number of frames F.
    """

    states: StateNumbers | None = None

    def __init__(self, env: Environment, num_frames: int) -> None:
        self.env = env
        self.num_frames = num_frames
        self.name = env.name
        self.num_actions = env.num_actions
        self.params = env.params
        *rest, last = env.observation_spec.shape
        self.observation_spec = ObservationSpec((*rest, last * num_frames), env.observation_spec.dtype)

    @property
    def has_legal_actions(self) -> bool:
        """Whether there are states in which some actions may not be taken."""
        return self.env.has_legal_actions

    @property
    def cost_names(self) -> tuple[str, ...]:
        """What the costs are called, `()` where there are none."""
        return self.env.cost_names

    def legal_actions(self, state: StackedState, params: PyTree) -> PyTree:
        """Return the actions that may be taken in a state, bool `[A]`; `()` where all always may."""
        return self.env.legal_actions(state.env, params)

    @property
    def raw(self) -> "NewestFrame":
        """What the environment inside says of itself, of the newest frame."""
        return NewestFrame(words_of(self.env), self.num_frames)

    def __repr__(self) -> str:
        """Say what is stacked."""
        return f"{self.env!r}, {self.num_frames} frames"

    def reset(self, key: jax.Array, params: PyTree) -> tuple[StackedState, jax.Array]:
        """Begin an episode and return its state and first observation."""
        state, observation = self.env.reset(key, params)
        frames = self._filled(observation)
        return StackedState(state, frames), _joined(frames)

    def step(
        self, key: jax.Array, state: StackedState, action: jax.Array, params: PyTree
    ) -> tuple[StackedState, TimeStep]:
        """Take one action; where it ends the episode, the returned state is a new episode's."""
        env_state, timestep = self.env.step(key, state.env, action, params)
        continued = jnp.concatenate([state.frames[1:], timestep.final_observation[None]])
        ended = timestep.terminated | timestep.truncated
        frames = jnp.where(ended, self._filled(timestep.observation), continued)
        return StackedState(env_state, frames), timestep._replace(
            observation=_joined(frames), final_observation=_joined(continued)
        )

    def _filled(self, observation: jax.Array) -> jax.Array:
        return jnp.broadcast_to(observation[None], (self.num_frames, *observation.shape))


class NewestFrame:
    """What an environment says of itself, asked about stacked observations; see `jaxq.envs.words`."""

    def __init__(self, words: Words, num_frames: int) -> None:
        self.action_names, self.no_op, self.recovered = words.action_names, words.no_op, words.recovered
        self._words = words
        self._num_frames = num_frames
        if words.observed_legal_actions is None:
            self.observed_legal_actions = None
        if words.illegal_reason is None:
            self.illegal_reason = None

    def observed_legal_actions(self, observation: jax.Array) -> Any:
        """Return the legal actions as far as the newest frame tells them, bool `[A]`."""
        return self._words.observed_legal_actions(self._newest(observation))

    def illegal_reason(self, observation: jax.Array, action: int) -> str | None:
        """Say why an action is not legal."""
        return self._words.illegal_reason(self._newest(observation), action)

    def _newest(self, observation: jax.Array) -> jax.Array:
        return observation[..., -(observation.shape[-1] // self._num_frames) :]


def stack_frames(env: Any, num_frames: int = 4) -> StackedFrames:
    """Show an agent the last observations at once, so that it can tell what one of them hides.

    `o'_t = [o_{t - F + 1}, ..., o_t]`, joined on the last axis, the newest last

    Args:
        env: An environment of jaxq's whose observations are arrays.
        num_frames: F, number of observations.

    Returns:
        The environment as `jaxq.Trainer` takes it.

    Raises:
        InputTypeError: If it is no environment of jaxq's.
        InputValueError: If its observations are single numbers, such as the state of a table.

    References:
        Mnih et al., Human-level control through deep reinforcement learning, 2015, methods
        (preprocessing).

    Example:
        >>> import jaxq
        >>> jaxq.envs.stack_frames(jaxq.envs.make("CartPole-v1"), 3).observation_spec.shape
        (12,)
    """
    if not hasattr(env, "observation_spec"):
        raise checks.InputTypeError(
            f"expected an environment of jaxq's, got {env!r}; for example "
            'jaxq.envs.stack_frames(jaxq.envs.make("CartPole-v1"), 4)'
        )
    if not env.observation_spec.shape:
        raise checks.InputValueError(
            f"observations of {env.name} are single numbers, which cannot be stacked; one of a table is "
            "the whole state"
        )
    return StackedFrames(env, checks.whole_number("num_frames", num_frames))


def _joined(frames: jax.Array) -> jax.Array:
    """Turn `[F, ..., n]` into `[..., F * n]`."""
    *rest, last = frames.shape[1:]
    return jnp.moveaxis(frames, 0, -2).reshape(*rest, frames.shape[0] * last)
