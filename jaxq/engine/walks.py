"""Walks: what a device or a thread does with its share of the agents, a chunk after the other."""

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax.sharding import Mesh
from jax.sharding import PartitionSpec as P

from jaxq.engine.devices import AXIS
from jaxq.engine.evaluation import EpisodeOutcomes, blank_episodes
from jaxq.engine.programs import Program
from jaxq.engine.state import AGENT_AXES, AgentState, Metrics
from jaxq.engine.totals import blank_metrics
from jaxq.engine.trainer import Trainer
from jaxq.types import PyTree, cost_shape

# Where the parts of a population's state are: spread over the devices, but for the clock.
AGENTS = AgentState(*[P(AXIS)] * 6, steps=P())


class Walk:
    """A function of many agents, and the programs that it was compiled to.

    Attributes:
        in_specs: Which arguments, or parts of them, have an agent axis.
        out_specs: The same of what it returns.
        replaced: Number of the argument that the result takes the place of.

    Args:
        function: Takes the number of chunks to walk, int32 `[1]`, and the arguments' shares.
        in_specs: Which arguments, or parts of them, have an agent axis.
        out_specs: The same of what it returns.
        replaced: Number of the argument that the result takes the place of.
    """

    def __init__(
        self, function: Callable, in_specs: Any, out_specs: Any, replaced: int | None = None
    ) -> None:
        self.in_specs, self.out_specs, self.replaced = in_specs, out_specs, replaced
        self._function = function
        self._programs: dict[tuple, Program] = {}

    def program(self, platform: str, mesh: Mesh | None = None, donate: bool = False) -> Program:
        """Return the program of one device, or of all devices of a mesh; every caller gets the same.

        Args:
            platform: Where it will run.
            mesh: The devices that share the agents.
            donate: Whether the memory of the replaced argument may be used for the result.
        """
        donated = self.replaced + 1 if donate and self.replaced is not None else ()
        if (mesh, donated) not in self._programs:
            function = self._function if mesh is None else self._over(mesh)
            self._programs[mesh, donated] = Program(function, platform, donate_argnums=donated)
        return self._programs[mesh, donated]

    def _over(self, mesh: Mesh) -> Callable:
        return jax.shard_map(
            self._function,
            mesh=mesh,
            in_specs=(P(AXIS), *self.in_specs),
            out_specs=self.out_specs,
            check_vma=False,
        )


class Walks:
    """The walks of a trainer's agents in chunks of one size.

    Attributes:
        init: Makes agents of keys, hyperparameters, environment parameters and learners.
        run: Trains agents for a number of iterations.

    Args:
        trainer: Trains one agent.
        chunk: Agents that are trained side by side.
    """

    def __init__(self, trainer: Trainer, chunk: int) -> None:
        self._trainer, self._chunk = trainer, chunk
        self.init = Walk(self._init_agents, (P(AXIS),) * 4, AGENTS)
        self.run = Walk(self._run_agents, (AGENTS, P()), (AGENTS, P(AXIS)), replaced=0)
        self._evaluate: dict[tuple, Walk] = {}

    def evaluate(self, num_episodes: int, max_steps: int, outcomes: bool) -> Walk:
        """Return what plays episodes; see `Trainer.play_agent`."""
        play = num_episodes, max_steps, outcomes
        if play not in self._evaluate:
            function = partial(self._evaluate_agents, *play)
            self._evaluate[play] = Walk(function, (AGENTS, P(AXIS)), P(AXIS))
        return self._evaluate[play]

    def _init_agents(self, chunks: jax.Array, *arguments: Any) -> AgentState:
        loop = self._trainer.loop
        init, begin = (jax.vmap(make, out_axes=AGENT_AXES) for make in (loop.init, loop.begin))
        shapes = jax.eval_shape(begin, *arguments)._replace(steps=None)
        empty = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), shapes)
        agents = self._walk(
            chunks, lambda inputs, _: init(*inputs)._replace(steps=None), arguments, empty
        )
        return agents._replace(steps=jnp.int32(self._trainer.warmup_steps))

    def _run_agents(
        self, chunks: jax.Array, agents: AgentState, iterations: jax.Array
    ) -> tuple[AgentState, Metrics]:
        steps, count = agents.steps, agents.key.shape[0]
        run = jax.vmap(self._trainer.loop.run, in_axes=(AGENT_AXES, None), out_axes=(AGENT_AXES, 0))

        def train(_: None, part: tuple[AgentState, Metrics]) -> tuple[AgentState, Metrics]:
            agents, metrics = run(part[0]._replace(steps=steps), iterations)
            return agents._replace(steps=None), metrics

        metrics = blank_metrics(cost_shape(self._trainer.env), count)
        agents, metrics = self._walk(chunks, train, None, (agents._replace(steps=None), metrics))
        steps = steps + iterations * self._trainer.iteration_steps
        return agents._replace(steps=steps), metrics

    def _evaluate_agents(
        self,
        num_episodes: int,
        max_steps: int,
        outcomes: bool,
        chunks: jax.Array,
        agents: AgentState,
        keys: jax.Array,
    ) -> EpisodeOutcomes:
        length = num_episodes, max_steps
        play = jax.vmap(lambda agent, key: self._trainer.play_agent(agent, key, *length, outcomes))
        # Playing has no use for the clock, so an agent without one may be mapped over.
        inputs = (agents._replace(steps=None), keys)
        empty = blank_episodes(self._trainer.env, (keys.shape[0], num_episodes), outcomes)
        return self._walk(chunks, lambda inputs, _: play(*inputs), inputs, empty)

    def _walk(self, chunks: jax.Array, function: Callable, inputs: PyTree, whole: PyTree) -> PyTree:
        """Replace each chunk of one device's agents in place by what a function makes of it.

        Every population walks, one of a single chunk too, and the number of chunks is data: so the
        body of the walk is the same program whatever the population's size, and rounds the same.

        Args:
            chunks: Number of chunks, int32 `[1]`.
            function: Maps a chunk of the inputs and of the whole to the new chunk of the whole.
            inputs: What is only read, leaves `[n, ...]`.
            whole: What is replaced, leaves `[n, ...]`.
        """

        def step(number: jax.Array, whole: PyTree) -> PyTree:
            begin = number * self._chunk
            cut = partial(jax.lax.dynamic_slice_in_dim, start_index=begin, slice_size=self._chunk)
            part = function(jax.tree.map(cut, inputs), jax.tree.map(cut, whole))
            paste = partial(jax.lax.dynamic_update_slice_in_dim, start_index=begin, axis=0)
            return jax.tree.map(paste, whole, part)

        return jax.lax.fori_loop(0, chunks[0], step, whole)


def walks_of(trainer: Trainer, chunk: int) -> Walks:
    """Return the walks of a trainer's agents; all its populations with this chunk share them."""
    return trainer.walks.setdefault(chunk, Walks(trainer, chunk))
