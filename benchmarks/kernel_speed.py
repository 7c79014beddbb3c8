"""What each kernel gains on the machine at hand: its time against that of plain JAX.

Kernel and reference in turn, 4 agents side by side as in a chunk, inside one compiled loop; the median
of the repeats. Sizes are those of a gradient step of DQN with a batch of 128, of IQN, and of MinAtar.
What a product gains depends on the program around it, so that it is measured in training too.

    python benchmarks/kernel_speed.py [--repeats 7] [--write]
"""

import statistics
import time
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple
from unittest import mock

import jax
import jax.numpy as jnp
from report import option_parser, report, versions

import jaxq
from jaxq.engine.programs import compiler_options
from jaxq.kernels.argmax import argmax, argmax_reference
from jaxq.kernels.bits import unpack_bits, unpack_bits_reference
from jaxq.kernels.convolution import patches
from jaxq.kernels.cosines import cosines, cosines_reference
from jaxq.kernels.materialized import materialized, materialized_reference
from jaxq.kernels.norms import global_norm, global_norm_reference
from jaxq.kernels.perceptron import perceptron, perceptron_reference
from jaxq.kernels.products import product, product_reference
from jaxq.kernels.random_index import random_index, random_index_reference
from jaxq.kernels.threefry import unrolled_threefry
from jaxq.networks import noisy

AGENTS, BATCH, TURNS = 4, 128, 200


class Case(NamedTuple):
    """One kernel in its place.

    Attributes:
        what: What is done.
        kernel: With the kernel: a number and arguments, to a number.
        reference: The same in plain JAX.
        arguments: Arrays of one agent.
    """

    what: str
    kernel: Callable[..., jax.Array]
    reference: Callable[..., jax.Array]
    arguments: tuple[Any, ...]


def _normal(*shape: int) -> jax.Array:
    return jax.random.normal(jax.random.key(sum(shape)), shape)


def _gradient(multiply: Callable) -> Callable:
    def gradient(carry: jax.Array, x: jax.Array, kernel: jax.Array, dy: jax.Array) -> jax.Array:
        by_kernel = jax.grad(lambda kernel: jnp.sum(multiply(x + carry, kernel) * dy))(kernel)
        # Read against the order of the weights, as an optimizer does.
        return jnp.sum(by_kernel * kernel)

    return gradient


def _norm(norm: Callable) -> Callable:
    return lambda carry, *tree: norm([leaf + carry for leaf in tree])


def _noise(keep: Callable) -> Callable:
    def noise(carry: jax.Array, x: jax.Array) -> jax.Array:
        key = jax.random.fold_in(jax.random.key(0), carry.astype(jnp.int32))
        drawn = keep(jax.random.normal(unrolled_threefry(key), (x.shape[1],)))
        return jnp.sum(x * drawn[None])

    return noise


def _drawn(draw: Callable) -> Callable:
    def drawn(carry: jax.Array) -> jax.Array:
        key = unrolled_threefry(jax.random.fold_in(jax.random.key(0), carry.astype(jnp.int32)))
        return jnp.sum(draw(key, BATCH, jnp.int32(10_000))).astype(jnp.float32)

    return drawn


def _keys(fast: Callable) -> Callable:
    def keys(carry: jax.Array) -> jax.Array:
        key = jax.random.fold_in(fast(jax.random.key(0)), carry.astype(jnp.int32))
        return jnp.sum(jax.random.uniform(key, (10,)))

    return keys


def _convolution(multiply: Callable) -> Callable:
    return lambda carry, image, kernel: jnp.sum(multiply(image + carry, kernel) ** 2)


def _by_patches(image: jax.Array, kernel: jax.Array) -> jax.Array:
    return patches(image, kernel.shape[0]) @ kernel.reshape(-1, kernel.shape[-1])


def _by_convolution(image: jax.Array, kernel: jax.Array) -> jax.Array:
    numbers = ("NHWC", "HWIO", "NHWC")
    return jax.lax.conv_general_dilated(image, kernel, (1, 1), "VALID", dimension_numbers=numbers)


def _boards(unpack: Callable) -> Callable:
    def boards(carry: jax.Array, ring: jax.Array) -> jax.Array:
        key = unrolled_threefry(jax.random.fold_in(jax.random.key(0), carry.astype(jnp.int32)))
        place = random_index(key, 32, jnp.int32(ring.shape[0]))
        return jnp.sum(jnp.where(unpack(ring[place], 400), 1 + carry, 0))

    return boards


def _sum_of(function: Callable) -> Callable:
    return lambda carry, x: jnp.sum(function(x, carry))


def _waves(function: Callable) -> Callable:
    return _sum_of(lambda taus, carry: function(taus + 1e-3 * carry, 64))


def _training(pass_through: Callable) -> Callable:
    def training(carry: jax.Array, x: jax.Array, *weights: jax.Array) -> jax.Array:
        def loss(layers: tuple) -> jax.Array:
            return jnp.sum(pass_through(x + carry, layers) ** 2)

        gradient = jax.grad(loss)(tuple(zip(weights[::2], weights[1::2], strict=True)))
        return sum(jnp.sum(leaf) for leaf in jax.tree.leaves(gradient))

    return training


