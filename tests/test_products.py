"""Products of layers: the same values and gradients as the plain product."""

import functools

import jax
import jax.numpy as jnp
import optax
import pytest
from numpy.testing import assert_allclose

import jaxq
from jaxq.agents import adam
from jaxq.kernels.norms import global_norm
from jaxq.kernels.products import NARROW, product


@pytest.mark.parametrize(
    ("inputs", "features"), [(4, 1), (40, 2), (40, NARROW), (40, NARROW + 1), (4, NARROW)]
)
@pytest.mark.parametrize("lead", [(), (5,), (3, 5)])
def test_values_and_gradients_are_those_of_the_plain_product(inputs, features, lead):
    keys = jax.random.split(jax.random.key(0), 3)
    x = jax.random.normal(keys[0], (*lead, inputs))
    kernel = jax.random.normal(keys[1], (inputs, features))
    weights = jax.random.normal(keys[2], (*lead, features))

    def total(multiply, x, kernel):
        return jnp.sum(weights * jnp.sin(multiply(x, kernel)))

    for number in (0, 1):
        gradients = [
            jax.jit(jax.grad(lambda *args, f=f: total(f, *args), argnums=number))(x, kernel)
            for f in (product, jnp.matmul)
        ]
        assert_allclose(*gradients, atol=1e-5)
    assert_allclose(product(x, kernel), x @ kernel, atol=1e-6)


def test_agents_may_have_weights_of_their_own():
    keys = jax.random.split(jax.random.key(1), 2)
    x, kernel = jax.random.normal(keys[0], (3, 5, 4)), jax.random.normal(keys[1], (3, 4, 2))
    gradient = jax.vmap(jax.grad(lambda kernel, x: jnp.sum(product(x, kernel) ** 2)))(kernel, x)
    expected = jax.vmap(jax.grad(lambda kernel, x: jnp.sum((x @ kernel) ** 2)))(kernel, x)
    assert_allclose(gradient, expected, atol=1e-4)


def test_the_norm_is_optax_s_own():
    keys = jax.random.split(jax.random.key(0), 3)
    tree = [jax.random.normal(key, shape) for key, shape in zip(keys, [(), (5,), (40, 30)], strict=True)]
    assert_allclose(global_norm(tree), optax.tree.norm(tree), rtol=1e-6)
    assert global_norm(jax.tree.map(jnp.zeros_like, tree)) == 0
    assert jnp.isnan(global_norm([jnp.array([1.0, jnp.nan])]))


@pytest.mark.parametrize("most", [0.5, 1e6])
def test_gradients_are_clipped_as_by_optax(most):
    gradient = {"kernel": jax.random.normal(jax.random.key(0), (7, 3)), "bias": jnp.ones(3)}
    hparams = jaxq.dqn(max_gradient_norm=most, learning_rate=1e-3).hparams
    ours, theirs = adam(hparams), optax.chain(optax.clip_by_global_norm(most), optax.adam(1e-3))
    updates = [optimizer.update(gradient, optimizer.init(gradient))[0] for optimizer in (ours, theirs)]
    jax.tree.map(functools.partial(assert_allclose, rtol=1e-5), *updates)
    states = [jax.tree.structure(optimizer.init(gradient)) for optimizer in (ours, theirs)]
    assert states[0] == states[1]
