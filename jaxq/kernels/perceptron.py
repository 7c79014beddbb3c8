"""Perceptrons: dense layers with ReLUs between them, on NVIDIA GPUs in one kernel each way.

Layer by layer, the training of many small networks is bound by the memory that activations are written
to and read from. In one kernel they never leave the chip: forward, outputs alone are written; backward
works the activations out again and writes gradients alone.
"""

import functools
import itertools
import math
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp

from jaxq.kernels.dispatch import by_platform, one_gpu
from jaxq.kernels.products import product

try:
    from jax.experimental.pallas import pallas_call
    from jax.experimental.pallas.triton import CompilerParams, load, store
except ImportError:  # JAX is to give this part of it up, and layers are then worked out one by one
    pallas_call = None

Layers = Sequence[tuple[jax.Array, jax.Array]]
"""Of each layer its weights `[F, features]` and its biases `[features]`."""

WIDEST, MOST_WEIGHTS = 64, 7_168
"""Units of a layer, and weights of all layers, that with their gradients fit any GPU's shared memory.

At most 86 KB are taken, of at least 99: weights as they are and turned around, and activations.
"""
LONGEST = 256
"""Inputs of a batch up to which one multiprocessor is enough."""
ROWS = 64
"""Inputs that are worked out at a time."""
NARROWEST = 16
"""Rows and columns that Triton's matrix products have at least."""


def perceptron(x: jax.Array, layers: Layers) -> jax.Array:
    """Pass inputs through layers, `h_l = relu(h_{l-1} @ W_l + b_l)`, through the last without the ReLU.

    Made one kernel each way for one GPU, if the layers are small: a single multiprocessor works out all
    of an agent's batch, in TF32 as XLA does. A gradient of the gradient is the reference's.

    Args:
        x: Inputs, float32 `[B, F]`.
        layers: Weights and biases, float32.

    Returns:
        Outputs of the last layer, `[B, features]`.
    """
    layers = tuple(layers)
    # For more precision, Triton leaves the tensor cores.
    usual = jax.config.jax_default_matmul_precision in (None, "default")
    if pallas_call is None or not (usual and one_gpu() and _is_small(x, layers)):
        return perceptron_reference(x, layers)
    return _perceptron(x, layers)


def _is_small(x: jax.Array, layers: Layers) -> bool:
    arrays = x, *itertools.chain(*layers)
    weights = sum(math.prod(map(_padded, kernel.shape)) for kernel, _ in layers)
    widest = max(max(kernel.shape) for kernel, _ in layers)
    plain = all(array.dtype == jnp.float32 for array in arrays) and 0 < x.shape[0] <= LONGEST
    return plain and widest <= WIDEST and weights <= MOST_WEIGHTS


def perceptron_reference(x: jax.Array, layers: Layers) -> jax.Array:
    """Work out layer by layer."""
    *hidden, (kernel, bias) = layers
    for kernel_l, bias_l in hidden:
        x = jax.nn.relu(product(x, kernel_l) + bias_l[None])
    return product(x, kernel) + bias[None]


def _by_layers_reference(x: jax.Array, layers: Layers, dy: jax.Array) -> Layers:
    return jax.vjp(lambda layers: perceptron_reference(x, layers), layers)[1](dy)[0]


def _by_x(x: jax.Array, layers: Layers, dy: jax.Array) -> jax.Array:
    return jax.vjp(lambda x: perceptron_reference(x, layers), x)[1](dy)[0]


@jax.custom_vjp
def _perceptron(x: jax.Array, layers: Layers) -> jax.Array:
    return by_platform(perceptron_reference, x, layers, cuda=_forward_kernel)


@jax.custom_vjp
def _by_layers(x: jax.Array, layers: Layers, dy: jax.Array) -> Layers:
    return by_platform(_by_layers_reference, x, layers, dy, cuda=_backward_kernel)


def _perceptron_forward(x: jax.Array, layers: Layers) -> tuple[jax.Array, tuple]:
    return _perceptron(x, layers), (x, layers)


def _perceptron_backward(given: tuple, dy: jax.Array) -> tuple[jax.Array, Layers]:
    # Observations are seldom differentiated by, and what is not asked for is not compiled.
    return _by_x(*given, dy), _by_layers(*given, dy)


def _by_layers_forward(x: jax.Array, layers: Layers, dy: jax.Array) -> tuple[Layers, tuple]:
    return _by_layers(x, layers, dy), (x, layers, dy)


def _by_layers_backward(given: tuple, back: Layers) -> tuple:
    return jax.vjp(_by_layers_reference, *given)[1](back)


_perceptron.defvjp(_perceptron_forward, _perceptron_backward)
_by_layers.defvjp(_by_layers_forward, _by_layers_backward)


