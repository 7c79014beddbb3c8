"""The gymnax adapter: any gymnax 1.0 environment with discrete actions as the engine's `Environment`."""

import contextlib
import warnings
from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp
from gymnax.environments import spaces

from jaxq import checks
from jaxq.envs.costs import check_costs, checked_names
from jaxq.envs.legal_actions import check_legal_actions
from jaxq.envs.states import state_numbers
from jaxq.envs.time_limits import KINDS, TERMINATES, TRUNCATES
from jaxq.precision import in_32_bits
from jaxq.types import ObservationSpec, PyTree, TimeStep


@contextlib.contextmanager
def _in_32_bits() -> Iterator[None]:
    """Do what `in_32_bits` does, and without a word where an environment holds arrays of 64 bits."""
    with in_32_bits(), warnings.catch_warnings():
        # gymnax makes some when it is imported, and JAX warns each time that one is narrowed.
        warnings.filterwarnings("ignore", "Explicitly requested dtype", UserWarning)
        yield


class GymnaxEnvironment:
    """A gymnax environment seen as pure functions with fixed shapes and types.

    gymnax leaves Python numbers and weak types in its states; here every leaf has one type, so that
    a loop over steps keeps its carry. Observations keep the type they come in unless
    `observation_dtype` narrows it, as for boards that only hold 0 and 1.

    Attributes:
        name: The environment's name.
        num_actions: Number of actions A.
        observation_spec: Shape and type of one observation.
        params: Default environment parameters, a pytree of arrays; any leaf may differ per agent.
        states: State numbers of the observations, or `None`; see `jaxq.envs.states`.
        time_limit: Whether the time limit "truncates" or "terminates"; see `jaxq.envs.time_limits`.
        has_legal_actions: Whether the gymnax environment has a method `legal_actions(state, params)`,
            which says what may be done in a state, bool `[A]`.
        cost_names: What its costs are called, `()` where it has none.
    """

    @_in_32_bits()
    def __init__(
        self,
        env: Any,
        params: PyTree,
        name: str,
        observation_dtype: Any = None,
        time_limit: str = TRUNCATES,
        cost_names: tuple[str, ...] | None = None,
    ) -> None:
        self._env = env
        self.time_limit = checks.one_of("time_limit", time_limit, KINDS)
        self._static_params = params
        self.name = name
        self.params = jax.tree.map(_strong, params)
        self._observation_dtype = _checked_dtype(observation_dtype)
        self.has_legal_actions = callable(getattr(env, "legal_actions", None))
        self.num_actions = _num_actions(name, env.action_space(params).n)
        self.observation_spec = self._observation_spec(self._observation_dtype)
        self.states = state_numbers(env, params, self.observation_spec)
        cost_names = getattr(env, "cost_names", ()) if cost_names is None else cost_names
        self.cost_names = checked_names(cost_names)
        if self.has_legal_actions:
            check_legal_actions(self)
        check_costs(self)

    def __reduce__(self) -> tuple:
        """Pickle and copy what it was made of; the rest has functions that no file holds."""
        arguments = self._env, self._static_params, self.name, self._observation_dtype
        return type(self), (*arguments, self.time_limit, self.cost_names)

    @property
    def raw(self) -> Any:
        """The gymnax environment itself."""
        return self._env

    def __repr__(self) -> str:
        """Say what the environment is and what its observations look like."""
        spec = self.observation_spec
        shape, dtype = list(spec.shape), jnp.dtype(spec.dtype).name
        return f"{self.name}({self.num_actions} actions, observation {dtype}{shape})"

    @_in_32_bits()
    def reset(self, key: jax.Array, params: PyTree) -> tuple[PyTree, jax.Array]:
        """Begin an episode and return its state and first observation."""
        observation, state = self._env.reset(key, params)
        return jax.tree.map(_strong, state), self._cast(observation)

    @_in_32_bits()
    def step(
        self, key: jax.Array, state: PyTree, action: jax.Array, params: PyTree
    ) -> tuple[PyTree, TimeStep]:
        """Take one action; where it ends the episode, the returned state is a new episode's."""
        observation, stepped, reward, terminated, truncated, info = self._env.step(
            key, state, action, params
        )
        stepped = jax.tree.map(lambda new, old: jnp.asarray(new, old.dtype), stepped, state)
        terminated, truncated = jnp.asarray(terminated, bool), jnp.asarray(truncated, bool)
        final_legal = self._final_legal(key, state, action, params, info)
        if self.time_limit == TERMINATES:
            terminated = terminated | truncated
        return stepped, TimeStep(
            observation=self._cast(observation),
            reward=jnp.asarray(reward, jnp.float32),
            terminated=terminated,
            truncated=truncated & ~terminated,
            final_observation=self._cast(info["final_observation"]),
            legal_actions=self.legal_actions(stepped, params),
            final_legal_actions=final_legal,
            cost=self._cost(state, action, params, info),
        )

    def _cost(self, state: PyTree, action: jax.Array, params: PyTree, info: dict) -> PyTree:
        """Return the costs of an action in the state before, `[K]`; `()` where there are none."""
        if not self.cost_names:
            return ()
        cost = info["cost"] if "cost" in info else self._env.costs(state, action, params)
        return jnp.asarray(cost, jnp.float32)

    @_in_32_bits()
    def legal_actions(self, state: PyTree, params: PyTree) -> PyTree:
        """Return the actions that may be taken in a state, bool `[A]`; `()` where all always may."""
        if not self.has_legal_actions:
            return ()
        return jnp.asarray(self._env.legal_actions(state, params), bool)

    def _final_legal(
        self, key: jax.Array, state: PyTree, action: jax.Array, params: PyTree, info: dict
    ) -> PyTree:
        """Return the legal actions of the state that a step really led to."""
        if not self.has_legal_actions:
            return ()
        if "legal_actions" in info:
            return jnp.asarray(info["legal_actions"], bool)
        # The state before the automatic reset is in no answer of gymnax's step, so it is worked out as
        # there, with the same key; the compiler finds that the two are one.
        led_to = self._env.step_env(jax.random.split(key)[0], state, action, params)[1]
        return self.legal_actions(led_to, params)

    def _cast(self, observation: jax.Array) -> jax.Array:
        return jnp.asarray(observation, self.observation_spec.dtype)

    def _observation_spec(self, dtype: Any) -> ObservationSpec:
        """Trace one reset and one step, and check that the engine can work with what they give."""
        observation, outputs = jax.eval_shape(self._trace, jax.random.key(0), self.params)
        shapes = {leaf.shape for leaf in (observation, outputs[0], outputs[5]["final_observation"])}
        if len(shapes) != 1:
            raise checks.InputValueError(
                f"{self.name}: the observation must have one shape, got {sorted(shapes)} from reset, "
                "step and info['final_observation']"
            )
        space = self._env.observation_space(self._static_params)
        categories = int(space.n) if isinstance(space, spaces.Discrete) else None
        if dtype is None:
            dtype = jnp.promote_types(observation.dtype, outputs[0].dtype)
        return ObservationSpec(observation.shape, _own(dtype), categories)

    def _trace(self, key: jax.Array, params: PyTree) -> tuple[Any, tuple]:
        try:
            observation, state = self._env.reset(key, params)
            outputs = self._env.step(key, state, jnp.int32(0), params)
        except Exception as error:
            reason = (str(error) or type(error).__name__).splitlines()[0]
            raise checks.InputValueError(f"{self.name}: reset or step failed: {reason}") from error
        _check_outputs(self.name, observation, state, outputs)
        if "legal_actions" in outputs[5] and not self.has_legal_actions:
            raise checks.InputTypeError(
                f"{self.name}: info holds 'legal_actions', but no info comes with the first state of an "
                "episode; give the environment a method legal_actions(state, params), bool [A]"
            )
        return observation, outputs


