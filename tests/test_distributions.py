"""Projections and quantile losses, with golden numbers worked out by hand."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import stats

from jaxq import checks
from jaxq.learning import categorical_projection, quantile_huber_loss, quantile_midpoints


@pytest.mark.parametrize(
    ("atoms_from", "probs", "atoms_to", "projected"),
    [
        # Two atoms. A point at a quarter of the way leaves three quarters behind.
        ([0.25], [1.0], [0, 1], [0.75, 0.25]),
        # 0.25 + z / 2: 0.2 at 0.25 and 0.8 at 0.75, so 0.2 * 0.75 + 0.8 * 0.25 to the left.
        ([0.25, 0.75], [0.2, 0.8], [0, 1], [0.35, 0.65]),
        # The middle, on a grid that begins elsewhere and is wider.
        ([-2.0], [1.0], [-6, 2], [0.5, 0.5]),
        # Three atoms, 0.5 + z / 2: 0.2 at 0, 0.3 at 0.5 and 0.5 at 1.
        ([0.0, 0.5, 1.0], [0.2, 0.3, 0.5], [-1, 0, 1], [0, 0.35, 0.65]),
        # Both ends: 0.1 from below, 0.7 from above, 0.2 shared in the middle.
        ([-7.0, 0.5, 9.0], [0.1, 0.2, 0.7], [-1, 0, 1], [0.1, 0.1, 0.8]),
        ([-1e30, 1e30], [0.25, 0.75], [-1, 0, 1], [0.25, 0, 0.75]),
        # Spacing 5, clipped and on the grid.
        ([-10.0, 6.0, 11.0], [0.5, 0.25, 0.25], [-10, -5, 0, 5, 10], [0.5, 0, 0, 0.2, 0.3]),
        # Gaps of 1 and 3: a third of the way into the second.
        ([2.0], [1.0], [0, 1, 4], [0, 2 / 3, 1 / 3]),
        # After the end of an episode only the reward is left, and all atoms meet.
        ([1.5, 1.5, 1.5], [0.2, 0.3, 0.5], [0, 1, 2], [0, 0.5, 0.5]),
    ],
)
def test_categorical_projection(atoms_from, probs, atoms_to, projected):
    result = categorical_projection(*(jnp.array(x, jnp.float32) for x in (atoms_from, probs, atoms_to)))
    assert_allclose(result, projected, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("grid", [(0, 1, 2), (-10, 10, 51), (-1000, 3000, 201), (0, 500, 101)])
def test_a_projection_onto_its_own_grid_changes_nothing(grid):
    atoms = jnp.linspace(*map(float, grid[:2]), grid[2])
    kernel = jax.vmap(categorical_projection, in_axes=(None, 0, None))(atoms, jnp.eye(grid[2]), atoms)
    assert_allclose(kernel, np.eye(grid[2]), atol=2**-23)


def algorithm_1(reward, discount, atoms, probs):
    """The projection as the paper's loop over atoms, in float64."""
    low, high, spacing = atoms[0], atoms[-1], atoms[1] - atoms[0]
    projected = np.zeros(len(atoms))
    for atom, prob in zip(atoms, probs, strict=True):
        place = (min(max(reward + discount * atom, low), high) - low) / spacing
        left = min(int(np.floor(place)), len(atoms) - 2)
        projected[left] += prob * (left + 1 - place)
        projected[left + 1] += prob * (place - left)
    return projected


@pytest.mark.parametrize("seed", range(5))
def test_projections_agree_with_the_loop_and_conserve_mass_and_mean(seed):
    generator = np.random.default_rng(seed)
    atoms, probs = np.linspace(-10, 10, 51), generator.dirichlet(np.ones(51))
    reward, discount = generator.normal(0, 4), generator.uniform(0.3, 1)
    moved = reward + discount * atoms
    result = categorical_projection(*(jnp.array(x, jnp.float32) for x in (moved, probs, atoms)))
    assert_allclose(result, algorithm_1(reward, discount, atoms, probs), atol=1e-6)
    assert_allclose(result.sum(), 1, rtol=1e-6)
    mean = (probs * np.clip(moved, -10, 10)).sum()
    assert_allclose((np.asarray(result) * atoms).sum(), mean, atol=1e-5)


def test_quantile_midpoints():
    assert_allclose(quantile_midpoints(1), [0.5])
    assert_allclose(quantile_midpoints(4), [0.125, 0.375, 0.625, 0.875])
    with pytest.raises(checks.InputValueError, match="num_quantiles must be at least 1"):
        quantile_midpoints(0)


# Errors u: 0.5 and 3 for the first quantile, -1.5 and 1 for the second. Weights: 1/4 and 1/4;
# |0.9 - 1| = 0.1, as the first target lies below, and 0.9.
GOLDEN = jnp.array([0.0, 2.0]), jnp.array([0.25, 0.9]), jnp.array([0.5, 3.0])


