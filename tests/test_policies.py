import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import stats

from jaxq.learning import (
    action_at,
    boltzmann_probabilities,
    epsilon_greedy,
    greedy_probabilities,
    mix_uniform,
    sample_action,
    scaled_log_probabilities,
    ucb_values,
)
from jaxq.learning.policies import UNTRIED

LN3, LN4 = np.log(3), np.log(4)
BELOW_ONE = [1 - 2**-23, 1 - 2**-24]  # the largest number of jax.random, and of float32


@pytest.mark.parametrize(
    ("q", "probs"),
    [
        ([1.0, 3.0, 2.0], [0, 1, 0]),
        ([-1.0, -3.0, -2.0], [1, 0, 0]),
        ([2.0, 1.0, 2.0], [0.5, 0, 0.5]),
        ([0.0, 0.0, 0.0, 0.0], [0.25] * 4),
        ([5.0], [1]),
    ],
)
def test_greedy_probabilities_share_ties(q, probs):
    assert_array_equal(greedy_probabilities(jnp.array(q)), np.float32(probs))


def test_boltzmann_probabilities():
    q = jnp.array([0.0, LN3])
    assert_allclose(boltzmann_probabilities(q, 1.0), [0.25, 0.75], rtol=1e-6)  # 1 : 3
    assert_allclose(boltzmann_probabilities(q, 0.5), [0.1, 0.9], rtol=1e-6)  # 1 : 3^2
    # Far from zero the difference is what counts, and 4096 / 0.03 would round it off: it is
    # 1/64 / 0.03 = 0.5208333, and 1 / (1 + e^0.5208333) = 0.3726574.
    far = jnp.array([4096.0, 4096 + 1 / 64])
    assert_allclose(boltzmann_probabilities(far, 0.03), [0.3726574, 0.6273426], rtol=1e-5)


def test_boltzmann_probabilities_have_their_limits():
    q = jnp.array([1.0, 3.0, 3.0, -1e9])
    for temperature in (1e-3, 1e-30):
        assert_array_equal(boltzmann_probabilities(q, temperature), greedy_probabilities(q))
    assert_allclose(boltzmann_probabilities(q, 1e20), 0.25, rtol=1e-6)


def test_scaled_log_probabilities():
    q = jnp.array([0.0, LN3])
    assert_allclose(scaled_log_probabilities(q, 1.0), [-LN4, LN3 - LN4], rtol=1e-6)
    # 0.5 * ln(1/10) and 0.5 * ln(9/10)
    assert_allclose(scaled_log_probabilities(q, 0.5), [-1.1512925, -0.0526803], rtol=1e-5)


@pytest.mark.parametrize("temperature", [1e-30, 0.03, 1.0, 1e6])
@pytest.mark.parametrize("shift", [0.0, 4096.0])
def test_scaled_log_probabilities_are_accurate_at_any_temperature(temperature, shift):
    q = np.array([0.0, 0.5, -2.0, -1024.0])
    exact = q - q.max() - temperature * np.log(np.exp((q - q.max()) / temperature).sum())
    got = scaled_log_probabilities(jnp.array(q + shift, jnp.float32), temperature)
    assert_allclose(got, exact, rtol=1e-5, atol=1e-7)


def test_ucb_values():
    # ln(1 + 3 + 1) = 1.609438; 1 + 2 sqrt(1.609438 / 1) and 2 + 2 sqrt(1.609438 / 3)
    values = ucb_values(jnp.array([1.0, 2.0]), jnp.array([1, 3]), 2.0)
    assert_allclose(values, [3.537272, 3.464894], rtol=1e-6)
    assert_array_equal(ucb_values(jnp.array([1.0, 2.0]), jnp.array([1, 3]), 0.0), [1.0, 2.0])


@pytest.mark.parametrize("bonus", [0.0, 2.0])
def test_ucb_tries_everything_once_in_any_order(bonus):
    q = jnp.array([-5.0, 1e6, 3.0])
    fresh = ucb_values(q, jnp.zeros(3), bonus)
    assert_array_equal(fresh, np.float32(UNTRIED))
    some = ucb_values(q, jnp.array([0.0, 7.0, 0.0]), bonus)
    assert np.isfinite(some).all()
    assert_array_equal(greedy_probabilities(some), [0.5, 0.0, 0.5])


def test_ucb_comes_to_try_every_action_again():
    """An action that loses every time is tried about as often as its bound is the highest."""
    counts, q = np.zeros(2), jnp.array([1.0, 0.0])
    choose = jax.jit(lambda counts: jnp.argmax(ucb_values(q, counts, 1.0)))
    for _ in range(200):
        counts[choose(jnp.array(counts, jnp.float32))] += 1
    # The bounds are about equal at the end: 1 + sqrt(ln 200 / n_0) = sqrt(ln 200 / n_1) with
    # n_0 + n_1 = 200 holds for n_1 = 3.94 (0.164 + 1 = 1.164, where sqrt(5.298 / 3.94) = 1.160).
    assert 3 <= counts[1] <= 5


def test_mix_uniform():
    probs = jnp.array([0.0, 1.0, 0.0, 0.0])
    assert_allclose(mix_uniform(probs, 0.2), [0.05, 0.85, 0.05, 0.05], rtol=1e-6)
    assert_array_equal(mix_uniform(probs, 0.0), probs)
    assert_array_equal(mix_uniform(probs, 1.0), [0.25] * 4)


