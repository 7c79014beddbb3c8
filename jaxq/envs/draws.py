"""Drawing from many distributions at once, as the steps of a table do."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np


class Draws(NamedTuple):
    """Cumulative probabilities of several distributions, in a row and each padded to `width`.

    `width` is a power of two, so that a search by halves has no remainder to look after.
    """

    cumulative: np.ndarray
    width: int


def prepared(probability: np.ndarray) -> Draws:
    """Prepare to draw from the rows of `[rows, K]`, whose zeros stand at the end."""
    num_rows, num_outcomes = probability.shape
    width = 1 << (num_outcomes - 1).bit_length()
    # From the last outcome on this is 1, exactly so as float32, which no random number reaches; so what
    # stands there to fill up is never drawn.
    cumulative = np.ones((num_rows, width))
    cumulative[:, :num_outcomes] = np.cumsum(probability, axis=1)
    return Draws(cumulative.astype(np.float32).ravel(), width)


def draw(draws: Draws, first: jax.Array | int, chance: jax.Array) -> jax.Array | int:
    """Find the outcome that a number in [0, 1) stands for, in the row that begins at `first`.

    Searching by halves takes log2 K looked-up words, and for 3 outcomes no longer than comparing all.
    """
    position, step = first, draws.width // 2
    cumulative = jnp.asarray(draws.cumulative)
    while step:
        beyond = chance >= cumulative[position + (step - 1)]
        position = jnp.where(beyond, position + step, position)
        step //= 2
    return position
