"""Logged transitions: one plain format, read with care.

A dataset is a table with a row for each step, in the order in which they were taken, episode after
episode. Its columns, of which those marked * have to be there:

| column | each row | what it is |
| --- | --- | --- |
| `observation` * | numbers, all of one shape | what was acted on |
| `action` * | whole number in [0, A) | what was done |
| `reward` * | number | what it paid |
| `terminated` * | true or false | whether it ended the task, so that nothing follows |
| `truncated` * | true or false | whether the episode was cut off behind it |
| `next_observation` | as `observation` | where it led; else the next row says, if there is one |
| `cost` | K numbers | what it violated |
| `legal_actions` | A times true or false | what could have been done |
| `next_legal_actions` | as `legal_actions` | what could be done next; else the next row says |
| `behaviour_probability` | number in (0, 1] | how likely the action was |
| `episode` | whole number | which episode it belongs to; else `terminated` and `truncated` say |

An NPZ file (numpy's, without pickled objects) has an array for each column, and may have
`num_actions []` and `cost_names [K]` beside them. A Parquet file (with `pip install 'jaxq[parquet]'`)
has a column for each, with lists where a row has several numbers, and the same two in the schema's
metadata as JSON.
"""

import json
import struct
import zipfile
import zlib
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from jaxq import checks
from jaxq.dataset_checks import OPTIONAL, checked_columns
from jaxq.dataset_minari import minari_columns

# What a damaged or cut file makes numpy and zipfile raise.
_DAMAGED = (OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile, zlib.error, struct.error)


class Dataset(NamedTuple):
    """Logged transitions that were checked, T steps; what is optional is `None` where it is missing.

    Attributes:
        observation: `[T, ...]`.
        action: int32 `[T]`, in [0, num_actions).
        reward: float32 `[T]`.
        terminated: bool `[T]`.
        truncated: bool `[T]`.
        episode: Number of the episode, from 0 on, int32 `[T]`.
        num_actions: Number of actions A.
        next_observation: `[T, ...]`.
        cost: float32 `[T, K]`.
        cost_names: Names of the costs, K.
        legal_actions: bool `[T, A]`.
        behaviour_probability: float32 `[T]`, in (0, 1].
        next_legal_actions: bool `[T, A]`.
    """

    observation: np.ndarray
    action: np.ndarray
    reward: np.ndarray
    terminated: np.ndarray
    truncated: np.ndarray
    episode: np.ndarray
    num_actions: int
    next_observation: np.ndarray | None = None
    cost: np.ndarray | None = None
    cost_names: tuple[str, ...] = ()
    legal_actions: np.ndarray | None = None
    behaviour_probability: np.ndarray | None = None
    next_legal_actions: np.ndarray | None = None


class Description(NamedTuple):
    """What a dataset holds; prints as a few lines.

    Attributes:
        steps: Number of steps T.
        episodes: Number of episodes.
        terminated: Number of episodes that terminated.
        num_actions: Number of actions A.
        observation: Shape and type of an observation, in words.
        episode_return: Mean, least and largest undiscounted return.
        episode_length: Mean, least and largest number of steps.
        action_counts: How often each action was taken, `[A]`.
        cost: Mean cost of an episode by name.
        optional: Columns that are there beside those that have to be.
    """

    steps: int
    episodes: int
    terminated: int
    num_actions: int
    observation: str
    episode_return: tuple[float, float, float]
    episode_length: tuple[float, float, float]
    action_counts: tuple[int, ...]
    cost: dict[str, float]
    optional: tuple[str, ...]

    def __str__(self) -> str:
        """Write a line for each subject."""
        mean, least, most = self.episode_return
        steps, shortest, longest = self.episode_length
        lines = [
            f"{self.steps:,} steps, {self.episodes:,} episodes, of which {self.terminated:,} terminated",
            f"observation {self.observation}, {self.num_actions} actions",
            f"return {mean:.4g} on average, from {least:.4g} to {most:.4g}",
            f"length {steps:.4g} on average, from {shortest:g} to {longest:g}",
            "actions " + ", ".join(f"{a}: {count:,}" for a, count in enumerate(self.action_counts)),
            *(f"cost {name} {value:.4g} an episode" for name, value in self.cost.items()),
            "also " + ", ".join(self.optional) if self.optional else "no optional columns",
        ]
        return "\n".join(lines)


def load(path: Any, num_actions: int | None = None) -> Dataset:
    """Read a dataset from an NPZ or a Parquet file, and check it.

    Args:
        path: A file whose name ends in .npz or .parquet.
        num_actions: Number of actions A; else what the file says, the width of `legal_actions`, or one
            more than the largest action.

    Returns:
        The dataset.

    Raises:
        InputValueError: If the file is damaged, or something in it cannot be used; all mistakes at once,
            with row numbers from 0 on.
    """
    kind = _kind(path)
    try:
        columns = _read_npz(path) if kind == "npz" else _read_parquet(path)
    except checks.InputError:
        raise
    except FileNotFoundError:
        raise checks.InputValueError(f"there is no file {path}") from None
    except _DAMAGED as error:
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise checks.InputValueError(
            f"{path} cannot be read as a {kind} file without pickles; it may be cut or damaged: {reason}"
        ) from None
    return validate(columns, num_actions)


