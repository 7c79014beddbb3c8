"""Kernels give what their references say, whichever backend a program is lowered for."""

import importlib
import pkgutil
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import stats

import jaxq.kernels
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


@pytest.mark.parametrize("bound", [1, 7, 1_000])
def test_random_indices(bound):
    """Other numbers, of the same distribution."""
    drawn = [f(KEY, 20_000, jnp.int32(bound)) for f in (random_index, random_index_reference)]
    for numbers in drawn:
        assert numbers.dtype == jnp.int32
        counts = np.bincount(numbers, minlength=bound)
        assert len(counts) == bound
        assert bound == 1 or stats.chisquare(counts).pvalue > 1e-4


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
