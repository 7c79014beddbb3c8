"""Reads of a table that is about to be written."""

import itertools

import jax
import jax.numpy as jnp

from jaxq.kernels.materialized import materialized


def read_once(*numbers: jax.Array) -> tuple[jax.Array, ...]:
    """Return what was read of tables, worked out once and all of it before anything uses a part.

    What is used twice, in what is written and in something else, XLA on CPU reads twice, maybe after
    the write; so it copies the whole table first. A step of Q-learning on a table of 7,337 states and
    13 actions took 93 microseconds with these copies, and 5 without.

    Args:
        numbers: Arrays `[]` or `[N]` of one type.

    Returns:
        The same.
    """
    sizes = [x.size for x in numbers]
    together = materialized(jnp.concatenate([x.reshape(-1) for x in numbers]))
    ends = itertools.accumulate(sizes)
    parts = [together[end - size : end] for size, end in zip(sizes, ends, strict=True)]
    return tuple(part.reshape(x.shape) for part, x in zip(parts, numbers, strict=True))
