"""Minari datasets as columns of logged transitions."""

import importlib
from typing import Any

import numpy as np

from jaxq import checks


def minari_columns(data: Any) -> dict[str, Any]:
    """Return what a Minari dataset holds as columns, see `jaxq.dataset`.

    Args:
        data: A `minari.MinariDataset`, or the id of one that is on this machine.

    Raises:
        InputTypeError: If it is something else.
        InputValueError: If there is none of that id, or its actions or observations are no single
            discrete action and no single array.
    """
    data = _loaded(data) if isinstance(data, str) else data
    if not all(
        hasattr(data, name) for name in ("iterate_episodes", "action_space", "observation_space")
    ):
        raise checks.InputTypeError(
            f"a Minari dataset or its id is needed, got {type(data).__name__}; "
            'for example jaxq.dataset.from_minari("cartpole/test-v0")'
        )
    num_actions = getattr(data.action_space, "n", None)
    if num_actions is None or getattr(data.action_space, "start", 0):
        raise checks.InputValueError(
            f"actions must be discrete and numbered from 0 on, got {data.action_space}"
        )
    kind = data.observation_space.dtype
    if kind is None or kind.kind not in "buif":
        raise checks.InputValueError(
            f"an observation must be one array of numbers, got {data.observation_space}; "
            "flatten it with a wrapper when the data is collected"
        )
    episodes = [_episode(episode) for episode in data.iterate_episodes()]
    if not episodes:
        raise checks.InputValueError("the dataset has no episode")
    columns = {name: np.concatenate([episode[name] for episode in episodes]) for name in episodes[0]}
    numbers = np.repeat(np.arange(len(episodes)), [len(episode["action"]) for episode in episodes])
    return {**columns, "episode": numbers, "num_actions": int(num_actions)}


def _loaded(name: str) -> Any:
    try:
        minari = importlib.import_module("minari")
    except ImportError:
        raise checks.InputValueError(
            "Minari datasets need the extra minari: pip install 'jaxq[minari]'"
        ) from None
    try:
        return minari.load_dataset(name)
    except Exception as error:  # what it raises for a wrong id depends on how it is wrong
        raise checks.InputValueError(
            f"there is no Minari dataset {name!r} on this machine ({type(error).__name__}); "
            f"for example minari download {name}"
        ) from None


def _episode(episode: Any) -> dict[str, np.ndarray]:
    observations, terminated = np.asarray(episode.observations), np.asarray(episode.terminations, bool)
    truncated = np.asarray(episode.truncations, bool) & ~terminated
    # What ends without a word was cut off.
    truncated[-1] |= ~terminated[-1]
    single = observations.dtype == np.float64
    observations = observations.astype(np.float32) if single else observations
    return {
        "observation": observations[:-1],
        "next_observation": observations[1:],
        "action": np.asarray(episode.actions),
        "reward": np.asarray(episode.rewards, np.float32),
        "terminated": terminated,
        "truncated": truncated,
    }
