"""The loop that times a replay, ours and others': what goes in, how often, and how it is clocked.

A `Store` says how one agent's replay is made, added to and learned from. Its memory is the carry of a
loop, so that it can stay in place; so is the last batch, so that every batch is really made.
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

NUM_ENVS, BATCH_SIZE, DISCOUNT = 10, 128, 0.99
PRIORITY_EXPONENT = 0.6
# How a step's data is drawn before the clock runs: so many different rows and keys, over and over.
BANK = 64
REPEATS = 3
OBSERVATIONS = {"CartPole": ((4,), jnp.float32), "MinAtar": ((10, 10, 4), jnp.bool_)}


class Rows(NamedTuple):
    """One step of all environments of an agent, leaves `[E, ...]`."""

    observation: jax.Array
    action: jax.Array
    reward: jax.Array
    terminated: jax.Array
    truncated: jax.Array
    next_observation: jax.Array


class Batch(NamedTuple):
    """What a learner is given, leaves `[B, ...]`, with weights where draws are prioritized."""

    s_tm1: jax.Array
    a_tm1: jax.Array
    r_t: jax.Array
    discount_t: jax.Array
    s_t: jax.Array
    weight: Any = ()


class Store(NamedTuple):
    """One agent's replay.

    Attributes:
        init: Makes its memory, empty.
        add: Adds a step of all environments to the memory; also given how many were added before.
        learn: Draws a batch from the memory with a key and, where draws are prioritized, sets the
            priorities of what was drawn; also given how many steps were added.
    """

    init: Callable[[], Any]
    add: Callable[[Any, Rows, jax.Array], Any]
    learn: Callable[[Any, jax.Array, jax.Array], tuple[Any, Batch]]


def bank(key: jax.Array, agents: int, shape: tuple, dtype: Any) -> Rows:
    """Draw rows `[K, N, E, ...]`, of which one in 50 ends an episode and one in 200 cuts it off."""
    keys, lead = jax.random.split(key, 6), (BANK, agents, NUM_ENVS)

    def observation(key: jax.Array) -> jax.Array:
        return (jax.random.normal(key, lead + shape) > 1).astype(dtype)

    return Rows(
        observation(keys[0]),
        jax.random.randint(keys[1], lead, 0, 2),
        jax.random.normal(keys[2], lead),
        jax.random.bernoulli(keys[3], 1 / 50, lead),
        jax.random.bernoulli(keys[4], 1 / 200, lead),
        observation(keys[5]),
    )


def program(store: Store, agents: int, learning: bool) -> Callable:
    """Compile a loop over calls, all agents side by side: adding, and learning where that is asked."""
    across = jax.vmap if agents > 1 else lambda function, in_axes: function
    add = across(store.add, in_axes=(0, 0, None))
    learn = across(store.learn, in_axes=(0, 0, None))

    def run(memory: Any, batch: Batch, before: jax.Array, calls: jax.Array, data: tuple) -> tuple:
        def call(number: jax.Array, carry: tuple) -> tuple:
            memory, batch = carry
            rows, key = jax.tree.map(lambda leaf: leaf[number % BANK], data)
            memory = add(memory, rows, number)
            return learn(memory, key, number + 1) if learning else (memory, batch)

        return jax.lax.fori_loop(before, before + calls, call, (memory, batch))

    return jax.jit(run, donate_argnums=(0, 1))


def main(make: Callable[[str, int, tuple, Any], Store]) -> None:
    """Time a replay as the command line says, and print microseconds of a call of all agents."""
    parser = argparse.ArgumentParser()
    parser.add_argument("kind")
    parser.add_argument("observation", choices=list(OBSERVATIONS))
    parser.add_argument("capacity", type=int)
    parser.add_argument("agents", type=int)
    parser.add_argument("calls", type=int)
    options = parser.parse_args()
    shape, dtype = OBSERVATIONS[options.observation]
    store, agents = make(options.kind, options.capacity, shape, dtype), options.agents
    keys = jax.random.split(jax.random.key(0), 1 + BANK * agents)
    data = bank(keys[0], agents, shape, dtype), keys[1:].reshape(BANK, agents)
    memory = jax.vmap(lambda _: store.init())(jnp.arange(agents))
    if agents == 1:
        data = jax.tree.map(lambda leaf: leaf[:, 0], data)
        memory = jax.tree.map(lambda leaf: leaf[0], memory)
    learn = jax.vmap(store.learn, in_axes=(0, 0, None)) if agents > 1 else store.learn
    shapes = jax.eval_shape(learn, memory, data[1][0], jnp.int32(1))[1]
    batch = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), shapes)
    result = {"bytes": sum(leaf.nbytes for leaf in jax.tree.leaves(memory)) // agents}
    written = 0

    def clock(run: Callable, calls: int) -> float:
        nonlocal memory, batch, written
        began = time.perf_counter()
        memory, batch = jax.block_until_ready(run(memory, batch, written, calls, data))
        written += calls
        return time.perf_counter() - began

    for name, learning in {"add": False, "step": True}.items():
        run = program(store, agents, learning)
        # Compiles; and fills the memory, so that all of it is drawn from.
        clock(run, options.capacity // NUM_ENVS if name == "add" else 1)
        times = [clock(run, options.calls) for _ in range(REPEATS)]
        result[name] = statistics.median(times) / options.calls * 1e6
    print(json.dumps(result))
