"""The square-root scale of values, by hand."""

import jax
import jax.numpy as jnp
import numpy as np
from numpy.testing import assert_allclose

from jaxq.learning import RescaledValue, ScalarValue, greedy_bootstrap, rescale, undo_rescale

VALUE = RescaledValue(ScalarValue("squared"))


def test_rescale_by_hand():
    # sqrt(3 + 1) - 1 + 0.003; minus that; sqrt(99 + 1) - 1 + 0.099
    assert_allclose(rescale(jnp.array([3.0, -3.0, 99.0])), [1.003, -1.003, 9.099], rtol=1e-6)


def test_undoing_gives_back_what_was_rescaled():
    x = jnp.array([0.0, 1e-3, -0.5, 1.0, 100.0, -1e4, 1e6])
    assert_allclose(undo_rescale(rescale(x)), x, rtol=2e-6, atol=1e-6)


def test_a_target_by_hand():
    q_t = jnp.array([3.0, 8.0])
    target = VALUE.target(1.0, 0.5, greedy_bootstrap(q_t), rescale(q_t))
    # h(1 + 0.5 * 8) = sqrt(6) - 1 + 0.005
    assert_allclose(target, 1.4544897, rtol=1e-6)
    assert_allclose(VALUE.constant_target(jnp.float32(5.0)), 1.4544897, rtol=1e-6)


def test_a_loss_by_hand():
    output = jnp.array([0.0, 1.003])
    loss = VALUE.loss(output, jnp.int32(1), jnp.float32(1.4544897))
    assert_allclose(loss.loss, (1.4544897 - 1.003) ** 2 / 2, rtol=1e-6)
    assert_allclose(loss.td_error, 5.0 - 3.0, rtol=1e-5)
    assert_allclose(loss.priority, 1.4544897 - 1.003, rtol=1e-6)


def test_gradients_are_finite_everywhere():
    x = jnp.array([-1e4, -1.0, 0.0, 1.0, 1e4])
    for function in (rescale, undo_rescale):
        slopes = jax.vmap(jax.grad(function))(x)
        assert np.isfinite(slopes).all()
