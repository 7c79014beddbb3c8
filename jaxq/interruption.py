"""Ctrl-C, where `jaxq` is the command that was typed and not a package of another program.

Python turns Ctrl-C into an exception in whatever it is at. While JAX and its like are imported that is
often a callback, whose exceptions are printed and forgotten, and the command would go on. So the command
ends at once instead. Nothing is lost by it: a run has a handler of its own, and lets its segment end.
"""

import itertools
import os
import signal
import sys

INTERRUPTED = 130
MESSAGE = "interrupted; what was written stays where it is"


def is_command() -> bool:
    """Tell whether this process was started as `jaxq`, or as `python -m jaxq.cli`."""
    words = sys.orig_argv
    as_module = any(pair == ("-m", "jaxq.cli") for pair in itertools.pairwise(words))
    return as_module or os.path.basename(sys.argv[0] if sys.argv else "") in ("jaxq", "jaxq.exe")


def end_at_once() -> None:
    """Let Ctrl-C end the process with one line and exit code 130, if nobody else looks after it."""
    if is_command() and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _end)


def _end(*_: object) -> None:
    # Neither `print` nor an orderly exit: both may be what was interrupted.
    os.write(2, f"jaxq: error: {MESSAGE}\n".encode())
    os._exit(INTERRUPTED)