@pytest.mark.parametrize(
    ("uniform", "action"),
    # A number belongs to the action whose stretch begins at it: [0, .25), [.25, .75), [.75, 1).
    [(0.0, 0), (0.2499, 0), (0.25, 2), (0.7499, 2), (0.75, 3), (BELOW_ONE[1], 3)],
)
def test_action_at(uniform, action):
    got = action_at(jnp.float32(uniform), jnp.array([0.25, 0.0, 0.5, 0.25, 0.0]))
    assert got == action
    assert got.dtype == jnp.int32


def test_uniform_numbers_are_shared_out_in_proportion():
    number = 10_000
    probs = np.random.default_rng(0).dirichlet(np.ones(7)).astype(np.float32)
    middles = jnp.array((np.arange(number) + 0.5) / number, jnp.float32)
    actions = jax.vmap(action_at, in_axes=(0, None))(middles, jnp.array(probs))
    # Each action's stretch is an interval, so evenly spaced numbers miss its length by one at most.
    assert_allclose(np.bincount(actions, minlength=7), number * probs, atol=1.01)


def adversarial_probabilities():
    generator = np.random.default_rng(1)
    yield from np.eye(5, dtype=np.float32)
    yield np.float32([0, 1 / 3, 1 / 3, 1 / 3, 0])
    yield np.float32([0.1] * 10 + [0])  # adds up to more than 1 in float32
    yield np.float32([0] + [1 / 49] * 49 + [0])  # and this to less
    yield np.float32([0.5, 0, 0.5 - 2**-24, 0])
    yield np.float32([1e-30, 0, 1, 0, 1e-30, 0])
    for size in (3, 17, 18, 100, 1000):
        for _ in range(3):
            probs = generator.dirichlet(np.full(size, 0.3)) * (generator.uniform(size=size) < 0.5)
            probs[generator.integers(size)] += 0.5
            yield np.float32(probs / probs.sum())


@pytest.mark.parametrize("jit", [False, True])
@pytest.mark.parametrize("probs", list(adversarial_probabilities()), ids=len)
def test_an_action_without_probability_is_never_chosen(probs, jit):
    ends = np.asarray(jnp.cumsum(jnp.array(probs)))
    edges = np.clip(ends / ends.max(), 0, BELOW_ONE[1]).astype(np.float32)
    uniforms = np.concatenate(
        [
            [0, 2**-24, 2**-23, *BELOW_ONE],
            # Where one action ends and the next begins, and the nearest numbers on both sides.
            *(edges, np.nextafter(edges, np.float32(0)), np.nextafter(edges, np.float32(1))),
            np.random.default_rng(2).uniform(size=200),
        ]
    ).astype(np.float32)
    uniforms = uniforms[uniforms < 1]
    choose = jax.vmap(action_at, in_axes=(0, None))
    actions = np.asarray((jax.jit(choose) if jit else choose)(jnp.array(uniforms), jnp.array(probs)))
    assert ((actions >= 0) & (actions < len(probs))).all()
    assert (probs[actions] > 0).all()


def test_sums_of_probabilities_that_fall_are_survived(monkeypatch):
    """Sums by parallel prefixes need not rise; here rounding lifts actions of no probability."""
    probs = jnp.array([0.5, 0.0, 0.5, 0.0])
    for sums in ([0.5, 0.6, 1.0, 1.1], [0.5, 0.4, 1.0, 0.9], [0.5, 0.6, 0.55, 0.9]):
        monkeypatch.setattr(jnp, "cumsum", lambda _, sums=sums: jnp.array(sums))
        for uniform in (0.0, 0.45, 0.5, 0.55, 0.95, *BELOW_ONE):
            assert action_at(jnp.float32(uniform), probs) in (0, 2)


def test_sampled_actions_have_their_probabilities():
    probs = np.array([0.1, 0.0, 0.2, 0.3, 0.4])
    number = 40_000
    keys = jax.random.split(jax.random.key(0), number)
    actions = jax.vmap(sample_action, in_axes=(0, None))(keys, jnp.array(probs, jnp.float32))
    counts = np.bincount(actions, minlength=5)
    assert actions.dtype == jnp.int32
    assert counts[1] == 0
    kept = probs > 0
    # A right sampler falls below this with one key in a thousand, and the key is fixed.
    assert stats.chisquare(counts[kept], number * probs[kept]).pvalue > 1e-3


@pytest.mark.parametrize("epsilon", [0.0, 0.3, 1.0])
def test_epsilon_greedy_has_its_probabilities(epsilon):
    q = jnp.array([0.0, 2.0, 1.0])
    keys = jax.random.split(jax.random.key(0), 30_000)
    actions = jax.vmap(epsilon_greedy, in_axes=(0, None, None))(keys, q, jnp.float32(epsilon))
    frequency = np.bincount(actions, minlength=3) / len(actions)
    expected = epsilon / 3 + (1 - epsilon) * np.array([0, 1, 0])
    assert_allclose(frequency, expected, atol=0.01)  # three standard deviations are 0.0082


def test_a_fresh_table_tries_every_action_without_epsilon():
    keys = jax.random.split(jax.random.key(0), 1000)
    actions = jax.vmap(epsilon_greedy, in_axes=(0, None, None))(keys, jnp.zeros(3), jnp.float32(0))
    assert_allclose(np.bincount(actions, minlength=3) / 1000, 1 / 3, atol=0.045)  # three deviations


def test_shapes_are_checked_when_tracing():
    for function in (
        lambda: greedy_probabilities(jnp.zeros((2, 2))),
        lambda: boltzmann_probabilities(jnp.zeros(2), jnp.ones(2)),
        lambda: ucb_values(jnp.zeros(2), jnp.zeros(3), 1.0),
        lambda: mix_uniform(jnp.zeros(2), jnp.zeros(2)),
        lambda: action_at(jnp.zeros(2), jnp.ones(2)),
    ):
        with pytest.raises(AssertionError):
            function()
