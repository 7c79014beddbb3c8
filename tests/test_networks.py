import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import jaxq
from jaxq.checks import InputTypeError, InputValueError
from jaxq.networks import (
    DuelingHead,
    Ensemble,
    Head,
    ImplicitQuantileNetwork,
    LinearHead,
    QNetwork,
    QuantileNetwork,
    RecurrentQNetwork,
    SlicedConv,
    Torso,
    encode,
)
from jaxq.types import ObservationSpec

VECTOR = ObservationSpec((4,), jnp.dtype("float32"))
IMAGE = ObservationSpec((5, 6, 2), jnp.dtype("bool"))


class Own(nn.Module):
    """A user's own network."""

    @nn.compact
    def __call__(self, observation):
        return DuelingHead(3)(nn.tanh(nn.Dense(8)(observation)))


def networks():
    """Make one of every kind of network, over vectors."""
    torso = Torso(VECTOR, (8, 6))
    return {
        "linear": QNetwork(torso, LinearHead(3)),
        "dueling": QNetwork(torso, DuelingHead(3)),
        "categorical": QNetwork(torso, Head(3, outputs=5, dueling=True)),
        "noisy": QNetwork(Torso(VECTOR, (8,), noisy=True), Head(3, dueling=True, noisy=True)),
        "layer norm": QNetwork(Torso(VECTOR, (8,), layer_norm=True), LinearHead(3)),
        "quantiles": QuantileNetwork(torso, Head(3, outputs=5)),
        "implicit quantiles": ImplicitQuantileNetwork(torso, Head(3, dueling=True), 5),
        "ensemble": Ensemble(QNetwork(torso, LinearHead(3)), 2, prior_scale=3.0),
        "recurrent": RecurrentQNetwork(torso, DuelingHead(3), 7),
        "own": Own(),
    }


def call(network, observation):
    """Give what the network is called with, and the part of what it returns that are values."""
    if isinstance(network, RecurrentQNetwork):
        return (jnp.ones((observation.shape[0], network.hidden_size)), observation), lambda out: out[1]
    quantiles = isinstance(network, QuantileNetwork | ImplicitQuantileNetwork)
    return (observation,), (lambda out: out.values) if quantiles else (lambda out: out)


SHAPES = {"categorical": (5, 3, 5), "quantiles": (5, 3, 5), "implicit quantiles": (5, 3, 5)}


@pytest.fixture(scope="module", params=networks())
def case(request):
    network = networks()[request.param]
    arguments, values_of = call(network, jax.random.normal(jax.random.key(9), (5, 4)))
    variables = jax.jit(network.init)(jax.random.key(1), *arguments)
    return request.param, network, variables, arguments, values_of


def test_networks_end_in_values_per_action_and_have_params_only(case):
    name, network, variables, arguments, values_of = case
    values = values_of(network.apply(variables, *arguments))
    assert values.shape == SHAPES.get(name, (2, 5, 3) if name == "ensemble" else (5, 3))
    assert values.dtype == np.float32
    assert set(variables) == {"params"}


def test_networks_of_many_agents_equal_a_loop(case):
    _name, network, variables, arguments, values_of = case
    keys = jax.random.split(jax.random.key(2), 3)
    rngs = {"noise": keys, "quantiles": keys}
    variables = jax.tree.map(lambda leaf: jnp.stack([leaf, -leaf, leaf / 2]) + 0.1, variables)

    @jax.jit
    def run(variables, rngs):
        return values_of(network.apply(variables, *arguments, rngs=rngs))

    vmapped = jax.jit(jax.vmap(run))(variables, rngs)
    for i in range(3):
        single = run(*jax.tree.map(lambda leaf, i=i: leaf[i], (variables, rngs)))
        assert_allclose(vmapped[i], single, atol=1e-5)
    assert not np.allclose(vmapped[0], vmapped[1], atol=1e-3)


def test_no_weight_is_idle(case):
    """Every weight but an ensemble's priors is learned from a batch with noise."""
    _name, network, variables, arguments, values_of = case
    rngs = {"noise": jax.random.key(3), "quantiles": jax.random.key(3)}

    def loss(variables):
        return jnp.sum(jnp.sin(values_of(network.apply(variables, *arguments, rngs=rngs))))

    for path, leaf in jax.tree.leaves_with_path(jax.jit(jax.grad(loss))(variables)):
        assert np.any(leaf != 0) or "priors" in str(path), path


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


def test_a_convolution_needs_an_image_as_large_as_its_kernel():
    with pytest.raises(InputValueError, match="at least 3x3 pixels"):
        SlicedConv(7).init(jax.random.key(0), jnp.zeros((1, 2, 9, 4)))


