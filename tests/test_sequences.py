import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from replays import ENVS, NUMBERS, SPEC, add, draw, fill, reprioritize, rows_from, sample, samples
from scipy import stats

from jaxq.checks import InputValueError
from jaxq.replay import PrioritizedSequenceReplay, SequenceReplay

ROWS = 8


def sequences(length, batch_size=2_000):
    return SequenceReplay(SPEC, num_rows=ROWS, num_envs=ENVS, batch_size=batch_size, length=length)


@pytest.mark.parametrize("length", [1, 3, ROWS])
@pytest.mark.parametrize("num_rows", range(ROWS, 2 * ROWS + 1))
def test_windows_are_consecutive_rows_wherever_the_write_head_is(length, num_rows):
    replay = sequences(length)
    windows = draw(replay, fill(replay, num_rows), num_rows)
    assert windows.observation.shape == (2_000, length)
    assert_array_equal(windows.observation - windows.observation[:, :1], [np.arange(length)] * 2_000)
    assert_array_equal(windows.next_observation, windows.observation + 1)
    starts = [env * 1000 + row for env in range(ENVS) for row in range(num_rows - ROWS, num_rows)]
    starts = [start for start in starts if start % 1000 <= num_rows - length]
    assert_array_equal(np.unique(windows.observation[:, 0]), starts)


@pytest.mark.parametrize("num_rows", [5, 11])
def test_all_starts_are_equally_likely(num_rows):
    replay = sequences(length=4, batch_size=30_000)
    windows = draw(replay, fill(replay, num_rows), num_rows)
    _, counts = np.unique(windows.observation[:, 0], return_counts=True)
    assert len(counts) == ENVS * (min(num_rows, ROWS) - 3)
    assert stats.chisquare(counts).pvalue > 1e-3


def test_windows_cross_the_ends_of_episodes_and_say_so():
    replay = sequences(length=3)
    windows = draw(replay, fill(replay, 10, terminated=(4,), truncated=(7,)), 10)
    row = np.asarray(windows.observation) % 1000
    assert_array_equal(windows.terminated, row == 4)
    assert_array_equal(windows.truncated, row == 7)
    led_to = np.where(row == 7, row + 0.5, row + 1)
    assert_array_equal((windows.next_observation % 1000)[row != 4], led_to[row != 4])
    assert windows.mask.all()
    assert windows.terminated[:, 0].any()
    assert windows.terminated[:, 1].any()


def test_extras_are_those_of_the_windows_first_row():
    replay = sequences(length=3)
    memory = replay.init((jnp.zeros(2), jnp.int32(0)))
    for row in range(11):
        number = rows_from(row).action
        extras = (number[..., None] + jnp.array([[[0.25, 0.75]]]), number)
        memory = add(replay, memory, rows_from(row, extras=extras), row)
    windows = draw(replay, memory, 11)
    carry, number = windows.extras
    assert carry.shape == (2_000, 2)
    assert_array_equal(number, windows.action[:, 0])
    assert_array_equal(carry, windows.observation[:, :1] + jnp.array([[0.25, 0.75]]))


def test_vmap_over_agents_equals_a_loop():
    replay = sequences(length=3, batch_size=16)
    memory = fill(replay, 13)
    keys = jax.random.split(jax.random.key(0), 3)
    together = samples(replay, keys, memory, 13, NUMBERS, 0.0)
    alone = [sample(replay, key, memory, 13, NUMBERS, 0.0) for key in keys]
    jax.tree.map(lambda leaf, *each: assert_array_equal(leaf, np.stack(each)), together, *alone)


def test_there_is_nothing_to_reprioritize():
    replay = sequences(length=3)
    memory = fill(replay, ROWS)
    windows = draw(replay, memory, ROWS)
    assert replay.reprioritize(memory.priorities, windows, jnp.ones(2_000), NUMBERS) == ()


def prioritized(**sizes):
    sizes = {"length": 4, "stride": 2, "batch_size": 2_000} | sizes
    return PrioritizedSequenceReplay(SPEC, ROWS, ENVS, **sizes)


@pytest.mark.parametrize("num_rows", [4, 9, 25])
def test_prioritized_windows_begin_at_every_stride_th_row_written(num_rows):
    replay = prioritized()
    windows = draw(replay, fill(replay, num_rows), num_rows)
    first, counts = np.unique(windows.observation[:, 0], return_counts=True)
    oldest = max(num_rows - ROWS, 0)
    starts = [row for row in range(oldest, num_rows - 3) if row % 2 == 0]
    assert_array_equal(np.unique(first % 1000), starts)
    # New windows are all alike, and each gets its share to within a draw of its part.
    assert np.ptp(counts) <= 2


def test_windows_are_drawn_by_the_priorities_of_whole_windows():
    replay = prioritized()
    memory = fill(replay, 8)
    windows = draw(replay, memory, 8)
    errors = jnp.where(windows.observation[:, 0] % 1000 == 2, 3.0, 0.5)
    priorities = reprioritize(replay, memory.priorities, windows, errors, NUMBERS)
    key, full = jax.random.key(1), jnp.float32(1)
    again = sample(replay, key, memory._replace(priorities=priorities), 8, NUMBERS, full)
    first = again.observation[:, 0] % 1000
    # Starts 0, 2 and 4 of each environment have 0.5, 3 and 0.5.
    assert_allclose([(first == row).mean() for row in (0, 2, 4)], [1 / 8, 6 / 8, 1 / 8], atol=0.005)
    assert_allclose(again.weight, np.where(first == 2, 1 / 6, 1.0), rtol=1e-5)


def test_a_ring_that_might_hold_no_window_is_refused():
    with pytest.raises(InputValueError, match="num_rows=9"):
        prioritized(length=ROWS, stride=2)
