"""Keys with the rounds written out draw what JAX's own draw."""

import functools

import jax
import numpy as np
import pytest
from numpy.testing import assert_array_equal

from jaxq.kernels.threefry import unrolled_threefry

KEYS = {
    "typed": jax.random.key(3),
    "raw": jax.random.PRNGKey(3),
    "folded": jax.random.fold_in(jax.random.key(2**31 - 1), 7),
}


pytestmark = pytest.mark.optimized  # With few optimizations keys are left as they are.


@pytest.fixture(params=[False, True], ids=["fused", "apart"])
def mine(request):
    return functools.partial(unrolled_threefry, apart=request.param)


@pytest.fixture(params=KEYS)
def key(request):
    return KEYS[request.param]


def data(key):
    typed = jax.numpy.issubdtype(key.dtype, jax.dtypes.prng_key)
    return np.asarray(jax.random.key_data(key) if typed else key)


@pytest.mark.parametrize("shape", [(), (5,), (3, 4), (0,)])
@pytest.mark.parametrize("bits", ["uint8", "uint16", "uint32"])
def test_bits_are_the_same(mine, key, shape, bits):
    assert_array_equal(jax.random.bits(mine(key), shape, bits), jax.random.bits(key, shape, bits))


@pytest.mark.parametrize("shape", [(), (5,), (3, 4)])
def test_split_keys_are_the_same(mine, key, shape):
    assert_array_equal(data(jax.random.split(mine(key), shape)), data(jax.random.split(key, shape)))


@pytest.mark.parametrize("number", [0, 1, 2**31 - 1, 2**32 - 1])
def test_folded_keys_are_the_same(mine, key, number):
    folded = jax.random.fold_in(mine(key), np.uint32(number))
    assert_array_equal(data(folded), data(jax.random.fold_in(key, np.uint32(number))))


@pytest.mark.parametrize("draw", [jax.random.normal, jax.random.uniform, jax.random.gumbel])
def test_many_keys_draw_the_same_under_vmap(mine, key, draw):
    keys = jax.random.split(key, 4)
    drawn = jax.jit(jax.vmap(lambda key: draw(key, (3,))))
    assert_array_equal(drawn(jax.vmap(mine)(keys)), drawn(keys))


def test_integers_and_orders_are_the_same(mine, key):
    assert_array_equal(
        jax.random.randint(mine(key), (9,), 0, 1000), jax.random.randint(key, (9,), 0, 1000)
    )
    assert_array_equal(jax.random.permutation(mine(key), 9), jax.random.permutation(key, 9))


def test_words_of_64_bits_are_the_same(mine, key):
    with jax.enable_x64(True):
        assert_array_equal(
            jax.random.bits(mine(key), (3,), "uint64"), jax.random.bits(key, (3,), "uint64")
        )


def test_keys_of_other_generators_stay_as_they_are(mine):
    key = jax.random.key(0, impl="rbg")
    assert mine(key) is key
    with jax.threefry_partitionable(False):
        assert mine(KEYS["typed"]) is KEYS["typed"]


def test_a_key_whose_draws_fuse_can_be_asked_for_draws_apart():
    """A network's noise is asked for by what acts, whose keys fuse."""
    apart = unrolled_threefry(unrolled_threefry(KEYS["typed"]), apart=True)
    assert str(jax.random.key_impl(apart)) == "jaxq_threefry2x32_apart"
    assert_array_equal(jax.random.bits(apart, (3,)), jax.random.bits(KEYS["typed"], (3,)))


def test_on_cpu_the_rounds_are_compiled_in_two_halves(mine):
    """LLVM's time grows threefold with every round that a loop which it vectorizes has."""
    drawn = jax.jit(lambda key: jax.random.bits(mine(key), (9,)))
    for platform, halves in {"cpu": 1, "cuda": 0}.items():
        program = drawn.trace(KEYS["typed"]).lower(lowering_platforms=(platform,)).as_text()
        apart = platform == "cuda" and mine.keywords["apart"]
        assert program.count("optimization_barrier") == halves + apart, platform
