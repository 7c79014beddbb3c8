import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_array_equal
from scipy import stats

from jaxq.replay import UniformReplay
from jaxq.types import ObservationSpec, Transition

SPEC = ObservationSpec((), jnp.dtype("float32"))
ENVS = 3


def fill(replay, num_rows, terminated=(), truncated=()):
    """Write rows whose observation is their number, each environment a thousand higher."""
    ring = replay.init(SPEC)
    for row in range(num_rows):
        number = jnp.arange(ENVS)[None] * 1000.0 + row
        ended = lambda rows, row=row: jnp.full((1, ENVS), row in rows)  # noqa: E731
        transition = Transition(
            number,
            number.astype(jnp.int32),
            jnp.ones((1, ENVS)),
            ended(terminated),
            ended(truncated),
            number + 0.5,
        )
        ring = replay.add(ring, transition, jnp.int32(row))
    return ring


def draw(replay, ring, num_rows, seed=0, discount=0.5):
    return replay.sample(jax.random.key(seed), ring, jnp.int32(num_rows), jnp.float32(discount))


@pytest.mark.parametrize("num_rows", [5, 8, 11, 37])
@pytest.mark.parametrize("n_step", [1, 3])
def test_samples_are_uniform_over_what_is_valid(num_rows, n_step):
    replay = UniformReplay(num_rows=8, num_envs=ENVS, batch_size=30_000, n_step=n_step)
    sample = draw(replay, fill(replay, num_rows), num_rows)
    oldest = max(0, num_rows - 8)
    valid = [env * 1000 + row for env in range(ENVS) for row in range(oldest, num_rows - n_step + 1)]
    seen, counts = np.unique(sample.s_tm1, return_counts=True)
    assert_array_equal(seen, valid)
    assert stats.chisquare(counts).pvalue > 1e-3
    assert_array_equal(sample.a_tm1, sample.s_tm1.astype(jnp.int32))


@pytest.mark.parametrize("num_rows", [6, 8, 13, 16])
def test_no_sample_reaches_over_the_write_head(num_rows):
    replay = UniformReplay(num_rows=8, num_envs=ENVS, batch_size=2_000, n_step=3)
    sample = draw(replay, fill(replay, num_rows), num_rows)
    # Three steps on, plus the half that marks a next observation; across the head it would be less.
    assert_array_equal(sample.s_t - sample.s_tm1, np.full(2_000, 2.5))
    assert_array_equal(sample.r_t, np.full(2_000, 1.75))
    assert_array_equal(sample.discount_t, np.full(2_000, 0.125))


@pytest.mark.parametrize("flag", ["terminated", "truncated"])
def test_samples_stop_at_an_episodes_end(flag):
    replay = UniformReplay(num_rows=16, num_envs=ENVS, batch_size=2_000, n_step=3)
    sample = draw(replay, fill(replay, 20, **{flag: (10,)}), 20)
    row = np.asarray(sample.s_tm1) % 1000
    steps = np.where((row <= 10) & (row + 2 >= 10), 11 - row, 3)
    assert_array_equal(sample.s_t - sample.s_tm1, steps - 0.5)
    assert_array_equal(sample.r_t, 2 - 0.5 ** (steps - 1))
    ends = flag == "terminated"
    expected = np.where(ends & (row <= 10) & (row + 2 >= 10), 0.0, 0.5**steps)
    assert_array_equal(sample.discount_t, expected)


@pytest.mark.parametrize("dtype", ["bool", "uint8", "int32", "float32"])
def test_observations_keep_their_type(dtype):
    replay = UniformReplay(num_rows=4, num_envs=ENVS, batch_size=5)
    ring = replay.init(ObservationSpec((2, 3), jnp.dtype(dtype)))
    sample = draw(replay, ring, 4)
    assert ring.observation.dtype == sample.s_tm1.dtype == sample.s_t.dtype == dtype
    assert sample.s_t.shape == (5, 2, 3)


def test_blocks_of_rows_land_where_single_rows_do():
    replay = UniformReplay(num_rows=8, num_envs=ENVS, batch_size=1)
    single, block = fill(replay, 14), replay.init(SPEC)
    rows = fill(UniformReplay(num_rows=14, num_envs=ENVS, batch_size=1), 14)
    for begin in range(0, 14, 2):
        part = jax.tree.map(lambda leaf, begin=begin: leaf[begin : begin + 2], rows)
        block = replay.add(block, part, jnp.int32(begin))
    jax.tree.map(assert_array_equal, single, block)
