"""What a log says of the environment it was written in: enough to learn from it, not to play."""

from typing import Any, NoReturn

import jax
import jax.numpy as jnp
import numpy as np

from jaxq import checks
from jaxq.dataset import Dataset
from jaxq.types import ObservationSpec, PyTree, StateNumbers


class LoggedEnvironment:
    """Observations and actions of a log, where the environment itself is not at hand.

    An agent that learns from the log alone can be trained on it, saved and asked for values; to act and
    to be evaluated it needs the real one.

    Attributes:
        name: "log".
        num_actions: Number of actions A.
        observation_spec: What one observation looks like; whole numbers without axes are state numbers.
        params: Nothing.
        states: The states, where observations are their numbers.
        has_legal_actions: Whether the log says what could be done.
    """

    name = "log"
    params: PyTree = ()
    cost_names: tuple[str, ...] = ()

    def __init__(self, data: Dataset) -> None:
        observation = data.observation
        self.num_actions = data.num_actions
        self.has_legal_actions = data.legal_actions is not None
        shape, dtype = observation.shape[1:], _stored(observation.dtype)
        counted = shape == () and dtype == np.int32 and int(observation.min()) >= 0
        categories = int(_most(data)) + 1 if counted else None
        self.observation_spec = ObservationSpec(shape, jnp.dtype(dtype), categories)
        self.states = None if categories is None else StateNumbers(categories, lambda number: number)

    def __repr__(self) -> str:
        """Say what the log holds."""
        spec = self.observation_spec
        return f"log({self.num_actions} actions, observations {spec.dtype}{list(spec.shape)})"

    def legal_actions(self, state: PyTree, params: PyTree) -> PyTree:
        """Return all actions, or `()`: nothing is ever done here."""
        return jnp.ones(self.num_actions, bool) if self.has_legal_actions else ()

    def reset(self, key: jax.Array, params: PyTree) -> tuple[PyTree, jax.Array]:
        """Return a blank observation, which nothing is learned from."""
        spec = self.observation_spec
        return jnp.int32(0), jnp.zeros(spec.shape, spec.dtype)

    def step(self, key: jax.Array, state: PyTree, action: jax.Array, params: PyTree) -> NoReturn:
        """Refuse to be played.

        Raises:
            InputValueError: Always.
        """
        raise checks.InputValueError(
            "a log cannot be played: evaluation and collecting need the environment itself, as in "
            "jaxq.Trainer(env, algorithm); what a policy is worth by the log alone says jaxq.ope"
        )


def from_dataset(data: Any) -> LoggedEnvironment:
    """Make an environment of the observations and actions that a log has.

    Args:
        data: Logged transitions, as `jaxq.dataset.load` gives them.

    Returns:
        The environment, for agents that learn from the log alone.

    Raises:
        InputTypeError: If `data` is no dataset.
    """
    if not isinstance(data, Dataset):
        raise checks.InputTypeError(
            f"data must be a dataset, got {type(data).__name__}; for example "
            'jaxq.envs.from_dataset(jaxq.dataset.load("log.npz"))'
        )
    return LoggedEnvironment(data)


def _stored(dtype: np.dtype) -> type:
    """Return the type that observations are kept in."""
    if dtype.kind == "b" or dtype.type is np.uint8:
        return dtype.type
    return np.int32 if dtype.kind in "iu" else np.float32


def _most(data: Dataset) -> int:
    parts = data.observation, data.next_observation
    return max(int(part.max()) for part in parts if part is not None)
