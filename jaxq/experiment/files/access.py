"""Access to files that others may have written: nothing that is not a plain file is opened.

A run directory that was received from somebody may hold links to any place of this machine, and pipes
that nobody writes to.
"""

import contextlib
import errno
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from jaxq import checks
from jaxq.training.memory_use import readable

MOST_BYTES = 2**30
"""Bytes of a file that is read whole: the returns of a million agents take less."""


def read_text(file: Path) -> str:
    """Read a plain file as UTF-8.

    Raises:
        InputValueError: If it is a link or no plain file, too large, or no text.
        OSError: If it cannot be opened.
    """
    with open_to_read(file) as stream:
        return decoded(file, stream)


def decoded(where: Path, stream: BinaryIO) -> str:
    """Read what a stream holds as UTF-8.

    Raises:
        InputValueError: If it is too large, or no text.
    """
    content = stream.read(MOST_BYTES + 1)
    if len(content) > MOST_BYTES:
        raise checks.InputValueError(
            f"{where} holds more than {readable(MOST_BYTES)}, which no run wrote"
        )
    try:
        return content.decode()
    except UnicodeDecodeError:
        raise checks.InputValueError(f"{where} is no text") from None


@contextlib.contextmanager
def open_to_read(file: Path) -> Iterator[BinaryIO]:
    """Open a plain file.

    Raises:
        InputValueError: If it is a link, or no plain file.
        OSError: If it cannot be opened.
    """
    with os.fdopen(_open(file, os.O_RDONLY), "rb") as stream:
        yield stream


def _open(file: Path, flags: int) -> int:
    """Open a plain file, or make it, and return its descriptor."""
    # Without waiting: a pipe would keep this process for ever.
    flags |= os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        descriptor = os.open(file, flags, 0o666)
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise _refused(file, "is a link") from None
        raise
    if stat.S_ISREG(os.fstat(descriptor).st_mode):
        return descriptor
    os.close(descriptor)
    raise _refused(file, "is no plain file")


def _refused(path: Path, what: str) -> checks.InputValueError:
    return checks.InputValueError(
        f"{path} {what}, which a run directory may not hold; remove it, or put a copy in its place"
    )
