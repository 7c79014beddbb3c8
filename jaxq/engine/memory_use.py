"""How much memory a population takes, worked out from shapes before anything is compiled."""

import math
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.extend import core

from jaxq import checks
from jaxq.engine.state import AgentState
from jaxq.types import PyTree

# A gradient step holds the gradient, its clipped copy and the moments' updates beside the weights, and
# of each layer's output about as much again for the way back.
_GRADIENTS = 3
_ACTIVATIONS = 2
# What draws keys in bulk holds them about twice.
_KEYS = 2
# A game is there before and after a step, with the keys of the episode.
_GAMES = 2
_EPISODE_KEYS = 16
# A return is a float32 on the device, and then a number of Python's and its text, to be written down.
_RETURN = 100


class MemoryUse(NamedTuple):
    """Bytes that a population takes.

    Attributes:
        replay: Of one agent: what it remembers.
        parameters: Its weights and their slower copy, or its tables.
        optimizer: What the optimizer keeps.
        environments: The environments it acts in.
        agents: Agents that are held, those included that fill up the last chunk.
        copies: How many times they are held while they train.
        working: What all devices need besides while they train, for the chunks they are at.
    """

    replay: int
    parameters: int
    optimizer: int
    environments: int
    agents: int
    copies: int
    working: int

    @property
    def agent(self) -> int:
        """Bytes of one agent."""
        return self.replay + self.parameters + self.optimizer + self.environments

    @property
    def total(self) -> int:
        """Bytes of the population before and after a call of `run`, and of the call itself."""
        return self.copies * self.agents * self.agent + self.working

    def __str__(self) -> str:
        """Say it in a line."""
        parts = ("replay", "parameters", "optimizer", "environments")
        shares = ", ".join(f"{name} {readable(getattr(self, name))}" for name in parts)
        return f"{readable(self.agent)} per agent ({shares}), {readable(self.total)} in all"


def memory_use(template: AgentState, agents: int, copies: int, working: int) -> MemoryUse:
    """Add up what agents take.

    Args:
        template: The shapes and types of one agent's state.
        agents: Agents that are held.
        copies: How many times they are held while they train.
        working: Bytes that all devices need besides.
    """
    learner = template.learner
    optimizer = num_bytes(getattr(learner, "opt_state", ()))
    return MemoryUse(
        replay=num_bytes(template.memory),
        parameters=num_bytes(learner) - optimizer,
        optimizer=optimizer,
        environments=num_bytes((template.actors, template.env_params, template.hparams, template.key)),
        agents=agents,
        copies=copies,
        working=working,
    )


def working_bytes(rows: int, template: AgentState, policy: Any, num_keys: int) -> int:
    """Estimate what training one agent takes beside its state.

    Args:
        rows: Observations that one update holds at once.
        template: The shapes and types of the agent's state.
        policy: Maps what was learned and observations `[B, ...]` to actions, by all of the network.
        num_keys: Keys that are drawn at once.
    """
    keys = _KEYS * 8 * num_keys
    if not rows:
        return keys
    observation = template.actors.observation
    batch = jax.ShapeDtypeStruct((rows, *observation.shape[1:]), observation.dtype)
    program = jax.make_jaxpr(policy)(template.learner, batch).jaxpr
    params = num_bytes(getattr(template.learner, "params", template.learner))
    return _GRADIENTS * params + _ACTIVATIONS * _products(program) + keys


def episode_bytes(template: AgentState, game: PyTree, policy: Any) -> int:
    """Estimate what one episode takes that is played beside others, from the network's products.

    Args:
        template: The shapes and types of the agent's state.
        game: Those of one environment: its state, what it shows, and what a recurrent agent carries.
        policy: Maps what was learned and observations `[B, ...]` to actions.
    """
    observation = template.actors.observation

    def products(rows: int) -> int:
        batch = jax.ShapeDtypeStruct((rows, *observation.shape[1:]), observation.dtype)
        return _products(jax.make_jaxpr(policy)(template.learner, batch).jaxpr, operands=True)

    # The weights are there once, whatever the number of episodes.
    return _GAMES * num_bytes(game) + _EPISODE_KEYS + products(2) - products(1)


