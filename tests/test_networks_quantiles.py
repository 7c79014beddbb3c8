"""Networks whose values are quantiles."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from jaxq.checks import InputValueError
from jaxq.kernels.cosines import cosines
from jaxq.networks import Head, ImplicitQuantileNetwork, LinearHead, QuantileNetwork, Torso
from jaxq.types import ObservationSpec

VECTOR = ObservationSpec((4,), jnp.dtype("float32"))
TORSO = Torso(VECTOR, (8,))
OBSERVATION = jax.random.normal(jax.random.key(0), (5, 4))


def test_fixed_quantiles_have_midpoints():
    network = QuantileNetwork(TORSO, Head(3, outputs=4))
    quantiles, _ = network.init_with_output(jax.random.key(1), OBSERVATION)
    assert quantiles.values.shape == (5, 3, 4)
    # (i + 1/2) / 4, the same for each element of the batch.
    assert_allclose(quantiles.taus, [[0.125, 0.375, 0.625, 0.875]] * 5)


def test_implicit_quantiles_by_hand():
    """One feature, two cosines, two midpoints, one hidden unit: every weight is chosen."""
    spec = ObservationSpec((1,), jnp.dtype("float32"))
    head = Head(2, hidden_size=1)
    network = ImplicitQuantileNetwork(Torso(spec, ()), head, num_quantiles=2, num_cosines=2)
    params = {
        "embedding": {"kernel": jnp.array([[1.0], [2.0]]), "bias": jnp.array([-0.5])},
        "head": {
            "action_values_hidden": {"kernel": jnp.array([[-2.0]]), "bias": jnp.array([3.0])},
            "action_values": {"kernel": jnp.array([[2.0, 1.0]]), "bias": jnp.array([1.0, 0.0])},
        },
    }
    quantiles = network.apply({"params": params}, jnp.array([[0.5], [3.0]]))
    assert_allclose(quantiles.taus, [[0.25, 0.75]] * 2)
    # phi(1/4) = relu(cos(0) + 2 cos(pi / 4) - 1/2) = 1/2 + sqrt(2) = 1.914214
    # phi(3/4) = relu(1 + 2 cos(3 pi / 4) - 1/2) = relu(1/2 - sqrt(2)) = 0
    # x phi = 0.957107 and 0 for x = 1/2, 5.742641 and 0 for x = 3;
    # h = relu(3 - 2 x phi) = 1.085786 and 3; relu(-8.485281) = 0 and 3; actions 2 h + 1 and h.
    expected = [[[3.171573, 7.0], [1.085786, 3.0]], [[1.0, 7.0], [0.0, 3.0]]]
    assert_allclose(quantiles.values, expected, rtol=1e-6, atol=1e-6)


def test_fractions_are_midpoints_without_the_rng_stream():
    network = ImplicitQuantileNetwork(TORSO, LinearHead(3), num_quantiles=4)
    variables = network.init(jax.random.key(1), OBSERVATION)
    first, again = (network.apply(variables, OBSERVATION) for _ in range(2))
    assert_allclose(first.taus, [[0.125, 0.375, 0.625, 0.875]] * 5)
    assert first.values.shape == (5, 3, 4)
    assert_array_equal(first.values, again.values)


def test_fractions_are_drawn_for_each_element_of_the_batch():
    network = ImplicitQuantileNetwork(TORSO, LinearHead(3), num_quantiles=1000)
    variables = network.init(jax.random.key(1), OBSERVATION)
    taus = network.apply(variables, OBSERVATION, rngs={"quantiles": jax.random.key(2)}).taus
    assert taus.shape == (5, 1000)
    assert len(np.unique(taus)) > 4990
    assert np.all((taus >= 0) & (taus < 1))
    # The largest gap between 5,000 uniform numbers' distribution and the straight line is 0.02 at most
    # in 97 of 100 cases (Kolmogorov and Smirnov: 1.41 / sqrt(5000)).
    assert np.abs(np.sort(taus.ravel()) - np.arange(5000) / 5000).max() < 0.02
    other = network.apply(variables, OBSERVATION, rngs={"quantiles": jax.random.key(3)}).taus
    assert not np.array_equal(taus, other)


def test_an_implicit_quantile_depends_on_its_own_fraction_only():
    """Every element and fraction, one at a time, gives what the whole batch gives."""
    network = ImplicitQuantileNetwork(TORSO, LinearHead(3), num_quantiles=4, num_cosines=16)
    variables = network.init(jax.random.key(1), OBSERVATION)
    quantiles = network.apply(variables, OBSERVATION, rngs={"quantiles": jax.random.key(2)})
    params = variables["params"]
    features = TORSO.apply({"params": params["torso"]}, OBSERVATION)
    for b in range(5):
        for n in range(4):
            cosines = np.cos(np.pi * np.arange(16) * float(quantiles.taus[b, n]))
            phi = np.maximum(cosines @ params["embedding"]["kernel"] + params["embedding"]["bias"], 0)
            q = LinearHead(3).apply({"params": params["head"]}, (features[b] * phi)[None])[0]
            assert_allclose(quantiles.values[b, :, n], q, atol=1e-5)


def test_cosines():
    taus = np.linspace(0, 1, 2001, dtype=np.float32)
    expected = np.cos(np.pi * np.outer(taus.astype(np.float64), np.arange(64)))
    found = cosines(jnp.asarray(taus), 64)
    # float32 knows pi * 63 * tau to about 1e-5, and pi * 7 * tau to about 1e-6.
    assert_allclose(found, expected, atol=1.5e-5)
    assert_allclose(found[:, :8], expected[:, :8], atol=2e-6)


def test_the_weights_do_not_depend_on_the_number_of_quantiles():
    network = ImplicitQuantileNetwork(TORSO, LinearHead(3), num_quantiles=4)
    variables = network.init(jax.random.key(1), OBSERVATION)
    many = network.clone(num_quantiles=12).apply(variables, OBSERVATION)
    few = network.apply(variables, OBSERVATION)
    # The midpoints of quarters are every third of the midpoints of twelfths.
    assert_allclose(many.taus[:, 1::3], few.taus, rtol=1e-6)
    assert_allclose(many.values[:, :, 1::3], few.values, atol=1e-5)


def test_quantile_networks_say_what_they_cannot_take():
    class Flat(nn.Module):
        @nn.compact
        def __call__(self, observation):
            return observation[:, None]

    cases = [
        (QuantileNetwork(TORSO, LinearHead(3)), "outputs=200"),
        (ImplicitQuantileNetwork(TORSO, Head(3, outputs=2), 4), "one number per action"),
        (ImplicitQuantileNetwork(Flat(), Head(3), 4), "the torso must give features"),
    ]
    for network, message in cases:
        with pytest.raises(InputValueError, match=message):
            network.init(jax.random.key(0), OBSERVATION)
    with pytest.raises(InputValueError, match="num_quantiles must be at least 1"):
        ImplicitQuantileNetwork(TORSO, LinearHead(3), 0)
    with pytest.raises(InputValueError, match="num_cosines must be at least 1"):
        ImplicitQuantileNetwork(TORSO, LinearHead(3), 4, 0)
