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
    return by_platform(reference, *arguments, cpu=kernel)


def by_platform(reference: Callable[..., Any], *arguments: Any, **kernels: Callable[..., Any]) -> Any:
    """Call the kernel of the platform that the program is lowered for, and the reference elsewhere.

    Args:
        reference: What all kernels give, in plain JAX.
        *arguments: Arrays that all take.
        **kernels: What is fast, by platform: `cpu`, `cuda`, `rocm` or `tpu`.
    """
    return jax.lax.platform_dependent(*arguments, **kernels, default=reference)


def one_gpu() -> bool:
    """Tell whether the machine has one NVIDIA GPU, of Ampere or later, and programs run on it.

    What is made for a GPU by hand can be compiled for one that is there alone; and XLA, which splits
    layers between several, would send each of them everything that such a kernel takes.
    """
    first, *others = jax.devices()
    capability = getattr(first, "compute_capability", "")  # "9.0"; of AMD's "gfx942"
    return not others and capability[:1].isdigit() and float(capability) >= 8
