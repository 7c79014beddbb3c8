"""Distributions of returns: projection onto fixed atoms, and quantile regression; callers vmap."""

from typing import NamedTuple

import chex
import jax
import jax.numpy as jnp
import optax

from jaxq import checks
from jaxq.kernels.materialized import materialized


def categorical_projection(atoms_from: jax.Array, probs: jax.Array, atoms_to: jax.Array) -> jax.Array:
    """Move probability from atoms anywhere to the nearest atoms of a fixed grid.

    `projected[j] = sum_i probs[i] * max(0, 1 - |clip(atoms_from[i]) - atoms_to[j]| / gap)`

    Each atom is clipped to the grid's ends, and shares its probability between its two neighbours in
    proportion to how near they are. So mass is conserved, and the mean as well where nothing is
    clipped.

    Args:
        atoms_from: Where the probability lies, `[M]`.
        probs: How much of it, `[M]`, >= 0.
        atoms_to: Grid, increasing, `[K]`, K >= 2; C51's has the same gap everywhere.

    Returns:
        Probabilities of the grid's atoms, `[K]`.

    References:
        Bellemare et al., A Distributional Perspective on Reinforcement Learning, 2017, equation 7
        and algorithm 1.

    Example:
        >>> import jax.numpy as jnp
        >>> grid = jnp.array([0.0, 1.0, 2.0])
        >>> print(categorical_projection(jnp.array([0.25, 5.0]), jnp.array([0.5, 0.5]), grid))
        [0.375 0.125 0.5  ]
    """
    chex.assert_rank([atoms_from, probs, atoms_to], 1)
    chex.assert_equal_shape([atoms_from, probs])
    atoms_from, probs = materialized(atoms_from), materialized(probs)
    # The grid with one more atom on either side. Every atom's share is computed from the grid's own
    # gaps, not from their mean, so an atom on the grid keeps all but one rounding of its probability;
    # with one spacing for all, 8e-6 would leak to its neighbours at 51 atoms.
    wider = jnp.concatenate(
        [2 * atoms_to[:1] - atoms_to[1:2], atoms_to, 2 * atoms_to[-1:] - atoms_to[-2:-1]]
    )
    gap = jnp.diff(wider)
    atom = jnp.clip(atoms_from, atoms_to[0], atoms_to[-1])[:, None]
    rising = (atom - wider[None, :-2]) / gap[None, :-1]
    falling = (wider[None, 2:] - atom) / gap[None, 1:]
    share = jnp.maximum(jnp.minimum(rising, falling), 0)
    # A matrix product, which is faster on CPU than a masked sum. Its precision is for GPUs, which would
    # round the operands to 10 bits. A scatter takes half the time on CPU, but on GPUs its sums come in
    # any order, and the result would not be the same twice.
    return jnp.matmul(probs, share, precision=jax.lax.Precision.HIGHEST)


class Quantiles(NamedTuple):
    """Quantiles of the return, for one observation.

    Attributes:
        values: Quantiles of each action, `[A, N]`.
        taus: Their levels, `[N]`, in [0, 1]: `quantile_midpoints(N)` for QR-DQN, N uniform random
            numbers for IQN.
    """

    values: jax.Array
    taus: jax.Array


def quantile_midpoints(num_quantiles: int) -> jax.Array:
    """Divide [0, 1] into equal parts and return the middle of each.

    `taus[i] = (2 i + 1) / (2 N)`

    Args:
        num_quantiles: Number of quantiles N, static, >= 1.

    Returns:
        Quantile levels, `[N]`, in (0, 1).

    Raises:
        InputTypeError: If `num_quantiles` is not a whole number.
        InputValueError: If it is below 1.

    References:
        Dabney et al., Distributional Reinforcement Learning with Quantile Regression, 2018, lemma 2.

    Example:
        >>> print(quantile_midpoints(2))
        [0.25 0.75]
    """
    num_quantiles = checks.whole_number("num_quantiles", num_quantiles)
    return (jnp.arange(num_quantiles, dtype=jnp.float32) + 0.5) / num_quantiles


def quantile_huber_loss(
    q_tm1: jax.Array, taus: jax.Array, targets: jax.Array, kappa: float
) -> jax.Array:
    """Pull each quantile towards the targets, by its level up and by the rest down.

    `loss = sum_i mean_j |taus[i] - [u_ij < 0]| * huber_kappa(u_ij) / kappa`, where
    `u_ij = targets[j] - q_tm1[i]` and `huber_kappa(u)` is `u^2 / 2` within kappa of zero and
    `kappa * (|u| - kappa / 2)` outside. With `kappa = 0` it is `|taus[i] - [u_ij < 0]| * |u_ij|`, the
    limit, whose minimum is exactly at the quantiles.

    Args:
        q_tm1: Predicted quantiles, `[N]`.
        taus: Their levels, `[N]`, in [0, 1].
        targets: Samples or quantiles of what is predicted, all of the same weight, `[M]`.
        kappa: Width of the smooth part, in units of q, a static number >= 0.

    Returns:
        The loss, `[]`; gradients flow to all three arrays, so stop them at the targets.

    References:
        Dabney et al., Distributional Reinforcement Learning with Quantile Regression, 2018,
        equations 9 and 10.
        Dabney et al., Implicit Quantile Networks, 2018, equation 3 (with the division by kappa).
    """
    chex.assert_rank([q_tm1, taus, targets], 1)
    chex.assert_equal_shape([q_tm1, taus])
    q_tm1, targets = materialized(q_tm1), materialized(targets)
    error = targets[None, :] - q_tm1[:, None]
    weight = jnp.abs(taus[:, None] - (error < 0).astype(error.dtype))
    penalty = optax.losses.huber_loss(error, delta=kappa) / kappa if kappa else jnp.abs(error)
    return jnp.sum(jnp.mean(weight * penalty, axis=1))
