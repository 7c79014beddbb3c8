"""A trained agent by itself: it acts, says what actions are worth, and is saved without its replay."""

from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxq import checks
from jaxq.agents.protocol import PolicyInput
from jaxq.configuration.config import Config
from jaxq.configuration.objects import name_of
from jaxq.engine import Trainer, evaluation
from jaxq.engine.devices import first_device, memory_limit
from jaxq.engine.memory_use import check_episodes_fit, num_bytes
from jaxq.engine.programs import Program
from jaxq.engine.state import check_key, checked_observation, describe
from jaxq.experiment.saved_agent import Learned, Origin, write_agent
from jaxq.hparams import Hparams
from jaxq.kernels.threefry import unrolled_threefry
from jaxq.planning import Plan, plan_of
from jaxq.planning.arguments import checked_one_observation
from jaxq.precision import in_32_bits
from jaxq.types import Environment, PyTree


class AgentCarry(NamedTuple):
    """What an agent carries from one step of an episode to the next.

    Attributes:
        first: Whether an episode begins with the next observation, bool `[E]`.
        action: The actions before, int32 `[E]`.
        policy: What the policy itself carries, such as a recurrent state.
        steps: Steps acted so far, int32 `[]`.
    """

    first: jax.Array
    action: jax.Array
    policy: PyTree
    steps: jax.Array


