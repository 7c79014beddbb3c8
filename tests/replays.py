"""What the tests of replays share: rows that tell where they are from, and the numbers of an agent."""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxq.types import ObservationSpec, Trajectory, Transition

SPEC = ObservationSpec((), jnp.dtype("float32"))
ENVS = 3


class Numbers(NamedTuple):
    """The hyperparameters that replays read."""

    discount: jax.Array
    priority_exponent: jax.Array
    importance: jax.Array = jnp.float32(0)


NUMBERS = Numbers(jnp.float32(0.5), jnp.float32(1.0))


class Drawn(NamedTuple):
    """Runs of one step without the axis of time; the weight is zero where there is nothing to learn."""

    s_tm1: jax.Array
    a_tm1: jax.Array
    r_t: jax.Array
    discount_t: jax.Array
    s_t: jax.Array
    weight: jax.Array
    index: jax.Array


def drawn(replay, runs):
    """Sequences as they are, runs of one step without the axis of time."""
    if hasattr(replay, "length"):
        return runs
    steps = runs.observation, runs.action, runs.reward, runs.discount, runs.next_observation
    return Drawn(*[leaf[:, 0] for leaf in steps], runs.weight * runs.mask[:, 0], runs.index)


def undrawn(sample):
    """What `drawn` was made of, as far as reprioritizing reads it."""
    if isinstance(sample, Trajectory):
        return sample
    known = (sample.weight > 0)[:, None]
    blank = Trajectory(*[None] * 7, mask=known, extras=(), weight=sample.weight)
    return blank._replace(index=sample.index)


@functools.partial(jax.jit, static_argnums=0)
def add(replay, memory, rows, rows_written):
    return replay.add(memory, rows, rows_written)


@functools.partial(jax.jit, static_argnums=0)
def sample(replay, key, memory, rows_written, hparams, importance):
    hparams = hparams._replace(importance=importance)
    return drawn(replay, replay.sample(key, memory, rows_written, hparams))


@functools.partial(jax.jit, static_argnums=0)
def reprioritize(replay, priorities, sample, priority, hparams):
    return replay.reprioritize(priorities, undrawn(sample), priority, hparams)


@functools.partial(jax.jit, static_argnums=0)
def samples(replay, keys, memory, rows_written, hparams, importance):
    """Samples with several keys, leaves `[keys, B, ...]`."""
    return jax.vmap(lambda key: sample(replay, key, memory, rows_written, hparams, importance))(keys)


@functools.partial(jax.jit, static_argnums=(1, 2, 3, 4))
def rows_from(first, length=1, num_envs=ENVS, terminated=(), truncated=(), extras=()):
    """Rows whose observation is their number, each environment a thousand higher.

    A step leads to the next number, or half as far where an episode ends.
    """
    row = first + jnp.arange(length)[:, None]
    number = row + jnp.arange(num_envs)[None] * 1000.0
    flags = [
        functools.reduce(jnp.logical_or, (number % 1000 == at for at in rows), number < 0)
        for rows in (terminated, truncated)
    ]
    reward = jnp.ones((length, num_envs))
    following = number + jnp.where(flags[0] | flags[1], 0.5, 1.0)
    return Transition(number, number.astype(jnp.int32), reward, *flags, following, extras)


def fill(replay, num_rows, length=1, terminated=(), truncated=()):
    """Write rows from the first one on, `length` at a time."""
    memory = replay.init()
    for row in range(0, num_rows, length):
        rows = rows_from(row, length, replay.num_envs, terminated, truncated)
        memory = add(replay, memory, rows, row)
    return memory


def draw(replay, memory, num_rows, seed=0, importance=0.0, hparams=NUMBERS):
    return sample(replay, jax.random.key(seed), memory, num_rows, hparams, importance)
