"""Spreading agents: over the devices of a mesh without communication, and in chunks on each."""

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh
from jax.sharding import PartitionSpec as P

from jaxq import checks
from jaxq.algorithms import TableSettings
from jaxq.training.devices import AXIS, memory_limit
from jaxq.training.memory_use import MemoryUse, memory_use, num_bytes
from jaxq.training.trainer import Trainer
from jaxq.types import PyTree

# On CPU a few small agents share the cost of dispatching an operation, while their weights and the
# optimizer's moments still fit the cache of a core; larger agents run fastest one at a time. Tables
# have no products to round, so as many of them go side by side as there are; but only in whole
# vectors, as what is left over of a vector is rounded otherwise.
CPU_CHUNK = 4
CPU_CHUNK_TABLES = 512
CPU_VECTOR = 16
CPU_CHUNK_BYTES = 2**20
# Compiled for TPUs, training took 0.75 to 3.7 times the working memory that is estimated for it
# (`benchmarks/results/accelerator_compile.md`); so much is kept free where agents are parted.
ACCELERATOR_MARGIN = 4


class Spread:
    """Where N agents are trained: an even share on each device, walked in chunks.

    Attributes:
        size: Number of agents N.
        chunk: Agents that are trained side by side on one device.
        mesh: The devices.
        on_cpu: Whether these are cores.
        per_device: Agents of each device, those included that fill up its last chunk.
        extra: Agents that only fill up.

    Args:
        size: Number of agents N.
        chunk: Agents that are trained side by side on one device.
        mesh: The devices, on the one axis "agents".
    """

    def __init__(self, size: int, chunk: int, mesh: Mesh) -> None:
        self.size, self.chunk, self.mesh = size, chunk, mesh
        self.on_cpu = mesh.devices.flat[0].platform == "cpu"
        self.per_device = -(-size // (mesh.size * chunk)) * chunk
        self.extra = mesh.size * self.per_device - size

    def over_devices(
        self, function: Callable, in_specs: Any, out_specs: Any, donated: int | None = None
    ) -> Callable:
        """Run a function of many agents on every device, padding with the last agent.

        Args:
            function: Takes the number of chunks to walk, int32 `[1]`, and the arguments' shares.
            in_specs: Which arguments, or parts of them, have an agent axis.
            out_specs: The same of what it returns.
            donated: Number of the argument whose memory may be used for the result.
        """
        agents_left = self.size - self.per_device * np.arange(self.mesh.size)
        # A device that has only padding has nothing to walk.
        chunks = -(-np.clip(agents_left, 0, self.per_device) // self.chunk)
        spread = jax.shard_map(
            function,
            mesh=self.mesh,
            in_specs=(P(AXIS), *in_specs),
            out_specs=out_specs,
            check_vma=False,
        )

        # The program that trains is the same for all sizes that come to as many chunks; only what
        # fills up and cuts off knows the size.
        def pad(leaf: jax.Array) -> jax.Array:
            return jnp.concatenate([leaf, jnp.repeat(leaf[-1:], self.extra, axis=0)])

        def fill(*arguments: Any) -> Any:
            return _map_agents(pad, in_specs, arguments)

        def cut(outputs: Any) -> Any:
            return _map_agents(lambda leaf: leaf[: self.size], out_specs, outputs)

        compiled = jax.jit(spread, donate_argnums=() if donated is None else donated + 1)
        chunks = chunks.astype(np.int32)
        fill, cut = (jax.jit(fill), jax.jit(cut)) if self.extra else (lambda *x: x, lambda x: x)

        def call(*arguments: Any) -> Any:
            outputs = compiled(chunks, *fill(*arguments))
            if checks.is_concrete(outputs) and self.on_cpu:
                # What combines the devices' parts next gives up, and the process with it, when one
                # device is not done 40 seconds after another.
                jax.block_until_ready(outputs)
            return cut(outputs)

        call.lower = partial(compiled.lower, chunks)
        return call

    def walk(self, chunks: jax.Array, function: Callable, inputs: PyTree, whole: PyTree) -> PyTree:
        """Replace each chunk of one device's agents in place by what a function makes of it.

        Every population walks, one of a single chunk too, and the number of chunks is data: so the
        body of the walk is the same program whatever the population's size, and rounds the same.

        Args:
            chunks: Number of chunks, int32 `[1]`.
            function: Maps a chunk of the inputs and of the whole to the new chunk of the whole.
            inputs: What is only read, leaves `[n, ...]`.
            whole: What is replaced, leaves `[n, ...]`.
        """

        def step(number: jax.Array, whole: PyTree) -> PyTree:
            begin = number * self.chunk
            cut = partial(jax.lax.dynamic_slice_in_dim, start_index=begin, slice_size=self.chunk)
            part = function(jax.tree.map(cut, inputs), jax.tree.map(cut, whole))
            paste = partial(jax.lax.dynamic_update_slice_in_dim, start_index=begin, axis=0)
            return jax.tree.map(paste, whole, part)

        return jax.lax.fori_loop(0, chunks[0], step, whole)


def spread_memory(trainer: Trainer, spread: Spread, donate: bool) -> MemoryUse:
    """Say how much memory agents take that are spread like this.

    Args:
        trainer: Trains one agent.
        spread: Where the agents are trained.
        donate: Whether the new agents are put where the old ones were.
    """
    working = trainer.working_bytes
    if spread.per_device > spread.chunk:
        # The chunk that is trained is cut out of the others.
        working += num_bytes(trainer.template)
    # What `run` is given and what it returns. Agents that do not fill the devices evenly cannot be
    # spread between two runs: every device has all of them then, before and after.
    copies = 1 + 2 * spread.mesh.size if spread.extra else 2 - donate
    return memory_use(
        trainer.template,
        spread.size + spread.extra,
        copies,
        spread.mesh.size * spread.chunk * working,
    )


def default_chunk(trainer: Trainer, size: int, mesh: Mesh, donate: bool = False) -> int:
    """Choose how many agents are trained side by side on one device.

    Args:
        trainer: Trains one agent.
        size: Number of agents.
        mesh: The devices.
        donate: Whether the new agents are put where the old ones were.
    """
    share = -(-size // mesh.size)
    if mesh.devices.flat[0].platform != "cpu":
        return _fitting_chunk(trainer, size, mesh, donate)
    learned = sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(trainer.template.learner))
    fitting = CPU_CHUNK_BYTES // learned
    if isinstance(trainer.algorithm.settings, TableSettings):
        whole = -(-share // CPU_VECTOR) * CPU_VECTOR
        return max(min(whole, CPU_CHUNK_TABLES, fitting // CPU_VECTOR * CPU_VECTOR), CPU_VECTOR)
    return CPU_CHUNK if fitting >= CPU_CHUNK else 1


def _fitting_chunk(trainer: Trainer, size: int, mesh: Mesh, donate: bool) -> int:
    """Return the largest even part of a device's agents that fits its memory, or all of them."""
    share, limit = -(-size // mesh.size), memory_limit(mesh)

    def fits(chunk: int) -> bool:
        use = spread_memory(trainer, Spread(size, chunk, mesh), donate)
        return use._replace(working=ACCELERATOR_MARGIN * use.working).total <= limit

    # One operation over all agents fills an accelerator, so they are parted only where they have to
    # be. Parts that are not even would be filled up, which takes more memory than it saves.
    parts = (share // count for count in range(1, share + 1) if share % count == 0)
    return share if limit is None else next(filter(fits, parts), share)


def _map_agents(function: Callable, specs: Any, tree: Any) -> Any:
    """Apply a function to the leaves that have an agent axis, as the specs tell."""
    return jax.tree.map(
        lambda spec, part: jax.tree.map(function, part) if spec == P(AXIS) else part,
        specs,
        tree,
        is_leaf=lambda node: isinstance(node, P),
    )