WEIGHTS = (_normal(4, 120), _normal(120), _normal(120, 84), _normal(84), _normal(84, 2), _normal(2))
CASES = {
    "product": Case(
        "gradient by a head's 64x2 weights, batch 128",
        _gradient(product),
        _gradient(product_reference),
        (_normal(BATCH, 64), _normal(64, 2), _normal(BATCH, 2)),
    ),
    "global_norm": Case(
        "norm of a 120x84 network's gradient", _norm(global_norm), _norm(global_norm_reference), WEIGHTS
    ),
    "materialized": Case(
        "84 normal numbers, used for 128 rows",
        _noise(materialized),
        _noise(materialized_reference),
        (_normal(BATCH, 84),),
    ),
    "random_index": Case(
        "128 places in a replay", _drawn(random_index), _drawn(random_index_reference), ()
    ),
    "unrolled_threefry": Case(
        "a key for a step, and 10 numbers", _keys(unrolled_threefry), _keys(lambda key: key), ()
    ),
    "unpack_bits": Case(
        "32 boards of 10x10x4 from a replay of 1,000",
        _boards(unpack_bits),
        _boards(unpack_bits_reference),
        (jax.random.bits(jax.random.key(1), (1_000, 50), "uint8"),),
    ),
    "cosines": Case(
        "64 cosines of 128x8 fractions",
        _waves(cosines),
        _waves(cosines_reference),
        (jax.random.uniform(jax.random.key(0), (BATCH, 8)),),
    ),
    "patches": Case(
        "3x3 convolution to 16 channels, 32 boards of 10x10x4",
        _convolution(_by_patches),
        _convolution(_by_convolution),
        (_normal(32, 10, 10, 4), _normal(3, 3, 4, 16)),
    ),
    "perceptron": Case(
        "a 64x64 network's gradient, batch 128",
        _training(perceptron),
        _training(perceptron_reference),
        (
            _normal(BATCH, 4),
            *(_normal(*shape) for shape in ((4, 64), (64,), (64, 64), (64,), (64, 2), (2,))),
        ),
    ),
    "argmax": Case(
        "the better of two actions, batch 128",
        _sum_of(lambda q, carry: jax.vmap(argmax)(q + carry)),
        _sum_of(lambda q, carry: jax.vmap(argmax_reference)(q + carry)),
        (_normal(BATCH, 2),),
    ),
}
ON_GPUS = {"perceptron", "argmax"}
"""Kernels that are plain JAX on CPU."""


def timed(function: Callable, arguments: tuple[Any, ...]) -> Callable[[], float]:
    """Compile a loop of many turns over agents side by side, and return what measures one turn."""
    many = [jnp.stack([argument] * AGENTS) for argument in arguments]

    def loop(begin: jax.Array, *many_arguments: jax.Array) -> jax.Array:
        def one(begin: jax.Array, *own: jax.Array) -> jax.Array:
            def turn(number: jax.Array, carry: jax.Array) -> jax.Array:
                # What came before is asked for, so that no turn is left out.
                return 1e-6 * function(carry + number.astype(jnp.float32), *own)

            return jax.lax.fori_loop(0, TURNS, turn, begin)

        return jax.vmap(one)(begin, *many_arguments)

    # As training is compiled, where each thread computes by itself.
    options = compiler_options(jax.default_backend())
    compiled = jax.jit(loop).lower(jnp.zeros(AGENTS), *many).compile(options)
    jax.block_until_ready(compiled(jnp.zeros(AGENTS), *many))

    def measure() -> float:
        began = time.perf_counter()
        jax.block_until_ready(compiled(jnp.zeros(AGENTS), *many))
        return (time.perf_counter() - began) / TURNS

    return measure


def trained(multiply: Callable, steps: int = 2_000) -> Callable[[], float]:
    """Compile DQN of MinAtar's Breakout, and return what measures one env step of all agents.

    What a wide layer's gradient costs shows only there: alone it is compiled in another way.
    """
    algorithm = jaxq.dqn(
        hidden_sizes=(128,), num_envs=4, batch_size=32, train_interval=4, learning_starts=400
    )
    population = jaxq.Population(jaxq.Trainer(jaxq.envs.make("Breakout-MinAtar"), algorithm), AGENTS)
    with mock.patch.object(noisy, "dense_product", lambda x, kernel, *_, **__: multiply(x, kernel)):
        state = population.init(jax.random.key(0))
        state = jax.block_until_ready(population.run(state, steps)[0])

    def measure() -> float:
        began = time.perf_counter()
        jax.block_until_ready(population.run(state, steps))
        return (time.perf_counter() - began) / steps

    return measure


def main() -> None:
    options = option_parser(__doc__, repeats=7).parse_args()
    lines = ["| kernel | what | us | plain JAX, us | gain |", "| --- | --- | ---: | ---: | ---: |"]
    pairs = {
        (name, case.what): [partial(timed, f, case.arguments) for f in (case.kernel, case.reference)]
        for name, case in CASES.items()
        if name not in ON_GPUS or jax.default_backend() == "gpu"
    }
    whole = "product", "an env step of DQN on Breakout, 1,024x128 weights"
    pairs[whole] = [partial(trained, multiply) for multiply in (product, product_reference)]
    for (name, what), compile_both in pairs.items():
        pair = [compile_one() for compile_one in compile_both]
        times = [[measure() for measure in pair] for _ in range(options.repeats)]
        ours, plain = (1e6 * statistics.median(column) for column in zip(*times, strict=True))
        lines.append(f"| `{name}` | {what} | {ours:,.1f} | {plain:,.1f} | {plain / ours:.1f} |")
        print(lines[-1], flush=True)
    method = [
        f"Microseconds of a turn for {AGENTS} agents side by side, in a loop of {TURNS} that is",
        f"compiled as training is; kernel and plain JAX in turn, median of {options.repeats}. The last",
        "row is training itself, without and with JAX's own gradient of every dense layer. Kernels are",
        "used where a program is lowered for CPUs; `perceptron` and `argmax` for GPUs, `patches`,",
        "`random_index` and `unrolled_threefry` everywhere.",
    ]
    report(__file__, "Kernels", method, [versions("jaxq", "jax", "jaxlib")], lines, options.write)


if __name__ == "__main__":
    main()
