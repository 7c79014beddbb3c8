"""The shapes that every part of the engine shares: what environments give and what learning takes."""

from collections.abc import Callable
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


class StateNumbers(NamedTuple):
    """The states of an environment that has few enough of them to count, for methods that keep a table.

    Attributes:
        num: Number of states S.
        of: The state's number, int32 `[]` in [0, S), as a pure function of one observation, those
            that an episode ends in included. Observations that differ have numbers that differ.
    """

    num: int
    of: Callable[[jax.Array], jax.Array]


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
    """One step as the replay stores it.

    Attributes:
        observation: The observation acted on.
        action: The action taken in it, int32 `[]`.
        reward: float32 `[]`.
        terminated: bool `[]`, the episode reached a terminal state.
        truncated: bool `[]`, the episode was cut off.
        next_observation: The observation it led to, never one from after a reset.
        extras: What else the agent keeps of the step, such as the recurrent state it acted from; any
            pytree, by default none.
    """

    observation: jax.Array
    action: jax.Array
    reward: jax.Array
    terminated: jax.Array
    truncated: jax.Array
    next_observation: jax.Array
    extras: PyTree = ()


class Sample(NamedTuple):
    """What a learner is given: from `s_tm1` by action `a_tm1` to `s_t`, one or n steps later.

    Attributes:
        s_tm1: Observation acted on, `[B, ...]`.
        a_tm1: Action taken, int32 `[B]`.
        r_t: Discounted sum of the rewards on the way, float32 `[B]`.
        discount_t: What the value of `s_t` counts for; zero where the episode terminated, `[B]`.
        s_t: Observation to bootstrap from, `[B, ...]`.
        weight: Importance weight of the loss, float32 `[B]`, in (0, 1]; ones where all are alike.
        index: Where in the ring the transition begins, `row * E + env`, int32 `[B]`.
    """

    s_tm1: jax.Array
    a_tm1: jax.Array
    r_t: jax.Array
    discount_t: jax.Array
    s_t: jax.Array
    weight: PyTree = ()
    index: PyTree = ()


class Environment(Protocol):
    """What the engine asks of a world: pure functions of one environment, which callers vmap.

    `states` is `None` where the states cannot be counted, or cannot be told from one observation.
    """

    name: str
    num_actions: int
    observation_spec: ObservationSpec
    params: PyTree
    states: StateNumbers | None

    def reset(self, key: jax.Array, params: PyTree) -> tuple[PyTree, jax.Array]:
        """Begin an episode and return its state and first observation."""
        ...

    def step(
        self, key: jax.Array, state: PyTree, action: jax.Array, params: PyTree
    ) -> tuple[PyTree, TimeStep]:
        """Take one action; where it ends the episode, the returned state is a new episode's."""
        ...
