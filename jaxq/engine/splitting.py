"""Splitting one large agent over several devices: its environments, its replay and its batches.

The program stays that of one agent. Arrays are told where they live, and the compiler lets each device
do its part and sums gradients over devices: the results are those of one device up to rounding.
"""

from collections.abc import Callable

import jax
from jax.sharding import Mesh, NamedSharding
from jax.sharding import PartitionSpec as P

from jaxq import checks
from jaxq.agents import Agent
from jaxq.engine.state import AgentState
from jaxq.replay import ReplayState
from jaxq.replay.ring import by_environment
from jaxq.types import PyTree

DATA = "data"


def check_divides(agent: Agent, mesh: Mesh | None) -> None:
    """Check that an agent divides by the devices of a mesh that it is split over, if there is one.

    Raises:
        InputValueError: If the environments or the batch do not divide, or it cannot be split.
    """
    if mesh is None:
        return
    if agent.batch_size is None:
        raise checks.InputValueError(
            f"{agent.name} has no batch_size and cannot be split, as a table, which learns from one "
            "step after another; leave out mesh"
        )
    for name in ("num_envs", "batch_size"):
        size = getattr(agent, name)
        if size % mesh.size:
            raise checks.InputValueError(
                f"{name} must be a multiple of the {mesh.size} devices, got {size}; "
                f"for example {name}={-(-size // mesh.size) * mesh.size}"
            )


def batch_splitter(mesh: Mesh | None) -> Callable[[PyTree], PyTree]:
    """Return a function that splits arrays `[B, ...]` over devices, or leaves them as they are."""
    if mesh is None:
        return lambda batch: batch
    return lambda batch: jax.lax.with_sharding_constraint(batch, NamedSharding(mesh, P(DATA)))


def state_shardings(template: AgentState, mesh: Mesh) -> AgentState:
    """Say where each leaf of an agent's state lives: with its environment, or on all devices.

    What acting remembers is small, and may be shared by the environments.
    """

    def everywhere(tree: PyTree, *axes: str | None) -> PyTree:
        return jax.tree.map(lambda _: NamedSharding(mesh, P(*axes)), tree)

    actors = everywhere(template.actors, DATA)._replace(carry=everywhere(template.actors.carry))
    memory = everywhere(template.memory)
    if isinstance(memory, ReplayState):
        shardings = NamedSharding(mesh, P(None, DATA)), NamedSharding(mesh, P(DATA))
        memory = memory._replace(ring=by_environment(template.memory.ring, *shardings))
    return everywhere(template)._replace(actors=actors, memory=memory)
