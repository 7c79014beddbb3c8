import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from jaxq.replay import sum_tree

CAPACITIES = [1, 7, 8, 9, 64, 65, 500, 513]


def tree_of(masses):
    masses = jnp.asarray(masses, jnp.float32)
    return sum_tree.update(sum_tree.empty(masses.size), jnp.arange(masses.size), masses)


def write(tree, start, masses):
    leaves = jax.lax.dynamic_update_slice_in_dim(tree.leaves, masses, start, axis=0)
    return sum_tree.write(tree, leaves, [start], masses.size)


def assert_holds(tree, masses):
    """Compare a tree with a plain array; whole numbers, so that sums are exact in any order."""
    assert_array_equal(tree.leaves[: len(masses)], masses)
    assert sum_tree.total(tree) == masses.sum()
    for below, level in zip(tree.levels, tree.levels[1:], strict=False):
        sums = np.asarray(below).reshape(-1, sum_tree.FAN_OUT).sum(axis=1)
        assert_array_equal(level, np.pad(sums, (0, level.size - sums.size)))


def test_a_draw_finds_the_leaf_that_the_running_sum_passes_in():
    # Running sums: 2, 2, 5, 5, 5, 5, 5, 5, 6, 6: leaf 0 has [0, 2), leaf 2 [2, 5), leaf 8 [5, 6).
    tree = tree_of([2, 0, 3, 0, 0, 0, 0, 0, 1, 0])
    leaves = sum_tree.find(tree, jnp.array([0.0, 1.5, 2.0, 4.5, 5.0, 5.5]))
    assert_array_equal(leaves, [0, 0, 2, 2, 8, 8])


@pytest.mark.parametrize("capacity", CAPACITIES)
def test_random_operations_agree_with_a_plain_array(capacity):
    random = np.random.default_rng(capacity)
    update, written, find = jax.jit(sum_tree.update), jax.jit(write), jax.jit(sum_tree.find)
    tree, masses = sum_tree.empty(capacity), np.zeros(capacity, np.float32)
    batch, size = min(capacity, 20), min(capacity, 11)
    for _ in range(30):
        leaf = random.choice(capacity, batch, replace=False)
        masses[leaf] = random.integers(0, 4, batch)
        tree = update(tree, leaf, jnp.array(masses[leaf]))
        assert_holds(tree, masses)
        start = random.integers(capacity - size + 1)
        masses[start : start + size] = random.integers(0, 4, size)
        tree = written(tree, start, jnp.array(masses[start : start + size]))
        assert_holds(tree, masses)
        if masses.any():
            draws = np.float32(random.uniform(0, masses.sum(), 200))
            draws = np.append(draws, np.arange(masses.sum(), dtype=np.float32)[:100])
            draws = np.pad(draws, (0, 300 - draws.size))
            assert_array_equal(find(tree, draws), np.searchsorted(masses.cumsum(), draws, "right"))


def test_slices_at_every_start_and_of_every_size():
    capacity = 21  # three blocks, the last one not full, so that the blocks to sum pass the end
    for size in range(1, capacity + 1):
        changed = jax.jit(write)
        for start in range(capacity - size + 1):
            masses = np.arange(1.0, capacity + 1, dtype=np.float32)
            tree = changed(tree_of(masses), start, jnp.full(size, 100.0))
            masses[start : start + size] = 100
            assert_holds(tree, masses)


def test_two_slices_at_once():
    tree = tree_of(np.ones(100))
    leaves = tree.leaves.at[6:10].set(5.0).at[90:94].set(7.0)
    masses = np.ones(100, np.float32)
    masses[6:10], masses[90:94] = 5, 7
    assert_holds(sum_tree.write(tree, leaves, [6, 90], 4), masses)


def test_a_leaf_given_twice_agrees_with_its_sums():
    tree = sum_tree.update(tree_of(np.ones(100)), jnp.array([3, 50, 3]), jnp.array([5.0, 7.0, 9.0]))
    assert tree.leaves[3] in (5, 9)
    assert_holds(tree, np.asarray(tree.leaves[:100]))


def test_sums_do_not_drift():
    """Sums adjusted by differences would keep an error of the large masses' last digit, 65536."""
    random = np.random.default_rng(0)
    update = jax.jit(sum_tree.update)
    tree = tree_of(random.uniform(size=500))
    for scale in [1e12, 1.0] * 20:
        leaf = random.permutation(500)
        for part in np.split(leaf, 5):
            tree = update(tree, part, jnp.float32(random.uniform(size=100) * scale))
    assert_allclose(sum_tree.total(tree), np.asarray(tree.leaves, np.float64).sum(), rtol=1e-6)


@pytest.mark.parametrize("capacity", CAPACITIES)
def test_no_leaf_without_mass_is_ever_found(capacity):
    random = np.random.default_rng(capacity)
    find = jax.jit(sum_tree.find)
    for _ in range(50):
        masses = random.uniform(size=capacity) * 10.0 ** random.integers(-6, 12, capacity)
        masses = np.float32(masses * (random.uniform(size=capacity) < random.uniform()))
        masses[random.integers(capacity)] = 1e-6
        tree = tree_of(masses)
        total = np.float32(sum_tree.total(tree))
        # The total itself and what lies beyond it is what rounding may make of the last draw.
        edges = [0, np.nextafter(total, np.float32(0)), total, np.nextafter(total, np.inf), 2 * total]
        draws = np.append(random.uniform(0, total, 100), edges).astype(np.float32)
        draws = np.append(draws, masses.cumsum(dtype=np.float32))
        found = np.asarray(find(tree, draws))
        assert (masses[found] > 0).all()
        assert found[100] == np.flatnonzero(masses)[0]


def test_leaves_are_found_as_often_as_they_have_mass():
    masses = np.random.default_rng(0).uniform(size=300).astype(np.float32)
    tree = tree_of(masses)
    # Draws at equal distances: leaf i is found mass[i] / total of them times, but for its two ends.
    draws = (jnp.arange(300_000) + 0.5) / 300_000 * sum_tree.total(tree)
    counts = np.bincount(sum_tree.find(tree, draws), minlength=300)
    # Rounding the draws and sums, of about 150, moves each end by 1e-5 of 150 / 300,000 or less.
    assert_allclose(counts, masses / masses.sum() * 300_000, atol=1.2)


def test_vmap_over_agents_equals_a_loop():
    random = np.random.default_rng(0)
    masses = jnp.float32(random.uniform(size=(3, 100)))
    leaf = jnp.array([random.choice(100, 20, replace=False) for _ in range(3)])

    def steps(masses, leaf, start):
        tree = sum_tree.update(sum_tree.empty(100), jnp.arange(100), masses)
        tree = write(sum_tree.update(tree, leaf, masses[leaf] * 3), start, masses[:13])
        return tree, sum_tree.find(tree, masses[50:] * 40)

    together = jax.jit(jax.vmap(steps, in_axes=(0, 0, None)))(masses, leaf, jnp.int32(60))
    alone = [jax.jit(steps)(*each, jnp.int32(60)) for each in zip(masses, leaf, strict=True)]
    jax.tree.map(lambda leaf, *each: assert_array_equal(leaf, np.stack(each)), together, *alone)


def test_a_draw_that_rounding_took_below_zero_finds_mass():
    masses = jnp.zeros(100).at[jnp.array([37, 90])].set(1.0)
    tree = sum_tree.update(sum_tree.empty(100), jnp.arange(100), masses)
    assert sum_tree.find(tree, jnp.array([-1e-9, -1.0, 0.0, 1.0])).tolist() == [37, 37, 37, 90]
