"""The world: environments by name, and environments of the user's own.

What stands here is imported at first use: gymnax makes arrays when it is imported, and from then on
JAX's devices are fixed and `jaxq.use_all_cores` would come too late.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jaxq.envs.adapter import GymnaxEnvironment, from_gymnax
    from jaxq.envs.registry import EnvironmentInfo, listing, make

__all__ = ["EnvironmentInfo", "GymnaxEnvironment", "from_gymnax", "listing", "make"]

_HOMES = {
    "EnvironmentInfo": "registry",
    "GymnaxEnvironment": "adapter",
    "from_gymnax": "adapter",
    "listing": "registry",
    "make": "registry",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return __all__