def _strong(leaf: Any) -> jax.Array:
    """Give a leaf a type of its own, so that arithmetic with it does not depend on where it stood."""
    array = jnp.asarray(leaf)
    return array if jnp.issubdtype(array.dtype, jax.dtypes.prng_key) else array.astype(_own(array.dtype))


def _own(dtype: Any) -> jnp.dtype:
    """Return a type as it is here, where one of 64 bits has 32."""
    return jnp.dtype(jax.dtypes.canonicalize_dtype(dtype))


_SCALARS = {"reward": 2, "terminated": 3, "truncated": 4}


def _check_outputs(name: str, observation: Any, state: PyTree, outputs: Any) -> None:
    if not (isinstance(outputs, tuple) and len(outputs) == 6):
        raise checks.InputTypeError(
            f"{name}: step must return the six values of gymnax 1.0 (observation, state, reward, "
            "terminated, truncated, info); derive from gymnax.environments.environment.Environment"
        )
    shapes = {part: jnp.shape(outputs[index]) for part, index in _SCALARS.items()}
    if set(shapes.values()) != {()}:
        raise checks.InputValueError(
            f"{name}: reward, terminated and truncated must be single numbers, got shapes {shapes}"
        )
    if not (isinstance(outputs[5], dict) and "final_observation" in outputs[5]):
        raise checks.InputTypeError(
            f"{name}: info must hold 'final_observation', the observation before the automatic "
            "reset; keep the step method of gymnax.environments.environment.Environment"
        )
    for seen in (observation, outputs[0], outputs[5]["final_observation"]):
        if not hasattr(seen, "shape"):
            raise checks.InputTypeError(
                f"{name}: the observation must be one array, got {type(seen).__name__}; "
                "concatenate its parts in the environment's get_obs"
            )
        if not _is_number(seen.dtype):
            raise checks.InputTypeError(
                f"{name}: the observation must be numbers or truth values, got {seen.dtype}; "
                "give the parts of a complex number an axis of their own"
            )
    before, after = (jax.tree.map(jnp.shape, tree) for tree in (state, outputs[1]))
    if before != after:
        raise checks.InputValueError(
            f"{name}: step must return a state of the same shapes as reset, got {after} after {before}"
        )


