"""Devices: which ones a population is spread over, and how the CPU is made to offer one per core."""

import os
from pathlib import Path
from typing import NamedTuple

import jax
import numpy as np
from jax.sharding import Mesh

from jaxq import checks

AXIS = "agents"

# What a program may take of devices that cannot be asked, as XLA says it.
_MEMORY = {"TPU v5 lite": int(15.75 * 2**30), "TPU v6 lite": int(31.25 * 2**30)}


def use_all_cores() -> None:
    """Make JAX see one CPU device per core, for a mesh of one's own.

    A population runs on all cores without this call, as threads of one device. They work on shares of
    its state, which for large replays takes half as much memory again; over a mesh of devices it stays
    where it lies: `Population(trainer, size, mesh=jax.make_mesh((jax.device_count(),), ("agents",)))`.
    It changes nothing where JAX runs on a GPU or TPU.

    Raises:
        RuntimeError: If JAX has already chosen other devices.
    """
    try:
        jax.config.update("jax_num_cpu_devices", num_cores())
    except RuntimeError as error:
        if len(jax.devices("cpu")) == num_cores():
            return
        raise RuntimeError(
            "JAX has already chosen its devices; call jaxq.use_all_cores() first, before any array "
            "is made and before jax.devices()"
        ) from error


def num_cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def default_mesh() -> Mesh:
    """Make the mesh of all devices, those of other processes of the same run included.

    On CPU it is one device of each process, as threads use all of its cores.
    """
    devices = jax.devices()
    if jax.default_backend() == "cpu":
        devices = [*{device.process_index: device for device in reversed(devices)}.values()][::-1]
    return Mesh(np.array(devices), (AXIS,))


def default_threads(mesh: Mesh) -> int | None:
    """Return how many threads share the device of each process, or `None` if devices do the work."""
    on_cpu = mesh.devices.flat[0].platform == "cpu"
    return num_cores() if on_cpu and mesh == default_mesh() else None


def num_workers(mesh: Mesh) -> int:
    """Return how many agents a mesh can train at the same time: its devices, or their threads."""
    return mesh.size * (default_threads(mesh) or 1)


def first_device() -> Mesh:
    """Make the mesh of the one device that JAX puts arrays on by itself."""
    return Mesh(np.array(jax.local_devices()[:1]), (AXIS,))


class SavedMesh(NamedTuple):
    """What can be pickled of a mesh of one axis: the numbers of its devices, and the axis's name."""

    devices: tuple[int, ...]
    axis: str


def saved_mesh(mesh: Mesh | None) -> SavedMesh | None:
    """Return what can be pickled of a mesh; nothing of the default, wherever it is read."""
    if mesh is None or mesh == default_mesh():
        return None
    return SavedMesh(tuple(device.id for device in mesh.devices.flat), mesh.axis_names[0])


def restored_mesh(saved: SavedMesh | None) -> Mesh | None:
    """Make the mesh that `saved_mesh` saw.

    Raises:
        InputValueError: If there are no such devices here.
    """
    if saved is None:
        return None
    here = {device.id: device for device in jax.devices()}
    if not here.keys() >= {*saved.devices}:
        raise checks.InputValueError(
            f"this was made for devices {list(saved.devices)}, and there are {sorted(here)}; "
            "make it again from its trainer"
        )
    return Mesh(np.array([here[number] for number in saved.devices]), (saved.axis,))


def memory_limit(mesh: Mesh) -> int | None:
    """Return the bytes of memory that the devices of a mesh have in all, or `None` if nobody tells.

    Devices on CPU share the memory of their machine, or of the container they are in. Those of other
    processes are taken to have as much as those of this one.
    """
    devices = mesh.local_devices
    if devices[0].platform != "cpu":
        limits = [_device_memory(device) for device in devices]
        return sum(limits) * mesh.size // len(devices) if all(limits) else None
    found = [limit for limit in (_physical_memory(), _container_memory()) if limit is not None]
    return min(found) * mesh.size // len(devices) if found else None


def _device_memory(device: jax.Device) -> int | None:
    try:
        return (device.memory_stats() or {}).get("bytes_limit")
    except jax.errors.JaxRuntimeError:
        # It belongs to a topology that programs are compiled for where there is no such device.
        return _MEMORY.get(device.device_kind)


def _physical_memory() -> int | None:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return None


def _container_memory(
    root: Path = Path("/sys/fs/cgroup"), groups: Path = Path("/proc/self/cgroup")
) -> int | None:
    """Return the least that the control groups of this process allow, of version 2 or 1."""
    try:
        lines = [line.split(":", 2) for line in groups.read_text().splitlines()]
    except OSError:
        lines = []
    own = {kinds: path.strip("/") for _, kinds, path in (line for line in lines if len(line) == 3)}
    version_2 = root, own.get("", ""), "memory.max"
    version_1 = root / "memory", own.get("memory", ""), "memory.limit_in_bytes"
    limits = []
    for top, path, name in (version_2, version_1):
        # A group has no more than those that it is in.
        for group in [top / path, *(top / path).parents]:
            if group.is_relative_to(top):
                limits += _limit(group / name)
    return min(limits, default=None)


def _limit(path: Path) -> list[int]:
    try:
        return [int(path.read_text())]
    except (ValueError, OSError):
        # "max" is none.
        return []


def checked_mesh(mesh: Mesh, axis: str = AXIS) -> Mesh:
    """Return a mesh, if it has the one axis that is asked for.

    Raises:
        InputTypeError: If it is no mesh.
        InputValueError: If it has other axes.
    """
    example = f'jax.make_mesh((jax.device_count(),), ("{axis}",))'
    if not isinstance(mesh, Mesh):
        raise checks.InputTypeError(f"mesh must be a jax.sharding.Mesh, got {mesh!r}; {example}")
    if mesh.axis_names != (axis,):
        raise checks.InputValueError(
            f"mesh must have the one axis {axis!r}, got {mesh.axis_names}; {example}"
        )
    # Agents never meet, and of one that is split the compiler decides what to move where: there is
    # nothing for explicit sharding types to keep track of.
    return Mesh(mesh.devices, mesh.axis_names)