def validate(columns: Mapping[str, Any] | Dataset, num_actions: int | None = None) -> Dataset:
    """Check columns and return them in their types.

    Args:
        columns: Arrays by name, as the format has them, or a dataset.
        num_actions: As for `load`.

    Returns:
        The dataset.

    Raises:
        InputTypeError: If it is something else.
        InputValueError: If a column is missing, has another shape or length, holds what is not finite or
            out of range, or episodes are out of order; all mistakes at once, with row numbers.

    Example:
        >>> columns = {"observation": [[0.0], [1.0]], "action": [0, 1], "reward": [0.0, 1.0]}
        >>> data = validate({**columns, "terminated": [False, True], "truncated": [False, False]})
        >>> data.num_actions, data.episode.tolist()
        (2, [0, 0])
    """
    if isinstance(columns, Dataset):
        columns = _columns(columns)
    if not isinstance(columns, Mapping):
        raise checks.InputTypeError(
            f"a dataset is a dictionary of columns, got {type(columns).__name__}; for example "
            'jaxq.dataset.load("log.npz")'
        )
    return Dataset(**checked_columns(columns, num_actions))


def from_minari(data: Any) -> Dataset:
    """Read a Minari dataset, and check it.

    Args:
        data: A `minari.MinariDataset`, or the id of one that `minari download` has put on this machine,
            which needs `pip install 'jaxq[minari]'`. Actions must be discrete.

    Returns:
        The dataset; `save` writes it as a file that `jaxq train --offline` takes.

    Raises:
        InputTypeError: If it is something else.
        InputValueError: If it is not there, or something in it cannot be used.
    """
    return validate(minari_columns(data))


def describe(data: Dataset) -> Description:
    """Say what a dataset holds.

    Args:
        data: A dataset, as `load` or `validate` gives it.

    Returns:
        Numbers of steps, episodes and actions, returns, lengths and costs.
    """
    returns = np.bincount(data.episode, data.reward)
    lengths = np.bincount(data.episode)
    names = data.cost_names if data.cost is not None else ()
    return Description(
        steps=len(data.action),
        episodes=len(lengths),
        terminated=int(data.terminated.sum()),
        num_actions=data.num_actions,
        observation=f"{data.observation.dtype}{list(data.observation.shape[1:])}",
        episode_return=(float(returns.mean()), float(returns.min()), float(returns.max())),
        episode_length=(float(lengths.mean()), float(lengths.min()), float(lengths.max())),
        action_counts=tuple(np.bincount(data.action, minlength=data.num_actions).tolist()),
        cost={name: float(data.cost[:, k].sum() / len(lengths)) for k, name in enumerate(names)},
        optional=tuple(n for n in OPTIONAL if n != "episode" and getattr(data, n) is not None),
    )


def save(data: Dataset, path: Any) -> None:
    """Write a dataset as an NPZ or a Parquet file, by the ending of its name.

    Args:
        data: A dataset, which is checked once more.
        path: Where to; a file that is there is replaced.

    Raises:
        InputValueError: If the name ends otherwise, or Parquet is asked for observations of several
            axes.
    """
    columns = _columns(validate(data))
    if _kind(path) == "npz":
        np.savez_compressed(path, **columns)
    else:
        _write_parquet(columns, path)


def check_path(path: Any) -> None:
    """Check that a file of this name can hold a dataset.

    Raises:
        InputValueError: If its name ends otherwise.
    """
    _kind(path)


def _kind(path: Any) -> str:
    for kind in ("npz", "parquet"):
        if str(path).endswith(f".{kind}"):
            return kind
    raise checks.InputValueError(
        f"a dataset's file name ends in .npz or .parquet, got {str(path)!r}; for example 'log.npz'"
    )


def _columns(data: Dataset) -> dict[str, Any]:
    parts = data._asdict() if data.cost_names else {**data._asdict(), "cost_names": None}
    return {name: part for name, part in parts.items() if part is not None}


def _read_npz(path: Any) -> dict[str, np.ndarray]:
    # Opened here, as numpy leaves a file open that it cannot read.
    with open(path, "rb") as opened, np.load(opened, allow_pickle=False) as file:
        return {name: file[name] for name in file.files}


def _parquet() -> Any:
    try:
        from pyarrow import parquet
    except ImportError:
        raise checks.InputValueError(
            "Parquet files need pyarrow; pip install 'jaxq[parquet]', or save as .npz"
        ) from None
    return parquet


def _read_parquet(path: Any) -> dict[str, Any]:
    table = _parquet().read_table(path)
    metadata = table.schema.metadata or {}
    about = {
        name: json.loads(metadata[name.encode()])
        for name in ("num_actions", "cost_names")
        if name.encode() in metadata
    }
    # A list for each row; where they differ in length, the check of shapes says so.
    return {**{name: table[name].to_pylist() for name in table.column_names}, **about}


def _write_parquet(columns: dict[str, Any], path: Any) -> None:
    import pyarrow

    if columns["observation"].ndim > 2:
        raise checks.InputValueError(
            "Parquet has one list for each row, and these observations have shape "
            f"{list(columns['observation'].shape[1:])}; save as .npz"
        )
    about = {name: columns.pop(name) for name in ("num_actions", "cost_names") if name in columns}
    table = pyarrow.table(
        {name: list(part) if part.ndim > 1 else part for name, part in columns.items()}
    )
    metadata = {name: json.dumps(value) for name, value in about.items()}
    _parquet().write_table(table.replace_schema_metadata(metadata), path)
