"""Populations: many agents, seeds and hyperparameters, in one compiled program.

Agents are spread over the devices of a mesh, or over threads where the CPU is one device, without
communication. Each walks its share in chunks, depth first: a chunk is trained for the whole call before
the next one begins, so that the working set of a few agents stays in the cache instead of the whole
population streaming through it.
"""

import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax.sharding import Mesh, NamedSharding
from jax.sharding import PartitionSpec as P

from jaxq import checks
from jaxq.engine.devices import (
    AXIS,
    SavedMesh,
    checked_mesh,
    default_mesh,
    default_threads,
    memory_limit,
    restored_mesh,
    saved_mesh,
)
from jaxq.engine.evaluation import EpisodeOutcomes, with_costs
from jaxq.engine.memory_use import (
    MemoryUse,
    check_episodes_fit,
    check_fits,
    num_bytes,
)
from jaxq.engine.segments import run_in_segments
from jaxq.engine.spreading import Spread, default_chunk, spread_memory
from jaxq.engine.state import (
    AgentState,
    Metrics,
    check_key,
    check_state,
    checked_learner,
    env_params_like,
)
from jaxq.engine.trainer import Trainer
from jaxq.engine.walks import AGENTS, walks_of
from jaxq.hparams import Hparams, validated
from jaxq.precision import in_32_bits
from jaxq.types import PyTree


