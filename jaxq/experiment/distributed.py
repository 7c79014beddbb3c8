"""One experiment in many processes: agents are spread over the devices of all of them.

Every process runs the same commands; JAX's runtime connects them. Process 0, the primary, writes the run
directory and shows progress.

JAX ends a process that reaches nobody after minutes, with a stack of C++ and no way to catch it. So all
processes meet before it is started: the primary waits at the coordinator's address until each of the
others has come and said its number; then it tells all of them to go on, and leaves the port to JAX.
"""

import contextlib
import errno
import ipaddress
import re
import socket
import time
from typing import NamedTuple

import jax
import numpy as np
from jax.experimental import multihost_utils

from jaxq import checks
from jaxq.types import PyTree

# A process that does not answer for so long is given up, and the others stop.
HEARTBEAT_SECONDS = 30
# So long the processes wait for each other at the beginning.
JOIN_SECONDS = 60
_ADDRESS = re.compile(r"(?:\[(?P<v6>[0-9A-Fa-f:.]+)\]|(?P<host>[0-9A-Za-z._-]+)):(?P<port>[0-9]{1,5})")
_GO, _NO = b"go\n", b"no\n"
_LONGEST_LINE = 64
# Who has not said who it is by then is somebody else.
_LINE_SECONDS = 2.0
_CONNECT_SECONDS = 5.0
_PAUSE_SECONDS = 0.2


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
            "coordinator, num_processes and process_id go together; for example "
            "coordinator 10.0.0.1:8476, num_processes 2 and process_id 0"
        )
    if coordinator is not None:
        num_processes = checks.whole_number("num_processes", num_processes)
        if checks.whole_number("process_id", process_id, minimum=0) >= num_processes:
            raise checks.InputValueError(
                f"process_id must be below num_processes = {num_processes}, got {process_id}"
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
            f"found no cluster to join ({str(error).rstrip('.')}); say who the others are: "
            "coordinator, num_processes and process_id"
        ) from error


def is_primary() -> bool:
    """Whether this process is the one that writes and shows."""
    return jax.process_index() == 0


def gathered(tree: PyTree) -> PyTree:
    """Return arrays that may be spread over processes as whole numpy arrays."""
    if jax.process_count() == 1:
        return jax.device_get(tree)
    return jax.tree.map(np.asarray, multihost_utils.process_allgather(tree, tiled=True))


def barrier(name: str) -> None:
    """Wait until all processes of this run have reached the same call."""
    if jax.process_count() > 1:
        multihost_utils.sync_global_devices(name)


def all_reduce_max(*numbers: int) -> list[int]:
    """Return the maximum of each number over all processes of this run."""
    if jax.process_count() == 1:
        return list(numbers)
    return np.max(multihost_utils.process_allgather(np.array(numbers)), axis=0).tolist()


def broadcast_from_primary(text: str) -> str:
    """Return the primary's text in all processes."""
    if jax.process_count() == 1:
        return text
    letters = np.zeros(2**12, np.uint8)
    own = np.frombuffer(text.encode(), np.uint8)
    letters[: own.size] = own
    first = np.asarray(multihost_utils.broadcast_one_to_all(letters))
    return first.tobytes().rstrip(b"\0").decode()


class Address(NamedTuple):
    """Address of the coordinator, process 0.

    Attributes:
        text: As the user wrote it.
        host: Name or number of the host, an IPv6 one without its brackets.
        port: TCP port, in [1, 65535].
    """

    text: str
    host: str
    port: int

    @classmethod
    def read(cls, text: str) -> "Address":
        """Read `host:port`, an IPv6 host in brackets, and find the host."""
        match = _ADDRESS.fullmatch(text)
        if match is None or not _is_ipv6(match["v6"]) or not 1 <= int(match["port"]) <= 65535:
            raise checks.InputValueError(
                f"coordinator must be host:port with a port from 1 to 65535, got {text[:100]!r}; "
                "for example 10.0.0.1:8476, or [fd00::1]:8476"
            )
        address = cls(text, match["v6"] or match["host"], int(match["port"]))
        try:
            socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError) as error:
            reason = getattr(error, "strerror", None) or error
            raise checks.InputValueError(
                f"the host of coordinator {text[:100]} cannot be found: {reason}"
            ) from None
        return address