def _is_number(dtype: jnp.dtype) -> bool:
    return any(jnp.issubdtype(dtype, kind) for kind in (jnp.bool_, jnp.integer, jnp.floating))


def _num_actions(name: str, number: Any) -> int:
    try:
        return checks.whole_number("number of actions", number)
    except checks.InputError:
        raise checks.InputValueError(
            f"{name}: the number of actions must be a whole number of at least 1, got {number!r}; "
            "for example spaces.Discrete(2)"
        ) from None


def _checked_dtype(dtype: Any) -> jnp.dtype | None:
    try:
        if dtype is None or _is_number(jnp.dtype(dtype)):
            return None if dtype is None else jnp.dtype(dtype)
        raise TypeError
    except TypeError:
        raise checks.InputTypeError(
            f"observation_dtype must be a type of numbers or bool, got {dtype!r}; for example bool"
        ) from None


_NEEDED = ("reset", "step", "default_params", "action_space", "observation_space")


@in_32_bits()
def from_gymnax(
    env: Any,
    params: PyTree = None,
    *,
    name: str | None = None,
    observation_dtype: Any = None,
    time_limit: str = TRUNCATES,
    cost_names: tuple[str, ...] | None = None,
) -> GymnaxEnvironment:
    """Use a gymnax 1.0 environment object, the user's own included.

    Args:
        env: A `gymnax.environments.environment.Environment` with discrete actions, wrapped or not.
        params: Its parameters; `env.default_params` if not given.
        name: What to call it; `env.name` if not given.
        observation_dtype: Type to store observations in, for example `bool` for a board of zeros and
            ones that the environment gives as float32; the environment's own if not given.
        time_limit: "truncates" where the limit only cuts episodes short, and the value of the last
            observation is bootstrapped; "terminates" where it belongs to the task and observations show
            the time, and nothing follows it.
        cost_names: What the costs of a step are called that the environment puts into `info["cost"]`,
            or that its method `costs(state, action, params)` returns, `[K]`; its own `cost_names` if
            not given, and without any it has no costs.

    Returns:
        The environment as `jaxq.Trainer` takes it.

    Raises:
        InputTypeError: If it is no gymnax 1.0 environment.
        InputValueError: If its actions are continuous, `time_limit` is something else, or costs are not
            as many numbers as they have names.

    References:
        Pardo et al., Time Limits in Reinforcement Learning, 2018, sections 2 and 3 (`time_limit`).
    """
    # By what it can do and not by its class, as gymnax's wrappers are no environments by class.
    if isinstance(env, str | type) or not all(hasattr(env, name) for name in _NEEDED):
        raise checks.InputTypeError(
            f"expected a gymnax environment object, got {env!r}; "
            'for a registered one use jaxq.envs.make("CartPole-v1")'
        )
    params = env.default_params if params is None else params
    name = name or env.name
    space = env.action_space(params)
    if not isinstance(space, spaces.Discrete):
        raise checks.InputValueError(
            f"{name} has continuous actions ({space}), and Q-learning compares a finite number of "
            "actions; use an environment with a Discrete action space"
        )
    return GymnaxEnvironment(env, params, name, observation_dtype, time_limit, cost_names)