@pytest.mark.parametrize(
    ("kappa", "loss"),
    [
        # |u|: (0.5 / 4 + 3 / 4) / 2 + (0.1 * 1.5 + 0.9 * 1) / 2
        (0.0, 0.9625),
        # Huber 0.125, 2.5; 1, 0.5: (0.125 / 4 + 2.5 / 4) / 2 + (0.1 * 1 + 0.9 * 0.5) / 2
        (1.0, 0.603125),
        # Huber 0.125, 4; 1.125, 0.5, by 2: (0.0625 / 4 + 2 / 4) / 2 + (0.1 * 0.5625 + 0.9 * 0.25) / 2
        (2.0, 0.3984375),
    ],
)
def test_quantile_huber_loss(kappa, loss):
    assert_allclose(quantile_huber_loss(*GOLDEN, kappa), loss, rtol=1e-6)


@pytest.mark.parametrize(
    ("kappa", "gradient"),
    [
        # Minus the weights, with the sign of u: -(1/4 + 1/4) / 2 and (0.1 - 0.9) / 2
        (0.0, [-0.25, -0.4]),
        # The same times min(|u|, 1): -(0.5 / 4 + 1 / 4) / 2
        (1.0, [-0.1875, -0.4]),
        # The same times min(|u|, 2) / 2: -(0.25 / 4 + 1 / 4) / 2, (0.1 * 0.75 - 0.9 * 0.5) / 2
        (2.0, [-0.15625, -0.1875]),
    ],
)
def test_gradient_of_the_quantile_loss(kappa, gradient):
    assert_allclose(jax.grad(quantile_huber_loss)(*GOLDEN, kappa), gradient, rtol=1e-6)


def test_numbers_of_quantiles_and_targets_may_differ():
    # One quantile, three targets: 0.5 * (1 + 0 + 2) / 3
    loss = quantile_huber_loss(jnp.array([1.0]), jnp.array([0.5]), jnp.array([0.0, 1.0, 3.0]), 0.0)
    assert_allclose(loss, 0.5, rtol=1e-6)
    # A sum over quantiles, a mean over targets.
    q_tm1, taus, targets = GOLDEN
    twice = [jnp.concatenate([x, x]) for x in GOLDEN]
    assert_allclose(quantile_huber_loss(twice[0], twice[1], targets, 1.0), 2 * 0.603125, rtol=1e-6)
    assert_allclose(quantile_huber_loss(q_tm1, taus, twice[2], 1.0), 0.603125, rtol=1e-6)


@pytest.mark.parametrize(("tau", "quantile"), [(0.1, 1), (0.3, 2), (0.5, 3), (0.7, 4), (0.9, 10)])
def test_the_loss_is_least_at_the_quantile(tau, quantile):
    targets, grid = jnp.array([3.0, 10.0, 1.0, 4.0, 2.0]), jnp.linspace(0, 12, 1201)
    losses = jax.vmap(lambda q: quantile_huber_loss(q[None], jnp.array([tau]), targets, 0.0))(grid)
    assert_allclose(grid[jnp.argmin(losses)], quantile, atol=1e-3)


# Smoothing moves the minimum, by less than its own width.
@pytest.mark.parametrize(("kappa", "tolerance"), [(0.0, 0.01), (0.05, 0.05)])
def test_descent_finds_the_quantiles_of_a_known_distribution(kappa, tolerance):
    taus = quantile_midpoints(5)
    targets = jnp.array(stats.norm.ppf((np.arange(1000) + 0.5) / 1000), jnp.float32)
    gradient = jax.grad(lambda q: quantile_huber_loss(q, taus, targets, kappa))
    q, _ = jax.lax.scan(lambda q, _: (q - 0.1 * gradient(q), None), jnp.zeros(5), None, length=600)
    assert_allclose(q, stats.norm.ppf(np.asarray(taus)), atol=tolerance)


def test_a_wide_kappa_finds_the_mean_from_the_middle():
    """With every error inside kappa, the loss of level one half is a square."""
    targets, grid = jnp.array([0.0, 0.0, 6.0]), jnp.linspace(0, 6, 601)
    losses = jax.vmap(lambda q: quantile_huber_loss(q[None], jnp.array([0.5]), targets, 10.0))(grid)
    assert_allclose(grid[jnp.argmin(losses)], 2.0, atol=1e-3)


def test_shapes_are_checked_when_tracing():
    two, three = jnp.zeros(2), jnp.zeros(3)
    with pytest.raises(AssertionError):
        categorical_projection(two, three, two)
    with pytest.raises(AssertionError):
        quantile_huber_loss(two, three, two, 1.0)
    assert_array_equal(quantile_huber_loss(two, two, three, 1.0), 0)


@pytest.mark.parametrize(
    "pairwise",
    [
        lambda atoms: categorical_projection(atoms, jax.nn.softmax(atoms), jnp.arange(51.0)),
        lambda atoms: jax.grad(quantile_huber_loss)(atoms, quantile_midpoints(51), 2 * atoms, 1.0),
    ],
)
def test_pairs_stand_behind_a_barrier_on_gpus(pairwise):
    # Without it XLA fuses what comes before into tiles of rows x 51 x 51, and compiles for minutes.
    program = jax.jit(jax.vmap(pairwise)).trace(jnp.zeros((8, 51))).lower(lowering_platforms=("cuda",))
    assert program.as_text().count("optimization_barrier") >= 2
