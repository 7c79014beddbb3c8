"""Populations: many agents, seeds and hyperparameters, in one compiled program.

Agents are spread over the devices of a mesh without communication, and every device walks its share
in chunks, depth first: a chunk is trained for the whole call before the next one begins, so that the
working set of a few agents stays in the cache instead of the whole population streaming through it.
"""

import functools
from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding
from jax.sharding import PartitionSpec as P

from jaxq import checks
from jaxq.algorithms import TableSettings
from jaxq.hparams import Hparams, validated
from jaxq.training.devices import AXIS, all_devices, checked_mesh, memory_limit
from jaxq.training.memory_use import MemoryUse, check_fits, memory_use, num_bytes
from jaxq.training.state import (
    AGENT_AXES,
    AgentState,
    Metrics,
    check_key,
    check_state,
    env_params_like,
)
from jaxq.training.trainer import Trainer
from jaxq.types import PyTree

# On CPU a few small agents share the cost of dispatching an operation, while their weights and the
# optimizer's moments still fit the cache of a core; larger agents run fastest one at a time. Tables
# have no products to round, so as many of them go side by side as there are; but only in whole
# vectors, as what is left over of a vector is rounded otherwise.
CPU_CHUNK = 4
CPU_CHUNK_TABLES = 512
CPU_VECTOR = 16
CPU_CHUNK_BYTES = 2**20


# Where the parts of a population's state are: spread over the devices, but for the clock.
AGENTS = AgentState(*[P(AXIS)] * 6, steps=P())


