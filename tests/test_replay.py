import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_array_equal
from replays import ENVS, NUMBERS, SPEC, add, draw, fill, reprioritize, rows_from
from scipy import stats

from jaxq import checks
from jaxq.replay import (
    PrioritizedReplay,
    SequenceReplay,
    UniformReplay,
    packing,
    reading,
    ring,
    shuffled_minibatches,
)
from jaxq.types import ObservationSpec


@pytest.mark.parametrize("num_rows", [5, 8, 11, 37])
@pytest.mark.parametrize("n_step", [1, 3])
def test_samples_are_uniform_over_what_is_valid(num_rows, n_step):
    replay = UniformReplay(SPEC, num_rows=8, num_envs=ENVS, batch_size=30_000, n_step=n_step)
    sample = draw(replay, fill(replay, num_rows), num_rows)
    oldest = max(0, num_rows - 8)
    valid = [env * 1000 + row for env in range(ENVS) for row in range(oldest, num_rows - n_step + 1)]
    seen, counts = np.unique(sample.s_tm1, return_counts=True)
    assert_array_equal(seen, valid)
    assert stats.chisquare(counts).pvalue > 1e-3
    assert_array_equal(sample.a_tm1, sample.s_tm1.astype(jnp.int32))
    assert_array_equal(sample.weight, np.ones(30_000))


# Below: what n steps see is the same for both replays of single transitions.
both = pytest.mark.parametrize("kind", [UniformReplay, PrioritizedReplay])


@both
@pytest.mark.parametrize("num_rows", [6, 8, 13, 16])
def test_no_sample_reaches_over_the_write_head(kind, num_rows):
    replay = kind(SPEC, num_rows=8, num_envs=ENVS, batch_size=2_000, n_step=3)
    sample = draw(replay, fill(replay, num_rows), num_rows)
    # Three steps on; across the head it would be less.
    assert_array_equal(sample.s_t - sample.s_tm1, np.full(2_000, 3))
    assert_array_equal(sample.r_t, np.full(2_000, 1.75))
    assert_array_equal(sample.discount_t, np.full(2_000, 0.125))


@both
@pytest.mark.parametrize("flag", ["terminated", "truncated"])
def test_samples_stop_at_an_episodes_end(kind, flag):
    replay = kind(SPEC, num_rows=16, num_envs=ENVS, batch_size=2_000, n_step=3)
    sample = draw(replay, fill(replay, 20, **{flag: (10,)}), 20)
    row = np.asarray(sample.s_tm1) % 1000
    inside = (row <= 10) & (row + 2 >= 10)
    steps = np.where(inside, 11 - row, 3)
    assert_array_equal(sample.r_t, 2 - 0.5 ** (steps - 1))
    ends = inside & (flag == "terminated")
    assert_array_equal(sample.discount_t, np.where(ends, 0.0, 0.5**steps))
    # What lies behind a terminal state counts nothing, and is not kept.
    led_to = sample.s_tm1 + steps - 0.5 * inside
    assert_array_equal(sample.s_t[~ends], led_to[~ends])
    assert_array_equal(sample.weight, np.ones(2_000))


@both
@pytest.mark.parametrize("n_step", [1, 3])
def test_the_index_says_where_a_transition_is(kind, n_step):
    replay = kind(SPEC, num_rows=8, num_envs=ENVS, batch_size=500, n_step=n_step)
    memory = fill(replay, 13)
    sample = draw(replay, memory, 13)
    assert sample.index.dtype == jnp.int32
    assert_array_equal(memory.ring.observation.ravel()[sample.index], sample.s_tm1)


@both
@pytest.mark.parametrize("dtype", ["bool", "uint8", "int32", "float32"])
def test_observations_keep_their_type(kind, dtype):
    spec = ObservationSpec((2, 3), jnp.dtype(dtype))
    replay = kind(spec, num_rows=4, num_envs=ENVS, batch_size=5)
    memory = replay.init()
    sample = draw(replay, memory, 4)
    assert sample.s_tm1.dtype == sample.s_t.dtype == dtype
    assert sample.s_t.shape == (5, 2, 3)
    # Six booleans are kept in one byte.
    stored = ((1,), "uint8") if dtype == "bool" else ((2, 3), dtype)
    assert (memory.ring.observation.shape[2:], memory.ring.observation.dtype) == stored


