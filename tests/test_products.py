"""Products of layers: the same values and gradients as the plain product."""

import jax
import jax.numpy as jnp
import pytest
from numpy.testing import assert_allclose

from jaxq.networks.products import NARROW, product


@pytest.mark.parametrize("features", [1, 2, NARROW - 1, NARROW])
@pytest.mark.parametrize("lead", [(), (5,), (3, 5)])
def test_values_and_gradients_are_those_of_the_plain_product(features, lead):
    keys = jax.random.split(jax.random.key(0), 3)
    x = jax.random.normal(keys[0], (*lead, 4))
    kernel = jax.random.normal(keys[1], (4, features))
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
