"""Dyna's world model of a finite world: what each pair of state and action led to last."""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxq.agents.table_reads import read_once
from jaxq.types import PyTree


class Step(NamedTuple):
    """One step between numbered states; fields `[]`, or `[E]` for the environments of an agent.

    Attributes:
        s_tm1: State acted in, int32.
        a_tm1: Action taken, int32.
        r_t: Reward, float32.
        terminated: Whether the episode ended in a terminal state, bool.
        truncated: Whether it was cut off, bool.
        s_t: State that followed, int32.
        real: Whether there was such a step at all, bool.
        legal_tm1: Actions that could be taken, bool `[A]`; `()` where all always may.
        legal_t: Those in the state that followed, bool `[A]`.
    """

    s_tm1: jax.Array
    a_tm1: jax.Array
    r_t: jax.Array
    terminated: jax.Array
    truncated: jax.Array
    s_t: jax.Array
    real: jax.Array
    legal_tm1: PyTree = ()
    legal_t: PyTree = ()


def no_step(num_envs: int, legal_shape: PyTree) -> Step:
    """Return what stands where there was no step yet, with masks of a shape `[A]` or none."""
    zeros = jnp.zeros(num_envs, jnp.int32)
    no = jnp.zeros(num_envs, bool)
    legal = jax.tree.map(lambda leaf: jnp.ones((num_envs, *leaf.shape), bool), legal_shape)
    return Step(zeros, zeros, jnp.zeros(num_envs), no, no, zeros, no, legal, legal)


class WorldModel(NamedTuple):
    """What each pair of state and action led to last.

    Attributes:
        r_t: Reward, `[S, A]`.
        terminated: Whether the episode ended there, bool `[S, A]`.
        s_t: State that followed, int32 `[S, A]`; -1 where the pair was never seen.
        pairs: The pairs seen, as s * A + a, in the order in which they were first seen, `[S * A]`.
        num_pairs: How many there are, int32 `[]`.
        legal: Actions that may be taken in each state that was reached, bool `[S, A]`; or `()`.
    """

    r_t: jax.Array
    terminated: jax.Array
    s_t: jax.Array
    pairs: jax.Array
    num_pairs: jax.Array
    legal: PyTree


def empty_model(num_states: int, num_actions: int, legal_shape: PyTree) -> WorldModel:
    """Make a model that has seen nothing, of a world with masks of a shape `[A]` or none."""
    shape = num_states, num_actions
    return WorldModel(
        r_t=jnp.zeros(shape),
        terminated=jnp.zeros(shape, bool),
        s_t=jnp.full(shape, -1, jnp.int32),
        pairs=jnp.zeros(num_states * num_actions, jnp.int32),
        num_pairs=jnp.int32(0),
        legal=jax.tree.map(lambda _: jnp.ones(shape, bool), legal_shape),
    )


def observe(model: WorldModel, step: Step) -> WorldModel:
    """Remember what a step led to."""
    entry = step.s_tm1, step.a_tm1
    before, s_t = read_once(model.s_t[entry], step.s_t)
    new = before < 0
    # A pair that is not new is written once more where the next new one will be.
    pair = step.s_tm1 * model.s_t.shape[1] + step.a_tm1
    return WorldModel(
        r_t=model.r_t.at[entry].set(step.r_t),
        terminated=model.terminated.at[entry].set(step.terminated),
        s_t=model.s_t.at[entry].set(s_t),
        pairs=model.pairs.at[model.num_pairs].set(pair, mode="drop"),
        num_pairs=model.num_pairs + new,
        legal=jax.tree.map(lambda old, now: old.at[step.s_t].set(now), model.legal, step.legal_t),
    )


def recall(key: jax.Array, model: WorldModel) -> Step:
    """Draw a pair that was seen, each one equally likely, and say what it led to last."""
    number = jax.random.randint(key, (), 0, jnp.maximum(model.num_pairs, 1))
    s_tm1, a_tm1 = jnp.divmod(model.pairs[number], model.s_t.shape[1])
    entry = s_tm1, a_tm1
    return Step(
        s_tm1,
        a_tm1,
        model.r_t[entry],
        model.terminated[entry],
        jnp.bool_(False),
        model.s_t[entry],
        jnp.bool_(True),
        legal_t=jax.tree.map(lambda leaf: leaf[model.s_t[entry]], model.legal),
    )
