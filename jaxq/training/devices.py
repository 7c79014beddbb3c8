"""Devices: which ones a population is spread over, and how the CPU is made to offer one per core."""

import os

import jax
import numpy as np
from jax.sharding import Mesh

from jaxq import checks

AXIS = "agents"
_ONE_THREAD_PER_PRODUCT = "--xla_cpu_multi_thread_eigen=false"


def use_all_cores() -> None:
    """Make JAX see one CPU device per core, so that a population runs on all of them.

    The matrix products of one small agent are slower on two threads than on one (0.39 ms against
    0.27 ms for a batch of 128 through a 120x84 network), so each core is better given agents of its
    own. Call this before anything else touches JAX; the command line does. It changes nothing where
    JAX runs on a GPU or TPU.

    Raises:
        RuntimeError: If JAX has already chosen other devices.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    flags = os.environ.get("XLA_FLAGS", "")
    try:
        jax.config.update("jax_num_cpu_devices", cores)
    except RuntimeError as error:
        if len(jax.devices("cpu")) == cores:
            return
        raise RuntimeError(
            "JAX has already chosen its devices; call jaxq.use_all_cores() first, before any array "
            "is made and before jax.devices()"
        ) from error
    if "xla_cpu_multi_thread_eigen" not in flags:
        os.environ["XLA_FLAGS"] = f"{flags} {_ONE_THREAD_PER_PRODUCT}".strip()
    # XLA reads its number of threads here. A device keeps one while its program runs, and an operation
    # that hands out work (the decomposition behind an orthogonal initializer does) waits for another:
    # with no more threads than devices they wait for each other for ever.
    os.environ.setdefault("NPROC", str(2 * cores))


def all_devices() -> Mesh:
    """Make the mesh of all devices of this process."""
    return Mesh(np.array(jax.local_devices()), (AXIS,))


def checked_mesh(mesh: Mesh) -> Mesh:
    """Return a mesh, if it has the one axis that agents are spread over.

    Raises:
        InputTypeError: If it is no mesh.
        InputValueError: If it has other axes.
    """
    example = f'jax.make_mesh((jax.device_count(),), ("{AXIS}",))'
    if not isinstance(mesh, Mesh):
        raise checks.InputTypeError(f"mesh must be a jax.sharding.Mesh, got {mesh!r}; {example}")
    if mesh.axis_names != (AXIS,):
        raise checks.InputValueError(
            f"mesh must have the one axis {AXIS!r}, got {mesh.axis_names}; {example}"
        )
    # Agents never meet, so there is nothing for explicit sharding types to keep track of.
    return Mesh(mesh.devices, mesh.axis_names)
