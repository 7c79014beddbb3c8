import functools
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from replays import ENVS, NUMBERS, SPEC, Numbers, add, draw, fill, reprioritize, rows_from, samples
from scipy import stats

from jaxq.replay import PrioritizedReplay, ReplayState, UniformReplay

ROWS = 8


def prioritized(n_step=1, batch_size=64, **sizes):
    return PrioritizedReplay(
        SPEC, **{"num_rows": ROWS, "num_envs": ENVS, "batch_size": batch_size, "n_step": n_step, **sizes}
    )


def of_all(replay, memory):
    """A sample with every index once, of which reprioritizing reads the index and the weight."""
    size = replay.num_rows * replay.num_envs
    sample = draw(replay, memory, ROWS)
    return sample._replace(index=jnp.arange(size, dtype=jnp.int32), weight=jnp.ones(size))


def mass_by_start(replay, memory):
    """Priorities in the ring's own order, `[R, E]`."""
    leaves = memory.priorities.tree.leaves[: replay.num_rows * replay.num_envs]
    return np.roll(leaves.reshape(replay.num_rows, replay.num_envs), 1 - replay.n_step, axis=0)


def give(replay, memory, priority, hparams=NUMBERS):
    """Give each transition of the ring a TD error, `[R, E]`."""
    sample = of_all(replay, memory)
    return memory._replace(
        priorities=reprioritize(replay, memory.priorities, sample, jnp.ravel(priority), hparams)
    )


def valid_starts(num_rows, written, n_step):
    """Rows of the ring that begin n stored rows, worked out row by row."""
    stored = range(max(0, written - num_rows), written)
    return [row % num_rows for row in stored if row + n_step - 1 < written]


# Fewer, as many and more rows at a time than the n - 1 that must follow; with n = R a single start.
@pytest.mark.parametrize(
    ("length", "n_step"),
    [
        (1, 1),
        (1, 3),
        (1, 7),
        (1, 8),
        (2, 2),
        (2, 3),
        (2, 6),
        (2, 8),
        (4, 2),
        (4, 5),
        (4, 8),
        (8, 1),
        (8, 4),
    ],
)
def test_only_valid_starts_have_mass_wherever_the_write_head_is(length, n_step):
    replay = prioritized(n_step)
    memory = replay.init()
    random = np.random.default_rng(0)
    for row in range(0, 4 * ROWS, length):
        memory = add(replay, memory, rows_from(row, length), row)
        written = row + length
        expected = np.zeros((ROWS, ENVS), bool)
        expected[valid_starts(ROWS, written, n_step)] = True
        assert_array_equal(mass_by_start(replay, memory) > 0, expected)
        if not expected.any():
            continue
        sample = draw(replay, memory, written, seed=row)
        assert expected.ravel()[sample.index].all()
        # What it spans are n rows in a row: across the write head the difference would be another.
        assert_array_equal(sample.s_t - sample.s_tm1, np.full(64, n_step))
        # Learning changes masses between writes; to nothing it never does.
        error = jnp.float32(random.exponential(size=64))
        memory = memory._replace(
            priorities=reprioritize(replay, memory.priorities, sample, error, NUMBERS)
        )


@pytest.mark.parametrize("n_step", [1, 3])
@pytest.mark.parametrize("written", [6, 13])
def test_sampling_follows_the_priorities(n_step, written):
    replay = prioritized(n_step, batch_size=100)
    memory = fill(replay, written)
    error = np.random.default_rng(written).exponential(size=(ROWS, ENVS)) + 0.05
    memory = give(replay, memory, jnp.float32(error), NUMBERS._replace(priority_exponent=0.7))
    valid = valid_starts(ROWS, written, n_step)
    expected = np.zeros((ROWS, ENVS))
    expected[valid] = error[valid] ** 0.7
    keys = jax.random.split(jax.random.key(0), 400)
    sample = samples(replay, keys, memory, written, NUMBERS, 0.0)
    counts = np.bincount(sample.index.ravel(), minlength=ROWS * ENVS)
    drawn = expected.ravel() > 0
    assert not counts[~drawn].any()
    frequency = expected.ravel()[drawn] / expected.sum() * counts.sum()
    # Of a leaf's mass only the two ends share a part of the total with others, where a draw may or may
    # not hit it: a variance of 1/4 at most, twice, in 400 batches. Five standard deviations:
    assert_allclose(counts[drawn], frequency, atol=5 * np.sqrt(400 / 2))


