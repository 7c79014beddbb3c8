"""Env steps per second of one environment under a random policy, bare and through jaxq's adapter.

python gymnax_steps.py ENVIRONMENT ENVIRONMENTS STEPS prints one JSON object: env steps of all
environments per second, "bare" and with the "adapter", compilation left out, the median of five plays of
each in turn. Both go through the same loop, which keeps all that an agent would learn from, so that
nothing of a step is optimized away.
"""

import json
import statistics
import sys
import time
from collections.abc import Callable
from typing import Any

import gymnax
import jax
import jax.numpy as jnp

import jaxq
from jaxq.envs import Incident

PLAYS = 5

name, count, steps = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])


def own() -> tuple[Any, Any]:
    """Return the environment that jaxq brings, and its parameters."""
    env = Incident()
    return env, env.default_params


def bare() -> tuple[Callable, Callable, int]:
    """Return reset, step and the number of actions of the gymnax environment itself."""
    env, params = gymnax.make(name) if name in gymnax.registered_envs else own()

    def reset(key: jax.Array) -> tuple[Any, jax.Array]:
        observation, state = env.reset(key, params)
        return state, observation

    def step(key: jax.Array, state: Any, action: jax.Array) -> tuple[Any, tuple]:
        observation, state, reward, terminated, truncated, info = env.step(key, state, action, params)
        return state, (observation, reward, terminated, truncated, info["final_observation"])

    return reset, step, env.action_space(params).n


def adapter() -> tuple[Callable, Callable, int]:
    """Return the same of jaxq's environment."""
    env = jaxq.envs.make(name)

    def reset(key: jax.Array) -> tuple[Any, jax.Array]:
        return env.reset(key, env.params)

    def step(key: jax.Array, state: Any, action: jax.Array) -> tuple[Any, tuple]:
        return env.step(key, state, action, env.params)

    return reset, step, env.num_actions


def player(reset: Callable, step: Callable, num_actions: int) -> Callable:
    """Return what plays one game in all environments, from a key."""

    @jax.jit
    def play(key: jax.Array) -> Any:
        def advance(carry: tuple, key: jax.Array) -> tuple[tuple, None]:
            state, _ = carry
            keys = jax.random.split(key, count + 1)
            action = jax.random.randint(keys[0], (count,), 0, num_actions)
            return jax.vmap(step)(keys[1:], state, action), None

        keys = jax.random.split(key, steps + 1)
        reset_keys = jax.random.split(keys[0], count)
        state, _ = jax.vmap(reset)(reset_keys)
        actions = jnp.zeros(count, jnp.int32)
        outputs = jax.eval_shape(jax.vmap(step), reset_keys, state, actions)[1]
        state = jax.tree.map(lambda leaf: jnp.asarray(leaf, leaf.dtype), state)
        empty = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), outputs)
        return jax.lax.scan(advance, (state, empty), keys[1:])[0]

    return play


players = {"bare": player(*bare()), "adapter": player(*adapter())}
times: dict[str, list[float]] = {kind: [] for kind in players}
for number in range(1 + PLAYS):
    for kind, play in players.items():
        began = time.perf_counter()
        jax.block_until_ready(play(jax.random.key(number)))
        times[kind].append(time.perf_counter() - began)
# The first one compiles.
print(json.dumps({kind: count * steps / statistics.median(taken[1:]) for kind, taken in times.items()}))
