"""Small environments with answers that can be worked out on paper."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct
from gymnax.environments import environment, spaces

import jaxq

STATES, ACTIONS = 5, 10
FORWARD, STAY, BEST_PAID = 0, 3, 9
"""Of the chain of legal actions."""


@struct.dataclass
class State(environment.EnvState):
    time: jax.Array
    cue: jax.Array


@struct.dataclass
class Params(environment.EnvParams):
    max_steps_in_episode: int = 1_000_000
    reward: float = 1.0


class World(environment.Environment):
    """An episode of `length` steps; observation, reward and ending are for subclasses to say."""

    num_actions = 2
    length = 1
    observation_shape = (1,)

    @property
    def default_params(self) -> Params:
        return Params()

    def action_space(self, params: Any = None) -> spaces.Discrete:
        return spaces.Discrete(self.num_actions)

    def observation_space(self, params: Any) -> spaces.Box:
        return spaces.Box(-1, self.length, self.observation_shape)

    def reset_env(self, key: jax.Array, params: Params) -> tuple:
        state = State(time=jnp.int32(0), cue=jax.random.randint(key, (), 0, 2))
        return self.see(state), state

    def step_env(self, key: jax.Array, state: State, action: jax.Array, params: Params) -> tuple:
        reward = self.reward(state, action, params)
        state = state.replace(time=state.time + 1)
        return self.see(state), state, reward, self.is_terminated(state, params), {}

    def is_terminated(self, state: State, params: Params) -> jax.Array:
        return state.time >= self.length

    def see(self, state: State) -> jax.Array:
        return jnp.ones(1)

    def reward(self, state: State, action: jax.Array, params: Params) -> jax.Array:
        return params.reward


class OneStep(World):
    """One step, reward 1: q = 1."""


class TwoSteps(World):
    """Two steps told apart by the observation, reward 1 at the second: q = gamma, then 1."""

    length = 2

    def see(self, state: State) -> jax.Array:
        return state.time.astype(jnp.float32)[None]

    def reward(self, state: State, action: jax.Array, params: Params) -> jax.Array:
        return jnp.where(state.time == 1, params.reward, 0.0)


class Cue(World):
    """One step, reward for the action that matches the cue, -reward for the other one."""

    def see(self, state: State) -> jax.Array:
        return state.cue.astype(jnp.float32)[None]

    def reward(self, state: State, action: jax.Array, params: Params) -> jax.Array:
        return jnp.where(action == state.cue, params.reward, -params.reward)


class Delayed(World):
    """The first action decides the reward, three steps later."""

    length = 4
    observation_shape = (2,)

    def see(self, state: State) -> jax.Array:
        return jnp.stack([state.time, state.cue]).astype(jnp.float32)

    def reset_env(self, key: jax.Array, params: Params) -> tuple:
        state = State(time=jnp.int32(0), cue=jnp.int32(0))
        return self.see(state), state

    def step_env(self, key: jax.Array, state: State, action: jax.Array, params: Params) -> tuple:
        state = state.replace(cue=jnp.where(state.time == 0, action, state.cue).astype(jnp.int32))
        return super().step_env(key, state, action, params)

    def reward(self, state: State, action: jax.Array, params: Params) -> jax.Array:
        return jnp.where((state.time == 3) & (state.cue == 1), params.reward, 0.0)


class Endless(World):
    """Reward 1 for ever, without a clock to see; only a time limit cuts it off."""

    num_actions = 1

    def is_terminated(self, state: State, params: Params) -> jax.Array:
        return jnp.zeros((), bool)


class Countdown(World):
    """Reward 1 for five steps that can be told apart, and then the episode is over."""

    num_actions = 1
    length = 5
    observation_shape = (5,)

    def see(self, state: State) -> jax.Array:
        return jax.nn.one_hot(state.time, self.length)


PROBES = (OneStep(), TwoSteps(), Cue(), Delayed(), Endless(), Countdown())


@struct.dataclass
class ProbeParams(Params):
    world: int = 0


class Probes(World):
    """All of the worlds above in one environment; which of them it is, a parameter says.

    So agents of one population can each be in another world, and one compilation serves all.
    """

    num_actions = 2
    observation_shape = (5,)

    @property
    def default_params(self) -> ProbeParams:
        return ProbeParams()

    def see(self, state: State, params: ProbeParams) -> jax.Array:
        def padded(world: World) -> jax.Array:
            seen = world.see(state)
            return jnp.zeros(5).at[: seen.shape[0]].set(seen)

        return self._pick(padded, params)

    def reset_env(self, key: jax.Array, params: ProbeParams) -> tuple:
        state = self._pick(lambda world: world.reset_env(key, params)[1], params)
        return self.see(state, params), state

    def step_env(self, key: jax.Array, state: State, action: jax.Array, params: ProbeParams) -> tuple:
        def step(world: World) -> tuple:
            _, stepped, reward, terminated, _ = world.step_env(key, state, action, params)
            return stepped, jnp.float32(reward), terminated

        state, reward, terminated = self._pick(step, params)
        return self.see(state, params), state, reward, terminated, {}

    def _pick(self, function: Any, params: ProbeParams) -> Any:
        return jax.lax.switch(params.world, [lambda w=w: function(w) for w in PROBES])


def maze() -> Any:
    """Six cells around a wall, -1 a step: what is not legal would look best, as it stays at 0."""
    return jaxq.envs.from_map(["S..", ".#G"], step_reward=-1.0, legal_moves_only=True, name="maze")


def chain():
    """Five steps to a prize of 1; in odd states one may stay; all else pays 10 and is illegal."""
    table, legal = {}, np.zeros((STATES + 1, ACTIONS), bool)
    for s in range(STATES):
        last = s == STATES - 1
        table[s] = {a: [(1.0, STATES, 10.0, True)] for a in range(ACTIONS)}
        table[s][FORWARD] = [(1.0, s + 1, float(last), last)]
        table[s][STAY] = [(1.0, s, 0.0, False)]
        legal[s, FORWARD], legal[s, STAY] = True, s % 2 == 1
    table[STATES] = {a: [(1.0, STATES, 0.0, True)] for a in range(ACTIONS)}
    legal[STATES] = True
    return jaxq.envs.from_table(table, initial=0, legal_actions=legal, max_steps=20, name="chain")


def cross() -> Any:
    """Five states on a cross: from its middle to its top and its right, which end, and down and back."""
    ways = {s: {a: [(1.0, s, 0.0, True)] for a in range(3)} for s in range(5)}
    ways[0] = {0: [(1.0, 1, 2.0, True)], 1: [(1.0, 2, -1.0, True)], 2: [(1.0, 3, 0.0, False)]}
    ways[3] = {a: [(1.0, 0, -0.5, False)] for a in range(3)}
    places = [(0, 0), (-1, 0), (0, 1), (1, 0), (0, -1)]
    env = jaxq.envs.from_table(ways, coordinates=places, initial=0, name="cross")
    env.action_names = ("rise", "turn", "go down")
    return env


def toll() -> Any:
    """A bridge that pays 1 for a toll of 2, or a way around in two steps for 0.5 without."""
    end = {a: [(1.0, 2, 0.0, True)] for a in range(2)}
    ways = {0: {0: [(1.0, 2, 1.0, True)], 1: [(1.0, 1, 0.0, False)]}, 2: end}
    ways[1] = {a: [(1.0, 2, 0.5, True)] for a in range(2)}
    costs = {"toll": [[2.0, 0.0], [0.0, 0.0], [0.0, 0.0]], "noise": [[1.0, 0.25], [0.5, 0.5], [0, 0]]}
    places = [(0, 0), (1, 0), (0, 1)]
    return jaxq.envs.from_table(ways, costs=costs, coordinates=places, initial=0, name="toll")