@both
@pytest.mark.parametrize("n_step", [1, 2, 4])
def test_blocks_of_rows_land_where_single_rows_do(kind, n_step):
    replay = kind(SPEC, num_rows=8, num_envs=ENVS, batch_size=1, n_step=n_step)
    jax.tree.map(assert_array_equal, fill(replay, 14, length=1), fill(replay, 14, length=2))


@both
def test_extras_are_kept_beside_each_transition(kind):
    replay = kind(SPEC, num_rows=4, num_envs=ENVS, batch_size=5)
    memory = replay.init({"carry": jax.ShapeDtypeStruct((2,), jnp.float32)})
    assert memory.ring.extras["carry"].shape == (4, ENVS, 2)
    extras = {"carry": jnp.ones((1, ENVS, 2))}
    memory = add(replay, memory, rows_from(2, extras=extras), 2)
    assert_array_equal(memory.ring.extras["carry"].sum((1, 2)), [0, 0, 2 * ENVS, 0])
    assert draw(replay, memory, 3).s_tm1.shape == (5,)


def test_a_uniform_replay_has_nothing_to_reprioritize():
    replay = UniformReplay(SPEC, num_rows=4, num_envs=ENVS, batch_size=5)
    memory = fill(replay, 4)
    sample = draw(replay, memory, 4)
    assert memory.priorities == ()
    assert reprioritize(replay, memory.priorities, sample, jnp.ones(5), NUMBERS) == ()


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: UniformReplay(SPEC, 8, 2, 4, n_step=9), "num_rows must be at least n_step = 9, got 8"),
        (lambda: PrioritizedReplay(SPEC, 8, 2, 4, n_step=9), "num_rows must be at least n_step = 9"),
        (lambda: SequenceReplay(SPEC, 8, 2, 4, length=9), "num_rows must be at least length = 9"),
        (lambda: UniformReplay(SPEC, 8, 0, 4), "num_envs must be at least 1, got 0"),
        (lambda: fill(UniformReplay(SPEC, 8, 2, 4), 3, length=3), "must divide num_rows"),
        (lambda: shuffled_minibatches(jax.random.key(0), jnp.ones((3, 4)), 5), "3 [*] 4 = 12"),
    ],
)
def test_sizes_that_do_not_fit_are_refused(make, said):
    with pytest.raises(checks.InputValueError, match=said):
        make()


def test_a_size_that_is_no_whole_number_is_refused():
    with pytest.raises(checks.InputTypeError, match="batch_size must be a whole number"):
        UniformReplay(SPEC, 8, 2, 4.5)