def _forward_kernel(x: jax.Array, layers: Layers, interpret: bool = False) -> jax.Array:
    """Work out the outputs in one kernel."""
    out = jax.eval_shape(perceptron_reference, x, layers)
    return _call(_forward, x.shape[0], len(layers), out, interpret)(x, *itertools.chain(*layers))


def _backward_kernel(x: jax.Array, layers: Layers, dy: jax.Array, interpret: bool = False) -> Layers:
    """Work out the gradients by weights and biases in one kernel."""
    out = [*itertools.chain(*jax.eval_shape(_by_layers_reference, x, layers, dy))]
    call = _call(_backward, x.shape[0], len(layers), out, interpret)
    return _in_pairs(call(x, *itertools.chain(*layers), dy))


def _call(kernel: Any, batch: int, depth: int, out: Any, interpret: bool) -> Any:
    # What is enough for one tile of the tensor cores; two warps were slower than either.
    parameters = CompilerParams(num_warps=1 if _rows(batch) == NARROWEST else 4, num_stages=1)
    return pallas_call(
        functools.partial(kernel, depth), out, interpret=interpret, compiler_params=parameters
    )


def _forward(depth: int, x: Any, *refs: Any) -> None:
    *weights, out = refs
    layers = _in_pairs([_read(ref) for ref in weights])

    def rows(first: jax.Array, size: int, nothing: tuple) -> tuple:
        _write(out, _activations(_read(x, size, first), layers)[-1], first)
        return nothing

    _walk(rows, x.shape[0], ())


def _backward(depth: int, x: Any, *refs: Any) -> None:
    weights, (dy, *by_layers) = refs[: 2 * depth], refs[2 * depth :]
    layers = _in_pairs([_read(ref) for ref in weights])

    def rows(first: jax.Array, size: int, sums: tuple) -> tuple:
        inputs = _read(x, size, first)
        activations = [inputs, *_activations(inputs, layers)[:-1]]
        back, added = _read(dy, size, first), []
        for number in reversed(range(depth)):
            h, (kernel, _), (by_kernel, by_bias) = activations[number], layers[number], sums[number]
            added.insert(0, (by_kernel + jnp.dot(h.T, back), by_bias + jnp.sum(back, axis=0)))
            if number:
                back = jnp.where(h > 0, jnp.dot(back, kernel.T), 0.0)
        return tuple(added)

    sums = _walk(rows, x.shape[0], jax.tree.map(jnp.zeros_like, layers))
    for ref, array in zip(by_layers, itertools.chain(*sums), strict=True):
        _write(ref, array)


def _activations(x: jax.Array, layers: Layers) -> list[jax.Array]:
    """Return the outputs of every layer, of all but the last behind the ReLU."""
    outputs = []
    for number, (kernel, bias) in enumerate(layers, start=1):
        x = jnp.dot(x, kernel) + bias[None]
        x = jnp.maximum(x, 0.0) if number < len(layers) else x
        outputs.append(x)
    return outputs


def _walk(step: Callable, batch: int, carry: tuple) -> tuple:
    """Take a step for each block of rows."""
    size = _rows(batch)
    blocks = -(-batch // size)
    if blocks == 1:
        return step(0, size, carry)
    return jax.lax.fori_loop(0, blocks, lambda block, carry: step(block * size, size, carry), carry)


def _rows(batch: int) -> int:
    return min(ROWS, _padded(batch))


def _in_pairs(arrays: Sequence[jax.Array]) -> Layers:
    return tuple(zip(arrays[::2], arrays[1::2], strict=True))


def _padded(width: int) -> int:
    """Return the next power of two, which Triton's arrays are as wide as."""
    return max(NARROWEST, 1 << (width - 1).bit_length())


def _read(ref: Any, rows: int | None = None, first: Any = 0) -> jax.Array:
    """Read an array, or some of its rows, with zeros behind its end."""
    shape = [_padded(length) for length in ref.shape]
    places, inside = _places(ref, [rows or shape[0], *shape[1:]], first)
    return load(ref.at[places], mask=inside, other=None if inside is None else 0.0)


def _write(ref: Any, array: jax.Array, first: Any = 0) -> None:
    """Write what lies inside."""
    places, inside = _places(ref, array.shape, first)
    store(ref.at[places], array, mask=inside)


def _places(ref: Any, shape: Sequence[int], first: Any) -> tuple[tuple, jax.Array | None]:
    places = [jax.lax.broadcasted_iota(jnp.int32, shape, axis) for axis in range(len(shape))]
    places[0] += first
    ends = [
        place < length
        for place, length, size in zip(places, ref.shape, shape, strict=True)
        if length % size
    ]
    return tuple(places), functools.reduce(jnp.logical_and, ends) if ends else None
