"""Kernels give what their references say, whichever backend a program is lowered for."""

import functools
import importlib
import pkgutil
import re
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import stats

import jaxq.kernels
from jaxq.kernels import argmax as argmax_module
from jaxq.kernels import products
from jaxq.kernels.argmax import argmax, argmax_reference
from jaxq.kernels.bits import unpack_bits, unpack_bits_reference
from jaxq.kernels.convolution import patches, patches_reference
from jaxq.kernels.cosines import cosines, cosines_reference
from jaxq.kernels.dispatch import on_cpu
from jaxq.kernels.materialized import materialized, materialized_reference
from jaxq.kernels.norms import global_norm, global_norm_reference
from jaxq.kernels.products import product, product_reference
from jaxq.kernels.random_index import random_index, random_index_reference

KEY = jax.random.key(0)


def public():
    """Every public function of every module of kernels, the dispatch left out."""
    for module in pkgutil.iter_modules(jaxq.kernels.__path__):
        loaded = importlib.import_module(f"jaxq.kernels.{module.name}")
        for name, value in vars(loaded).items():
            own = getattr(value, "__module__", None) == loaded.__name__
            if own and callable(value) and not name.startswith("_") and module.name != "dispatch":
                yield loaded, name


def test_every_kernel_has_a_reference_and_is_measured(monkeypatch):
    monkeypatch.syspath_prepend(Path(__file__).parents[1] / "benchmarks")
    benchmark = importlib.import_module("kernel_speed")
    kernels = {name for _, name in public() if not name.endswith("_reference")}
    assert kernels >= {"product", "global_norm", "cosines", "unrolled_threefry", "patches"}
    for module, name in public():
        # A product in flax's own calling form is the same kernel.
        if not name.endswith("_reference") and name != "dense_product":
            assert hasattr(module, f"{name}_reference"), name
            assert name in benchmark.CASES, name


def both(kernel, reference, *arguments):
    """What the two give, alone and for three agents side by side."""
    many = [jnp.stack([argument] * 3) for argument in arguments]
    for function in (lambda f: jax.jit(f)(*arguments), lambda f: jax.jit(jax.vmap(f))(*many)):
        yield function(kernel), function(reference)


