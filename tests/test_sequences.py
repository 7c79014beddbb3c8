import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_array_equal
from replays import ENVS, NUMBERS, SPEC, add, draw, fill, rows_from, sample, samples
from scipy import stats

from jaxq.replay import SequenceReplay

ROWS = 8


def sequences(length, batch_size=2_000):
    return SequenceReplay(SPEC, num_rows=ROWS, num_envs=ENVS, batch_size=batch_size, length=length)


@pytest.mark.parametrize("length", [1, 3, ROWS])
@pytest.mark.parametrize("num_rows", range(ROWS, 2 * ROWS + 1))
def test_windows_are_consecutive_rows_wherever_the_write_head_is(length, num_rows):
    replay = sequences(length)
    windows = draw(replay, fill(replay, num_rows), num_rows).transition
    assert windows.observation.shape == (2_000, length)
    assert_array_equal(windows.observation - windows.observation[:, :1], [np.arange(length)] * 2_000)
    assert_array_equal(windows.next_observation, windows.observation + 1)
    starts = [env * 1000 + row for env in range(ENVS) for row in range(num_rows - ROWS, num_rows)]
    starts = [start for start in starts if start % 1000 <= num_rows - length]
    assert_array_equal(np.unique(windows.observation[:, 0]), starts)


@pytest.mark.parametrize("num_rows", [5, 11])
def test_all_starts_are_equally_likely(num_rows):
    replay = sequences(length=4, batch_size=30_000)
    windows = draw(replay, fill(replay, num_rows), num_rows).transition
    _, counts = np.unique(windows.observation[:, 0], return_counts=True)
    assert len(counts) == ENVS * (min(num_rows, ROWS) - 3)
    assert stats.chisquare(counts).pvalue > 1e-3


def test_windows_cross_the_ends_of_episodes_and_say_so():
    replay = sequences(length=3)
    windows, known = draw(replay, fill(replay, 10, terminated=(4,), truncated=(7,)), 10)
    row = np.asarray(windows.observation) % 1000
    assert_array_equal(windows.terminated, row == 4)
    assert_array_equal(windows.truncated, row == 7)
    led_to = np.where(row == 7, row + 0.5, row + 1)
    assert_array_equal((windows.next_observation % 1000)[row != 4], led_to[row != 4])
    assert known.all()
    assert windows.terminated[:, 0].any()
    assert windows.terminated[:, 1].any()


def test_extras_are_those_of_the_windows_first_row():
    replay = sequences(length=3)
    memory = replay.init((jnp.zeros(2), jnp.int32(0)))
    for row in range(11):
        number = rows_from(row).action
        extras = (number[..., None] + jnp.array([[[0.25, 0.75]]]), number)
        memory = add(replay, memory, rows_from(row, extras=extras), row)
    windows = draw(replay, memory, 11).transition
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
