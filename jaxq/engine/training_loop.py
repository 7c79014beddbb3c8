"""The loop of training: act, learn, and again, as pure functions on checked arguments."""

import jax
import jax.numpy as jnp

from jaxq.agents import Agent
from jaxq.agents.protocol import LearningStatistics, inherited
from jaxq.engine.foreign_parts import check_traces
from jaxq.engine.rollout import EpisodeTotals, RolloutContext, rollout, start
from jaxq.engine.state import RESERVED, AgentState, Metrics
from jaxq.engine.totals import RunningSum, Totals, metrics
from jaxq.hparams import Hparams
from jaxq.kernels.threefry import unrolled_threefry
from jaxq.types import Environment, PyTree, Transition, cost_shape

# Iterations whose keys are drawn at once, and how many keys that may be.
MOST_ITERATIONS = 32
MOST_KEYS = 1024


class TrainingLoop:
    """One agent's training on an environment, iteration by iteration.

    Attributes:
        env: The environment.
        agent: The agent.
        keys_at_once: PRNG keys that are drawn at once.

    Args:
        env: The environment.
        agent: The agent, made ready for the environment.
    """

    def __init__(self, env: Environment, agent: Agent) -> None:
        self.env, self.agent = env, agent
        rows = agent.iteration_steps // agent.num_envs
        self._num_keys = 1 + rows * (1 + agent.num_envs) * agent.collects
        self._block = min(max(MOST_KEYS // self._num_keys, 1), MOST_ITERATIONS)
        self.keys_at_once = self._block * self._num_keys

    def init(
        self, key: jax.Array, hparams: Hparams, env_params: PyTree, donor: PyTree = None
    ) -> AgentState:
        """Make an agent, and fill its replay; see `Trainer.init`."""
        state = self.begin(key, hparams, env_params, donor)

        def collect(state: AgentState, _: None) -> tuple[AgentState, None]:
            return self._collect(state, self._iteration_keys(key, state.steps)[1:])[0], None

        length = self.agent.warmup_steps // self.agent.iteration_steps
        return jax.lax.scan(collect, state, length=length)[0] if length else state

    def begin(
        self, key: jax.Array, hparams: Hparams, env_params: PyTree, donor: PyTree = None
    ) -> AgentState:
        """Make an agent that has not acted yet."""
        # Training folds in step counts, which stay below these.
        own = unrolled_threefry(key, apart=True)
        network_key = jax.random.fold_in(own, RESERVED)
        actors_key = jax.random.fold_in(own, RESERVED + 1)
        learner, memory = self.agent.init(network_key, hparams)
        if donor is not None:
            learner = inherited(learner, donor)
        return AgentState(
            key=key,
            hparams=hparams,
            env_params=env_params,
            actors=start(self.env, env_params, self.agent, actors_key),
            memory=memory,
            learner=learner,
            steps=jnp.int32(0),
        )

    def run(self, state: AgentState, iterations: jax.Array) -> tuple[AgentState, Metrics]:
        """Train for a number of whole iterations; see `Trainer.run`."""

        def unfinished(carry: tuple) -> jax.Array:
            return carry[0] < iterations

        def block(carry: tuple) -> tuple:
            done, state, sums = carry
            # Keys are drawn for many iterations at once: one by one, the dispatch of the generator's
            # many small operations takes longer than a whole step of a small agent.
            steps = state.steps + jnp.arange(self._block) * self.agent.iteration_steps
            keys = jax.vmap(self._iteration_keys, in_axes=(None, 0))(state.key, steps)

            def iteration(number: jax.Array, carry: tuple[AgentState, Totals]) -> tuple:
                state, totals = carry
                state, new = self._iterate(state, keys[number])
                return state, jax.tree.map(jnp.add, totals, new)

            length = jnp.minimum(self._block, iterations - done)
            state, totals = jax.lax.fori_loop(0, length, iteration, (state, self._nothing()))
            return done + length, state, sums.plus(totals)

        # The number of iterations is data, so that a run of another length is no other program.
        begin = jnp.int32(0), state, RunningSum.zero(self._nothing())
        _, state, sums = jax.lax.while_loop(unfinished, block, begin)
        epsilon = self.agent.exploration_rate(state.hparams, state.steps)
        return state, metrics(sums.total, iterations, epsilon)

    def check_traces(self, hparams: Hparams) -> None:
        """Check parts of the user's own before anything is compiled."""
        arguments = jax.random.key(0), hparams, self.env.params

        def iterate(state: AgentState) -> AgentState:
            return self._iterate(state, self._iteration_keys(state.key, state.steps))[0]

        check_traces(self.agent.name, lambda: self.init(*arguments), iterate)

    def _iteration_keys(self, key: jax.Array, steps: jax.Array) -> jax.Array:
        """Return the keys of the iteration after `steps` env steps: one to learn, the others to act."""
        return jax.random.split(jax.random.fold_in(unrolled_threefry(key), steps), self._num_keys)

    def _iterate(self, state: AgentState, keys: jax.Array) -> tuple[AgentState, Totals]:
        state, newest, episodes = (
            self._collect(state, keys[1:]) if self.agent.collects else self._pass(state)
        )
        learner, memory, statistics = self.agent.learn(
            keys[0], state.learner, state.memory, state.hparams, newest, state.steps
        )
        statistics = LearningStatistics(*[jnp.asarray(x, jnp.float32) for x in statistics])
        return state._replace(learner=learner, memory=memory), Totals(episodes, statistics)

    def _pass(self, state: AgentState) -> tuple[AgentState, None, EpisodeTotals]:
        """Let the time of one iteration pass without acting."""
        steps = state.steps + self.agent.iteration_steps
        return state._replace(steps=steps), None, self._nothing().episodes

    def _nothing(self) -> Totals:
        """Return what no iterations add up to."""
        cost = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape), cost_shape(self.env))
        episodes = EpisodeTotals(jnp.int32(0), jnp.float32(0), jnp.int32(0), cost)
        return Totals(episodes, LearningStatistics(*[jnp.float32(0)] * len(LearningStatistics._fields)))

    def _collect(
        self, state: AgentState, keys: jax.Array
    ) -> tuple[AgentState, Transition, EpisodeTotals]:
        """Act for one iteration, and remember what happened."""
        context = RolloutContext(self.env, state.env_params, self.agent, state.learner, state.hparams)
        keys = keys.reshape(-1, 1 + self.agent.num_envs, *keys.shape[1:])
        actors, newest, episodes = rollout(context, state.actors, keys, state.steps)
        memory = self.agent.observe(state.memory, newest, state.steps)
        steps = state.steps + self.agent.iteration_steps
        return state._replace(actors=actors, memory=memory, steps=steps), newest, episodes
