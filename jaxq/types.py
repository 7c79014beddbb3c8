"""The shapes that every part of the engine shares: what environments give and what learning takes."""

from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

import jax
import jax.numpy as jnp

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
        legal_actions: Actions that may be taken next, bool `[A]`; `()` where all always may.
        final_legal_actions: Those in the state in which the transition really ended, bool `[A]`.
        cost: Costs of the step beside its reward, float32 `[K]`, in order of the environment's
            `cost_names`; `()` where it has none.
    """

    observation: jax.Array
    reward: jax.Array
    terminated: jax.Array
    truncated: jax.Array
    final_observation: jax.Array
    legal_actions: PyTree = ()
    final_legal_actions: PyTree = ()
    cost: PyTree = ()


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
        legal_actions: Actions that could be taken, bool `[A]`; `()` where all always may.
        next_legal_actions: Those in the state that it led to, bool `[A]`.
        cost: Costs of the step, float32 `[K]`; `()` where the environment has none.
    """

    observation: jax.Array
    action: jax.Array
    reward: jax.Array
    terminated: jax.Array
    truncated: jax.Array
    next_observation: jax.Array
    extras: PyTree = ()
    legal_actions: PyTree = ()
    next_legal_actions: PyTree = ()
    cost: PyTree = ()


class Trajectory(NamedTuple):
    """A batch of B runs of T steps, as learners are given them; T is 1 where steps are learned alone.

    Of n-step returns a step spans up to n of the environment's: `reward` and `cost` are discounted
    sums, and `next_observation` is the one to bootstrap from.

    Attributes:
        observation: Observations acted on, `[B, T, ...]`.
        action: Actions taken, int32 `[B, T]`.
        reward: Rewards on the way to `next_observation`, float32 `[B, T]`.
        discount: What the value of `next_observation` counts for; zero where the episode terminated,
            float32 `[B, T]`.
        terminated: Whether the episode reached a terminal state, bool `[B, T]`.
        truncated: Whether it was cut off, bool `[B, T]`.
        next_observation: Observations they led to, never those from after a reset, `[B, T, ...]`.
        mask: Whether `next_observation` is known, so that there is something to learn, bool `[B, T]`.
        extras: What the agent kept beside the first step of each run, leaves `[B, ...]`.
        weight: Importance weight of each run, float32 `[B]`, in (0, 1]; ones where all are alike.
        index: Where in the replay each run begins, int32 `[B]`; `()` where nobody asks.
        returns: What the actions turned out to be worth, where that is known beforehand, as of
            lambda-returns, float32 `[B, T]`; otherwise `()`.
        legal_tm1: Actions that could be taken, bool `[B, T, A]`, or wider where bits were padded; `()`
            where all always may.
        legal_t: Those in the state of `next_observation`, likewise.
        cost: Costs on the way to `next_observation`, float32 `[B, T, K]`; `()` where the environment
            has none.
    """

    observation: jax.Array
    action: jax.Array
    reward: jax.Array
    discount: jax.Array
    terminated: jax.Array
    truncated: jax.Array
    next_observation: jax.Array
    mask: jax.Array
    extras: PyTree
    weight: jax.Array
    index: PyTree = ()
    returns: PyTree = ()
    legal_tm1: PyTree = ()
    legal_t: PyTree = ()
    cost: PyTree = ()


class Environment(Protocol):
    """What the engine asks of a world: pure functions of one environment, which callers vmap.

    `states` is `None` where the states cannot be counted, or cannot be told from one observation.
    `has_legal_actions` says whether there are states in which some actions may not be taken, and
    `cost_names` what its K costs are called, `()` where it has none.
    """

    name: str
    num_actions: int
    observation_spec: ObservationSpec
    params: PyTree
    states: StateNumbers | None
    has_legal_actions: bool
    cost_names: tuple[str, ...]

    def legal_actions(self, state: PyTree, params: PyTree) -> PyTree:
        """Return the actions that may be taken in a state, bool `[A]`; `()` where all always may."""
        ...

    def reset(self, key: jax.Array, params: PyTree) -> tuple[PyTree, jax.Array]:
        """Begin an episode and return its state and first observation."""
        ...

    def step(
        self, key: jax.Array, state: PyTree, action: jax.Array, params: PyTree
    ) -> tuple[PyTree, TimeStep]:
        """Take one action; where it ends the episode, the returned state is a new episode's."""
        ...


def cost_shape(env: Environment) -> PyTree:
    """Return what the costs of one step look like, float32 `[K]`; `()` where there are none."""
    names = getattr(env, "cost_names", ())
    return jax.ShapeDtypeStruct((len(names),), jnp.dtype("float32")) if names else ()
