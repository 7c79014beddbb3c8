"""Perceptrons as kernels of GPUs give what their layers do one by one, interpreted here."""

import itertools
import re

import jax
import jax.numpy as jnp
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from jaxq.kernels import dispatch
from jaxq.kernels import perceptron as module
from jaxq.kernels.perceptron import perceptron, perceptron_reference
from jaxq.networks import Head, LinearHead, QNetwork, Torso, q_network
from jaxq.types import ObservationSpec

KEY = jax.random.key(0)
VECTOR = ObservationSpec((4,), jnp.dtype("float32"))


def made(widths, batch, lead=()):
    """Inputs, layers and what comes back from the outputs."""
    keys = iter(jax.random.split(KEY, 2 * len(widths)))

    def normal(*shape):
        return jax.random.normal(next(keys), (*lead, *shape))

    layers = tuple(
        (normal(inputs, outputs) / inputs**0.5, normal(outputs))
        for inputs, outputs in itertools.pairwise(widths)
    )
    return normal(batch, widths[0]), layers, normal(batch, widths[-1])


@pytest.fixture
def on_gpu(monkeypatch):
    """Trace as on a machine with a GPU; what is lowered for the CPU is the reference all the same."""
    monkeypatch.setattr(module, "one_gpu", lambda: True)
    monkeypatch.setattr(q_network, "one_gpu", lambda: True)


def close(found, expected):
    def same(a, b):
        assert_allclose(a, b, rtol=1e-4, atol=1e-5 * max(1, float(jnp.abs(b).max())))

    jax.tree.map(same, found, expected)


@pytest.mark.parametrize(
    ("widths", "batch"),
    [((4, 64, 64, 2), 128), ((4, 64, 64, 2), 10), ((3, 20, 5), 70), ((4, 2), 1), ((17, 16, 16), 200)],
)
@pytest.mark.parametrize("lead", [(), (2,), (2, 1)])
def test_kernels_give_what_layers_do(widths, batch, lead):
    """Widths and batches that fill no tile included, alone and under one `vmap` or two."""
    x, layers, dy = made(widths, batch, lead)

    def mapped(function):
        for _ in lead:
            function = jax.vmap(function)
        return jax.jit(function)

    forward = mapped(lambda x, layers: module._forward_kernel(x, layers, interpret=True))
    close(forward(x, layers), mapped(perceptron_reference)(x, layers))
    backward = mapped(lambda *given: module._backward_kernel(*given, interpret=True))
    close(backward(x, layers, dy), mapped(module._by_layers_reference)(x, layers, dy))


def test_a_step_that_is_not_a_number_is_not_hidden():
    x, layers, _ = made((4, 8, 2), 3)
    out = module._forward_kernel(x.at[1].set(jnp.nan), layers, interpret=True)
    assert_array_equal(jnp.isnan(out).all(axis=-1), [False, True, False])


def gradients(function, x, layers):
    """Of inputs and layers, and the gradient of the gradient's length."""

    def total(x, layers):
        return jnp.sum(jnp.sin(function(x, layers)))

    def length(x, layers):
        return sum(jnp.sum(leaf**2) for leaf in jax.tree.leaves(jax.grad(total, 1)(x, layers)))

    return jax.grad(total, (0, 1))(x, layers), jax.grad(length, (0, 1))(x, layers)


def test_gradients_by_inputs_and_of_gradients(on_gpu):
    x, layers, _ = made((4, 8, 2), 5)
    close(gradients(perceptron, x, layers), gradients(perceptron_reference, x, layers))


def traced(x, layers):
    return str(jax.make_jaxpr(perceptron)(x, layers))


def test_layers_that_do_not_fit_are_worked_out_one_by_one(on_gpu):
    assert "pallas_call" in traced(*made((4, 64, 64, 2), 128)[:2])
    for widths, batch in (((4, 65, 2), 8), ((4, 64, 64, 64, 2), 8), ((4, 8, 2), 257)):
        assert "pallas_call" not in traced(*made(widths, batch)[:2])
    half = jax.tree.map(lambda leaf: leaf.astype(jnp.bfloat16), made((4, 8, 2), 5)[:2])
    assert "pallas_call" not in traced(*half)
    with jax.default_matmul_precision("highest"):
        assert "pallas_call" not in traced(*made((4, 64, 64, 2), 128)[:2])


def test_without_a_gpu_layers_are_worked_out_one_by_one():
    assert not dispatch.one_gpu()
    assert "pallas_call" not in traced(*made((4, 8, 2), 5)[:2])


# Later ones lower it where there is a GPU alone.
@pytest.mark.skipif(jax.__version_info__ >= (0, 11), reason="lowers with a GPU alone")
def test_programs_for_gpus_are_one_kernel_each_way(on_gpu):
    x, layers, _ = made((4, 64, 64, 2), 128, (3,))
    learning = jax.vmap(jax.value_and_grad(lambda layers, x: jnp.sum(perceptron(x, layers))))
    for platform, kernels in (("cuda", 2), ("cpu", 0), ("tpu", 0)):
        program = jax.jit(learning).trace(layers, x).lower(lowering_platforms=(platform,)).as_text()
        assert len(re.findall(r"custom_call @__gpu\$xla.gpu.triton", program)) == kernels


@pytest.mark.parametrize("outputs", [None, 3])
def test_networks_of_plain_layers_are_perceptrons(on_gpu, monkeypatch, outputs):
    network = QNetwork(Torso(VECTOR, (20, 8)), Head(3, outputs))
    x = jax.random.normal(KEY, (7, 4))
    variables = network.init(KEY, x)

    def worked_out():
        def total(variables):
            return jnp.sum(jnp.sin(network.apply(variables, x)))

        return network.apply(variables, x), jax.grad(total)(variables)

    assert "pallas_call" in str(jax.make_jaxpr(network.apply)(variables, x))
    found = worked_out()
    monkeypatch.setattr(q_network, "one_gpu", lambda: False)
    expected = worked_out()
    assert found[0].shape == expected[0].shape
    close(found, expected)


@pytest.mark.parametrize(
    "network",
    [
        QNetwork(Torso(VECTOR, (8,), layer_norm=True), Head(3)),
        QNetwork(Torso(VECTOR, (8,), noisy=True), Head(3)),
        QNetwork(Torso(VECTOR, (8,), dtype=jnp.bfloat16), Head(3)),
        QNetwork(Torso(VECTOR, ()), Head(3)),
        QNetwork(Torso(VECTOR, (8,)), Head(3, dueling=True)),
        QNetwork(Torso(VECTOR, (8,)), Head(3, noisy=True)),
        QNetwork(Torso(VECTOR, (8,)), Head(3, hidden_size=4)),
        QNetwork(Torso(VECTOR, (8,)), LinearHead(3)),
    ],
)
def test_other_networks_are_not(on_gpu, network):
    x = jnp.ones((2, 4))
    variables = network.init(KEY, x)
    assert "pallas_call" not in str(jax.make_jaxpr(network.apply)(variables, x))


def test_shards_take_kernels(on_gpu):
    mesh = jax.make_mesh((1,), ("agents",), (jax.sharding.AxisType.Auto,))
    spec = jax.sharding.PartitionSpec("agents")
    x, layers, _ = made((4, 8, 2), 5, (2,))
    mapped = jax.shard_map(jax.vmap(perceptron), mesh=mesh, in_specs=spec, out_specs=spec)
    close(jax.jit(mapped)(x, layers), jax.vmap(perceptron_reference)(x, layers))
