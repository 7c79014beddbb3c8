"""Stopping: what a user or a scheduler asks for is done at the end of the segment."""

import contextlib
import contextvars
import shlex
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class StoppedError(Exception):
    """A run ended early because it was asked to.

    Attributes:
        number: The signal that asked.
        reached: How far it had come.
    """

    def __init__(self, number: int, reached: str, directory: Path) -> None:
        super().__init__(
            f"stopped by {signal.Signals(number).name} after {reached}; "
            f"go on with: jaxq resume {shlex.quote(str(directory))}"
        )
        self.number = number
        self.reached = reached


class StopRequest:
    """Whether somebody has asked to stop.

    Attributes:
        number: The signal that asked, or 0.
    """

    def __init__(self) -> None:
        self.number = 0

    def note(self, number: int, _: object) -> None:
        """Take note of a signal."""
        if self.number == signal.SIGINT == number:
            raise KeyboardInterrupt
        self.number = number


_REQUEST: contextvars.ContextVar[StopRequest | None] = contextvars.ContextVar("request", default=None)


@contextlib.contextmanager
def stop_requests() -> Iterator[StopRequest]:
    """Take note of Ctrl-C and SIGTERM instead of ending at once; a second Ctrl-C does end at once.

    Inside another one it gives the request of that one, so that whoever asks a run to stop asks the
    sweep around it too. Signals can only be caught by the main thread; elsewhere they do what they did
    before.
    """
    outer, request = _REQUEST.get(), StopRequest()
    if outer is not None or threading.current_thread() is not threading.main_thread():
        yield outer or request
        return
    token = _REQUEST.set(request)
    before = {number: signal.signal(number, request.note) for number in SIGNALS}
    try:
        yield request
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        _REQUEST.reset(token)