def _is_ipv6(host: str | None) -> bool:
    with contextlib.suppress(ValueError):
        return host is None or ipaddress.IPv6Address(host) is not None
    return False


def meet(address: Address, num_processes: int, process_id: int, seconds: float) -> None:
    """Rendezvous of all processes of a run; raises `TimeoutError` after so many seconds."""
    deadline = time.monotonic() + seconds
    if process_id == 0:
        missing = _wait_for_others(address, num_processes, deadline)
        problem = f"processes {sorted(missing)} of {num_processes} did not come within {seconds:g} s"
        met = not missing
    else:
        problem = f"process 0 did not answer within {seconds:g} s"
        met = _report_to_primary(address, num_processes, process_id, deadline)
    if not met:
        # As the system's own errors are told: what is wrong, and with what.
        raise TimeoutError(errno.ETIMEDOUT, problem, f"coordinator {address.text}")


def _wait_for_others(address: Address, num_processes: int, deadline: float) -> set[int]:
    """Wait for the others, answer them, and return the missing ones."""
    present: dict[int, socket.socket] = {}
    with contextlib.ExitStack() as stack:
        listening = stack.enter_context(_listening(address, num_processes))
        while len(present) < num_processes - 1 and (left := deadline - time.monotonic()) > 0:
            listening.settimeout(left)
            with contextlib.suppress(TimeoutError):
                connection = stack.enter_context(listening.accept()[0])
                connection.settimeout(min(left, _LINE_SECONDS))
                number = _introduced(connection, num_processes)
                if number is not None:
                    # One that comes again was started again.
                    present[number] = connection
        missing = {*range(1, num_processes)} - {*present}
        for connection in present.values() if not missing else ():
            with contextlib.suppress(OSError):
                connection.sendall(_GO)
    return missing


def _listening(address: Address, num_processes: int) -> socket.socket:
    found = socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM)
    family, where = found[0][0], found[0][4]
    try:
        return socket.create_server(where[:2], family=family, backlog=num_processes)
    except OSError as error:
        raise checks.InputValueError(
            f"process 0 cannot wait at coordinator {address.text} ({error.strerror}); "
            "give an address of its own host, and a port that is free"
        ) from None


def _introduced(connection: socket.socket, num_processes: int) -> int | None:
    """Return the number of the process that connected, or `None` for a stranger."""
    try:
        words = _line(connection).split()
        if len(words) != 3 or words[0] != b"jaxq":
            return None
        total, number = int(words[1]), int(words[2])
        if total == num_processes and 0 < number < num_processes:
            return number
        connection.sendall(_NO)
    except (OSError, ValueError):
        pass
    return None


def _report_to_primary(address: Address, num_processes: int, process_id: int, deadline: float) -> bool:
    """Report to the primary, and return whether it answered."""
    while (left := deadline - time.monotonic()) > 0:
        with contextlib.suppress(OSError):
            with socket.create_connection(
                (address.host, address.port), timeout=min(left, _CONNECT_SECONDS)
            ) as connection:
                connection.sendall(b"jaxq %d %d\n" % (num_processes, process_id))
                connection.settimeout(max(deadline - time.monotonic(), _PAUSE_SECONDS))
                answer = _line(connection)
            if answer == _GO:
                return True
            if answer == _NO:
                raise checks.InputValueError(
                    f"process 0 at {address.text} was given another num_processes than {num_processes}"
                )
        # It may not have been started yet, or be starting again.
        time.sleep(min(_PAUSE_SECONDS, left))
    return False


def _line(connection: socket.socket) -> bytes:
    line = b""
    while not line.endswith(b"\n") and len(line) < _LONGEST_LINE:
        received = connection.recv(_LONGEST_LINE)
        if not received:
            break
        line += received
    return line
