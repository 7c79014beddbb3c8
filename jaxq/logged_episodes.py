"""Logs as off-policy evaluation takes them: episodes side by side, and a policy where they went."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxq import checks
from jaxq.dataset import Dataset
from jaxq.fitted_q import LoggedRows
from jaxq.learning import Episodes, importance_ratios
from jaxq.replay.dataset import following_rows

Policy = Callable[[np.ndarray, np.ndarray | None], Any]
"""Gives the probability of each action, `[N, A]`, from observations `[N, ...]` and legal actions
`[N, A]`, or `None` where all always are."""


class LoggedEpisodes(NamedTuple):
    """A log in the shapes that estimators take.

    Attributes:
        episodes: N episodes, whose states are the numbers of rows of `policy`.
        known: Steps of which it is known what they led to, bool `[N, T]`.
        policy: Probabilities, `[S, A]`.
        rows: The same steps for a network; `None` where a table is learned.
        effective_episodes: See `Evaluation`.
    """

    episodes: Episodes
    known: jax.Array
    policy: jax.Array
    rows: LoggedRows | None
    effective_episodes: float

    @property
    def is_table(self) -> bool:
        """Whether states can be counted."""
        return self.rows is None


def read(data: Dataset, policy: Any, needs_behaviour: bool) -> LoggedEpisodes:
    """Bring a log and a policy into shape.

    Args:
        data: Logged transitions.
        policy: Probabilities in each row, `[T, A]`, or a function; see `Policy`.
        needs_behaviour: Whether an estimator needs the probabilities that the behaviour acted by.

    Raises:
        InputTypeError: If `data` is no dataset, or `policy` no probabilities.
        InputValueError: If one of them lacks what is needed, or they have nothing in common.
    """
    if not isinstance(data, Dataset):
        raise checks.InputTypeError(
            f"data must be a dataset, got {type(data).__name__}; for example "
            'jaxq.dataset.load("log.npz")'
        )
    if needs_behaviour and data.behaviour_probability is None:
        raise checks.InputValueError(
            "importance sampling needs the column behaviour_probability, which the data has not; log it "
            'as jaxq.collect does, or ask for estimators=["fitted_q"] alone'
        )
    known, following, finals = following_rows(data)
    if not callable(policy):
        policy, seen = _extended(data, policy, finals)
        known[finals] &= seen
    observation, legal = _places(data, finals)
    probabilities = _probabilities(data, policy, observation, legal)
    following = np.where(known, following, 0)
    number, table = np.arange(len(observation)), probabilities
    counted = observation.ndim == 1 and observation.dtype.kind in "iu"
    if counted:
        number, table = _by_state(observation, probabilities)
    episodes, known_steps = _padded(data, number, following, known)
    table, effective = jnp.asarray(table, jnp.float32), float("nan")
    if data.behaviour_probability is not None:
        effective = _effective_episodes(episodes, table)
    rows = None if counted else _rows(data, observation, probabilities, following, known)
    return LoggedEpisodes(episodes, known_steps, table, rows, effective)


def _extended(data: Dataset, policy: Any, finals: np.ndarray) -> tuple[Any, np.ndarray]:
    """Add to a policy of rows what it does where episodes were cut off, if a row shows the same state.

    Returns:
        The policy, `[T + F, A]`, and where it is known, bool `[F]`.
    """
    rows = np.asarray(policy)
    if not finals.size or rows.ndim != 2 or len(rows) != len(data.action):
        return policy, np.zeros(len(finals), bool)
    if data.observation.ndim > 1:
        return np.concatenate([rows, rows[finals]]), np.zeros(len(finals), bool)
    states, first = np.unique(data.observation, return_index=True)
    place = np.minimum(np.searchsorted(states, data.next_observation[finals]), len(states) - 1)
    seen = states[place] == data.next_observation[finals]
    return np.concatenate([rows, rows[first[place]]]), seen


def _places(data: Dataset, finals: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
    """Return what is seen in all rows, and behind them where episodes were cut off."""
    if not finals.size:
        return data.observation, data.legal_actions
    observation = np.concatenate([data.observation, data.next_observation[finals]])
    if data.legal_actions is None:
        return observation, None
    more = data.legal_actions if data.next_legal_actions is None else data.next_legal_actions
    return observation, np.concatenate([data.legal_actions, more[finals]])


def _probabilities(
    data: Dataset, policy: Any, observation: np.ndarray, legal: np.ndarray | None
) -> np.ndarray:
    """Return the policy's probabilities in all places, checked, `[R, A]`."""
    given = policy(observation, legal) if callable(policy) else policy
    checks.in_range("policy", given, 0, 1)
    found = np.asarray(given, np.float64)
    shape = len(observation), data.num_actions
    if found.ndim == 2 and found.shape[0] == shape[0] and found.shape[1] > shape[1]:
        shape = found.shape
    if found.shape != shape or (abs(found.sum(axis=-1) - 1) > 1e-4).any():
        raise checks.InputValueError(
            f"policy must give probabilities of shape {list(shape)}, rows that sum to 1, got shape "
            f"{list(found.shape)}; for example jaxq.ope.policy_of(trainer, state)"
        )
    if legal is not None and (found[:, : legal.shape[1]] * ~legal).sum() > 0:
        row = np.flatnonzero((found[:, : legal.shape[1]] * ~legal).any(axis=1))[0]
        raise checks.InputValueError(
            f"policy must keep to legal actions, got {found[row].round(3).tolist()} where only "
            f"{np.flatnonzero(legal[row]).tolist()} are legal, in row {row}"
        )
    return found


