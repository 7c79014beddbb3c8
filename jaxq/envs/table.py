"""Finite MDPs as tables: the environment that steps one, and `from_table`, which makes it."""

import numbers
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import chex
import jax
import jax.numpy as jnp
import numpy as np
from flax import struct

from jaxq import checks
from jaxq.envs import toy_text
from jaxq.envs.coordinates import checked_coordinates
from jaxq.envs.costs import checked_costs
from jaxq.envs.draws import draw, prepared
from jaxq.envs.legal_actions import checked_mask
from jaxq.envs.outcomes import Outcomes, read_arrays, read_dictionary
from jaxq.envs.words import NAMES
from jaxq.precision import in_32_bits
from jaxq.types import ObservationSpec, PyTree, StateNumbers, TimeStep

_MAX_STEPS = 200


class TableState(NamedTuple):
    """Where an episode is: the number of the state, int32 `[]`, and the steps so far, int32 `[]`."""

    number: jax.Array
    time: jax.Array


@struct.dataclass
class TableParams:
    """What may differ per agent: after how many steps an episode is cut off, int32 `[]`."""

    max_steps_in_episode: jax.Array


class TableEnvironment:
    """A finite MDP as pure functions; the observation is the state's number.

    A step looks up two words, and draws a random number for the outcome and one for the next start,
    each only where there is a choice. Probabilities are good to 2**-23, as fine as those numbers are.

    Attributes:
        name: The environment's name.
        num_actions: Number of actions A.
        num_states: Number of states S.
        observation_spec: A state number, int32 `[]`.
        params: `TableParams`; its leaf may differ per agent.
        states: State numbers of the observations: the observations themselves.
        outcomes: The exact model, float64.
        initial: Probability of each state to begin in, float64 `[S]`.
        legal: Which actions may be taken in which state, bool `[S, A]`; `None` where all may.
        costs: Costs of each action in each state, float64 `[S, A]` by name; empty where there are none.
        drawing: Of a grid world whose states are its cells row by row, a character for each cell,
            `[rows, columns]`; else `None`.
        coordinates: Row and column of each state, int64 `[S, 2]`; `None` where none were given.
    """

    @in_32_bits()
    def __init__(
        self,
        outcomes: Outcomes,
        initial: np.ndarray,
        max_steps: int,
        name: str,
        legal: np.ndarray | None = None,
        costs: Mapping[str, np.ndarray] | None = None,
    ) -> None:
        self.name = name
        self.legal = legal
        self.costs = dict(costs or {})
        self.drawing: np.ndarray | None = None
        self.coordinates: np.ndarray | None = None
        self.num_states, self.num_actions, num_outcomes = outcomes.probability.shape
        self.observation_spec = ObservationSpec((), jnp.dtype(jnp.int32), self.num_states)
        self.params = TableParams(max_steps_in_episode=jnp.int32(max_steps))
        self.states = StateNumbers(self.num_states, lambda observation: observation)
        self.outcomes = outcomes
        self.initial = initial
        self._draws = prepared(outcomes.probability.reshape(-1, num_outcomes))
        # An outcome that ends the episode is stored as ~s, below zero: one word for both.
        code = np.where(outcomes.terminated, ~outcomes.next_state, outcomes.next_state)
        self._code = self._per_outcome(code, np.int32)
        self._reward = self._per_outcome(outcomes.reward, np.float32)
        self._starts = np.flatnonzero(initial).astype(np.int32)
        self._start_draws = prepared(initial[None, self._starts])
        self._starts_are_even = bool(np.ptp(initial[self._starts]) < 1e-12)

    def __reduce__(self) -> tuple:
        """Pickle and copy what it was made of; the rest has functions that no file holds."""
        max_steps = int(self.params.max_steps_in_episode)
        arguments = self.outcomes, self.initial, max_steps, self.name, self.legal, self.costs
        said = {name: value for name, value in vars(self).items() if name in NAMES}
        drawn = {"drawing": self.drawing, "coordinates": self.coordinates}
        return type(self), arguments, {"params": self.params, **drawn, **said}

    def __repr__(self) -> str:
        """Say what the environment is and how large it is."""
        return f"{self.name}({self.num_actions} actions, {self.num_states} states)"

    @in_32_bits()
    def reset(self, key: jax.Array, params: TableParams) -> tuple[TableState, jax.Array]:
        """Begin an episode and return its state and first observation."""
        number = self._start(jax.random.uniform(key, (), jnp.float32))
        return TableState(number, jnp.int32(0)), number

    @in_32_bits()
    def step(
        self, key: jax.Array, state: TableState, action: jax.Array, params: TableParams
    ) -> tuple[TableState, TimeStep]:
        """Take one action; where it ends the episode, the returned state is a new episode's."""
        chex.assert_rank([state.number, action], 0)
        outcome_chance, start_chance = self._chances(key)
        pair = state.number * self.num_actions + action
        outcome = draw(self._draws, pair * self._draws.width, outcome_chance)
        code = jnp.asarray(self._code)[outcome]
        terminated = code < 0
        reached = jnp.where(terminated, ~code, code)
        time = state.time + 1
        truncated = (time >= params.max_steps_in_episode) & ~terminated
        ended = terminated | truncated
        number = jnp.where(ended, self._start(start_chance), reached)
        return TableState(number, jnp.where(ended, 0, time)), TimeStep(
            observation=number,
            reward=jnp.asarray(self._reward)[outcome],
            terminated=terminated,
            truncated=truncated,
            final_observation=reached,
            legal_actions=self._legal(number),
            final_legal_actions=self._legal(reached),
            cost=self._cost(state.number, action),
        )

    def observed_legal_actions(self, observation: Any) -> np.ndarray | None:
        """Return the legal actions in a state that is told by its number, bool `[A]`."""
        return None if self.legal is None else self.legal[int(observation)]

    @property
    def has_legal_actions(self) -> bool:
        """Whether there are states in which some actions may not be taken."""
        return self.legal is not None

    def legal_actions(self, state: TableState, params: TableParams) -> PyTree:
        """Return the actions that may be taken in a state, bool `[A]`; `()` where all always may."""
        return self._legal(state.number)

    @property
    def cost_names(self) -> tuple[str, ...]:
        """What the costs are called, `()` where there are none."""
        return tuple(self.costs)

    def _cost(self, number: jax.Array, action: jax.Array) -> PyTree:
        if not self.costs:
            return ()
        return jnp.asarray(np.stack([*self.costs.values()], axis=-1), jnp.float32)[number, action]

    def _legal(self, number: jax.Array) -> PyTree:
        return () if self.legal is None else jnp.asarray(self.legal)[number]

    def _chances(self, key: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Draw a number for the outcome and one for the next start: one in all where one is certain.

        Drawing is most of the time that a step takes. Where both are certain nothing reads the
        number, and the compiler leaves it out.
        """
        both = self._draws.width > 1 and self._start_draws.width > 1
        drawn = jax.random.uniform(key, (2 if both else 1,), jnp.float32)
        return drawn[0], drawn[-1]

    def _start(self, chance: jax.Array) -> jax.Array:
        if self._starts_are_even:
            place = (chance * len(self._starts)).astype(jnp.int32)  # the search took 17 of 45 ns in Taxi
        else:
            place = draw(self._start_draws, 0, chance)
        return jnp.asarray(self._starts)[place]

    def _per_outcome(self, values: np.ndarray, dtype: Any) -> np.ndarray:
        """Flatten `[S, A, K]`, padded as the cumulative probabilities are."""
        padding = self._draws.width - values.shape[-1]
        return np.pad(values, ((0, 0), (0, 0), (0, padding))).astype(dtype).ravel()


def from_table(
    P: Any,  # noqa: N803
    *,
    rewards: Any = None,
    terminated: Any = None,
    initial: Any = None,
    legal_actions: Any = None,
    costs: Any = None,
    cost_names: Sequence[str] | None = None,
    coordinates: Any = None,
    max_steps: int | None = None,
    name: str | None = None,
) -> TableEnvironment:
    """Make an environment of a finite MDP.

    Args:
        P: One of three: a dictionary `P[s][a] = [(probability, next_state, reward, terminated), ...]`;
            a gymnasium environment that has one as `env.unwrapped.P`, whose initial distribution,
            time limit and name are taken over; or transition probabilities `[S, A, S]`.
        rewards: For transition probabilities, what an action gives: `[S, A]` or `[S, A, S]`.
        terminated: For transition probabilities, bool `[S]`: the states whose entering ends the
            episode. Nothing is done in them, so their rows of `P` and `rewards` do not count.
        initial: State to begin in, or probability of each state `[S]`. By default the gymnasium
            environment's, else uniform over the states that are not terminal, that is, that no
            outcome ends the episode in.
        legal_actions: Which actions may be taken in which state, bool `[S, A]`, one at least in each;
            all if not given.
        costs: Costs of each action in each state beside its reward, `[S, A, K]`, or `[S, A]` by name as
            `jaxq.constrained_value_iteration` takes them; none if not given.
        cost_names: Names of the K costs, where they are one array.
        coordinates: Where each state lies, `[S, 2]`: the row, counted downward, and the column, whole
            numbers, and no two states in one cell. `jaxq view` then draws values as a grid and as a
            landscape; learning does not see them.
        max_steps: Steps after which an episode is truncated; by default the gymnasium environment's
            limit, and 200 where it has none.
        name: What to call it; by default the gymnasium environment's id, else "table".

    Returns:
        The environment as `jaxq.Trainer` and `jaxq.value_iteration` take it.

    Raises:
        InputTypeError: If the table has another form.
        InputValueError: If it is empty, probabilities do not sum to 1, a number is out of range, or two
            states have the same coordinates.

    Example:
        >>> import jaxq
        >>> P = {0: {0: [(0.5, 0, 0.0, False), (0.5, 1, 1.0, True)]}, 1: {0: [(1.0, 1, 0.0, True)]}}
        >>> jaxq.envs.from_table(P, name="coin")
        coin(1 actions, 2 states)
    """
    defaults = toy_text.Defaults(None, None, "table", None)
    if hasattr(P, "unwrapped"):
        P, defaults = toy_text.read(P)  # noqa: N806
    if isinstance(P, Mapping) or (isinstance(P, list) and P and isinstance(P[0], Mapping)):
        if rewards is not None or terminated is not None:
            raise checks.InputTypeError(
                "a dictionary holds rewards and endings itself; leave out rewards= and terminated="
            )
        outcomes = read_dictionary(P)
    else:
        outcomes = read_arrays(P, rewards, terminated)
    initial = defaults.initial if initial is None else initial
    max_steps = next(given for given in (max_steps, defaults.max_steps, _MAX_STEPS) if given is not None)
    shape = outcomes.probability.shape[:2]
    env = TableEnvironment(
        outcomes,
        _distribution(initial, outcomes),
        checks.whole_number("max_steps", max_steps),
        defaults.name if name is None else name,
        checked_mask(legal_actions, shape),
        checked_costs(costs, cost_names, shape),
    )
    env.drawing = defaults.drawing
    env.coordinates = checked_coordinates(coordinates, shape[0])
    return env


def _distribution(initial: Any, outcomes: Outcomes) -> np.ndarray:
    """Turn what the user says of the first state into probabilities `[S]`."""
    num_states = outcomes.probability.shape[0]
    if initial is None:
        return _not_terminal(outcomes)
    if isinstance(initial, numbers.Number) or getattr(initial, "shape", None) == ():
        number = checks.whole_number("initial", initial, minimum=0)
        if number >= num_states:
            raise checks.InputValueError(
                f"initial must be one of the {num_states} states, got {number}; for example initial=0"
            )
        return np.eye(num_states)[number]
    checks.in_range("initial", initial, 0, 1)
    distribution = np.asarray(initial, np.float64)
    if distribution.shape != (num_states,) or abs(distribution.sum() - 1) > 1e-5:
        raise checks.InputValueError(
            f"initial must be a state, or {num_states} probabilities that sum to 1, got shape "
            f"{list(distribution.shape)} and sum {distribution.sum():.6g}; for example initial=0"
        )
    return distribution / distribution.sum()


def _not_terminal(outcomes: Outcomes) -> np.ndarray:
    begins = np.ones(outcomes.probability.shape[0])
    ending = outcomes.terminated & (outcomes.probability > 0)
    begins[outcomes.next_state[ending]] = 0
    if not begins.any():
        raise checks.InputValueError(
            "every state is one that an episode ends in, so none is left to begin in; "
            "say where, for example from_table(P, initial=0)"
        )
    return begins / begins.sum()
