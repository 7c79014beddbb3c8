"""Dispatch: a kernel where a program is lowered for its backend, plain JAX elsewhere."""

from collections.abc import Callable
from typing import Any

import jax


def on_cpu(kernel: Callable[..., Any], reference: Callable[..., Any], *arguments: Any) -> Any:
    """Call a kernel where the program is lowered for CPUs, and its reference for anything else.

    Decided when a program is lowered and not by the machine that it is written on, so that what is
    compiled ahead of time for an accelerator gets what is meant for it. Only one of the two is compiled.

    Args:
        kernel: What is fast on CPU.
        reference: The same in plain JAX.
        *arguments: Arrays that both take.
    """
    return jax.lax.platform_dependent(*arguments, cpu=kernel, default=reference)