class LoadedAgent:
    """A trained agent, from `jaxq.load`.

    `act` and `q_values` are pure, and work inside `jax.jit`, `jax.vmap` and `jax.lax.scan`.

    Attributes:
        config: What it was trained with.
        env: Its environment.
        env_params: The environment's parameters that it was trained with.
        learner: What it has learned.
        hparams: Its hyperparameters.
        learned: Both, with the parameters of its environment.
        origin: Which agent of its run it is, after how many steps, with what score.

    Args:
        config: What it was trained with.
        trainer: The trainer of one such agent.
        learned: What it has learned.
        origin: Where it comes from.
    """

    def __init__(self, config: Config, trainer: Trainer, learned: Learned, origin: Origin) -> None:
        self.config = config
        self.env: Environment = trainer.env
        self.env_params = learned.env_params
        self.learner = learned.learner
        self.hparams: Hparams = learned.hparams
        self.origin = origin
        self.learned = learned
        self._agent = trainer.agent
        self._trainer = trainer
        self._policy = Program(self._agent.policy)
        self._q_values = Program(self._agent.q_values)
        self._returns = Program(self._returns_of, static_argnums=(2, 3))

    def __repr__(self) -> str:
        """Name what it is."""
        what = f"{name_of(self.config.environment)}, {name_of(self.config.algorithm)}"
        return f"LoadedAgent({what}, {self.origin})"

    @in_32_bits()
    def initial_carry(self, num_envs: int = 1) -> AgentCarry:
        """Return what `act` carries where episodes begin, as a loop of `jax.lax.scan` starts from it.

        Args:
            num_envs: Environments E; 1 for a single observation.
        """
        num_envs = checks.whole_number("num_envs", num_envs)
        first, no_action = jnp.ones(num_envs, bool), jnp.full(num_envs, -1, jnp.int32)
        return AgentCarry(first, no_action, self._agent.initial_carry(num_envs), jnp.int32(0))

    @in_32_bits()
    def act(
        self,
        observation: Any,
        carry: AgentCarry | None = None,
        *,
        reward: Any = None,
        first: Any = None,
        legal_actions: Any = None,
    ) -> tuple[jax.Array, AgentCarry]:
        """Choose the best actions.

        Args:
            observation: One observation, or a batch `[B, ...]`.
            carry: What the last call returned; `None` where all episodes begin. Only recurrent agents
                act otherwise without.
            reward: Rewards of the last actions, `[]` or `[B]`; 0 if not given. Only recurrent agents
                look at them, and play as they were trained only where they are given.
            first: Which episodes begin with these observations, bool `[]` or `[B]`; those of which
                `carry` says so if not given.
            legal_actions: Actions that may be taken, bool `[A]` or `[B, A]`; all if not given.

        Returns:
            Actions, int32 `[]` or `[B]`, and what the next call takes as `carry`.

        Raises:
            InputTypeError: If the observations are no numbers, or `carry` is something else.
            InputValueError: If observations, rewards or `carry` have another shape.

        Example:
            >>> import jaxq, tempfile
            >>> config = jaxq.configure("FrozenLake-v1", "q_learning", agents=2, steps=2_000)
            >>> with tempfile.TemporaryDirectory() as parent:
            ...     _ = jaxq.Experiment(config, parent + "/run").run()
            ...     agent = jaxq.load(parent + "/run")
            >>> action, carry = agent.act(0)
            >>> action, carry = agent.act(4, carry, reward=0.0)
            >>> agent.q_values([0, 4]).shape
            (2, 4)
        """
        inputs, lead = self._inputs(observation, carry, reward, first)
        if legal_actions is not None:
            inputs = inputs._replace(legal_actions=self._mask(legal_actions, lead))
        output = self._policy(self.learner, inputs)
        none_first, steps = jnp.zeros_like(inputs.first), inputs.steps + inputs.first.size
        after = AgentCarry(none_first, output.action, output.carry, steps)
        return output.action.reshape(lead), after

    @in_32_bits()
    def q_values(
        self,
        observation: Any,
        carry: AgentCarry | None = None,
        *,
        reward: Any = None,
        first: Any = None,
    ) -> jax.Array:
        """Say what each action is worth.

        Args:
            observation: One observation, or a batch `[B, ...]`.
            carry: As `act` takes it.
            reward: As `act` takes it.
            first: As `act` takes it.

        Returns:
            Action values, float32 `[A]` or `[B, A]`.

        Raises:
            InputTypeError: If the observations are no numbers, or the agent has no action values.
            InputValueError: If observations, rewards or `carry` have another shape.
        """
        inputs, lead = self._inputs(observation, carry, reward, first)
        q, _ = self._q_values(self.learner, inputs)
        return q.reshape(*lead, self.env.num_actions)

    @in_32_bits()
    def plan(
        self,
        observation: Any,
        carry: AgentCarry | None = None,
        *,
        reward: Any = None,
        first: Any = None,
        legal_actions: Any = None,
        **asked: Any,
    ) -> Plan:
        """Say what to do next: the corrective actions, best first; see `jaxq.plan`.

        Args:
            observation: One observation.
            carry: As `act` takes it.
            reward: As `act` takes it.
            first: As `act` takes it.
            legal_actions: Actions that may be taken, bool `[A]`.
            **asked: `env_state`, `horizon`, `samples`, `key`, `rollouts`, `budgets` of `jaxq.plan`.

        Raises:
            InputTypeError: If an argument has the wrong type.
            InputValueError: If an argument has another shape or is out of range.
        """
        observation = checked_one_observation(self._trainer, observation)
        inputs, _ = self._inputs(observation, carry, reward, first)
        return plan_of(self._trainer, self.learner, self.env_params, inputs, legal_actions, **asked)

    @in_32_bits()
    def evaluate(self, key: jax.Array, num_episodes: int = 32, max_steps: int = 100_000) -> jax.Array:
        """Play whole episodes greedily in the environment that it was trained in.

        Args:
            key: PRNG key.
            num_episodes: Number of episodes, each played to its end in an environment of its own.
            max_steps: Steps after which an episode that does not end is given up.

        Returns:
            Undiscounted returns, float32 `[num_episodes]`; NaN for an episode that was given up.

        Raises:
            InputTypeError: If `key` is no PRNG key, or a number no whole number.
            InputValueError: If a number is not positive, or so many episodes do not fit the memory.
        """
        check_key(key)
        num_episodes = checks.whole_number("num_episodes", num_episodes)
        limit, held = memory_limit(first_device()), num_bytes(self.learned)
        check_episodes_fit(num_episodes, 1, held, self._trainer.episode_bytes, limit)
        max_steps = checks.whole_number("max_steps", max_steps)
        return self._returns(self.learned, key, num_episodes, max_steps)

    def save(self, path: Path | str) -> Path:
        """Write what it takes to act, without replay and environments, for `jaxq.load`.

        Args:
            path: A directory to make; it must not exist yet.

        Returns:
            The directory.

        Raises:
            InputValueError: If it exists or cannot be written.
        """
        return write_agent(path, self.config, self.learned, self.origin)

    def _returns_of(
        self, learned: Learned, key: jax.Array, num_episodes: int, max_steps: int
    ) -> jax.Array:
        what = self.env, learned.env_params, self._agent, learned.learner, unrolled_threefry(key)
        return evaluation.greedy_episodes(*what, num_episodes, max_steps, outcomes=False).returns

    def _inputs(
        self, observation: Any, carry: AgentCarry | None, reward: Any, first: Any
    ) -> tuple[PolicyInput, tuple[int, ...]]:
        """Return the policy's input for a batch of E, and the shape that its output gets, of size E."""
        shape = self.env.observation_spec.shape
        observation = checked_observation(observation, self.env.observation_spec)
        lead = observation.shape[: observation.ndim - len(shape)]
        if len(lead) > 1 or 0 in lead:
            raise checks.InputValueError(
                f"observation must be one, or a batch [B, ...] of at least one, got shape "
                f"{observation.shape}; jax.vmap adds further axes"
            )
        size = lead[0] if lead else 1
        carry = self.initial_carry(size) if carry is None else _checked_carry(carry, size)
        begins = carry.first | _like("first", False if first is None else first, lead, bool)
        reward = _like("reward", 0.0 if reward is None else reward, lead, jnp.float32)
        action, reward = jnp.where(begins, -1, carry.action), jnp.where(begins, 0.0, reward)
        observation = observation.reshape(size, *shape)
        return PolicyInput(observation, begins, action, reward, carry.policy, carry.steps), lead

    def _mask(self, legal_actions: Any, lead: tuple[int, ...]) -> jax.Array:
        """Return legal actions as bool `[E, A]`."""
        mask, shape = jnp.asarray(legal_actions), (*lead, self.env.num_actions)
        if mask.dtype != bool or mask.shape not in (shape[-1:], shape):
            raise checks.InputValueError(
                f"legal_actions must be bool {list(shape)}, got {describe(mask)}; "
                "for example legal_actions=timestep.legal_actions"
            )
        return jnp.broadcast_to(mask, shape).reshape(-1, shape[-1])


def _checked_carry(carry: Any, size: int) -> AgentCarry:
    if not isinstance(carry, AgentCarry):
        raise checks.InputTypeError(
            f"carry must be what act returned, got {describe(carry)}; "
            "action, carry = agent.act(observation, carry)"
        )
    if carry.action.shape != (size,):
        raise checks.InputValueError(
            f"carry must be that of {size} observations, got one of shape {list(carry.action.shape)}; "
            "begin with carry=None where the number of environments changes"
        )
    return carry


def _like(name: str, value: Any, lead: tuple[int, ...], dtype: Any) -> jax.Array:
    """Return one value, or one for each observation, as `[E]`."""
    try:
        array = jnp.asarray(value, dtype)
    except (TypeError, ValueError):
        raise checks.InputTypeError(
            f"{name} must be one value or {list(lead)}, got {describe(value)}"
        ) from None
    if array.shape not in ((), lead):
        raise checks.InputValueError(
            f"{name} must be one value or have the observations' shape {list(lead)}, "
            f"got {list(array.shape)}; for example agent.act(observation, carry, {name}=timestep.{name})"
        )
    return jnp.broadcast_to(array, lead).reshape(-1)