def test_observations_are_encoded_by_their_kind():
    state = ObservationSpec((), jnp.dtype("int32"), 4)
    assert_array_equal(encode(jnp.array([2]), state), [[0, 0, 1, 0]])
    image = ObservationSpec((1,), jnp.dtype("uint8"))
    assert_allclose(encode(jnp.array([[255], [51]], jnp.uint8), image), [[1.0], [0.2]], rtol=1e-6)
    board = ObservationSpec((1,), jnp.dtype("bool"))
    assert_array_equal(encode(jnp.array([[True]]), board), [[1.0]])
    numbers = ObservationSpec((2,), jnp.dtype("int32"))
    assert_array_equal(encode(jnp.array([[3, -1]]), numbers), [[3.0, -1.0]])


@pytest.mark.parametrize("keywords", [{}, {"layer_norm": True, "noisy": True}])
@pytest.mark.parametrize(
    "spec",
    [
        VECTOR,
        ObservationSpec((10, 5), jnp.dtype("float32")),
        ObservationSpec((10, 10, 7), jnp.dtype("bool")),
        ObservationSpec((2, 2, 3), jnp.dtype("uint8")),
        ObservationSpec((), jnp.dtype("int32"), 16),
    ],
)
def test_the_torso_takes_every_kind_of_observation(spec, keywords):
    torso = Torso(spec, (8, 6), **keywords)
    batch = jnp.zeros((3, *spec.shape), spec.dtype)
    features, _ = jax.eval_shape(torso.init_with_output, jax.random.key(0), batch)
    assert features.shape == (3, 6)
    assert features.dtype == np.float32


def test_without_hidden_layers_the_features_are_the_input():
    observation = jnp.arange(8.0).reshape(2, 4)
    features, variables = Torso(VECTOR, ()).init_with_output(jax.random.key(0), observation)
    assert_array_equal(features, observation)
    assert not variables


def normalized(x):
    return (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-6)


def test_layers_are_normalized_before_their_activation():
    """A torso by hand: each layer's outputs have mean 0 and variance 1 when they reach the ReLU."""
    observation = jax.random.bernoulli(jax.random.key(0), 0.5, (3, *IMAGE.shape))
    torso = Torso(IMAGE, (7,), layer_norm=True)
    features, variables = torso.init_with_output(jax.random.key(1), observation)
    params = jax.tree.map(np.asarray, variables["params"])
    # The convolution has a matrix product's weights, [3 * 3 * 2, 16].
    x = np.asarray(observation, np.float32)
    patches = [x[:, i : i + 3, j : j + 4] for i in range(3) for j in range(3)]
    x = np.concatenate(patches, -1) @ params["SlicedConv_0"]["Dense_0"]["kernel"]
    x = np.maximum(normalized(x), 0).reshape(3, -1)  # over the 16 channels of each pixel
    x = normalized(x @ params["Dense_0"]["kernel"])
    assert_allclose(x.mean(-1), 0, atol=1e-5)
    assert_allclose(x.var(-1), 1, atol=1e-3)
    assert_allclose(features, np.maximum(x, 0), atol=1e-4)


def test_normalized_features_do_not_grow_with_the_input():
    observation = jax.random.normal(jax.random.key(0), (3, 4))
    torso = Torso(VECTOR, (32,), layer_norm=True)
    features, variables = torso.init_with_output(jax.random.key(1), observation)
    assert_allclose(torso.apply(variables, 1000 * observation), features, rtol=1e-3)


def test_a_torso_says_what_it_cannot_take():
    with pytest.raises(InputValueError, match="at least one element"):
        Torso(ObservationSpec((0,), jnp.dtype("float32")), (8,))
    with pytest.raises(InputTypeError, match=r"env\.observation_spec"):
        Torso((4,), (8,))
    with pytest.raises(InputTypeError, match="hidden_sizes must be widths"):
        Torso(VECTOR, 64)
    with pytest.raises(InputValueError, match="hidden_sizes must be at least 1"):
        Torso(VECTOR, (64, 0))
    torso = Torso(VECTOR, (8,))
    for shape in [(4,), (3, 5), (3, 4, 1)]:
        with pytest.raises(InputValueError, match=r"batch of observations \[B, 4\]"):
            torso.init(jax.random.key(0), jnp.zeros(shape))


def test_networks_end_in_one_value_per_action(cartpole):
    for keywords in ({}, {"dueling": True}):
        trainer = jaxq.Trainer(cartpole, jaxq.dqn(**keywords))
        state = trainer.init(jax.random.key(0))
        assert trainer.q_values(state, jnp.zeros(4)).shape == (2,)
        assert trainer.q_values(state, jnp.zeros((3, 5, 4))).shape == (3, 5, 2)