class Population:
    """Trains many agents that differ in their seeds, hyperparameters or environment parameters.

    Agent i of `init(key)` has the key `jax.random.split(key, N)[i]`. On CPU an agent's results depend
    on its key, its parameters and the chunk alone, to the last bit: not on the population's size, its
    place in it, or its neighbours. Another chunk compiles to another program, which may round
    differently. Populations too small for every core to have a chunk of 4 get a smaller one: with
    `chunk=4`, at the cost of training up to three that nobody asked for, their agents are to the last
    bit those of a large population, and with `chunk=1` those of a large one are those of a single agent.

    Attributes:
        trainer: Trains one agent.
        size: Number of agents N.
        chunk: Agents that are trained side by side on one device or thread.
        mesh: Devices that the agents are spread over.
        donate: Whether `run` puts the new state where the one that it is given was.

    Args:
        trainer: Trains one agent.
        size: Number of agents N.
        chunk: Agents trained side by side on one device or thread; chosen by the backend, the number
            of agents and the size of one if not given.
        mesh: A mesh with the one axis "agents"; all devices if not given, and on CPU all cores as
            threads of one device. Of devices that are not here (`jax.experimental.topologies`) it says
            what memory they need, and can be compiled for.
        donate: Whether `run` may put the new state where the one that it is given was. Half the
            memory, if the agents fill whole chunks on all devices, but that state is gone then:
            `state, metrics = population.run(state, steps)`.

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

    @in_32_bits()
    def __init__(
        self,
        trainer: Trainer,
        size: int,
        *,
        chunk: int | None = None,
        mesh: Mesh | None = None,
        donate: bool = False,
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
        self.mesh = default_mesh() if mesh is None else checked_mesh(mesh)
        checks.true_or_false("donate", donate)
        self.donate = donate
        if chunk is None:
            chunk = default_chunk(trainer, self.size, self.mesh, donate)
        self.chunk = checks.whole_number("chunk", chunk)
        self._spread = self._fitting_spread()
        self._walks = walks_of(trainer, self.chunk)
        self._init = self._spread.over_workers(self._walks.init)
        self._run = self._spread.over_workers(self._walks.run, donate)
        self._evaluate: dict[tuple, Callable] = {}

    def __reduce__(self) -> tuple:
        """Pickle and copy what it was made of, and compile again; programs are in no file."""
        made_of = self.trainer, self.size, self.chunk, saved_mesh(self.mesh), self.donate
        return _population, made_of

    @in_32_bits()
    def init(
        self,
        key: jax.Array,
        hparams: Hparams | None = None,
        env_params: PyTree = None,
        learner: PyTree = None,
    ) -> AgentState:
        """Make the agents, and fill their replays.

        Args:
            key: One PRNG key, of which agent i gets `jax.random.split(key, N)[i]`, or N keys `[N]`.
            hparams: Hyperparameters with leaves `[]` or `[N]`, for example from `jaxq.grid`.
            env_params: Environment parameters with leaves as the environment's own, or those with a
                leading axis N.
            learner: What one agent has learned, or N agents have, `state.learner`; see `Trainer.init`.

        Returns:
            The population, leaves `[N, ...]` except `steps`, `[]`.

        Raises:
            InputTypeError: If a value is of another kind.
            InputValueError: If a leaf has another leading axis, or a value is out of range.
        """
        hparams = self.trainer.hparams if hparams is None else hparams
        if learner is not None:
            learner = checked_learner(learner, self.trainer.template.learner, (self.size,))
        return self._init(
            self._keys(key),
            validated(hparams, self.trainer.hparams, (self.size,)),
            env_params_like(self.trainer.env.params, env_params, (self.size,)),
            learner,
        )

    @in_32_bits()
    def run(
        self, state: AgentState, num_steps: int, segments: int | None = None
    ) -> tuple[AgentState, Metrics]:
        """Train all agents on.

        Args:
            state: The population.
            num_steps: Further env steps of each agent, rounded up to whole iterations.
            segments: Segments K of equal length for learning curves; the agents are the same with any.

        Returns:
            The population after these steps, and each agent's metrics, leaves `[N]`, or `[K, N]` with
            segments.

        Raises:
            InputTypeError: If `state` is no population or a number no whole number.
            InputValueError: If `state` is another population's, `num_steps` is not positive or takes
                an agent beyond 2**31 env steps, or there are more segments than iterations.
        """
        check_state(state, self.trainer.template, (self.size,))
        iterations = self.trainer.iterations(num_steps, state.steps)
        return run_in_segments(self._run, state, iterations, segments)

    @functools.cached_property
    @in_32_bits()
    def template(self) -> AgentState:
        """The shapes and types of the population's state, and how it is spread over the devices."""
        apart = self._spread.extra == 0 and self.mesh.size > 1

        def agents(leaf: jax.ShapeDtypeStruct, spec: P) -> jax.ShapeDtypeStruct:
            lead = (self.size,) if spec == P(AXIS) else ()
            sharding = NamedSharding(self.mesh, spec if apart else P())
            return jax.ShapeDtypeStruct(lead + leaf.shape, leaf.dtype, sharding=sharding)

        parts = [
            jax.tree.map(functools.partial(agents, spec=spec), part)
            for part, spec in zip(self.trainer.template, AGENTS, strict=True)
        ]
        return AgentState(*parts)

    @in_32_bits()
    def memory(self) -> MemoryUse:
        """Say how much memory the population takes, before anything is compiled."""
        return spread_memory(self.trainer, self._spread, self.donate)

    def _fitting_spread(self) -> Spread:
        """Return how to spread the agents: over threads if there is room for their shares.

        Raises:
            InputValueError: If there is no room even without.
        """
        limit = memory_limit(self.mesh)
        spread = Spread(self.size, self.chunk, self.mesh, default_threads(self.mesh))
        use = spread_memory(self.trainer, spread, self.donate)
        if spread.in_shares and limit is not None and use.total > limit:
            spread = Spread(self.size, self.chunk, self.mesh, threads=1)
            use = spread_memory(self.trainer, spread, self.donate)
        check_fits(use, limit, getattr(self.trainer.algorithm, "settings", {}))
        return spread

    @in_32_bits()
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

        Raises:
            InputTypeError: If `state` is no population, `key` no key, or a number no whole number.
            InputValueError: If `state` is another population's, a number is not positive, or so many
                episodes do not fit the memory of the devices.
        """
        return self._played(state, key, num_episodes, max_steps, outcomes=False).returns

    @in_32_bits()
    def evaluate_episodes(
        self, state: AgentState, key: jax.Array, num_episodes: int = 32, max_steps: int = 100_000
    ) -> EpisodeOutcomes:
        """Play whole episodes greedily with every agent, and say what they came to; see `evaluate`.

        Args:
            state: The population.
            key: One PRNG key, or N keys `[N]`.
            num_episodes: Episodes of each agent, each in an environment of its own.
            max_steps: Steps after which an episode that does not end is given up.

        Returns:
            Returns and lengths, `[N, num_episodes]`, and costs, `[N, num_episodes, K]`.
        """
        return with_costs(self._played(state, key, num_episodes, max_steps, outcomes=True))

    def _played(
        self, state: AgentState, key: jax.Array, num_episodes: int, max_steps: int, outcomes: bool
    ) -> EpisodeOutcomes:
        check_state(state, self.trainer.template, (self.size,))
        play = (
            checks.whole_number("num_episodes", num_episodes),
            checks.whole_number("max_steps", max_steps),
            outcomes,
        )
        if play not in self._evaluate:
            self.check_episodes(num_episodes)
            self._evaluate[play] = self._spread.over_workers(self._walks.evaluate(*play))
        return self._evaluate[play](state, self._keys(key))

    def check_episodes(self, num_episodes: int) -> None:
        """Check that there is room to evaluate every agent on so many episodes.

        Raises:
            InputValueError: If there is not, with the number that would fit.
        """
        spread = self._spread
        # Agents that do not fill the devices evenly are given to every device whole, and threads get
        # their shares.
        copies = 1 + (self.mesh.size if spread.extra or spread.in_shares else 0)
        held = copies * (self.size + spread.extra) * num_bytes(self.trainer.template)
        playing = spread.workers * self.chunk * self.trainer.episode_bytes
        check_episodes_fit(num_episodes, self.size, held, playing, memory_limit(self.mesh))

    @in_32_bits()
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


def _population(
    trainer: Trainer, size: int, chunk: int, mesh: SavedMesh | None, donate: bool
) -> Population:
    return Population(trainer, size, chunk=chunk, mesh=restored_mesh(mesh), donate=donate)


def _agent(state: AgentState, index: jax.Array) -> AgentState:
    agent = jax.tree.map(lambda leaf: leaf[index], state._replace(steps=None))
    return agent._replace(steps=state.steps)