@pytest.mark.parametrize("lead", [(), (1,), (5, 3)])
@pytest.mark.parametrize("count", [1, 7, 8, 9, 400])
def test_bits(lead, count):
    packed = jax.random.bits(KEY, (*lead, -(-count // 8)), "uint8")
    kernel, reference = (lambda x, f=f: f(x, count) for f in (unpack_bits, unpack_bits_reference))
    for found, expected in both(kernel, reference, packed):
        assert found.dtype == bool
        assert_array_equal(found, expected)


def test_the_bits_of_every_byte():
    every = np.arange(256, dtype=np.uint8)[:, None]
    assert_array_equal(unpack_bits(jnp.asarray(every), 8), np.unpackbits(every, axis=-1))


@pytest.mark.parametrize("shape", [(), (1,), (5, 3)])
@pytest.mark.parametrize("count", [1, 7, 64])
def test_cosines(shape, count):
    taus = jax.random.uniform(KEY, shape)
    for found, expected in both(
        lambda x: cosines(x, count), lambda x: cosines_reference(x, count), taus
    ):
        assert_allclose(found, expected, atol=2e-5)


@pytest.mark.parametrize("shapes", [[()], [(1,)], [(7, 3), (3,)], [(120, 84), (84,), (84, 2)]])
@pytest.mark.parametrize("scale", [0.0, 1.0, 1e15])
def test_norms(shapes, scale):
    tree = [scale * jax.random.normal(KEY, shape) for shape in shapes]
    found, expected = jax.jit(global_norm)(tree), global_norm_reference(tree)
    assert_allclose(found, expected, rtol=1e-5)


@pytest.mark.parametrize(("height", "width", "size"), [(3, 3, 3), (10, 7, 3), (5, 5, 1), (6, 4, 4)])
def test_patches(height, width, size):
    image = jax.random.normal(KEY, (2, height, width, 3))
    kernel, reference = (lambda x, f=f: f(x, size) for f in (patches, patches_reference))
    for found, expected in both(kernel, reference, image):
        assert_allclose(found, expected, rtol=1e-6)


@pytest.mark.parametrize("shape", [(), (1,), (64, 3)])
def test_materialized(shape):
    x = jax.random.normal(KEY, shape)
    for found, expected in both(materialized, materialized_reference, x):
        assert_array_equal(found, expected)


@pytest.mark.parametrize(("inputs", "features", "rows"), [(1, 1, 1), (40, 2, 5), (4, 33, 7)])
def test_products_and_their_gradients(inputs, features, rows):
    keys = jax.random.split(KEY, 2)
    x, kernel = (
        jax.random.normal(keys[0], (rows, inputs)),
        jax.random.normal(keys[1], (inputs, features)),
    )

    def gradients(multiply):
        return jax.grad(lambda x, kernel: jnp.sum(multiply(x, kernel) ** 2), argnums=(0, 1))

    for found, expected in both(gradients(product), gradients(product_reference), x, kernel):
        jax.tree.map(lambda a, b: assert_allclose(a, b, rtol=1e-4, atol=1e-4), found, expected)


@pytest.mark.parametrize(
    "values", [[1.0], [1.0, 2.0], [2.0, 2.0, 1.0], [1.0, np.nan, np.nan], [np.nan, 3.0], [-np.inf] * 3]
)
def test_places_of_largest_values(values):
    """For GPUs too, whose branch any machine can work out."""
    for found, expected in both(argmax_module._compared, argmax_reference, jnp.array(values)):
        assert found.dtype == expected.dtype
        assert_array_equal(found, expected)
    for found, expected in both(argmax, argmax_reference, jnp.array(values)):
        assert_array_equal(found, expected)


@pytest.mark.parametrize(("inputs", "features", "rows"), [(1, 1, 1), (40, 2, 5), (8, 8, 3)])
def test_gradients_by_the_inputs_of_few_outputs(inputs, features, rows):
    """As GPUs are given them."""
    keys = jax.random.split(KEY, 2)
    kernel = jax.random.normal(keys[0], (inputs, features))
    dy = jax.random.normal(keys[1], (2, rows, features))
    found = jax.jit(products._by_x_of_few_outputs)(dy, kernel)
    assert_allclose(found, dy @ kernel.T, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("bound", [1, 7, 2**16, 10**6, 2**31 - 1])
def test_draws_are_the_upper_word_of_bits_times_bound(bound):
    drawn = random_index(KEY, 20_000, jnp.int32(bound))
    bits = np.asarray(jax.random.bits(KEY, (20_000,)), np.uint64)
    assert_array_equal(drawn, bits * np.uint64(bound) >> np.uint64(32))
    assert 0 <= drawn.min() <= drawn.max() < bound


@pytest.mark.parametrize("bound", [1, 7, 1_000])
def test_random_indices(bound):
    """Other numbers, of the same distribution."""
    drawn = [f(KEY, 20_000, jnp.int32(bound)) for f in (random_index, random_index_reference)]
    for numbers in drawn:
        assert numbers.dtype == jnp.int32
        counts = np.bincount(numbers, minlength=bound)
        assert len(counts) == bound
        assert bound == 1 or stats.chisquare(counts).pvalue > 1e-4


def _image(x):
    return x.reshape(1, 4, 3, 1)


def _layers(x):
    return [(jnp.sin(x[:8]).reshape(4, 2), x[:2]), (jnp.cos(x[:6]).reshape(2, 3), x[:3])]


CALLS = {
    "perceptron": (lambda f, x: f(x.reshape(3, 4), _layers(x)), True),
    "argmax": (lambda f, x: f(x[:5]), False),
    "product": (lambda f, x: f(x.reshape(4, 3), jnp.sin(x).reshape(3, 4)), True),
    "global_norm": (lambda f, x: f([x[:5], {"b": x[5:].reshape(7, 1)}]), True),
    "materialized": (lambda f, x: f(x), True),
    "cosines": (lambda f, x: f(jnp.abs(x) % 1, 5), True),
    "patches": (lambda f, x: f(_image(x), 2), True),
    "unpack_bits": (lambda f, x: f(x.astype(jnp.uint8), 91), False),
    "random_index": (lambda f, x: f(KEY, 4, 1 + jnp.int32(x[0] > 9)), False),
    "unrolled_threefry": (lambda f, x: jax.random.bits(f(KEY), (3,)) ^ (x[0] > 9), False),
}
"""Each kernel, or its reference, of twelve numbers; and whether gradients flow through it."""


def pair(name):
    for module, found in public():
        if found == name:
            call, _ = CALLS[name]
            kernel, reference = getattr(module, name), getattr(module, f"{name}_reference")
            return functools.partial(call, kernel), functools.partial(call, reference)
    raise AssertionError(name)


def test_every_kernel_is_called_below():
    kernels = {name for _, name in public() if not name.endswith("_reference")}
    assert set(CALLS) == kernels - {"dense_product"}


X = jax.random.normal(KEY, (12,))


@pytest.mark.parametrize("name", [name for name, (_, flows) in CALLS.items() if flows])
@pytest.mark.parametrize("scale", [1.0, 1e-3, 1e4])
def test_gradients_are_those_of_the_reference(name, scale):
    def gradient(function):
        def total(x):
            y = function(x)
            return jnp.sum(y * jnp.cos(jnp.arange(y.size)).reshape(y.shape))

        return jax.grad(total)

    kernel, reference = (gradient(function) for function in pair(name))
    for found, expected in both(kernel, reference, scale * X):
        assert_allclose(found, expected, rtol=1e-4, atol=1e-4 * max(1, jnp.abs(expected).max()))


@pytest.mark.parametrize("name", [name for name in CALLS if name != "random_index"])
def test_scans_and_shards_give_what_the_reference_gives(name):
    mesh = jax.make_mesh((1,), ("agents",), (jax.sharding.AxisType.Auto,))
    spec = jax.sharding.PartitionSpec("agents")
    many = jnp.stack([X, 2 * X, 0 * X])

    def scanned(function):
        return jax.lax.scan(lambda carry, x: (carry, function(x)), 0, many)[1]

    def sharded(function):
        whole = jax.shard_map(jax.vmap(function), mesh=mesh, in_specs=spec, out_specs=spec)
        return jax.jit(whole)(many)

    kernel, reference = pair(name)
    for way in (scanned, sharded):
        assert_allclose(way(kernel), way(reference), rtol=1e-5, atol=2e-5)


EVERYWHERE = {
    "argmax",
    "materialized",
    "patches",
    "perceptron",
    "product",
    "random_index",
    "unrolled_threefry",
}
"""Kernels of all backends, of whose products the gradient alone is dispatched, and those of GPUs."""


def operations(name, which, *platforms):
    """What a kernel's or a reference's program is made of, but for cases of one branch."""
    program = jax.jit(jax.vmap(pair(name)[which])).trace(jnp.stack([X, X]))
    text = program.lower(lowering_platforms=platforms).as_text()
    return sorted(re.findall(r"stablehlo\.(?!constant|case|return)\w+", text))


@pytest.mark.parametrize("name", CALLS)
def test_kernels_lower_for_accelerators(name):
    """Where a kernel is for CPUs alone, the program is that of its reference."""
    for platforms in (("cuda",), ("tpu",), ("tpu", "cuda")):
        found = operations(name, 0, *platforms)
        assert name in EVERYWHERE or found == operations(name, 1, *platforms)
    assert name in EVERYWHERE or operations(name, 0, "cpu") != operations(name, 1, "cpu")


@pytest.mark.parametrize("huge", [1e30, 3e38, np.inf, np.nan])
def test_huge_values_stay_what_they_are(huge):
    x = jnp.array([huge, -huge, 1.0])
    assert_array_equal(jax.jit(materialized)(x), x)
    image = jnp.full((1, 3, 3, 1), huge)
    assert_array_equal(patches(image, 3), jnp.full((1, 1, 1, 9), huge))
    assert_array_equal(
        product(x[:2, None], jnp.ones((1, 2))), product_reference(x[:2, None], jnp.ones((1, 2)))
    )
    assert_array_equal(jax.jit(global_norm)([x]), global_norm_reference([x]))


def test_a_program_gets_what_its_backend_is_good_at():
    """Decided by what a program is lowered for, and one of the two alone is compiled."""
    program = jax.jit(lambda x: on_cpu(jnp.sin, jnp.cos, x))
    assert_allclose(program(jnp.float32(0.5)), np.sin(0.5), rtol=1e-6)
    compiled = program.lower(jnp.float32(0.5)).compile().as_text()
    assert "conditional" not in compiled
    assert "cosine" not in compiled
    elsewhere = program.trace(jnp.float32(0.5)).lower(lowering_platforms=("tpu",)).as_text()
    assert "cosine" in elsewhere
    assert "stablehlo.sine" not in elsewhere