@pytest.mark.parametrize("num_minibatches", [1, 3, 12])
def test_every_transition_of_a_window_is_in_one_minibatch(num_minibatches):
    rows = rows_from(0, 6, num_envs=2, extras={"advantage": jnp.arange(24.0).reshape(6, 2, 2)})
    batches = shuffled_minibatches(jax.random.key(0), rows, num_minibatches)
    assert batches.observation.shape == (num_minibatches, 12 // num_minibatches)
    assert_array_equal(np.sort(batches.observation, axis=None), np.sort(rows.observation, axis=None))
    # Leaves stay together: the k-th of row t in environment e is 4 t + 2 e + k.
    row, env = batches.observation % 1000, batches.observation // 1000
    assert_array_equal(batches.extras["advantage"][..., 1], 4 * row + 2 * env + 1)
    assert_array_equal(batches.next_observation, batches.observation + 1)


def test_every_order_of_a_window_is_equally_likely():
    keys = jax.random.split(jax.random.key(1), 24_000)
    window = jnp.array([[1, 10], [100, 1000]])
    deal = jax.vmap(shuffled_minibatches, in_axes=(0, None, None))
    orders = deal(keys, window, 2).reshape(-1, 4)
    seen, counts = np.unique(orders, axis=0, return_counts=True)
    assert len(seen) == 24
    assert stats.chisquare(counts).pvalue > 1e-3


@pytest.mark.parametrize(("num_rows", "length"), [(5, 1), (40, 1), (40, 4), (48, 48), (130, 13)])
def test_what_a_step_led_to_is_read_back(num_rows, length):
    """Random episodes around the ring, against a list of all that was ever written."""
    spec = ObservationSpec((), jnp.dtype("float32"))
    random = np.random.default_rng(num_rows)
    memory, history = ring.empty(spec, num_rows, ENVS), []
    add_rows = jax.jit(lambda memory, rows, at: ring.write(spec, memory, rows, at))
    one_step = 1, jnp.float32(0.5)
    read = jax.jit(lambda *places: reading.run_steps(spec, *places, *one_step))
    for at in range(0, 4 * num_rows, length):
        rows = rows_from(at, length)
        terminated, truncated = random.random((2, length, ENVS)) < 0.15
        led_to = rows.observation + jnp.where(terminated | truncated, 0.5, 1.0)
        rows = rows._replace(terminated=terminated, truncated=truncated, next_observation=led_to)
        history.append(jax.device_get(rows))
        memory = add_rows(memory, rows, at)
        check_ring(read, memory, history, at + length)


def check_ring(read, memory, history, written):
    num_rows = memory.reward.shape[0]
    # As many places each time, so that it is one program: all there are, some of them more than once.
    places = np.arange(num_rows * ENVS) % (min(written, num_rows) * ENVS)
    row, env = np.divmod(places, ENVS)
    runs = jax.device_get(read(memory, row, env, jnp.int32(written)))
    steps = jax.tree.map(lambda leaf: leaf[:, 0], runs._replace(weight=(), index=()))
    known = steps.mask
    number = written - 1 - (written - 1 - row) % num_rows
    past = jax.tree.map(
        lambda *leaves: np.concatenate(leaves), *[rows._replace(extras=()) for rows in history]
    )
    truth = jax.tree.map(lambda leaf: leaf[number, env], past)
    cut = truth.truncated & ~truth.terminated
    for name in ("observation", "action", "reward", "terminated"):
        assert_array_equal(getattr(steps, name), getattr(truth, name))
    assert_array_equal(steps.truncated, cut)
    goes_on = known & ~truth.terminated
    assert_array_equal(steps.next_observation[goes_on], truth.next_observation[goes_on])
    # All is known, but for an episode cut off behind another one in its block of rows.
    all_cut = past.truncated & ~past.terminated
    earlier = [all_cut[n - n % ring.BLOCK : n, e].any() for n, e in zip(number, env, strict=True)]
    assert_array_equal(known, ~(cut & earlier) | (number == written - 1))


@pytest.mark.parametrize("kind", [UniformReplay, PrioritizedReplay])
def test_what_is_lost_counts_nothing(kind):
    """Time limits of five steps: of two episodes cut off among sixteen rows, one is known."""
    replay = kind(SPEC, num_rows=40, num_envs=ENVS, batch_size=4_000)
    sample = draw(replay, fill(replay, 40, truncated=tuple(range(4, 40, 5))), 40)
    row = np.asarray(sample.s_tm1) % 1000
    assert_array_equal(sample.weight, np.where(np.isin(row, [9, 14, 24, 29]), 0, 1))
    known = sample.weight > 0
    assert_array_equal((sample.s_t - sample.s_tm1)[known], np.where(row % 5 == 4, 0.5, 1)[known])
    priorities = fill(replay, 40).priorities
    if kind is PrioritizedReplay:
        priorities = reprioritize(replay, priorities, sample, jnp.ones(4_000), NUMBERS)
        mass = priorities.tree.leaves[sample.index]
        assert_array_equal(mass > 0.5, known)


@pytest.mark.parametrize("shape", [(1,), (8,), (3, 3), (10, 10, 4)])
def test_bits_come_back_as_they_were(shape):
    spec = ObservationSpec(shape, jnp.dtype(bool))
    observation = jax.random.bernoulli(jax.random.key(0), shape=(5, 2, *shape))
    stored = packing.pack(spec, observation)
    assert stored.shape == (5, 2, *packing.stored_spec(spec).shape)
    assert stored.nbytes == 10 * -(-observation[0, 0].size // 8)
    assert_array_equal(packing.unpack(spec, stored), observation)