def test_independent_draws_follow_the_priorities():
    """With a batch of one there is one part only, and the chi-square test is exact."""
    replay = prioritized(n_step=2, batch_size=1)
    memory = give(replay, fill(replay, 11), jnp.arange(1.0, 25.0))
    keys = jax.random.split(jax.random.key(3), 30_000)
    sample = samples(replay, keys, memory, 11, NUMBERS, 0.0)
    # Rows 3 to 9 begin two stored rows; in the ring they are 3 to 7, 0 and 1, and 2 is the newest.
    counts = np.delete(np.bincount(sample.index.ravel(), minlength=24), [6, 7, 8])
    expected = np.delete(np.arange(1.0, 25.0), [6, 7, 8])
    assert stats.chisquare(counts, expected / expected.sum() * 30_000).pvalue > 1e-3


def test_each_part_of_the_total_is_drawn_from_once():
    replay = prioritized(batch_size=ROWS * ENVS)
    # All are new, so all have mass 1: the i-th of 24 parts is the i-th transition, whatever the key.
    assert_array_equal(draw(replay, fill(replay, ROWS), ROWS).index, np.arange(ROWS * ENVS))


def test_weights_by_hand():
    replay = prioritized(batch_size=16, num_rows=2, num_envs=2)
    memory = give(replay, fill(replay, 2), jnp.array([1.0, 1.0, 2.0, 4.0]) - 1e-6)
    # P = 1/8, 1/8, 1/4, 1/2, in 16 parts 2, 2, 4 and 8 draws; N P = 1/2, 1/2, 1, 2.
    sample = draw(replay, memory, 2, importance=1.0)
    assert_array_equal(sample.index, [0] * 2 + [1] * 2 + [2] * 4 + [3] * 8)
    # (N P)^-1 = 2, 2, 1, 1/2, divided by the largest, 2.
    assert_allclose(sample.weight, [1.0] * 4 + [0.5] * 4 + [0.25] * 8, rtol=1e-5)
    # (N P)^-1/2 = 1.414, 1.414, 1, 0.707, divided by the largest.
    half = draw(replay, memory, 2, importance=0.5).weight
    assert_allclose(half, [1.0] * 4 + [0.70711] * 4 + [0.5] * 8, rtol=1e-5)
    assert_array_equal(draw(replay, memory, 2, importance=0.0).weight, np.ones(16))
    # The largest of the batch, not of the memory: without the first two, 1/1 and 1/2 become 1 and 1/2.
    few = give(replay, memory, jnp.array([1e-9, 1e-9, 2.0, 4.0]))
    sample = draw(replay, few, 2, importance=1.0)
    assert_allclose(sample.weight, np.where(sample.index == 2, 1, 0.5), rtol=1e-5)


def test_priorities_by_hand():
    replay = prioritized(batch_size=4, num_rows=2, num_envs=2)
    half = NUMBERS._replace(priority_exponent=jnp.float32(0.5))
    memory = give(replay, fill(replay, 2), jnp.array([0.0, -4.0, 9.0, 0.25]), half)
    # The square roots of |error| + 1e-6.
    assert_allclose(mass_by_start(replay, memory).ravel(), [1e-3, 2.0, 3.0, 0.5], rtol=1e-5)
    assert_allclose(memory.priorities.largest, 3.0, rtol=1e-5)