def _products(program: core.Jaxpr, operands: bool = False) -> int:
    """Add up the bytes of all matrix products and convolutions in a program, or of operands too."""
    total = 0
    for equation in program.eqns:
        if equation.primitive.name in ("dot_general", "conv_general_dilated"):
            variables = [*equation.outvars, *(equation.invars if operands else ())]
            total += sum(num_bytes(variable.aval) for variable in variables)
        inner = [_products(inner, operands) for inner in _inner(equation.params.values())]
        # Of branches only one is run.
        total += max(inner, default=0) if equation.primitive.name == "cond" else sum(inner)
    return total


def _inner(values: Iterable[Any]) -> list[core.Jaxpr]:
    closed = [value.jaxpr for value in values if isinstance(value, core.ClosedJaxpr)]
    return closed + [value for value in values if isinstance(value, core.Jaxpr)]


def num_bytes(tree: PyTree) -> int:
    """Add up the bytes of arrays, or of their shapes."""
    total = 0
    for leaf in jax.tree.leaves(tree):
        if jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key):
            leaf = jax.eval_shape(jax.random.key_data, leaf)
        total += math.prod(leaf.shape) * leaf.dtype.itemsize
    return total


def readable(number: int) -> str:
    """Write a number of bytes with the unit that suits it."""
    power = min(max(number, 1).bit_length() - 1, 39) // 10
    amount, unit = number / 1024**power, ("bytes", "KiB", "MiB", "GiB")[power]
    return f"{amount:.3g} {unit}" if amount < 1000 else f"{amount:,.0f} {unit}"


def check_fits(use: MemoryUse, limit: int | None, settings: Mapping[str, Any]) -> None:
    """Check that a population fits the memory there is.

    Args:
        use: What it takes.
        limit: Bytes there are; `None` if nobody knows.
        settings: Keywords of the recipe, of which some could be made smaller.

    Raises:
        InputValueError: If it does not fit, with what would.
    """
    if limit is None or use.total <= limit:
        return
    agents = (limit - use.working) // (use.copies * use.agent)
    fitting = [f"{agents} agents"] if agents > 0 else []
    if use.copies > 2 and use._replace(copies=2).total <= limit:
        fitting = [f"{use.agents} agents, which fill the devices evenly"]
    excess = (use.total - limit) / (use.copies * use.agents)
    if "buffer_size" in settings and excess < use.replay:
        rows = int(settings["buffer_size"] * (1 - excess / use.replay))
        fitting.append(f"buffer_size={rows}")
    learner, own = use.parameters + use.optimizer, settings.get("network") or settings.get("torso")
    if excess < learner and own is None:
        widths = tuple(int(x * (1 - excess / learner)) for x in settings.get("hidden_sizes", ()))
        fitting += [f"hidden_sizes={widths}"] if min(widths, default=0) else []
    raise checks.InputValueError(
        f"{use.agents} agents take {use}, but there are {readable(limit)}"
        + (f"; what would fit: {', or '.join(fitting)}" if fitting else "")
    )


def check_episodes_fit(episodes: int, agents: int, held: int, playing: int, limit: int | None) -> None:
    """Check that the episodes of an evaluation fit the memory there is.

    Args:
        episodes: Episodes of each agent, all played at once.
        agents: Number of agents N.
        held: Bytes that are taken whatever the number of episodes.
        playing: Bytes of one episode of each of the agents that play side by side.
        limit: Bytes there are; `None` if nobody knows.

    Raises:
        InputValueError: If they do not fit, with the number that would.
    """
    each = playing + agents * _RETURN
    total = held + episodes * each
    if limit is None or total <= limit:
        return
    fitting = max(limit - held, 0) // each
    raise checks.InputValueError(
        f"{episodes} episodes of each of {agents} agents take {readable(total)}, but there are "
        f"{readable(limit)}" + (f"; what would fit: {fitting} episodes" if fitting else "")
    )
