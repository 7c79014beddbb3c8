import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import jaxq
from jaxq.networks import DuelingHead, SlicedConv, Torso, encode
from jaxq.types import ObservationSpec


def test_the_sliced_convolution_is_a_convolution():
    image = jax.random.normal(jax.random.key(0), (5, 10, 9, 4))
    module = SlicedConv(7)
    variables = module.init(jax.random.key(1), image)
    dense = variables["params"]["Dense_0"]
    expected = jax.lax.conv_general_dilated(
        image,
        dense["kernel"].reshape(3, 3, 4, 7),
        (1, 1),
        "VALID",
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
    ) + dense["bias"].reshape(1, 1, 1, 7)
    assert_allclose(module.apply(variables, image), expected, atol=1e-5)


def test_dueling_advantages_average_to_zero():
    features = jax.random.normal(jax.random.key(0), (6, 8))
    head = DuelingHead(3)
    variables = head.init(jax.random.key(1), features)
    params = variables["params"]
    value = features @ params["Dense_0"]["kernel"]
    advantage = features @ params["Dense_1"]["kernel"]
    expected = value + advantage - advantage.mean(axis=1, keepdims=True)
    assert_allclose(head.apply(variables, features), expected, atol=1e-5)


def test_observations_are_encoded_by_their_kind():
    state = ObservationSpec((), jnp.dtype("int32"), 4)
    assert_array_equal(encode(jnp.array([2]), state), [[0, 0, 1, 0]])
    image = ObservationSpec((1,), jnp.dtype("uint8"))
    assert_allclose(encode(jnp.array([[255], [51]], jnp.uint8), image), [[1.0], [0.2]], rtol=1e-6)
    board = ObservationSpec((1,), jnp.dtype("bool"))
    assert_array_equal(encode(jnp.array([[True]]), board), [[1.0]])
    numbers = ObservationSpec((2,), jnp.dtype("int32"))
    assert_array_equal(encode(jnp.array([[3, -1]]), numbers), [[3.0, -1.0]])


@pytest.mark.parametrize(
    "spec",
    [
        ObservationSpec((4,), jnp.dtype("float32")),
        ObservationSpec((10, 5), jnp.dtype("float32")),
        ObservationSpec((10, 10, 7), jnp.dtype("bool")),
        ObservationSpec((2, 2, 3), jnp.dtype("uint8")),
        ObservationSpec((), jnp.dtype("int32"), 16),
    ],
)
def test_the_torso_takes_every_kind_of_observation(spec):
    torso = Torso(spec, (8, 6))
    features, _ = torso.init_with_output(jax.random.key(0), jnp.zeros((3, *spec.shape), spec.dtype))
    assert features.shape == (3, 6)
    assert features.dtype == np.float32


def test_networks_end_in_one_value_per_action(cartpole):
    for keywords in ({}, {"dueling": True}):
        trainer = jaxq.Trainer(cartpole, jaxq.dqn(**keywords))
        state = trainer.init(jax.random.key(0))
        assert trainer.q_values(state, jnp.zeros(4)).shape == (2,)
        assert trainer.q_values(state, jnp.zeros((3, 5, 4))).shape == (3, 5, 2)