class Population:
    """Trains many agents that differ in their seeds, hyperparameters or environment parameters.

    Agent i of `init(key)` has the key `jax.random.split(key, N)[i]`. On CPU an agent's results depend
    on its key and its parameters alone, to the last bit: not on the population's size, its place in
    it, or its neighbours. (Another chunk or another number of devices compiles to another program,
    which may round differently.)

    Attributes:
        trainer: Trains one agent.
        size: Number of agents N.
        chunk: Agents that are trained side by side on one device.
        mesh: Devices that the agents are spread over.

    Args:
        trainer: Trains one agent.
        size: Number of agents N.
        chunk: Agents trained side by side on one device; chosen by the backend and the size of one
            agent if not given.
        mesh: A mesh with the one axis "agents"; all devices if not given.

    Raises:
        InputTypeError: If an argument has the wrong type.
        InputValueError: If a number is not positive, the mesh has other axes, or so many agents do
            not fit the memory of its devices.

    Example:
        >>> import jax, jaxq
        >>> trainer = jaxq.Trainer(jaxq.envs.make("CartPole-v1"), jaxq.dqn())
        >>> population = jaxq.Population(trainer, size=4)
        >>> state, metrics = population.run(population.init(jax.random.key(0)), 1_000)
        >>> metrics.loss.shape
        (4,)
    """

    def __init__(
        self, trainer: Trainer, size: int, *, chunk: int | None = None, mesh: Mesh | None = None
    ) -> None:
        if not isinstance(trainer, Trainer):
            raise checks.InputTypeError(
                f"trainer must be a jaxq.Trainer, got {type(trainer).__name__}; "
                "for example jaxq.Population(jaxq.Trainer(env, jaxq.dqn()), size=32)"
            )
        if trainer.mesh is not None:
            raise checks.InputValueError(
                "a population spreads whole agents over devices, so its trainer cannot split one; "
                "use jaxq.Trainer(env, algorithm) without mesh="
            )
        self.trainer = trainer
        self.size = checks.whole_number("size", size)
        self.mesh = all_devices() if mesh is None else checked_mesh(mesh)
        self._on_cpu = self.mesh.devices.flat[0].platform == "cpu"
        self.chunk = self._default_chunk() if chunk is None else checks.whole_number("chunk", chunk)
        # Agents of each device, those included that fill up its last chunk.
        self._per_device = -(-self.size // (self.mesh.size * self.chunk)) * self.chunk
        check_fits(self.memory(), memory_limit(self.mesh), trainer.algorithm.settings)
        self._init = self._spread(self._init_agents, (P(AXIS),) * 3, AGENTS)
        self._run = self._spread(self._run_agents, (AGENTS, P()), (AGENTS, P(AXIS)))
        self._evaluate: dict[tuple[int, int], Callable] = {}

    def init(
        self, key: jax.Array, hparams: Hparams | None = None, env_params: PyTree = None
    ) -> AgentState:
        """Make the agents, and fill their replays.

        Args:
            key: One PRNG key, of which agent i gets `jax.random.split(key, N)[i]`, or N keys `[N]`.
            hparams: Hyperparameters with leaves `[]` or `[N]`, for example from `jaxq.grid`.
            env_params: Environment parameters with leaves as the environment's own, or those with a
                leading axis N.

        Returns:
            The population, leaves `[N, ...]` except `steps`, `[]`.

        Raises:
            InputTypeError: If a value is of another kind.
            InputValueError: If a leaf has another leading axis, or a value is out of range.
        """
        hparams = self.trainer.hparams if hparams is None else hparams
        return self._init(
            self._keys(key),
            validated(hparams, self.trainer.hparams, (self.size,)),
            env_params_like(self.trainer.env.params, env_params, (self.size,)),
        )

    def run(self, state: AgentState, num_steps: int) -> tuple[AgentState, Metrics]:
        """Train all agents on.

        Args:
            state: The population.
            num_steps: Further env steps of each agent, rounded up to whole iterations.

        Returns:
            The population after these steps, and each agent's metrics, leaves `[N]`.
        """
        check_state(state, self.trainer.template, (self.size,))
        return self._run(state, self.trainer.iterations(num_steps, state.steps))

    @functools.cached_property
    def template(self) -> AgentState:
        """The shapes and types of the population's state, and how it is spread over the devices."""
        even = self.size == self.mesh.size * self._per_device

        def agents(leaf: jax.ShapeDtypeStruct, spec: P) -> jax.ShapeDtypeStruct:
            lead = (self.size,) if spec == P(AXIS) else ()
            sharding = NamedSharding(self.mesh, spec if even else P())
            return jax.ShapeDtypeStruct(lead + leaf.shape, leaf.dtype, sharding=sharding)

        parts = [
            jax.tree.map(functools.partial(agents, spec=spec), part)
            for part, spec in zip(self.trainer.template, AGENTS, strict=True)
        ]
        return AgentState(*parts)

    def memory(self) -> MemoryUse:
        """Say how much memory the population takes, before anything is compiled."""
        working = self.trainer.working_bytes
        if self._per_device > self.chunk:
            # The chunk that is trained is cut out of the others.
            working += num_bytes(self.trainer.template)
        chunks = self.mesh.size * self.chunk
        return memory_use(self.trainer.template, self.mesh.size * self._per_device, chunks * working)

    def evaluate(
        self, state: AgentState, key: jax.Array, num_episodes: int = 32, max_steps: int = 100_000
    ) -> jax.Array:
        """Play whole episodes greedily with every agent.

        Args:
            state: The population.
            key: One PRNG key, of which agent i gets `jax.random.split(key, N)[i]`, or N keys `[N]`.
            num_episodes: Episodes of each agent, each in an environment of its own.
            max_steps: Steps after which an episode that does not end is given up.

        Returns:
            Undiscounted returns, float32 `[N, num_episodes]`; NaN for an episode given up.
        """
        check_state(state, self.trainer.template, (self.size,))
        length = (
            checks.whole_number("num_episodes", num_episodes),
            checks.whole_number("max_steps", max_steps),
        )
        if length not in self._evaluate:
            evaluate = partial(self._evaluate_agents, length)
            self._evaluate[length] = self._spread(evaluate, (AGENTS, P(AXIS)), P(AXIS))
        return self._evaluate[length](state, self._keys(key))

    def agent(self, state: AgentState, index: int) -> AgentState:
        """Take one agent out.

        Args:
            state: The population. If it is spread over several processes, all of them must ask.
            index: Number of the agent, from 0.

        Returns:
            The agent on one device, as the trainer's own methods take it.

        Raises:
            InputTypeError: If `state` is no population or the number no whole number.
            InputValueError: If `state` is another population's, or has no such agent.
        """
        check_state(state, self.trainer.template, (self.size,))
        index = checks.whole_number("index", index, minimum=0)
        if index >= self.size:
            raise checks.InputValueError(
                f"index must be below the {self.size} agents of the population, got {index}"
            )
        everywhere = NamedSharding(self.mesh, P())
        take = jax.jit(_agent, out_shardings=everywhere)
        # Every device has a copy now; that of the first is as good as any.
        return jax.tree.map(lambda leaf: leaf.addressable_data(0), take(state, index))

    def _init_agents(self, chunks: jax.Array, *arguments: Any) -> AgentState:
        init = jax.vmap(self.trainer.init_agent, out_axes=AGENT_AXES)
        shapes = jax.eval_shape(init, *arguments)._replace(steps=None)
        empty = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), shapes)
        agents = self._walk(
            chunks, lambda inputs, _: init(*inputs)._replace(steps=None), arguments, empty
        )
        return agents._replace(steps=jnp.int32(self.trainer.warmup_steps))

    def _run_agents(
        self, chunks: jax.Array, agents: AgentState, iterations: jax.Array
    ) -> tuple[AgentState, Metrics]:
        steps, count = agents.steps, agents.key.shape[0]
        run = jax.vmap(self.trainer.run_agent, in_axes=(AGENT_AXES, None), out_axes=(AGENT_AXES, 0))

        def train(_: None, part: tuple[AgentState, Metrics]) -> tuple[AgentState, Metrics]:
            agents, metrics = run(part[0]._replace(steps=steps), iterations)
            return agents._replace(steps=None), metrics

        metrics = Metrics(*[jnp.zeros(count)] * len(Metrics._fields))
        agents, metrics = self._walk(chunks, train, None, (agents._replace(steps=None), metrics))
        steps = steps + iterations * self.trainer.iteration_steps
        return agents._replace(steps=steps), metrics

    def _evaluate_agents(
        self, length: tuple[int, int], chunks: jax.Array, agents: AgentState, keys: jax.Array
    ) -> jax.Array:
        play = jax.vmap(lambda agent, key: self.trainer.evaluate_agent(agent, key, *length))
        # Playing has no use for the clock, so an agent without one may be mapped over.
        inputs = (agents._replace(steps=None), keys)
        empty = jnp.zeros((keys.shape[0], length[0]))
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
            begin = number * self.chunk
            cut = partial(jax.lax.dynamic_slice_in_dim, start_index=begin, slice_size=self.chunk)
            part = function(jax.tree.map(cut, inputs), jax.tree.map(cut, whole))
            paste = partial(jax.lax.dynamic_update_slice_in_dim, start_index=begin, axis=0)
            return jax.tree.map(paste, whole, part)

        return jax.lax.fori_loop(0, chunks[0], step, whole)

    def _spread(self, function: Callable, in_specs: Any, out_specs: Any) -> Callable:
        """Run a function of many agents on every device of the mesh, padding with the last agent."""
        per_device = self._per_device
        extra = self.mesh.size * per_device - self.size
        agents_left = self.size - per_device * np.arange(self.mesh.size)
        # A device that has only padding has nothing to walk.
        chunks = -(-np.clip(agents_left, 0, per_device) // self.chunk)
        spread = jax.shard_map(
            function,
            mesh=self.mesh,
            in_specs=(P(AXIS), *in_specs),
            out_specs=out_specs,
            check_vma=False,
        )

        # The program that trains is the same for all sizes that come to as many chunks; only what
        # fills up and cuts off knows the size.
        def pad(leaf: jax.Array) -> jax.Array:
            return jnp.concatenate([leaf, jnp.repeat(leaf[-1:], extra, axis=0)])

        def fill(*arguments: Any) -> Any:
            return _map_agents(pad, in_specs, arguments)

        def cut(outputs: Any) -> Any:
            return _map_agents(lambda leaf: leaf[: self.size], out_specs, outputs)

        compiled, chunks = jax.jit(spread), chunks.astype(np.int32)
        fill, cut = (jax.jit(fill), jax.jit(cut)) if extra else (lambda *x: x, lambda x: x)

        def call(*arguments: Any) -> Any:
            outputs = compiled(chunks, *fill(*arguments))
            if checks.is_concrete(outputs) and self._on_cpu:
                # What combines the devices' parts next gives up, and the process with it, when one
                # device is not done 40 seconds after another.
                jax.block_until_ready(outputs)
            return cut(outputs)

        call.lower = partial(compiled.lower, chunks)
        return call

    def _default_chunk(self) -> int:
        share = -(-self.size // self.mesh.size)
        if not self._on_cpu:
            # One operation over all agents fills an accelerator.
            return share
        learned = jax.tree.leaves(self.trainer.template.learner)
        fitting = CPU_CHUNK_BYTES // sum(leaf.size * leaf.dtype.itemsize for leaf in learned)
        if isinstance(self.trainer.algorithm.settings, TableSettings):
            whole = -(-share // CPU_VECTOR) * CPU_VECTOR
            return max(min(whole, CPU_CHUNK_TABLES, fitting // CPU_VECTOR * CPU_VECTOR), CPU_VECTOR)
        return CPU_CHUNK if fitting >= CPU_CHUNK else 1

    def _keys(self, key: jax.Array) -> jax.Array:
        typed = jnp.issubdtype(getattr(key, "dtype", jnp.float32), jax.dtypes.prng_key)
        single = () if typed else (2,)
        if getattr(key, "shape", None) == (self.size, *single):
            return key
        if typed and key.shape != ():
            raise checks.InputValueError(
                f"key must be one key or {self.size} keys, got shape {key.shape}; "
                f"for example jax.random.split(jax.random.key(0), {self.size})"
            )
        check_key(key)
        return jax.random.split(key, self.size)


def _agent(state: AgentState, index: jax.Array) -> AgentState:
    agent = jax.tree.map(lambda leaf: leaf[index], state._replace(steps=None))
    return agent._replace(steps=state.steps)


def _map_agents(function: Callable, specs: Any, tree: Any) -> Any:
    """Apply a function to the leaves that have an agent axis, as the specs tell."""
    return jax.tree.map(
        lambda spec, part: jax.tree.map(function, part) if spec == P(AXIS) else part,
        specs,
        tree,
        is_leaf=lambda node: isinstance(node, P),
    )
