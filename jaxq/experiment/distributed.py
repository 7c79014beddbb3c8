"""Many processes, one experiment: agents are spread over the devices of all of them.

Every process runs the same commands; JAX's own runtime brings them together. The first one writes the
run directory and shows progress.
"""

import errno

import jax
import numpy as np
from jax.experimental import multihost_utils

from jaxq import checks
from jaxq.experiment.rendezvous import Address, meet
from jaxq.types import PyTree

# A process that does not answer for so long is given up, and the others stop.
HEARTBEAT_SECONDS = 30
# So long the processes wait for each other at the beginning.
JOIN_SECONDS = 60


def join(
    coordinator: str | None = None, num_processes: int | None = None, process_id: int | None = None
) -> None:
    """Join the other processes of this run; call it before anything else touches JAX's devices.

    Without arguments SLURM, Open MPI, Kubernetes and TPU pods are asked who the others are.

    Args:
        coordinator: Address `host:port` at which the first process waits for the others.
        num_processes: Number of processes.
        process_id: Number of this one, from 0.

    Raises:
        InputValueError: If only some of the three are given, one is out of range, the host is not
            known, or there is no cluster to ask.
        OSError: If the other processes are not there within `JOIN_SECONDS`.
    """
    given = [value is not None for value in (coordinator, num_processes, process_id)]
    if any(given) and not all(given):
        raise checks.InputValueError(
            "--coordinator, --num-processes and --process-id go together; for example "
            "--coordinator 10.0.0.1:8476 --num-processes 2 --process-id 0"
        )
    if coordinator is not None:
        num_processes = checks.whole_number("--num-processes", num_processes)
        if checks.whole_number("--process-id", process_id, minimum=0) >= num_processes:
            raise checks.InputValueError(
                f"--process-id must be below --num-processes = {num_processes}, got {process_id}"
            )
        meet(Address.read(coordinator), num_processes, int(process_id), JOIN_SECONDS)
    try:
        jax.distributed.initialize(
            coordinator,
            num_processes,
            process_id,
            heartbeat_timeout_seconds=HEARTBEAT_SECONDS,
            # Nobody is listened to but at the address that was given.
            coordinator_bind_address=coordinator if process_id == 0 else None,
        )
    except jax.errors.JaxRuntimeError as error:
        reason = str(error).partition("\n")[0]
        where = coordinator or "the processes of the cluster"
        raise ConnectionError(errno.ECONNABORTED, reason, where) from error
    except ValueError as error:
        raise checks.InputValueError(
            f"found no cluster to join ({str(error).rstrip('.')}); pass --coordinator HOST:PORT "
            "--num-processes N --process-id I"
        ) from error


def is_primary() -> bool:
    """Tell whether this process is the one that writes and shows."""
    return jax.process_index() == 0


def gathered(tree: PyTree) -> PyTree:
    """Return arrays that may be spread over processes as numpy arrays, whole in each of them."""
    if jax.process_count() == 1:
        return jax.device_get(tree)
    return jax.tree.map(np.asarray, multihost_utils.process_allgather(tree, tiled=True))


def barrier(name: str) -> None:
    """Wait until all processes of this run have come to the same place."""
    if jax.process_count() > 1:
        multihost_utils.sync_global_devices(name)


def all_reduce_max(*numbers: int) -> list[int]:
    """Return the largest that any process of this run has of each number, the same in all of them."""
    if jax.process_count() == 1:
        return list(numbers)
    return np.max(multihost_utils.process_allgather(np.array(numbers)), axis=0).tolist()


def broadcast_from_primary(text: str) -> str:
    """Return the text that the first process has, in all of them."""
    if jax.process_count() == 1:
        return text
    letters = np.zeros(2**12, np.uint8)
    own = np.frombuffer(text.encode(), np.uint8)
    letters[: own.size] = own
    first = np.asarray(multihost_utils.broadcast_one_to_all(letters))
    return first.tobytes().rstrip(b"\0").decode()
