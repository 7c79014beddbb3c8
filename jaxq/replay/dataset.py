"""Logged data as a replay that is only read: nothing is written, and all agents draw from one copy.

What the rows hold is worked out once, on the host: where a return of n steps may begin, and what each
row led to. Rows whose end nobody wrote down are never drawn, so every draw is something to learn from.
"""

from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxq import checks
from jaxq.dataset import Dataset
from jaxq.hparams import Hparams
from jaxq.kernels.random_index import random_index
from jaxq.learning.returns import n_step_return
from jaxq.precision import in_32_bits
from jaxq.types import ObservationSpec, PyTree, Trajectory

# XLA holds no constants beyond 2 GiB.
_MOST_BYTES = 2**31 - 2**24


@dataclass(frozen=True, eq=False)
class DatasetReplay:
    """Logged transitions in the place of a replay: `jaxq.dqn(replay=jaxq.DatasetReplay(data))`.

    The data is part of the program, once for all agents of a population, and of no agent's state.

    Attributes:
        data: The logged transitions, as `jaxq.dataset.load` gives them.
        share: Part of each batch that is drawn from them, in (0, 1]. With 1 the agent learns from them
            alone, and does not act while it learns; with less it acts, and draws the rest of each
            batch from a replay of what it did.

    Raises:
        InputTypeError: If `data` is no dataset.
        InputValueError: If `share` is out of range.
    """

    data: Dataset
    share: float = 1.0

    def __post_init__(self) -> None:
        """Check the fields."""
        if not isinstance(self.data, Dataset):
            raise checks.InputTypeError(
                f"data must be a dataset, got {type(self.data).__name__}; for example "
                'jaxq.DatasetReplay(jaxq.dataset.load("log.npz"))'
            )
        checks.one_number("share", self.share, 0, 1, open_low=True)

    def __repr__(self) -> str:
        """Say how much data there is, and what part of a batch it is."""
        return f"DatasetReplay({len(self.data.action)} steps, share={self.share:g})"


class _Columns(NamedTuple):
    """The data as numpy arrays: T rows, and behind the observations F that are in no row.

    Attributes:
        observation: `[T + F, ...]`.
        legal_actions: bool `[T + F, A]`, or `()`.
        following: Where what each row led to is among those, int32 `[T]`.
        action: int32 `[T]`.
        reward: float32 `[T]`.
        terminated: bool `[T]`.
        truncated: bool `[T]`.
        starts: Rows at which a return of n steps may begin, int32 `[M]`.
    """

    observation: np.ndarray
    legal_actions: PyTree
    following: np.ndarray
    action: np.ndarray
    reward: np.ndarray
    terminated: np.ndarray
    truncated: np.ndarray
    starts: np.ndarray