def test_new_transitions_have_the_largest_priority_so_far():
    replay = prioritized(n_step=2)
    memory = fill(replay, 8)
    assert_array_equal(mass_by_start(replay, memory)[:7], np.ones((7, ENVS)))
    memory = give(replay, memory, jnp.full((ROWS, ENVS), 0.25))
    assert memory.priorities.largest == 1
    memory = give(replay, memory, jnp.full((ROWS, ENVS), 0.5).at[4, 1].set(5.0))
    memory = give(replay, memory, jnp.full((ROWS, ENVS), 0.125))
    memory = add(replay, memory, rows_from(8), 8)
    # Row 7 is complete, row 0 is overwritten, and neither the others nor the newest are as new.
    mass = mass_by_start(replay, memory)
    assert_allclose(mass[7], [5.0] * ENVS, rtol=1e-5)
    assert_allclose(mass[1:7], np.full((6, ENVS), 0.125), rtol=1e-4)
    assert_array_equal(mass[0], np.zeros(ENVS))


def test_with_exponent_zero_all_are_alike():
    replay, zero = prioritized(n_step=3), NUMBERS._replace(priority_exponent=jnp.float32(0))
    memory = give(replay, fill(replay, 13), jnp.arange(24.0) ** 3, zero)
    uniform = UniformReplay(SPEC, ROWS, ENVS, batch_size=64, n_step=3)
    keys = jax.random.split(jax.random.key(0), 500)
    mine = samples(replay, keys, memory, 13, zero, 1.0)
    theirs = samples(uniform, keys, ReplayState(memory.ring), 13, zero, 1.0)
    assert_array_equal(mine.weight, theirs.weight)
    seen, counts = np.unique(mine.index, return_counts=True)
    assert_array_equal(seen, np.unique(theirs.index))
    assert stats.chisquare(counts).pvalue > 1e-3


@pytest.mark.parametrize("exponent", [0.0, 0.6, 1.0])
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 3e38])
def test_errors_that_are_not_finite_spoil_nothing(bad, exponent):
    replay = prioritized(n_step=2, batch_size=256)
    hparams = NUMBERS._replace(priority_exponent=jnp.float32(exponent))
    memory = give(replay, fill(replay, 8), jnp.full((ROWS, ENVS), 7.0), hparams)
    largest = memory.priorities.largest
    memory = give(replay, memory, jnp.full((ROWS, ENVS), 2.0).at[3, 1].set(bad), hparams)
    mass = mass_by_start(replay, memory)
    assert np.isfinite(mass).all()
    # What is not a number of any size counts as new does; what is merely huge has a bound.
    assert_allclose(mass[3, 1], 1e12**exponent if bad == 3e38 else largest, rtol=1e-5)
    everything = give(replay, memory, jnp.full((ROWS, ENVS), bad), hparams)
    sample = draw(replay, everything, 8, importance=0.5)
    assert_array_equal(np.unique(sample.index), np.arange(7 * ENVS))
    assert np.isfinite(sample.weight).all()
    everything = add(replay, everything, rows_from(8), 8)
    assert np.isfinite(mass_by_start(replay, everything)).all()


def test_a_sample_from_before_a_write_gives_no_mass_to_what_the_write_cut_off():
    replay = prioritized(n_step=3)
    memory = fill(replay, 8)
    sample = of_all(replay, memory)
    memory = add(replay, memory, rows_from(8), 8)
    before = mass_by_start(replay, memory) > 0
    priorities = reprioritize(replay, memory.priorities, sample, jnp.ones(24), NUMBERS)
    assert_array_equal(mass_by_start(replay, memory._replace(priorities=priorities)) > 0, before)


def training(replay, updates=2):
    """The loop of a trainer: write a row, take some gradient steps, with one clock for all agents."""

    def run(key, hparams, memory, clock, end):
        def update(ring, priorities, key):
            memory = ReplayState(ring, priorities)
            sample = replay.sample(key, memory, clock, hparams)
            error = jax.random.normal(key, (replay.batch_size,)) * sample.discount[:, 0]
            return replay.reprioritize(priorities, sample, error, hparams), sample

        def iteration(step, carry):
            memory = replay.add(carry[0], rows_from(step, num_envs=replay.num_envs), step)
            keys = jax.random.split(jax.random.fold_in(key, step), updates)
            learn = functools.partial(update, memory.ring)
            priorities, sample = jax.lax.scan(learn, memory.priorities, keys)
            return ReplayState(memory.ring, priorities), sample

        shapes = jax.eval_shape(iteration, clock, (memory, None))[1]
        nothing = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), shapes)
        return jax.lax.fori_loop(clock, end, iteration, (memory, nothing))

    return run


