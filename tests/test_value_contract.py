"""What holds for every representation of value."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from jaxq.learning import (
    Bootstrap,
    CategoricalValue,
    Quantiles,
    QuantileValue,
    RescaledValue,
    ScalarValue,
    greedy_bootstrap,
    munchausen_bootstrap,
    quantile_midpoints,
    td_target,
    undo_rescale,
)

FIRST, SECOND = jnp.int32(0), jnp.int32(1)
WIDE = CategoricalValue(101, v_min=-50, v_max=50)
VALUES = [ScalarValue("squared"), WIDE, QuantileValue(), RescaledValue(ScalarValue("squared"))]
NAMES = ["scalar", "categorical", "quantile", "rescaled"]


def random_output(value, generator, num_actions=3):
    """Make an output as a network might give it."""
    width = {CategoricalValue: (101,), QuantileValue: (8,)}.get(type(value), ())
    output = jnp.array(generator.normal(size=(num_actions, *width)), jnp.float32)
    return Quantiles(output, quantile_midpoints(8)) if isinstance(value, QuantileValue) else output


def mean_of(value, target):
    if isinstance(value, CategoricalValue):
        return jnp.sum(target * value.atoms)
    if isinstance(value, RescaledValue):
        return undo_rescale(target)
    return jnp.mean(target)


@pytest.mark.parametrize("value", VALUES, ids=NAMES)
@pytest.mark.parametrize("seed", range(3))
def test_the_mean_of_every_target_is_the_one_formula(value, seed):
    generator = np.random.default_rng(seed)
    output_t = random_output(value, generator)
    bootstrap = Bootstrap(
        jnp.array(generator.dirichlet(np.ones(3)), jnp.float32),
        jnp.array(generator.normal(size=3), jnp.float32),
        jnp.float32(generator.normal()),
    )
    # A discount that keeps all atoms inside the grid.
    target = value.target(1.5, 0.7, bootstrap, output_t)
    formula = td_target(1.5, 0.7, bootstrap, value.q(output_t))
    assert_allclose(mean_of(value, target), formula, rtol=1e-4, atol=1e-4)
    loss = value.loss(output_t, SECOND, target)
    assert_allclose(loss.td_error, formula - value.q(output_t)[1], rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("value", VALUES, ids=NAMES)
def test_gradients_flow_through_the_prediction_only(value):
    generator = np.random.default_rng(0)
    output_tm1, output_t = random_output(value, generator), random_output(value, generator)

    def target_of(output_t, r_t):
        return value.target(r_t, 0.9, greedy_bootstrap(value.q(output_t)), output_t)

    def loss_of(output_tm1, output_t, r_t):
        return value.loss(output_tm1, FIRST, target_of(output_t, r_t)).loss

    def constant_loss(number):
        return value.loss(output_tm1, FIRST, value.constant_target(number)).loss

    gradients = jax.grad(loss_of, argnums=(0, 1, 2))(output_tm1, output_t, 1.0)
    assert any(np.abs(leaf).max() > 0 for leaf in jax.tree.leaves(gradients[0]))
    for leaf in jax.tree.leaves(gradients[1:]):
        assert_array_equal(leaf, 0)
    assert jax.grad(constant_loss)(1.0) == 0


@pytest.mark.parametrize("part", ["td_error", "priority"])
@pytest.mark.parametrize("value", VALUES, ids=NAMES)
def test_no_gradient_flows_through_what_is_only_reported(value, part):
    output, target = random_output(value, np.random.default_rng(0)), value.constant_target(2.0)
    gradient = jax.grad(lambda output: getattr(value.loss(output, FIRST, target), part))(output)
    for leaf in jax.tree.leaves(gradient):
        assert_array_equal(leaf, 0)


@pytest.mark.parametrize("value", VALUES, ids=NAMES)
def test_descent_comes_to_the_target(value):
    """Every representation learns a return of 2.25, which lies between two atoms."""
    output = random_output(value, np.random.default_rng(0), num_actions=2)
    target = value.constant_target(jnp.float32(2.25))
    gradient = jax.grad(lambda output: value.loss(output, SECOND, target).loss)

    def descend(output, _):
        slope = gradient(output)
        if isinstance(output, Quantiles):
            return output._replace(values=output.values - 0.1 * slope.values), None
        return output - 0.1 * slope, None

    last, _ = jax.lax.scan(descend, output, None, length=3000)
    # What is left over of 99 other atoms falls as one over the number of steps.
    assert_allclose(value.q(last)[1], 2.25, atol=0.05)
    assert value.q(last)[0] == value.q(output)[0]


@pytest.mark.parametrize("value", VALUES, ids=NAMES)
def test_vmap_gives_what_a_loop_gives(value):
    generator = np.random.default_rng(0)
    outputs = [random_output(value, generator) for _ in range(4)]
    batch = jax.tree.map(lambda *leaves: jnp.stack(leaves), *outputs)
    rewards, actions = jnp.arange(4.0), jnp.array([0, 1, 2, 0])

    def step(output, r_t, a_tm1):
        target = value.target(r_t, 0.9, greedy_bootstrap(value.q(output)), output)
        return target, value.loss(output, a_tm1, target)

    mapped = jax.jit(jax.vmap(step))(batch, rewards, actions)
    for i, output in enumerate(outputs):
        alone = step(output, rewards[i], actions[i])
        one = jax.tree.map(lambda leaf, i=i: leaf[i], mapped)
        jax.tree.map(lambda x, y: assert_allclose(x, y, rtol=1e-4, atol=1e-5), one, alone)


@pytest.mark.parametrize("value", VALUES, ids=NAMES)
def test_munchausen_fits_every_representation(value):
    output = random_output(value, np.random.default_rng(0))
    q = value.q(output)
    bootstrap = munchausen_bootstrap(q, SECOND, q, 0.5, 0.9, -1.0)
    log_policy = np.asarray(q) / 0.5 - np.log(np.exp(np.asarray(q) / 0.5).sum())
    bonus = 0.9 * max(0.5 * log_policy[1], -1)
    soft = 0.5 * np.log(np.exp(np.asarray(q) / 0.5).sum())
    target = value.target(1.0, 0.7, bootstrap, output)
    assert_allclose(mean_of(value, target), 1 + bonus + 0.7 * soft, rtol=1e-4, atol=1e-4)
