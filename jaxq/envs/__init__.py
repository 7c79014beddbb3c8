"""The world: environments by name, finite MDPs as tables, and environments of the user's own.

What stands here is imported at first use: gymnax makes arrays when it is imported, and from then on
JAX's devices are fixed.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jaxq.envs.adapter import GymnaxEnvironment, from_gymnax
    from jaxq.envs.frames import StackedFrames, stack_frames
    from jaxq.envs.grids import cliff, four_rooms, from_map, windy_grid
    from jaxq.envs.incident.environment import Incident
    from jaxq.envs.incident.params import IncidentParams, incident_params
    from jaxq.envs.incident.table import IncidentTable, incident_table
    from jaxq.envs.logged import LoggedEnvironment, from_dataset
    from jaxq.envs.mdps import maximization_bias, random_mdp
    from jaxq.envs.registry import EnvironmentInfo, ids, listing, make
    from jaxq.envs.table import TableEnvironment, from_table
    from jaxq.envs.time_limits import TIME_LIMITS

__all__ = [
    "TIME_LIMITS",
    "EnvironmentInfo",
    "GymnaxEnvironment",
    "Incident",
    "IncidentParams",
    "IncidentTable",
    "LoggedEnvironment",
    "StackedFrames",
    "TableEnvironment",
    "cliff",
    "four_rooms",
    "from_dataset",
    "from_gymnax",
    "from_map",
    "from_table",
    "ids",
    "incident_params",
    "incident_table",
    "listing",
    "make",
    "maximization_bias",
    "random_mdp",
    "stack_frames",
    "windy_grid",
]

_HOMES = {
    "TIME_LIMITS": "time_limits",
    "EnvironmentInfo": "registry",
    "GymnaxEnvironment": "adapter",
    "Incident": "incident.environment",
    "IncidentParams": "incident.params",
    "IncidentTable": "incident.table",
    "LoggedEnvironment": "logged",
    "StackedFrames": "frames",
    "TableEnvironment": "table",
    "cliff": "grids",
    "four_rooms": "grids",
    "from_dataset": "logged",
    "from_gymnax": "adapter",
    "from_map": "grids",
    "from_table": "table",
    "ids": "registry",
    "incident_params": "incident.params",
    "incident_table": "incident.table",
    "listing": "registry",
    "make": "registry",
    "maximization_bias": "mdps",
    "random_mdp": "mdps",
    "stack_frames": "frames",
    "windy_grid": "grids",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return __all__
