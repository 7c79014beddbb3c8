"""The shapes that every part of the engine shares: what environments give and what learning takes."""

from typing import Any, NamedTuple, Protocol

import jax

PyTree = Any


class ObservationSpec(NamedTuple):
    """What one observation looks like.

    Attributes:
        shape: Shape of one observation, `()` for a state number.
        dtype: Type it is stored in; bool and uint8 stay as they are in the replay.
        num_categories: Number of states where the observation is a state number, else `None`.
    """

    shape: tuple[int, ...]
    dtype: Any
    num_categories: int | None = None


class TimeStep(NamedTuple):
    """What one environment gives back for one action.

    `observation` and `final_observation` differ only where an episode has just ended: the first
    belongs to the new episode that began by itself, the second to the transition that ended.

    Attributes:
        observation: The observation to act on next.
        reward: float32 `[]`.
        terminated: bool `[]`, the episode reached a terminal state, whose value is zero.
        truncated: bool `[]`, the episode was cut off; the value of its last state is not zero.
        final_observation: The observation in which the transition really ended.
    """

    observation: jax.Array
    reward: jax.Array
    terminated: jax.Array
    truncated: jax.Array
    final_observation: jax.Array


class Transition(NamedTuple):
    """One step as the replay stores it; `next_observation` is never from after a reset."""

    observation: jax.Array
    action: jax.Array
    reward: jax.Array
    terminated: jax.Array
    truncated: jax.Array
    next_observation: jax.Array


class Sample(NamedTuple):
    """What a learner is given: from `s_tm1` by action `a_tm1` to `s_t`, one or n steps later.

    Attributes:
        s_tm1: Observation acted on, `[B, ...]`.
        a_tm1: Action taken, int32 `[B]`.
        r_t: Discounted sum of the rewards on the way, float32 `[B]`.
        discount_t: What the value of `s_t` counts for; zero where the episode terminated, `[B]`.
        s_t: Observation to bootstrap from, `[B, ...]`.
    """

    s_tm1: jax.Array
    a_tm1: jax.Array
    r_t: jax.Array
    discount_t: jax.Array
    s_t: jax.Array


class Environment(Protocol):
    """What the engine asks of a world: pure functions of one environment, which callers vmap."""

    name: str
    num_actions: int
    observation_spec: ObservationSpec
    params: PyTree

    def reset(self, key: jax.Array, params: PyTree) -> tuple[PyTree, jax.Array]:
        """Begin an episode and return its state and first observation."""
        ...

    def step(
        self, key: jax.Array, state: PyTree, action: jax.Array, params: PyTree
    ) -> tuple[PyTree, TimeStep]:
        """Take one action; where it ends the episode, the returned state is a new episode's."""
        ...
