"""Programs: functions compiled with the options of XLA that they run fastest with."""

from collections.abc import Callable
from importlib import metadata
from typing import Any

import jax

from jaxq import checks

# Products of one small agent are slower on two threads than on one (0.39 ms against 0.27 ms for a batch
# of 128 through a 120x84 network): each core is better given agents of its own.
_CPU: dict[str, Any] = {"xla_cpu_multi_thread_eigen": False}
# What was measured with one version of jaxlib alone, as XLA refuses options that it does not know.
# 0.10.2 and 0.11.2: of the kernels that XLA may take from YNNPACK its products are fast, but its sums
# over short axes, such as a distribution's atoms, take several times as long as XLA's own. With 0.10.2
# an update of C51 takes half the time without them, one of QR-DQN 0.4 of it; with 0.11.2 training by
# C51 takes 0.9, by IQN 0.65 and by QR-DQN a third of the time, and by DQN the same.
# 0.11.2: on GPUs, XLA makes one product of those that learn and those that act, and copies both sides
# of all layers together for it: 4,096 agents on an H100 came to 20.1 million env steps/s with, and to
# 22.7 without.
_PRODUCTS_ALONE = {"xla_cpu_experimental_ynn_fusion_type": "LIBRARY_FUSION_TYPE_INDIVIDUAL_DOT"}
_MEASURED: dict[tuple[str, str], dict[str, Any]] = {
    ("cpu", "0.10.2"): _PRODUCTS_ALONE,
    ("cpu", "0.11.2"): _PRODUCTS_ALONE,
    ("gpu", "0.11.2"): {"xla_gpu_dot_merger_threshold_mb": 0},
}
# 0.10.2: without its newer emitters of fusions, and in one part instead of many, XLA on CPU compiles
# a DQN with few optimizations in a third of the time.
_FEW_OPTIMIZATIONS: dict[tuple[str, str], dict[str, Any]] = {
    ("cpu", "0.10.2"): {
        "xla_cpu_use_fusion_emitters": False,
        "xla_cpu_parallel_codegen_split_count": 1,
    },
}


def compiler_options(platform: str) -> dict[str, Any]:
    """Return XLA's options for a platform, as `jax.jit` takes them.

    With `jax_disable_most_optimizations` they are for programs that are compiled fast and run slowly.

    Args:
        platform: "cpu", "gpu" or "tpu".
    """
    this = platform, metadata.version("jaxlib")
    few = _FEW_OPTIMIZATIONS if jax.config.read("jax_disable_most_optimizations") else {}
    return (_CPU if platform == "cpu" else {}) | _MEASURED.get(this, {}) | few.get(this, {})


def is_top_level(arguments: Any) -> bool:
    """Tell whether a call with these arguments computes at once, and is no part of another program."""
    # What is made while a program is traced is a tracer, whatever it is made of.
    return checks.is_concrete(arguments) and checks.is_concrete(jax.lax.full((), 0))


class Program:
    """A function that is compiled with options of its own where it is called by itself.

    JAX takes options for whole programs only, so inside another program, as in a `jax.jit` or a
    `jax.vmap` of the user's own, it is compiled as that one is.

    Args:
        function: What to compile.
        platform: Where it will run; JAX's default backend if not given.
        keywords: Further keywords of `jax.jit`.
    """

    def __init__(self, function: Callable, platform: str | None = None, **keywords: Any) -> None:
        self._inner = jax.jit(function, **keywords)
        self._platform = platform
        self._outer: Callable | None = None
        self._function, self._keywords = function, keywords

    def __call__(self, *arguments: Any) -> Any:
        """Call the function."""
        return (self._compiled if is_top_level(arguments) else self._inner)(*arguments)

    def lower(self, *arguments: Any) -> jax.stages.Lowered:
        """Lower the function for arguments, or for their shapes, as a program by itself."""
        return self._compiled.lower(*arguments)

    @property
    def _compiled(self) -> Any:
        # Made when it is first needed, as asking for the backend fixes JAX's devices.
        if self._outer is None:
            options = compiler_options(self._platform or jax.default_backend())
            self._outer = jax.jit(self._function, compiler_options=options, **self._keywords)
        return self._outer
