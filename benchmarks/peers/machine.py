"""What the machine does at best: a large float32 matrix product, and copying memory.

python machine.py [--size 4096] [--megabytes 512] prints one JSON object: the backend and its device,
operations per second of the product, on all threads and at the precision that JAX chooses by itself,
and bytes per second, read and written together. The best of several repeats each: these are limits.
"""

import argparse
import json
import time
from collections.abc import Callable

import jax
import jax.numpy as jnp

REPEATS = 10


def seconds(function: Callable, *arguments: jax.Array) -> float:
    """Time the fastest call of a function, whose result is its next last argument."""
    *given, last = arguments
    last = jax.block_until_ready(function(*given, last))  # compiles
    times = []
    for _ in range(REPEATS):
        began = time.perf_counter()
        last = jax.block_until_ready(function(*given, last))
        times.append(time.perf_counter() - began)
    return min(times)


parser = argparse.ArgumentParser()
parser.add_argument("--size", type=int, default=4_096)
parser.add_argument("--megabytes", type=int, default=512)
options = parser.parse_args()
matrix = jax.random.normal(jax.random.key(0), (options.size, options.size)) / options.size**0.5
product = seconds(jax.jit(jnp.matmul), matrix, matrix)
# In place: to be given new memory takes longer than to write to it.
num_bytes = options.megabytes * 2**20
copy = seconds(jax.jit(lambda x: x + 1, donate_argnums=0), jnp.zeros(num_bytes // 4))
print(
    json.dumps(
        {
            "backend": jax.default_backend(),
            "device": jax.devices()[0].device_kind,
            "flops_per_second": 2 * options.size**3 / product,
            "bytes_per_second": 2 * num_bytes / copy,
        }
    )
)
