"""The trainer: one agent's whole training as pure functions of one pytree."""

import functools
import math
from functools import partial
from typing import Any, NamedTuple

import flax
import jax
import jax.numpy as jnp
import numpy as np

from jaxq import checks
from jaxq.algorithms import Algorithm
from jaxq.hparams import Hparams, validated
from jaxq.learning import epsilon_greedy, linear_schedule
from jaxq.replay import UniformReplay
from jaxq.training import evaluation, learner
from jaxq.training.learner import Learner, LearningStatistics
from jaxq.training.rollout import EpisodeTotals, rollout, start
from jaxq.training.state import (
    RESERVED,
    AgentState,
    Metrics,
    check_key,
    check_state,
    describe,
    env_params_like,
)
from jaxq.types import Environment, PyTree


class _Totals(NamedTuple):
    """Sums over a call of `run`, from which the metrics are made at its end."""

    episodes: EpisodeTotals
    learning: LearningStatistics


class Trainer:
    """Trains one agent of an algorithm on an environment.

    One iteration collects with E environments and then learns, as often as keeps one gradient step
    per `train_interval` env steps exactly; see `iteration_steps`. All methods are pure, and work
    inside `jax.jit` and `jax.vmap`.

    Attributes:
        env: The environment.
        algorithm: The recipe.
        hparams: The recipe's hyperparameters as arrays, to start from.
        iteration_steps: Env steps of the agent in one iteration.
        warmup_steps: Env steps that `init` fills the replay with.

    Raises:
        InputTypeError: If `env` or `algorithm` is something else.
        InputValueError: If the recipe's network does not fit the environment.

    Example:
        >>> import jax, jaxq
        >>> trainer = jaxq.Trainer(jaxq.envs.make("CartPole-v1"), jaxq.dqn())
        >>> state = trainer.init(jax.random.key(0))
        >>> state, metrics = trainer.run(state, 1_000)
        >>> trainer.evaluate(state, jax.random.key(1), num_episodes=4).shape
        (4,)
    """

    def __init__(self, env: Environment, algorithm: Algorithm) -> None:
        _check_arguments(env, algorithm)
        settings = algorithm.settings
        self.env = env
        self.algorithm = algorithm
        self.hparams = validated(algorithm.hparams, algorithm.hparams)
        self.network = algorithm.network(env.observation_spec, env.num_actions)
        # With E environments and a gradient step per k env steps, both only come out whole after
        # lcm(E, k) env steps; counting in those, no ratio of the two is ever rounded.
        self.iteration_steps = math.lcm(settings.num_envs, settings.train_interval)
        self.warmup_steps = self._whole_iterations(
            max(settings.learning_starts, settings.n_step * settings.num_envs)
        )
        self._collect_length = self.iteration_steps // settings.num_envs
        self._updates = self.iteration_steps // settings.train_interval
        capacity = self._whole_iterations(settings.buffer_size)
        self.replay = UniformReplay(
            capacity // settings.num_envs, settings.num_envs, settings.batch_size, settings.n_step
        )
        self._check_network()
        self._init = jax.jit(self.init_agent)
        self._run = jax.jit(self.run_agent)
        self._evaluate = jax.jit(self.evaluate_agent, static_argnums=(2, 3))

    def init(
        self, key: jax.Array, hparams: Hparams | None = None, env_params: PyTree = None
    ) -> AgentState:
        """Make an agent, and fill its replay with `warmup_steps` env steps of its own exploration.

        Args:
            key: PRNG key; it alone decides all of the agent's randomness.
            hparams: Hyperparameters; `trainer.hparams` if not given.
            env_params: Environment parameters; the environment's own if not given.

        Returns:
            The agent, ready to learn, with `steps = warmup_steps`.

        Raises:
            InputTypeError: If the key is no PRNG key or the hyperparameters are of another recipe.
            InputValueError: If a hyperparameter is out of range.
        """
        check_key(key)
        hparams = validated(self.hparams if hparams is None else hparams, self.hparams)
        return self._init(key, hparams, env_params_like(self.env.params, env_params))

    def run(self, state: AgentState, num_steps: int) -> tuple[AgentState, Metrics]:
        """Train on.

        Args:
            state: The agent.
            num_steps: Further env steps in all environments of the agent together, rounded up to
                whole iterations. Changing it does not compile again.

        Returns:
            The agent after these steps, and what happened on the way.

        Raises:
            InputTypeError: If `state` is no agent or `num_steps` no whole number.
            InputValueError: If `state` is another trainer's, or `num_steps` is not positive or takes
                the agent beyond 2**31 env steps.
        """
        check_state(state, self.template)
        return self._run(state, self.iterations(num_steps, state.steps))

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
        """
        check_state(state, self.template)
        check_key(key)
        num_episodes = checks.whole_number("num_episodes", num_episodes)
        return self._evaluate(state, key, num_episodes, checks.whole_number("max_steps", max_steps))

    def q_values(self, state: AgentState, observation: jax.Array) -> jax.Array:
        """Say what each action is worth.

        Args:
            state: The agent.
            observation: Observations, `[..., *observation_spec.shape]`.

        Returns:
            Action values, float32 `[..., A]`.

        Raises:
            InputValueError: If the observations have another shape.
        """
        check_state(state, self.template)
        spec = self.env.observation_spec
        try:
            observation = jnp.asarray(observation, spec.dtype)
        except (TypeError, ValueError):
            raise checks.InputTypeError(
                f"observation must be numbers, got {describe(observation)}"
            ) from None
        split = observation.ndim - len(spec.shape)
        if split < 0 or observation.shape[split:] != spec.shape:
            raise checks.InputValueError(
                f"observation must have shape [..., {', '.join(map(str, spec.shape))}], "
                f"got {observation.shape}"
            )
        batch = observation.reshape(-1, *spec.shape)
        q = self.network.apply(state.learner.params, batch)
        return q.reshape(*observation.shape[:split], self.env.num_actions)

    def iterations(self, num_steps: int, steps: jax.Array | int = 0) -> jax.Array:
        """Return how many whole iterations cover `num_steps` more env steps after `steps`, int32 `[]`.

        Raises:
            InputTypeError: If `num_steps` is no whole number.
            InputValueError: If it is not positive, or the agent's steps would leave 32 bits.
        """
        if not checks.is_concrete(num_steps):
            return (num_steps - 1) // self.iteration_steps + 1
        num_steps = checks.whole_number("num_steps", num_steps)
        rounded = self._whole_iterations(num_steps)
        # A vmap of the user's own gives every agent a clock; they all show the same.
        so_far = int(np.max(steps)) if checks.is_concrete(steps) else 0
        if so_far + rounded >= RESERVED:
            raise checks.InputValueError(
                f"an agent's env steps are counted in 32 bits: it has {so_far}, so num_steps must be "
                f"at most {max(RESERVED - so_far - self.iteration_steps, 0)}, got {num_steps}"
            )
        return jnp.int32(rounded // self.iteration_steps)

    @functools.cached_property
    def template(self) -> AgentState:
        """The shapes and types of an agent's state."""
        arguments = (jax.random.key(0), self.hparams, self.env.params)
        return jax.eval_shape(self.init_agent, *arguments)

    def init_agent(self, key: jax.Array, hparams: Hparams, env_params: PyTree) -> AgentState:
        """Do what `init` does, on checked arguments."""
        settings, spec = self.algorithm.settings, self.env.observation_spec
        # Training folds in step counts, which stay below these.
        network_key = jax.random.fold_in(key, RESERVED)
        actors_key = jax.random.fold_in(key, RESERVED + 1)
        batch = jnp.zeros((1, *spec.shape), spec.dtype)
        state = AgentState(
            key=key,
            hparams=hparams,
            env_params=env_params,
            actors=start(self.env, env_params, actors_key, settings.num_envs),
            memory=self.replay.init(spec),
            learner=learner.init(self.algorithm, self.network, network_key, hparams, batch),
            steps=jnp.int32(0),
        )

        def collect(state: AgentState, _: None) -> tuple[AgentState, None]:
            collect_key, _ = self._iteration_keys(state)
            return self._collect(state, collect_key)[0], None

        length = self.warmup_steps // self.iteration_steps
        return jax.lax.scan(collect, state, length=length)[0]

    def run_agent(self, state: AgentState, iterations: jax.Array) -> tuple[AgentState, Metrics]:
        """Do what `run` does, for a number of whole iterations."""

        def iteration(_: jax.Array, carry: tuple[AgentState, _Totals]) -> tuple:
            state, totals = carry
            state, new = self._iterate(state)
            return state, jax.tree.map(jnp.add, totals, new)

        totals = jax.tree.map(
            lambda leaf: jnp.zeros(leaf.shape, leaf.dtype),
            jax.eval_shape(self._iterate, state)[1],
        )
        # The number of iterations is data, so that a run of another length is no other program.
        state, totals = jax.lax.fori_loop(0, iterations, iteration, (state, totals))
        return state, self._metrics(state, totals, iterations)

    def evaluate_agent(
        self, state: AgentState, key: jax.Array, num_episodes: int, max_steps: int
    ) -> jax.Array:
        """Do what `evaluate` does, on checked arguments."""
        greedy = partial(self.network.apply, state.learner.params)
        return evaluation.greedy_returns(
            self.env, state.env_params, greedy, key, num_episodes, max_steps
        )

    def _iteration_keys(self, state: AgentState) -> jax.Array:
        return jax.random.split(jax.random.fold_in(state.key, state.steps))

    def _iterate(self, state: AgentState) -> tuple[AgentState, _Totals]:
        collect_key, learn_key = self._iteration_keys(state)
        state, episodes = self._collect(state, collect_key)
        state, learning = self._learn(state, learn_key)
        return state, _Totals(episodes, learning)

    def _collect(self, state: AgentState, key: jax.Array) -> tuple[AgentState, EpisodeTotals]:
        """Act for one iteration, and remember what happened."""

        def policy(key: jax.Array, observation: jax.Array, steps: jax.Array) -> jax.Array:
            q = self.network.apply(state.learner.params, observation)
            keys = jax.random.split(key, q.shape[0])
            epsilon = self._epsilon(state.hparams, steps)
            return jax.vmap(epsilon_greedy, in_axes=(0, 0, None))(keys, q, epsilon)

        actors, transitions, episodes = rollout(
            self.env, state.env_params, policy, state.actors, key, state.steps, self._collect_length
        )
        memory = self.replay.add(state.memory, transitions, self._rows(state.steps))
        steps = state.steps + self.iteration_steps
        return state._replace(actors=actors, memory=memory, steps=steps), episodes

    def _learn(self, state: AgentState, key: jax.Array) -> tuple[AgentState, LearningStatistics]:
        """Take one iteration's gradient steps."""
        settings = self.algorithm.settings
        hparams = state.hparams.replace(learning_rate=_learning_rate(state))

        def update(learned: Learner, inputs: tuple) -> tuple[Learner, LearningStatistics]:
            number, key = inputs
            # The env step that this gradient step stands for, counted from the first one learned.
            step = (
                state.steps - self.warmup_steps - self.iteration_steps
            ) + number * settings.train_interval
            target_due = step % settings.target_interval < settings.train_interval
            sample = self.replay.sample(key, state.memory, self._rows(state.steps), hparams.discount)
            return learner.learn(self.algorithm, self.network, learned, hparams, sample, target_due)

        inputs = jnp.arange(1, self._updates + 1), jax.random.split(key, self._updates)
        learned, statistics = jax.lax.scan(update, state.learner, inputs)
        return state._replace(learner=learned), jax.tree.map(jnp.sum, statistics)

    def _metrics(self, state: AgentState, totals: _Totals, iterations: jax.Array) -> Metrics:
        episodes, learning = totals
        updates = iterations * self._updates
        return Metrics(
            episodes=episodes.episodes.astype(jnp.float32),
            episode_return=episodes.episode_return / episodes.episodes,
            episode_length=episodes.episode_length / episodes.episodes,
            loss=learning.loss / updates,
            td_error=learning.td_error / updates,
            q_value=learning.q_value / updates,
            gradient_norm=learning.gradient_norm / updates,
            epsilon=self._epsilon(state.hparams, state.steps),
        )

    def _epsilon(self, hparams: Hparams, steps: jax.Array) -> jax.Array:
        return linear_schedule(steps, hparams.epsilon_start, hparams.epsilon_end, hparams.epsilon_steps)

    def _rows(self, steps: jax.Array) -> jax.Array:
        return steps // self.algorithm.settings.num_envs

    def _whole_iterations(self, steps: int) -> int:
        return -(-steps // self.iteration_steps) * self.iteration_steps

    def _check_network(self) -> None:
        spec, num_envs = self.env.observation_spec, self.algorithm.settings.num_envs
        batch = jax.ShapeDtypeStruct((num_envs, *spec.shape), spec.dtype)
        try:
            variables = jax.eval_shape(self.network.init, jax.random.key(0), batch)
            q = jax.eval_shape(self.network.apply, variables, batch)
            others = sorted(set(variables) - {"params"})
            got = f"variables {others} beside its params" if others else f"{q.dtype}{list(q.shape)}"
        except (TypeError, ValueError, flax.errors.FlaxError) as error:
            got = f"an error: {str(error).splitlines()[0]}"
        expected = f"float32[{num_envs}, {self.env.num_actions}]"
        if got != expected:
            raise checks.InputValueError(
                f"the network must map observations {batch.dtype}{list(batch.shape)} of "
                f"{self.env.name} to action values {expected}, got {got}"
            )


def _learning_rate(state: AgentState) -> jax.Array:
    start, steps = state.hparams.learning_rate, state.hparams.learning_rate_steps
    return jnp.where(steps > 0, linear_schedule(state.steps, start, 0.0, steps), start)


def _check_arguments(env: Any, algorithm: Any) -> None:
    if not hasattr(env, "observation_spec"):
        raise checks.InputTypeError(
            f"env must come from jaxq.envs, got {describe(env)}; "
            'for example jaxq.envs.make("CartPole-v1") or jaxq.envs.from_gymnax(env, params)'
        )
    if not isinstance(algorithm, Algorithm):
        raise checks.InputTypeError(
            f"algorithm must be a recipe, got {describe(algorithm)}; for example jaxq.dqn()"
        )
