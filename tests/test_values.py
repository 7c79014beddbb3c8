"""Representations of value: golden numbers worked out by hand."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from jaxq import checks
from jaxq.learning import (
    Bootstrap,
    CategoricalValue,
    Quantiles,
    QuantileValue,
    ScalarValue,
    expected_bootstrap,
    greedy_bootstrap,
    quantile_midpoints,
)

LN2, LN4 = np.log(2), np.log(4)
FIRST, SECOND = jnp.int32(0), jnp.int32(1)
MIXED = Bootstrap(jnp.array([0.5, 0.5]), jnp.array([1.0, 0.0]), jnp.float32(-0.25))
CATEGORICAL = CategoricalValue(3, v_min=0, v_max=2)
# Distributions over 0, 1, 2, with means 0.75 and 1.5.
LOGITS = jnp.log(jnp.array([[0.5, 0.25, 0.25], [0.125, 0.25, 0.625]]))
# Quantiles with means 1 and 2.5.
QUANTILES = Quantiles(jnp.array([[0.0, 2.0], [4.0, 1.0]]), jnp.array([0.25, 0.75]))


@pytest.mark.parametrize(
    ("name", "target", "loss", "td_error", "gradient"),
    [
        # 2 - 4 = -2: linear outside 1, 2 - 1/2; half the square.
        ("huber", 2.0, 1.5, -2.0, 1.0),
        ("squared", 2.0, 2.0, -2.0, 2.0),
        # 4.5 - 4 = 1/2: both half the square.
        ("huber", 4.5, 0.125, 0.5, -0.5),
        ("squared", 4.5, 0.125, 0.5, -0.5),
    ],
)
def test_scalar_loss(name, target, loss, td_error, gradient):
    value, q_tm1 = ScalarValue(name), jnp.array([1.0, 4.0])
    assert value.loss(q_tm1, SECOND, jnp.float32(target)) == (loss, td_error, abs(td_error))
    slope = jax.grad(lambda q: value.loss(q, SECOND, jnp.float32(target)).loss)(q_tm1)
    assert_array_equal(slope, [0.0, gradient])


def test_scalar_target():
    value, q_t = ScalarValue(), jnp.array([0.75, 1.5])
    assert_array_equal(value.q(q_t), q_t)
    assert value.target(0.5, 0.5, greedy_bootstrap(q_t), q_t) == 1.25  # 0.5 + 1.5 / 2
    # 0.5 - 0.25 + 0.5 * (0.5 * (0.75 + 1) + 0.5 * 1.5)
    assert value.target(0.5, 0.5, MIXED, q_t) == 1.0625
    assert value.constant_target(3.0) == 3.0


def test_categorical_expected_values():
    assert_allclose(CATEGORICAL.atoms, [0.0, 1.0, 2.0])
    assert_allclose(CATEGORICAL.q(LOGITS), [0.75, 1.5], rtol=1e-6)
    # Logits count up to a constant.
    assert_allclose(CATEGORICAL.q(LOGITS + jnp.array([[7.0], [-9.0]])), [0.75, 1.5], rtol=1e-5)


@pytest.mark.parametrize(
    ("r_t", "discount_t", "bootstrap", "target"),
    [
        # Action 1; its atoms come to 0.5, 1, 1.5, so 1/8 and 5/8 are halved to both sides.
        (0.5, 0.5, greedy_bootstrap(jnp.array([0.75, 1.5])), [0.0625, 0.625, 0.3125]),
        # (5/16, 1/4, 7/16) on atoms 0.5 - 0.25 + 0.5 * (z + 0.5), which are 0.5, 1, 1.5 again.
        (0.5, 0.5, MIXED, [0.15625, 0.625, 0.21875]),
        # Beyond the ends.
        (5.0, 0.0, MIXED, [0.0, 0.0, 1.0]),
        (-5.0, 0.5, MIXED, [1.0, 0.0, 0.0]),
        # Atoms at -1, 0, 1, and at 1, 2, 3.
        (-1.0, 1.0, expected_bootstrap(jnp.array([1.0, 0.0])), [0.75, 0.25, 0.0]),
        (1.0, 1.0, expected_bootstrap(jnp.array([1.0, 0.0])), [0.0, 0.5, 0.5]),
    ],
)
def test_categorical_target(r_t, discount_t, bootstrap, target):
    result = CATEGORICAL.target(r_t, discount_t, bootstrap, LOGITS)
    assert_allclose(result, target, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize(
    ("number", "target"),
    [(0.25, [0.75, 0.25, 0]), (1.0, [0, 1, 0]), (7.0, [0, 0, 1]), (-7.0, [1, 0, 0])],
)
def test_categorical_target_of_a_number(number, target):
    assert_allclose(CATEGORICAL.constant_target(jnp.float32(number)), target, rtol=1e-6)


def test_categorical_loss():
    target = jnp.array([0.0, 0.5, 0.5])
    loss = CATEGORICAL.loss(LOGITS, FIRST, target)
    assert_allclose(loss.loss, LN4, rtol=1e-6)  # -0.5 ln(1/4) - 0.5 ln(1/4)
    assert_allclose(loss.priority, LN2, rtol=1e-6)  # less the target's entropy, ln 2
    assert_allclose(loss.td_error, 0.75, rtol=1e-6)  # 1.5 - 0.75
    # -0.5 ln(2/8) - 0.5 ln(5/8) = 0.6931472 + 0.2350018; 1.5 - 1.5
    other = CATEGORICAL.loss(LOGITS, SECOND, target)
    assert_allclose(other.loss, 0.9281490, rtol=1e-6)
    assert_allclose(other.td_error, 0.0, atol=1e-6)


def test_gradient_of_the_categorical_loss_is_prediction_minus_target():
    target = jnp.array([0.0, 0.5, 0.5])
    gradient = jax.grad(lambda logits: CATEGORICAL.loss(logits, FIRST, target).loss)(LOGITS)
    assert_allclose(gradient, [[0.5, -0.25, -0.25], [0, 0, 0]], rtol=1e-6, atol=1e-7)


def test_a_categorical_prediction_that_is_right_has_no_priority():
    generator = np.random.default_rng(0)
    value = CategoricalValue(51, v_min=-10, v_max=10)
    targets = jnp.array(generator.dirichlet(np.ones(51), 200), jnp.float32)
    losses = jax.vmap(value.loss, in_axes=(0, None, 0))(jnp.log(targets)[:, None], FIRST, targets)
    assert (losses.priority >= 0).all()
    assert_allclose(losses.priority, 0, atol=2e-6)
    assert_allclose(losses.td_error, 0, atol=2e-5)


def test_quantile_expected_values_and_target():
    value = QuantileValue()
    assert_array_equal(value.q(QUANTILES), [1.0, 2.5])
    # Action 1: 1 + (4, 1) / 2
    greedy = value.target(1.0, 0.5, greedy_bootstrap(value.q(QUANTILES)), QUANTILES)
    assert_array_equal(greedy, [3.0, 1.5])
    # 1 + 2 + 0.5 * (((0, 2) + 1) / 2 + ((4, 1) - 1) / 2) = 3 + (2, 1.5) / 2
    bootstrap = Bootstrap(jnp.array([0.5, 0.5]), jnp.array([1.0, -1.0]), jnp.float32(2.0))
    assert_array_equal(value.target(1.0, 0.5, bootstrap, QUANTILES), [4.0, 3.75])
    assert_array_equal(value.constant_target(jnp.float32(3.0)), [3.0])


def test_a_tie_averages_quantiles_level_by_level():
    output = Quantiles(jnp.array([[0.0, 4.0], [1.0, 3.0]]), quantile_midpoints(2))
    value = QuantileValue()
    target = value.target(0.0, 1.0, greedy_bootstrap(value.q(output)), output)
    assert_array_equal(target, [0.5, 3.5])


def test_quantile_loss():
    # First quantile 0, weights 1/4: u = 1, 2, Huber 1/2, 3/2: (1/8 + 3/8) / 2 = 1/4.
    # Second quantile 2: u = -1, 0, weights |3/4 - 1|, 3/4, Huber 1/2, 0: (1/8 + 0) / 2 = 1/16.
    loss = QuantileValue(kappa=1).loss(QUANTILES, FIRST, jnp.array([1.0, 2.0]))
    assert_allclose(loss, (0.3125, 0.5, 0.5), rtol=1e-6)  # 1.5 - (0 + 2) / 2
    # Without the smooth part: (1/4 + 2/4) / 2 + (1/4 + 0) / 2
    plain = QuantileValue(kappa=0).loss(QUANTILES, FIRST, jnp.array([1.0, 2.0]))
    assert_allclose(plain.loss, 0.5, rtol=1e-6)
    # Against a number: u = -1, -3 with weights 3/4, 1/4 and Huber 1/2, 5/2.
    number = QuantileValue().loss(QUANTILES, FIRST, QuantileValue().constant_target(-1.0))
    assert_allclose(number, (1.0, -2.0, 2.0), rtol=1e-6)


def test_gradient_of_the_quantile_value():
    def loss(values):
        return QuantileValue().loss(QUANTILES._replace(values=values), FIRST, jnp.array([1.0, 2.0])).loss

    # -(1/4 + 1/4) / 2 up, 1/4 * 1 / 2 down; the action not taken stays.
    gradient = jax.grad(loss)(QUANTILES.values)
    assert_allclose(gradient, [[-0.25, 0.125], [0, 0]], rtol=1e-6)


def test_values_are_static_configuration():
    assert CategoricalValue(3, 0, 2) == CATEGORICAL
    assert hash(CategoricalValue(3, 0.0, np.float32(2))) == hash(CATEGORICAL)
    assert CategoricalValue(3, 0, 3) != CATEGORICAL
    assert QuantileValue(1) == QuantileValue()


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: ScalarValue("hubber"), checks.InputValueError, "did you mean huber"),
        (lambda: CategoricalValue(1, 0, 1), checks.InputValueError, "num_atoms must be at least 2"),
        (lambda: CategoricalValue(51, 10, -10), checks.InputValueError, "got v_min=10, v_max=-10"),
        (lambda: CategoricalValue(51, 1, 1), checks.InputValueError, "leave room for 51 atoms"),
        (lambda: CategoricalValue(51, 1e8, 1e8 + 64), checks.InputValueError, "in float32"),
        (lambda: CategoricalValue(2, -2e38, 1e38), checks.InputValueError, "in float32"),
        (lambda: CategoricalValue(51, 0, np.inf), checks.InputValueError, "v_max must be"),
        (lambda: CategoricalValue(51, "0", 1), checks.InputTypeError, "v_min must be a plain number"),
        (lambda: CategoricalValue(51, 0, jnp.ones(())), checks.InputTypeError, "plain number"),
        (lambda: QuantileValue(-1), checks.InputValueError, "kappa must be"),
        (lambda: QuantileValue(True), checks.InputTypeError, "kappa must be"),
    ],
)
def test_settings_are_checked(make, error, message):
    with pytest.raises(error, match=message):
        make()


def test_shapes_are_checked_when_tracing():
    for function in (
        lambda: ScalarValue().q(jnp.zeros((2, 2))),
        lambda: CATEGORICAL.q(jnp.zeros((2, 4))),
        lambda: CATEGORICAL.target(0.0, 1.0, MIXED, jnp.zeros(3)),
        lambda: CATEGORICAL.loss(jnp.zeros((2, 4)), FIRST, jnp.zeros(3)),
        lambda: QuantileValue().q(Quantiles(jnp.zeros(2), jnp.zeros(2))),
        lambda: QuantileValue().loss(QUANTILES._replace(taus=jnp.zeros(3)), FIRST, jnp.zeros(2)),
    ):
        with pytest.raises(AssertionError):
            function()


SYMLOG = CategoricalValue(51, -1000, 1000, "symlog")


def test_symlog_atoms_are_dense_near_zero_and_reach_far():
    atoms = np.asarray(SYMLOG.atoms)
    assert_allclose(np.log1p(atoms[26:]), np.log(1001) * np.arange(1, 26) / 25, rtol=1e-5)
    assert_allclose(atoms, -atoms[::-1], rtol=1e-6, atol=1e-6)
    assert_allclose(atoms[25], 0, atol=1e-6)
    assert np.sum(np.abs(atoms) < 1) == 5


@pytest.mark.parametrize("number", [-999.0, -1.0, 0.0, 0.3, 1.1, 87.5, 640.0])
def test_symlog_projection_keeps_the_mean_of_returns_of_any_size(number):
    target = SYMLOG.constant_target(jnp.float32(number))
    assert_allclose(target.sum(), 1, atol=1e-5)
    assert_allclose(target @ SYMLOG.atoms, number, rtol=1e-4, atol=1e-5)


def test_a_fresh_symlog_network_is_worth_about_nothing():
    noise = 0.5 * jax.random.normal(jax.random.key(0), (64, 51))
    assert_allclose(SYMLOG.q(jnp.zeros((1, 51))), 0, atol=1e-4)
    assert jnp.abs(SYMLOG.q(noise)).max() < 2
    assert jnp.abs(CategoricalValue(51, -1000, 1000).q(noise)).max() > 50


def test_symlog_loss_is_least_where_the_prediction_is_the_target():
    output = jax.random.normal(jax.random.key(1), (2, 51))
    target = SYMLOG.probs(output)[1]
    loss = SYMLOG.loss(output, jnp.int32(1), target)
    assert_allclose(loss.priority, 0, atol=1e-5)
    gradient = jax.grad(lambda x: SYMLOG.loss(x, jnp.int32(1), target).loss)(output)
    assert_allclose(gradient, 0, atol=1e-6)