def _by_state(observation: np.ndarray, probabilities: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the number of each place's state, `[R]`, and the policy in each state, `[S, A]`."""
    _, first, number = np.unique(observation, return_index=True, return_inverse=True)
    odd = np.flatnonzero((abs(probabilities - probabilities[first][number]) > 1e-4).any(axis=1))
    if odd.size:
        raise checks.InputValueError(
            f"policy must be the same wherever a state is, got two in state {observation[odd[0]]}, the "
            f"second in row {odd[0]}"
        )
    return number, probabilities[first]


def _padded(
    data: Dataset, number: np.ndarray, following: np.ndarray, known: np.ndarray
) -> tuple[Episodes, jax.Array]:
    """Return the episodes side by side, and of which steps it is known what they led to, `[N, T]`."""
    lengths = np.bincount(data.episode)
    time = np.arange(len(data.episode)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    # A power of two, so that logs of about the same length share a program.
    shape = len(lengths), 2 ** int(lengths.max() - 1).bit_length()

    def placed(column: np.ndarray) -> jax.Array:
        whole = np.zeros(shape, column.dtype)
        whole[data.episode, time] = column
        return jnp.asarray(whole)

    behaviour = data.behaviour_probability
    episodes = Episodes(
        s_tm1=placed(number[: len(time)].astype(np.int32)),
        a_tm1=placed(data.action),
        r_t=placed(data.reward),
        s_t=placed(number[following].astype(np.int32)),
        terminated=placed(data.terminated),
        behaviour=placed(np.ones(len(time), np.float32) if behaviour is None else behaviour),
        mask=placed(np.ones(len(time), bool)),
    )
    # What is padding is divided by it too.
    episodes = episodes._replace(behaviour=jnp.where(episodes.mask, episodes.behaviour, 1))
    return episodes, placed(known)


def _effective_episodes(episodes: Episodes, policy: jax.Array) -> float:
    """Return how many of the policy's own episodes the log is worth.

    Raises:
        InputValueError: If no episode begins with what the policy might do.
    """
    ratios = np.asarray(importance_ratios(episodes, policy), np.float64)
    if not ratios[:, 0].any():
        raise checks.InputValueError(
            "the policy never does what the log did: its probability of the first action is 0 in all "
            f"{len(ratios)} episodes, so they say nothing about it; log a behaviour that explores, or "
            "evaluate jaxq.ope.policy_of(trainer, state, epsilon=0.1)"
        )
    last = ratios[:, -1]
    return float(last.sum() ** 2 / max((last**2).sum(), 1e-300))


def _rows(
    data: Dataset,
    observation: np.ndarray,
    probabilities: np.ndarray,
    following: np.ndarray,
    known: np.ndarray,
) -> LoggedRows:
    if observation.dtype.kind in "iu" and observation.dtype != np.uint8:
        observation = observation.astype(np.float32)
    return LoggedRows(
        observation=jnp.asarray(observation),
        policy=jnp.asarray(probabilities, jnp.float32),
        action=jnp.asarray(data.action),
        reward=jnp.asarray(data.reward),
        terminated=jnp.asarray(data.terminated),
        following=jnp.asarray(following.astype(np.int32)),
        episode=jnp.asarray(data.episode),
        known=jnp.asarray(known),
    )
