"""Access to untrusted files: no link is followed, and only plain files are opened.

A run directory that was received from somebody may hold links to any place of this machine, and pipes
that nobody writes to. So a directory is looked through before anything is done in it, and what is
opened in it later is opened without following a link. The directory itself may be one, as the user has
named it. Every function raises `InputValueError` with the name of a link, or of what is no plain file.
"""

import contextlib
import errno
import fcntl
import os
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from jaxq import checks
from jaxq.engine.memory_use import readable

# Each checkpoint is passed by where it holds a link, and said to be damaged; and wandb's own files are
# links to each other.
_LOOKED_AFTER = {"checkpoints", "wandb"}
MOST_BYTES = 2**30
"""Largest file that is read whole, in bytes: the returns of a million agents take less."""


def read_text(file: Path) -> str:
    """Read a plain file as UTF-8."""
    with open_to_read(file) as stream:
        return decoded(file, stream)


def decoded(where: Path, stream: BinaryIO) -> str:
    """Read what a stream holds as UTF-8, if it is that and not too large."""
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
    """Open a plain file."""
    with os.fdopen(_open(file, os.O_RDONLY), "rb") as stream:
        yield stream


def open_to_append(file: Path) -> BinaryIO:
    """Open a plain file to add to it, or make one."""
    return os.fdopen(_open(file, os.O_WRONLY | os.O_APPEND | os.O_CREAT), "ab")


def replace(file: Path, content: str | bytes) -> None:
    """Write a file atomically.

    Where a link is, the link is replaced, and not what it leads to.
    """
    new = file.with_name(file.name + ".new")
    # Made anew, as one that is there may lead elsewhere.
    new.unlink(missing_ok=True)
    with os.fdopen(_open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL), "wb") as stream:
        stream.write(content.encode() if isinstance(content, str) else content)
    os.replace(new, file)


@contextlib.contextmanager
def locked(file: Path) -> Iterator[int | None]:
    """Hold a file's lock, which the system gives back with the process; give the file's descriptor.

    Gives `None` if another process holds the lock.
    """
    with os.fdopen(_open(file, os.O_RDWR | os.O_CREAT), "r+b") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield None
        else:
            yield stream.fileno()


def remove(path: Path) -> None:
    """Remove a directory with all that is in it, or a link without what it leads to, if it can be."""
    if path.is_symlink():
        with contextlib.suppress(OSError):
            path.unlink()
    else:
        shutil.rmtree(path, ignore_errors=True)


def check_no_links(directory: Path) -> None:
    """Check that there is nothing below a directory but files and directories."""
    folders = [directory]
    while folders:
        for entry in _entries(folders.pop()):
            if entry.is_dir(follow_symlinks=False):
                folders += [Path(entry.path)] if entry.name not in _LOOKED_AFTER else []
            elif entry.is_symlink():
                raise _refused(Path(entry.path), "is a link")
            elif not entry.is_file(follow_symlinks=False):
                raise _refused(Path(entry.path), "is no plain file")


def check_real(path: Path) -> None:
    """Check that a path is no link."""
    if path.is_symlink():
        raise _refused(path, "is a link")


def _entries(directory: Path) -> list[os.DirEntry]:
    # A run that goes on meanwhile may remove it; and whether it is one, others look at.
    try:
        with os.scandir(directory) as entries:
            return sorted(entries, key=lambda entry: entry.name)
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return []


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
