"""Threads: the agents of one CPU device in shares, each of them trained by a program of its own.

A program on the CPU runs on one thread, but for products that are too small to gain by more. Several
programs run side by side, so that all cores are used without a device for each of them.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache, partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding
from jax.sharding import PartitionSpec as P

from jaxq.engine.devices import AXIS, num_cores
from jaxq.engine.programs import is_top_level
from jaxq.engine.walks import Walk


class Threads:
    """Where the agents of one device are trained: an even share on each thread, walked in chunks.

    Attributes:
        size: Number of agents.
        chunk: Agents that are trained side by side.
        mesh: The device.
        number: Number of threads.
        share: Agents of each thread, those included that fill up its last chunk.
        extra: Agents that only fill up.

    Args:
        size: Number of agents.
        chunk: Agents that are trained side by side.
        mesh: The device.
        number: Number of threads; no more are taken than have a chunk to walk.
    """

    def __init__(self, size: int, chunk: int, mesh: Mesh, number: int) -> None:
        self.size, self.chunk, self.mesh = size, chunk, mesh
        self.number = min(number, -(-size // chunk))
        self.share = -(-size // (self.number * chunk)) * chunk
        self.extra = self.number * self.share - size

    @property
    def in_shares(self) -> bool:
        """Whether threads work on copies of their shares."""
        return self.number > 1 or self.extra > 0

    def over(self, walk: Walk, donate: bool) -> Callable:
        """Let every thread walk its agents, padding with the last agent.

        Args:
            walk: What to do with many agents.
            donate: Whether the memory of the replaced argument may be used for the result.
        """
        in_specs, out_specs = walk.in_specs, walk.out_specs
        cut, join = self._cut_and_join(in_specs, out_specs)
        # Shares are there for the call alone.
        program = walk.program("cpu", donate=donate or self.in_shares)
        chunks = chunks_of(self.size, self.chunk, self.share, self.number)

        def call(*arguments: Any) -> Any:
            if not is_top_level(arguments):
                return in_one_walk(*arguments)
            shares = cut(*arguments)
            if donate and self.in_shares:
                jax.tree.map(lambda leaf: leaf.delete(), arguments[walk.replaced])
            # Compiled here: JAX's settings are a thread's own, and each would compile for itself.
            compiled = program.lower(chunks[:1], *shares[0]).compile()

            def work(number: int) -> Any:
                return jax.block_until_ready(compiled(chunks[number : number + 1], *shares[number]))

            return join(*_pool().map(work, range(self.number)))

        def in_one_walk(*arguments: Any) -> Any:
            alone = Threads(self.size, self.chunk, self.mesh, 1)
            cut, join = alone._cut_and_join(in_specs, out_specs)
            chunks = chunks_of(alone.size, alone.chunk, alone.share, 1)
            return join(program(chunks, *cut(*arguments)[0]))

        call.lower = lambda *arguments: program.lower(chunks[:1], *jax.eval_shape(cut, *arguments)[0])
        return call

    def _cut_and_join(self, in_specs: Any, out_specs: Any) -> tuple[Callable, Callable]:
        """Return what cuts arguments into the threads' shares, and what puts results together."""
        if not self.in_shares:
            return lambda *arguments: [arguments], lambda outputs: outputs

        def cut(*arguments: Any) -> list[tuple]:
            padded = map_agents(partial(pad, extra=self.extra), in_specs, arguments)

            def share(begin: int) -> Any:
                part = partial(jax.lax.slice_in_dim, start_index=begin, limit_index=begin + self.share)
                # Every thread gives up its share, with what all agents have in common.
                return map_agents(part, in_specs, padded, otherwise=jnp.copy)

            return [share(number * self.share) for number in range(self.number)]

        def join(*outputs: Any) -> Any:
            return map_agents(lambda *leaves: jnp.concatenate(leaves)[: self.size], out_specs, *outputs)

        here = NamedSharding(self.mesh, P())
        return jax.jit(cut, out_shardings=here), jax.jit(join, out_shardings=here)


def chunks_of(size: int, chunk: int, share: int, workers: int) -> np.ndarray:
    """Return how many chunks each worker walks, int32 `[workers]`; none where all is padding."""
    agents_left = size - share * np.arange(workers)
    return (-(-np.clip(agents_left, 0, share) // chunk)).astype(np.int32)


def pad(leaf: jax.Array, extra: int) -> jax.Array:
    """Append the last agent so many times."""
    return jnp.concatenate([leaf, jnp.repeat(leaf[-1:], extra, axis=0)]) if extra else leaf


def map_agents(
    function: Callable, specs: Any, *trees: Any, otherwise: Callable = lambda leaf, *_: leaf
) -> Any:
    """Apply a function to the leaves that have an agent axis, as specs tell, and one to the others."""
    return jax.tree.map(
        lambda spec, *parts: jax.tree.map(function if spec == P(AXIS) else otherwise, *parts),
        specs,
        *trees,
        is_leaf=is_spec,
    )


@cache
def _pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(num_cores(), thread_name_prefix="jaxq")


def is_spec(node: Any) -> bool:
    """Tell whether this is a leaf of specs, which are tuples."""
    return isinstance(node, P)