ONE_CLOCK = (0, 0, 0, None, None)


def test_vmap_over_agents_equals_a_loop():
    replay = prioritized(n_step=3, num_rows=40)
    run, memory, clock = training(replay), fill(replay, 5), (jnp.int32(5), jnp.int32(60))
    keys = jax.random.split(jax.random.key(0), 3)
    hparams = Numbers(jnp.array([0.9, 0.5, 0.1]), jnp.array([0.0, 0.6, 1.0]), jnp.full(3, 0.4))
    memories = jax.tree.map(lambda leaf: jnp.stack([leaf] * 3), memory)
    together = jax.jit(jax.vmap(run, in_axes=ONE_CLOCK))(keys, hparams, memories, *clock)
    run = jax.jit(run)
    for i in range(3):
        alone = run(keys[i], jax.tree.map(lambda leaf, i=i: leaf[i], hparams), memory, *clock)
        jax.tree.map(lambda leaf, one, i=i: assert_array_equal(leaf[i], one), together, alone)


AGENTS, LONG, LEAVES = 3, 731, 2200  # so that no other array has the shape of a ring or of the leaves


@pytest.fixture(scope="module", params=[1, 3])
def loops(request):
    """Lines of the loops that agents side by side were compiled to, without the program's entry."""
    replay = prioritized(request.param, num_rows=LONG)
    run = jax.jit(jax.vmap(training(replay), in_axes=ONE_CLOCK))
    memory = jax.vmap(lambda _: replay.init())(jnp.arange(AGENTS))
    hparams = Numbers(jnp.full(AGENTS, 0.9), jnp.full(AGENTS, 0.6), jnp.full(AGENTS, 0.4))
    keys = jax.random.split(jax.random.key(0), AGENTS)
    compiled = run.lower(keys, hparams, memory, jnp.int32(0), jnp.int32(9)).compile()
    lines, inside = [], True
    for line in compiled.as_text().splitlines():
        if line and not line.startswith((" ", "}")):
            inside = not line.startswith("ENTRY")
        lines += [line] if inside else []
    return lines


def whole(lines, operation, sizes):
    return [line for line in lines if re.search(rf"= \w+\[{AGENTS},({sizes})\]\S* {operation}\(", line)]


@pytest.mark.optimized
def test_rows_and_priorities_are_written_in_place(loops):
    ring, leaves = f"{LONG},{ENVS}", f"{LEAVES}"
    assert whole(loops, "dynamic-update-slice", ring)
    assert whole(loops, "dynamic-update-slice", leaves)
    assert whole(loops, "scatter", leaves)  # learning's, at batch_size places
    assert not whole(loops, "scatter", ring)
    for operation in ("copy", "select", "concatenate", "pad", "gather"):
        assert not whole(loops, operation, f"{ring}|{leaves}"), operation


@pytest.mark.optimized
def test_a_ring_written_at_a_place_of_each_agents_own_would_be_seen():
    replay = prioritized(num_rows=LONG)
    memory = jax.vmap(lambda _: replay.init())(jnp.arange(AGENTS))

    def run(memory, first):
        write = lambda step, memory: replay.add(memory, rows_from(step), first + step)  # noqa: E731
        return jax.lax.fori_loop(0, 99, write, memory)

    compiled = jax.jit(jax.vmap(run)).lower(memory, jnp.arange(AGENTS)).compile()
    assert whole(compiled.as_text().splitlines(), "scatter", f"{LONG},{ENVS}|{LEAVES}")
