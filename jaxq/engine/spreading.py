"""Spreading agents: over devices or threads without communication, and in chunks on each."""

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
from jax.sharding import Mesh, NamedSharding
from jax.sharding import PartitionSpec as P

from jaxq import checks
from jaxq.engine.devices import AXIS, first_device, memory_limit, num_workers
from jaxq.engine.memory_use import MemoryUse, memory_use, num_bytes
from jaxq.engine.threads import Threads, chunks_of, is_spec, map_agents, pad
from jaxq.engine.trainer import Trainer
from jaxq.engine.walks import Walk

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
    """Where N agents are trained: an even share on each device, on CPU by its threads, in chunks.

    Attributes:
        size: Number of agents N.
        chunk: Agents that are trained side by side.
        mesh: The devices.
        threads: The threads of one process's device, if these do the work.
        extra: Agents that only fill up the devices' last chunks.

    Args:
        size: Number of agents N.
        chunk: Agents that are trained side by side.
        mesh: The devices, on the one axis "agents".
        threads: Number of threads that share the device of each process; `None` for devices alone.
    """

    def __init__(self, size: int, chunk: int, mesh: Mesh, threads: int | None = None) -> None:
        self.size, self.chunk, self.mesh = size, chunk, mesh
        self._share = -(-size // (mesh.size * chunk)) * chunk
        self.extra = mesh.size * self._share - size
        local = size if mesh.size == 1 else self._share
        self.threads = None if threads is None else Threads(local, chunk, first_device(), threads)

    @property
    def workers(self) -> int:
        """How many agents' chunks are trained at the same time."""
        return self.mesh.size * (1 if self.threads is None else self.threads.number)

    @property
    def in_shares(self) -> bool:
        """Whether threads work on copies of their shares."""
        return self.threads is not None and self.threads.in_shares

    @property
    def share(self) -> int:
        """Agents of each worker, those included that fill up its last chunk."""
        return self._share if self.threads is None else self.threads.share

    def over_workers(self, walk: Walk, donate: bool = False) -> Callable:
        """Let every device or thread walk its agents, padding with the last agent.

        Args:
            walk: What to do with many agents.
            donate: Whether the memory of the replaced argument may be used for the result.
        """
        if self.threads is None:
            return self._over_devices(walk, donate)
        on_device = self.threads.over(walk, donate)
        return on_device if self.mesh.size == 1 else self._over_processes(on_device, walk)

    def _over_devices(self, walk: Walk, donate: bool) -> Callable:
        platform = self.mesh.devices.flat[0].platform
        program = walk.program(platform, self.mesh, donate)
        chunks = chunks_of(self.size, self.chunk, self._share, self.mesh.size)
        fill, cut = self._fill_and_cut(walk.in_specs, walk.out_specs)

        def call(*arguments: Any) -> Any:
            outputs = program(chunks, *fill(*arguments))
            if checks.is_concrete(outputs) and platform == "cpu":
                # What combines the devices' parts next gives up, and the process with it, when one
                # device is not done 40 seconds after another.
                jax.block_until_ready(outputs)
            return cut(outputs)

        call.lower = partial(program.lower, chunks)
        return call

    def _over_processes(self, on_device: Callable, walk: Walk) -> Callable:
        """Run what works on a process's own device in every process, on its part of global arrays."""
        in_specs, out_specs = walk.in_specs, walk.out_specs
        fill, cut = self._fill_and_cut(in_specs, out_specs)

        def placed(spec: P) -> NamedSharding:
            return NamedSharding(self.mesh, spec)

        def own(leaf: jax.Array) -> jax.Array:
            return leaf.addressable_data(0)

        def whole(leaf: jax.Array, spec: P) -> jax.Array:
            length = self.mesh.size * self._share
            shape = (length, *leaf.shape[1:]) if spec == P(AXIS) else leaf.shape
            return jax.make_array_from_single_device_arrays(shape, placed(spec), [leaf])

        spread = jax.jit(fill, out_shardings=jax.tree.map(placed, in_specs, is_leaf=is_spec))

        def call(*arguments: Any) -> Any:
            outputs = on_device(*jax.tree.map(own, spread(*arguments)))
            agents, others = (partial(whole, spec=spec) for spec in (P(AXIS), P()))
            return cut(map_agents(agents, out_specs, outputs, otherwise=others))

        return call

    def _fill_and_cut(self, in_specs: Any, out_specs: Any) -> tuple[Callable, Callable]:
        """Return what pads arguments to whole chunks on all devices, and what takes that off results.

        The program that trains is the same for all sizes that come to as many chunks; only these know
        the size.
        """
        if not self.extra:
            return lambda *arguments: arguments, lambda outputs: outputs

        def fill(*arguments: Any) -> Any:
            return map_agents(partial(pad, extra=self.extra), in_specs, arguments)

        def cut(outputs: Any) -> Any:
            return map_agents(lambda leaf: leaf[: self.size], out_specs, outputs)

        return jax.jit(fill), jax.jit(cut)


def spread_memory(trainer: Trainer, spread: Spread, donate: bool) -> MemoryUse:
    """Say how much memory agents take that are spread like this.

    Args:
        trainer: Trains one agent.
        spread: Where the agents are trained.
        donate: Whether the new agents are put where the old ones were.
    """
    working = trainer.working_bytes
    if spread.share > spread.chunk:
        # The chunk that is trained is cut out of the others.
        working += num_bytes(trainer.template)
    # What `run` is given and what it returns, and the shares of threads. Agents that do not fill the
    # devices evenly cannot be spread between two runs: every device has all of them then, before and
    # after.
    uneven = spread.extra and spread.mesh.size > 1
    copies = (1 + 2 * spread.mesh.size if uneven else 2 - donate) + spread.in_shares
    return memory_use(
        trainer.template,
        spread.size + spread.extra,
        copies,
        spread.workers * spread.chunk * working,
    )


def default_chunk(trainer: Trainer, size: int, mesh: Mesh, donate: bool = False) -> int:
    """Choose how many agents are trained side by side on one device or thread.

    Args:
        trainer: Trains one agent.
        size: Number of agents.
        mesh: The devices.
        donate: Whether the new agents are put where the old ones were.
    """
    share = -(-size // num_workers(mesh))
    if mesh.devices.flat[0].platform != "cpu":
        return _fitting_chunk(trainer, size, mesh, donate)
    learned = sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(trainer.template.learner))
    fitting = CPU_CHUNK_BYTES // max(learned, 1)
    if trainer.agent.elementwise:
        whole = -(-share // CPU_VECTOR) * CPU_VECTOR
        return max(min(whole, CPU_CHUNK_TABLES, fitting // CPU_VECTOR * CPU_VECTOR), CPU_VECTOR)
    # No core trains agents that nobody asked for while others wait.
    return min(share, CPU_CHUNK) if fitting >= CPU_CHUNK else 1


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
