"""The trainer: one agent's whole training as pure functions of one pytree."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh

from jaxq import checks
from jaxq.agents import Agent, Algorithm
from jaxq.agents.protocol import (
    PolicyInput,
    check_agent,
    first_input,
)
from jaxq.engine.devices import (
    SavedMesh,
    checked_mesh,
    first_device,
    memory_limit,
    restored_mesh,
    saved_mesh,
)
from jaxq.engine.evaluation import EpisodeOutcomes, greedy_episodes, with_costs
from jaxq.engine.foreign_parts import is_foreign
from jaxq.engine.memory_use import check_episodes_fit, episode_bytes, num_bytes, working_bytes
from jaxq.engine.programs import Program
from jaxq.engine.segments import run_in_segments
from jaxq.engine.splitting import DATA, batch_splitter, check_divides, state_shardings
from jaxq.engine.state import (
    RESERVED,
    AgentState,
    Metrics,
    check_arguments,
    check_key,
    check_state,
    checked_learner,
    checked_observation,
    describe,
    env_params_like,
)
from jaxq.engine.training_loop import TrainingLoop
from jaxq.hparams import Hparams, validated
from jaxq.kernels.threefry import unrolled_threefry
from jaxq.precision import in_32_bits
from jaxq.types import Environment, PyTree


class Trainer:
    """Trains one agent on an environment.

    One iteration collects with E environments and then learns, as often as keeps one gradient step
    per `train_interval` env steps exactly; see `iteration_steps`. All methods are pure, and work
    inside `jax.jit` and `jax.vmap`.

    Attributes:
        env: The environment.
        algorithm: The recipe, or the agent that was given.
        agent: It made ready for the environment.
        hparams: Its hyperparameters as arrays, to start from.
        iteration_steps: Env steps of the agent in one iteration.
        warmup_steps: Env steps that `init` fills the replay with.
        loop: What it does, on checked arguments.
        mesh: Devices that the agent is split over, or `None`.

    Args:
        env: The environment.
        algorithm: A recipe, or anything with the protocol `jaxq.Agent`.
        mesh: A mesh with the one axis "data", over which to split the environments and batches of one
            large agent. Results are those of one device up to rounding.

    Raises:
        InputTypeError: If `env` or `algorithm` is something else.
        InputValueError: If the recipe's network does not fit the environment, or the recipe cannot
            be split over the mesh.

    Example:
        >>> import jax, jaxq
        >>> trainer = jaxq.Trainer(jaxq.envs.make("CartPole-v1"), jaxq.dqn())
        >>> state = trainer.init(jax.random.key(0))
        >>> state, metrics = trainer.run(state, 1_000)
        >>> trainer.evaluate(state, jax.random.key(1), num_episodes=4).shape
        (4,)
    """

    @in_32_bits()
    def __init__(
        self, env: Environment, algorithm: Algorithm | Agent, *, mesh: Mesh | None = None
    ) -> None:
        check_arguments(env, algorithm)
        self.env = env
        self.algorithm = algorithm
        self.mesh = None if mesh is None else checked_mesh(mesh, DATA)
        self.agent = algorithm.bind(env, batch_splitter(self.mesh))
        check_agent(self.agent)
        check_divides(self.agent, self.mesh)
        self.hparams = validated(self.agent.hparams, self.agent.hparams)
        self.iteration_steps = self.agent.iteration_steps
        self.warmup_steps = self.agent.warmup_steps
        self.loop = TrainingLoop(env, self.agent)
        if is_foreign(algorithm):
            self.loop.check_traces(self.hparams)
        where = None if self.mesh is None else state_shardings(self.template, self.mesh)
        self._init = Program(self.loop.init, out_shardings=where)
        self._run = Program(self.loop.run, out_shardings=(where, None))
        self._evaluate = Program(self.evaluate_agent, static_argnums=(2, 3))
        self._play = Program(self.play_agent, static_argnums=(2, 3, 4))
        self._q_values = Program(self._q_values_of)
        # What its populations have compiled, by chunk, so that each is compiled once.
        self.walks: dict[int, PyTree] = {}

    def __reduce__(self) -> tuple:
        """Pickle and copy what it was made of, and compile again; programs are in no file."""
        return _trainer, (self.env, self.algorithm, saved_mesh(self.mesh))

    @in_32_bits()
    def init(
        self,
        key: jax.Array,
        hparams: Hparams | None = None,
        env_params: PyTree = None,
        learner: PyTree = None,
    ) -> AgentState:
        """Make an agent, and fill its replay with `warmup_steps` env steps of its own exploration.

        Args:
            key: PRNG key; it alone decides all of the agent's randomness.
            hparams: Hyperparameters; `trainer.hparams` if not given.
            env_params: Environment parameters; the environment's own if not given.
            learner: What an agent of the same network and optimizer has learned, `state.learner`, for
                example from logged data; with it this one begins, and fills its replay.

        Returns:
            The agent, ready to learn, with `steps = warmup_steps`.

        Raises:
            InputTypeError: If the key is no PRNG key, or hyperparameters or `learner` are of another
                recipe.
            InputValueError: If a hyperparameter is out of range, or `learner` has other shapes.
        """
        check_key(key)
        hparams = validated(self.hparams if hparams is None else hparams, self.hparams)
        if learner is not None:
            learner = checked_learner(learner, self.template.learner)
        return self._init(key, hparams, env_params_like(self.env.params, env_params), learner)

    @in_32_bits()
    def run(
        self, state: AgentState, num_steps: int, segments: int | None = None
    ) -> tuple[AgentState, Metrics]:
        """Train on.

        Args:
            state: The agent.
            num_steps: Further env steps in all environments of the agent together, rounded up to
                whole iterations. Changing it does not compile again.
            segments: Segments K of equal length for a learning curve; the agent is the same with any.

        Returns:
            The agent after these steps, and its metrics, leaves `[]`, or `[K]` with segments.

        Raises:
            InputTypeError: If `state` is no agent or a number no whole number.
            InputValueError: If `state` is another trainer's, `num_steps` is not positive or takes the
                agent beyond 2**31 env steps, or there are more segments than iterations.
        """
        check_state(state, self.template)
        iterations = self.iterations(num_steps, state.steps)
        return run_in_segments(self._run, state, iterations, segments)

    @in_32_bits()
    def evaluate(
        self, state: AgentState, key: jax.Array, num_episodes: int = 32, max_steps: int = 100_000
    ) -> jax.Array:
        """Play whole episodes greedily.

        Args:
            state: The agent.
            key: PRNG key.
            num_episodes: Number of episodes, each played to its end in an environment of its own.
            max_steps: Steps after which an episode that does not end is given up.

        Returns:
            Undiscounted returns, float32 `[num_episodes]`; NaN for an episode that was given up.

        Raises:
            InputTypeError: If `state` is no agent, `key` no PRNG key, or a number no whole number.
            InputValueError: If `state` is another trainer's, a number is not positive, or so many
                episodes do not fit the memory.
        """
        length = self._checked_length(state, key, num_episodes, max_steps)
        return self._evaluate(state, key, *length)

    @in_32_bits()
    def evaluate_episodes(
        self, state: AgentState, key: jax.Array, num_episodes: int = 32, max_steps: int = 100_000
    ) -> EpisodeOutcomes:
        """Play whole episodes greedily, and say what they came to; see `evaluate`.

        Args:
            state: The agent.
            key: PRNG key.
            num_episodes: Number of episodes, those of `evaluate` with the same key.
            max_steps: Steps after which an episode that does not end is given up.

        Returns:
            Returns and lengths, `[num_episodes]`, and costs, `[num_episodes, K]`.
        """
        length = self._checked_length(state, key, num_episodes, max_steps)
        return with_costs(self._play(state, key, *length, True))

    def _checked_length(
        self, state: AgentState, key: jax.Array, num_episodes: int, max_steps: int
    ) -> tuple[int, int]:
        check_state(state, self.template)
        check_key(key)
        num_episodes = checks.whole_number("num_episodes", num_episodes)
        limit = memory_limit(first_device() if self.mesh is None else self.mesh)
        check_episodes_fit(num_episodes, 1, num_bytes(self.template), self.episode_bytes, limit)
        return num_episodes, checks.whole_number("max_steps", max_steps)

    @in_32_bits()
    def q_values(self, state: AgentState, observation: jax.Array) -> jax.Array:
        """Say what each action is worth; to a recurrent agent, at the beginning of an episode.

        Args:
            state: The agent.
            observation: Observations, `[..., *observation_spec.shape]`.

        Returns:
            Action values, float32 `[..., A]`.

        Raises:
            InputTypeError: If the observations are no numbers.
            InputValueError: If they have another shape, or say what no observation can.
        """
        check_state(state, self.template)
        spec = self.env.observation_spec
        observation = checked_observation(observation, spec)
        lead = observation.shape[: observation.ndim - len(spec.shape)]
        if 0 in lead:
            return jnp.zeros((*lead, self.env.num_actions))
        q = self._q_values(state.learner, observation.reshape(-1, *spec.shape))
        return q.reshape(*lead, self.env.num_actions)

    def iterations(self, num_steps: int, steps: jax.Array | int = 0) -> jax.Array:
        """Return how many whole iterations cover `num_steps` more env steps after `steps`, int32 `[]`.

        Raises:
            InputTypeError: If `num_steps` is no whole number.
            InputValueError: If it is not positive, or the agent's steps would leave 32 bits.
        """
        if not checks.is_concrete(num_steps):
            if num_steps.shape != () or not jnp.issubdtype(num_steps.dtype, jnp.integer):
                raise checks.InputTypeError(
                    f"num_steps must be one whole number, got {describe(num_steps)}; "
                    "for example jnp.int32(1_000)"
                )
            return (num_steps.astype(jnp.int32) - 1) // self.iteration_steps + 1
        num_steps = checks.whole_number("num_steps", num_steps)
        rounded = -(-num_steps // self.iteration_steps) * self.iteration_steps
        # A vmap of the user's own gives every agent a clock; they all show the same.
        so_far = int(np.max(np.asarray(steps))) if checks.is_concrete(steps) else 0
        if so_far + rounded >= RESERVED:
            raise checks.InputValueError(
                f"an agent's env steps are counted in 32 bits: it has {so_far}, so num_steps must be "
                f"at most {max(RESERVED - so_far - self.iteration_steps, 0)}, got {num_steps}"
            )
        return jnp.int32(rounded // self.iteration_steps)

    @functools.cached_property
    @in_32_bits()
    def template(self) -> AgentState:
        """The shapes and types of an agent's state."""
        arguments = (jax.random.key(0), self.hparams, self.env.params)
        return jax.eval_shape(self.loop.begin, *arguments)

    @functools.cached_property
    @in_32_bits()
    def working_bytes(self) -> int:
        """An estimate of what training one agent takes beside its state."""
        rows, num_keys = self.agent.update_rows, self.loop.keys_at_once
        return working_bytes(rows, self.template, self._policy_of, num_keys)

    @functools.cached_property
    def episode_bytes(self) -> int:
        """An estimate of what one episode of an evaluation takes."""
        game = jax.eval_shape(
            lambda key: (*self.env.reset(key, self.env.params), self.agent.initial_carry(1)),
            jax.random.key(0),
        )
        return episode_bytes(self.template, game, self._policy_of)

    def evaluate_agent(
        self, state: AgentState, key: jax.Array, num_episodes: int, max_steps: int
    ) -> jax.Array:
        """Do what `evaluate` does, on checked arguments."""
        return self.play_agent(state, key, num_episodes, max_steps, outcomes=False).returns

    def play_agent(
        self, state: AgentState, key: jax.Array, num_episodes: int, max_steps: int, outcomes: bool
    ) -> EpisodeOutcomes:
        """Do what `evaluate_episodes` does, on checked arguments; without outcomes returns alone."""
        return greedy_episodes(
            self.env,
            state.env_params,
            self.agent,
            state.learner,
            unrolled_threefry(key),
            num_episodes,
            max_steps,
            outcomes,
        )

    def _q_values_of(self, learner: PyTree, observation: jax.Array) -> jax.Array:
        return self.agent.q_values(learner, self._first_input(observation))[0]

    def _policy_of(self, learner: PyTree, observation: jax.Array) -> PyTree:
        return self.agent.policy(learner, self._first_input(observation))

    def _first_input(self, observation: jax.Array) -> PolicyInput:
        return first_input(observation, self.agent.initial_carry(observation.shape[0]))


def _trainer(env: Environment, algorithm: Algorithm, mesh: SavedMesh | None) -> Trainer:
    return Trainer(env, algorithm, mesh=restored_mesh(mesh))
