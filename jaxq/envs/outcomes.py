"""The exact model of a finite MDP: what may follow each action in each state, read and checked."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from jaxq import checks

# How far probabilities may sum from 1: float32 tables are welcome.
_TOLERANCE = 1e-5


class Outcomes(NamedTuple):
    """The exact model, with K the most outcomes that any action has in any state.

    Attributes:
        probability: float64 `[S, A, K]`, sums to 1 over K; zero where a pair has fewer outcomes.
        next_state: int64 `[S, A, K]`, in [0, S).
        reward: float64 `[S, A, K]`.
        terminated: bool `[S, A, K]`, whether the outcome ends the episode.
    """

    probability: np.ndarray
    next_state: np.ndarray
    reward: np.ndarray
    terminated: np.ndarray


class _Flat(NamedTuple):
    """All outcomes in a row, leaves `[n]`; `pair` is `s * A + a`."""

    pair: np.ndarray
    probability: np.ndarray
    next_state: np.ndarray
    reward: np.ndarray
    terminated: np.ndarray


def read_dictionary(table: Any) -> Outcomes:
    """Read `P[s][a] = [(probability, next_state, reward, terminated), ...]`.

    Raises:
        InputTypeError: If it has another form.
        InputValueError: If it is empty, a state lacks an action, or a number is out of range.
    """
    states = [
        _numbered("the actions of state", s, of) for s, of in enumerate(_numbered("P", None, table))
    ]
    num_states, num_actions = len(states), len(states[0])
    pairs, rows = [], []
    for s, actions in enumerate(states):
        if len(actions) != num_actions:
            raise checks.InputValueError(
                f"every state must have the same actions: state 0 has {num_actions}, state {s} has "
                f"{len(actions)}; repeat an action where one is missing, P[{s}][a] = P[{s}][0]"
            )
        for a, outcomes in enumerate(actions):
            found = [_row(outcome, s, a) for outcome in _outcome_list(outcomes, s, a)]
            rows += found
            pairs += [s * num_actions + a] * len(found)
    probability, next_state, reward, terminated = np.array(rows, np.float64).T
    return read_rows(
        np.array(pairs), probability, next_state, reward, terminated, (num_states, num_actions)
    )


def read_rows(
    pair: np.ndarray,
    probability: np.ndarray,
    next_state: np.ndarray,
    reward: np.ndarray,
    terminated: np.ndarray,
    shape: tuple[int, int],
) -> Outcomes:
    """Read outcomes that stand in rows `[n]`, where `pair` is `s * A + a` and `shape` is `(S, A)`.

    Raises:
        InputValueError: If a number is out of range, or probabilities of a pair do not sum to 1.
    """
    flat = _Flat(pair, probability, next_state, reward, terminated)
    return _assemble(_merged(flat, *shape), *shape)


def read_arrays(P: Any, rewards: Any, terminated: Any) -> Outcomes:  # noqa: N803
    """Read `P [S, A, S]`, `rewards [S, A]` or `[S, A, S]`, and `terminated [S]` if there is any.

    A terminal state is never acted in; what `P` says of it is replaced by its staying there for
    nothing, so that its value is zero.

    Raises:
        InputTypeError: If something is not an array of numbers.
        InputValueError: If shapes do not fit together, or a number is out of range.
    """
    probability = _array("P", P)
    if probability.ndim != 3 or probability.shape[0] != probability.shape[2] or not probability.size:
        raise checks.InputValueError(
            "P must be transition probabilities [S, A, S] or a dictionary P[s][a] = [(probability, "
            f"next_state, reward, terminated), ...], got an array of shape {list(probability.shape)}"
        )
    num_states, num_actions, _ = probability.shape
    if rewards is None:
        raise checks.InputTypeError(
            "transition probabilities need rewards [S, A] or [S, A, S] beside them; "
            "for example from_table(P, rewards=rewards)"
        )
    reward = _array("rewards", rewards)
    if reward.shape == (num_states, num_actions):
        reward = reward[:, :, None]
    elif reward.shape != probability.shape:
        raise checks.InputValueError(
            f"rewards must have shape {[num_states, num_actions]} or "
            f"{[num_states, num_actions, num_states]} for this P, got {list(reward.shape)}"
        )
    reward = np.broadcast_to(reward, probability.shape).copy()
    terminal = np.zeros(num_states, bool) if terminated is None else _flags(terminated, num_states)
    probability[terminal], reward[terminal] = 0, 0
    probability[terminal, :, terminal] = 1
    s, a, to = np.nonzero(probability)
    flat = _Flat(s * num_actions + a, probability[s, a, to], to, reward[s, a, to], terminal[to])
    return _assemble(flat, num_states, num_actions)


def _assemble(flat: _Flat, num_states: int, num_actions: int) -> Outcomes:
    """Check outcomes that are sorted by pair, and lay them out as `[S, A, K]`."""
    _check(flat, num_states, num_actions)
    flat = _Flat(*(leaf[flat.probability > 0] for leaf in flat))
    num_pairs = num_states * num_actions
    counts = np.bincount(flat.pair, minlength=num_pairs)
    total = np.bincount(flat.pair, flat.probability, num_pairs)
    slot = np.arange(len(flat.pair)) - (np.cumsum(counts) - counts)[flat.pair]

    def lay_out(values: np.ndarray, dtype: Any) -> np.ndarray:
        table = np.zeros((num_pairs, counts.max()), dtype)
        table[flat.pair, slot] = values
        return table.reshape(num_states, num_actions, -1)

    return Outcomes(
        lay_out(flat.probability / total[flat.pair], np.float64),
        lay_out(flat.next_state, np.int64),
        lay_out(flat.reward, np.float64),
        lay_out(flat.terminated, bool),
    )


def _check(flat: _Flat, num_states: int, num_actions: int) -> None:
    probability, next_state = flat.probability, flat.next_state
    with np.errstate(invalid="ignore", over="ignore"):
        whole = next_state == np.rint(next_state)
        fits = np.isfinite(flat.reward.astype(np.float32))
    for name, values, good, expected in (
        ("probability", probability, (probability >= 0) & (probability <= 1 + _TOLERANCE), "in [0, 1]"),
        (
            "next state",
            next_state,
            whole & (next_state >= 0) & (next_state < num_states),
            f"a whole number from 0 to {num_states - 1}",
        ),
        ("reward", flat.reward, fits, "a finite float32"),
        ("terminated", flat.terminated, np.isin(flat.terminated, (0, 1)), "True or False"),
    ):
        if not good.all():
            first = np.flatnonzero(~good)[0]
            raise checks.InputValueError(
                f"{_place(flat.pair[first], num_actions)}: {name} must be {expected}, "
                f"got {values[first]:g}"
            )
    total = np.bincount(flat.pair, probability, num_states * num_actions)
    wrong = np.flatnonzero(np.abs(total - 1) > _TOLERANCE)
    if wrong.size:
        s, a = divmod(int(wrong[0]), num_actions)
        raise checks.InputValueError(
            f"{_place(wrong[0], num_actions)}: probabilities must sum to 1, got a sum of "
            f"{total[wrong[0]]:.6g}; for one certain outcome P[{s}][{a}] = [(1.0, {s}, 0.0, False)]"
        )


def _merged(flat: _Flat, num_states: int, num_actions: int) -> _Flat:
    """Add up the probabilities of outcomes that differ in nothing else; the result is sorted by pair."""
    # Before they are added up, as two wrong ones may make a right one.
    _check(flat, num_states, num_actions)
    columns = np.stack([flat.pair, flat.next_state, flat.reward, flat.terminated], axis=-1)
    unique, inverse = np.unique(columns, axis=0, return_inverse=True)
    pair, next_state, reward, terminated = unique.T
    probability = np.bincount(inverse.ravel(), flat.probability)
    return _Flat(pair.astype(np.int64), probability, next_state, reward, terminated)


def _numbered(what: str, number: int | None, items: Any) -> list:
    """List the values of a dictionary whose keys are 0, 1, ..., or of a list."""
    what = what if number is None else f"{what} {number}"
    if isinstance(items, Mapping):
        if not all(key in items for key in range(len(items))):
            raise checks.InputValueError(
                f"{what} must be numbered 0 to {len(items) - 1}, got {_short(list(items))}"
            )
        items = [items[key] for key in range(len(items))]
    if not isinstance(items, list | tuple):
        raise checks.InputTypeError(
            f"{what} must be a dictionary, got {_short(items)}; for example "
            "P = {0: {0: [(1.0, 0, 0.0, False)]}}"
        )
    if not items:
        raise checks.InputValueError(
            f"{what} must not be empty; for example P = {{0: {{0: [(1.0, 0, 0.0, False)]}}}}"
        )
    return list(items)


def _outcome_list(outcomes: Any, s: int, a: int) -> Sequence:
    if not isinstance(outcomes, list | tuple) or not outcomes:
        raise checks.InputTypeError(
            f"state {s}, action {a}: expected a list of outcomes, got {_short(outcomes)}; "
            f"for example P[{s}][{a}] = [(1.0, {s}, 0.0, False)]"
        )
    return outcomes


def _row(outcome: Any, s: int, a: int) -> tuple[float, float, float, float]:
    try:
        probability, next_state, reward, terminated = outcome
        return float(probability), float(next_state), float(reward), float(terminated)
    except (TypeError, ValueError):
        raise checks.InputTypeError(
            f"state {s}, action {a}: an outcome must be (probability, next_state, reward, terminated), "
            f"got {_short(outcome)}; for example (1.0, {s}, 0.0, False)"
        ) from None


def _array(name: str, values: Any) -> np.ndarray:
    try:
        return np.array(values, np.float64)
    except (TypeError, ValueError):
        raise checks.InputTypeError(
            f"{name} must be an array of numbers, got {_short(values)}"
        ) from None


def _flags(terminated: Any, num_states: int) -> np.ndarray:
    flags = np.asarray(terminated)
    if flags.shape != (num_states,) or flags.dtype != bool:
        raise checks.InputValueError(
            f"terminated must be a bool for each of the {num_states} states, got "
            f"{flags.dtype}{list(flags.shape)}; for example terminated=np.arange({num_states}) == "
            f"{num_states - 1}"
        )
    return flags


def _place(pair: int, num_actions: int) -> str:
    s, a = divmod(int(pair), num_actions)
    return f"state {s}, action {a}"


def _short(value: Any) -> str:
    text = " ".join(repr(value).split())
    return text if len(text) <= 60 else text[:57] + "..."
