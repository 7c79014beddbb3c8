"""Splitting one large agent over several devices: its environments, its replay and its batches.

The program stays that of one agent. Arrays are told where they live, and the compiler lets each device
do its part and sums gradients over devices: the results are those of one device up to rounding.
"""

from collections.abc import Callable
from typing import Any

import jax
from jax.sharding import Mesh, NamedSharding
from jax.sharding import PartitionSpec as P

from jaxq import checks
from jaxq.agents import Settings, TableSettings
from jaxq.engine.devices import checked_mesh
from jaxq.engine.state import AgentState
from jaxq.replay import Memory
from jaxq.replay.ring import Ring
from jaxq.types import PyTree

AXIS = "data"


def checked_data_mesh(mesh: Any, settings: Settings | TableSettings) -> Mesh:
    """Return a mesh, if it has the one axis that an agent is split over, and the agent divides by it.

    Raises:
        InputTypeError: If it is no mesh.
        InputValueError: If it has other axes, or the environments or the batch do not divide.
    """
    mesh = checked_mesh(mesh, AXIS)
    if isinstance(settings, TableSettings):
        raise checks.InputValueError("a table learns from one step after another and cannot be split")
    for name in ("num_envs", "batch_size"):
        size = getattr(settings, name)
        if size % mesh.size:
            raise checks.InputValueError(
                f"{name} must be a multiple of the {mesh.size} devices, got {size}; "
                f"for example {name}={-(-size // mesh.size) * mesh.size}"
            )
    return mesh


def batch_splitter(mesh: Mesh | None) -> Callable[[PyTree], PyTree]:
    """Return a function that splits arrays `[B, ...]` over devices, or leaves them as they are."""
    if mesh is None:
        return lambda batch: batch
    return lambda batch: jax.lax.with_sharding_constraint(batch, NamedSharding(mesh, P(AXIS)))


def state_shardings(template: AgentState, mesh: Mesh) -> AgentState:
    """Say where each leaf of an agent's state lives: with its environment, or on all devices.

    What acting remembers is small, and may be shared by the environments.
    """

    def everywhere(tree: PyTree, *axes: str | None) -> PyTree:
        return jax.tree.map(lambda _: NamedSharding(mesh, P(*axes)), tree)

    actors = everywhere(template.actors, AXIS)._replace(carry=everywhere(template.actors.carry))
    memory = everywhere(template.memory)
    if isinstance(memory, Memory):
        ring: Ring = everywhere(template.memory.ring, None, AXIS)
        memory = memory._replace(ring=ring._replace(taken=NamedSharding(mesh, P(AXIS))))
    return everywhere(template)._replace(actors=actors, memory=memory)