@dataclass(frozen=True, eq=False)
class LoggedSteps:
    """Random batches of logged steps, each spanning up to n of the environment's."""

    columns: _Columns
    batch_size: int
    n_step: int

    @classmethod
    @in_32_bits()
    def of(
        cls, data: Dataset, spec: ObservationSpec, num_actions: int, batch_size: int, n_step: int
    ) -> "LoggedSteps":
        """Read the data for an environment.

        Args:
            data: The logged transitions.
            spec: What one observation of the environment looks like.
            num_actions: Its number of actions.
            batch_size: Steps in a batch.
            n_step: Steps n whose rewards are summed at most.

        Raises:
            InputValueError: If the data is another environment's, or nothing can be learned from it.
        """
        observation = _observations("observation", data.observation, spec)
        if data.num_actions > num_actions:
            raise checks.InputValueError(
                f"the data has {data.num_actions} actions, and the environment {num_actions}; give the "
                "environment that it was logged in, or jaxq.envs.from_dataset(data)"
            )
        known, following, finals = following_rows(data)
        last = np.minimum(np.arange(len(known)) + n_step - 1, _ends(data))
        starts = np.flatnonzero(known[last])
        if not starts.size:
            raise checks.InputValueError(
                "nothing can be learned from the data: no row says what it led to; add the column "
                "next_observation, and with legal_actions next_legal_actions"
            )
        legal: PyTree = ()
        if data.legal_actions is not None:
            own, following_legal = data.legal_actions, data.next_legal_actions
            if following_legal is None:
                following_legal = np.concatenate([own[1:], own[-1:]])
            legal = np.concatenate([own, following_legal[finals]])
            legal = np.pad(legal, ((0, 0), (0, num_actions - own.shape[1])))
        if finals.size:
            next_observation = _observations("next_observation", data.next_observation, spec)
            observation = np.concatenate([observation, next_observation[finals]])
        _check_size(observation)
        columns = _Columns(
            observation,
            legal,
            following.astype(np.int32),
            data.action,
            data.reward,
            data.terminated,
            data.truncated,
            starts.astype(np.int32),
        )
        return cls(columns, batch_size, n_step)

    @in_32_bits()
    def sample(self, key: jax.Array, hparams: Hparams) -> Trajectory:
        """Draw B steps, uniformly and with replacement, none over the end of its episode.

        Args:
            key: PRNG key.
            hparams: `discount` is used.

        Returns:
            Runs of one step, leaves `[B, 1, ...]`, with weights of one and the row as `index`.
        """
        columns = jax.tree.map(jnp.asarray, self.columns)
        row = columns.starts[random_index(key, self.batch_size, jnp.int32(len(columns.starts)))]
        # Behind the last row nothing counts: it ends an episode.
        window = row[:, None] + jnp.arange(self.n_step)[None]
        window = jnp.minimum(window, len(columns.action) - 1)
        result = jax.vmap(n_step_return, in_axes=(0, 0, 0, None))(
            columns.reward[window],
            columns.terminated[window],
            columns.truncated[window],
            hparams.discount,
        )
        last = row + result.last
        following = columns.following[last]
        steps = Trajectory(
            observation=columns.observation[row],
            action=columns.action[row],
            reward=result.r_t,
            discount=result.discount_t,
            terminated=columns.terminated[last],
            truncated=columns.truncated[last],
            next_observation=columns.observation[following],
            mask=jnp.ones(row.shape, bool),
            extras=(),
            weight=(),
            legal_tm1=jax.tree.map(lambda leaf: leaf[row], columns.legal_actions),
            legal_t=jax.tree.map(lambda leaf: leaf[following], columns.legal_actions),
        )
        steps = jax.tree.map(lambda leaf: leaf[:, None], steps)
        return steps._replace(weight=jnp.ones(row.shape), index=row)


def _observations(name: str, values: np.ndarray, spec: ObservationSpec) -> np.ndarray:
    """Return observations in the environment's type, if that keeps what they say."""
    dtype = np.dtype(spec.dtype)
    if values.shape[1:] != spec.shape:
        raise checks.InputValueError(
            f"{name} of the data must have shape {list(spec.shape)}, as the environment's, got "
            f"{list(values.shape[1:])}"
        )
    kept = values.astype(dtype)
    if dtype.kind != "f" and not np.array_equal(kept, values):
        raise checks.InputValueError(
            f"{name} of the data must be {dtype} numbers, as the environment's, got {values.dtype}"
        )
    most = spec.num_categories
    if most is not None and (values.min() < 0 or values.max() >= most):
        raise checks.InputValueError(
            f"{name} of the data must be state numbers in [0, {most}), got "
            f"{values.min()} to {values.max()}"
        )
    return kept


def _ends(data: Dataset) -> np.ndarray:
    """Return the last row of each row's episode, `[T]`."""
    ends = np.flatnonzero(data.terminated | data.truncated)
    return ends[data.episode]


def following_rows(data: Dataset) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Find where what each row led to is written down.

    Returns:
        Whether it is known at all, bool `[T]`; the number of the row that begins with it, or, from T
        on, the place in the third, `[T]`; and the rows whose `next_observation` is in no other, `[F]`.
    """
    rows, ended = np.arange(len(data.action)), data.terminated | data.truncated
    inside = np.minimum(rows + 1, len(rows) - 1)
    if data.next_observation is None:
        return ~data.truncated, np.where(ended, rows, inside), rows[:0]
    differs = data.next_observation != data.observation[inside]
    differs = differs.reshape(len(rows), -1).any(axis=1)
    finals = np.flatnonzero((data.truncated | differs) & ~data.terminated)
    following = np.where(ended, rows, inside)
    following[finals] = len(rows) + np.arange(len(finals))
    legal = data.legal_actions is None or data.next_legal_actions is not None
    return ~data.truncated | legal, following, finals


def _check_size(observation: np.ndarray) -> None:
    if observation.nbytes > _MOST_BYTES:
        raise checks.InputValueError(
            "observations of a dataset must come to at most 2 GiB, got "
            f"{observation.nbytes / 2**30:.3g} GiB; keep images as uint8, or leave out episodes"
        )
