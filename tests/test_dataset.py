"""Logged data: that what is saved is what is loaded, and what is refused, with rows."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal

import jaxq
from jaxq import dataset


def log(**changes):
    """Two episodes of three and two steps, the second cut off."""
    columns = {
        "observation": np.arange(10, dtype=np.float32).reshape(5, 2),
        "action": np.array([0, 1, 2, 0, 1]),
        "reward": np.array([0.0, 0.5, 1.0, -1.0, 2.0]),
        "terminated": np.array([False, False, True, False, False]),
        "truncated": np.array([False, False, False, False, True]),
    }
    return {**columns, **changes}


FULL = {
    "next_observation": np.ones((5, 2), np.float32),
    "cost": np.array([[0.0, 1.0]] * 5),
    "cost_names": ["a", "b"],
    "legal_actions": np.ones((5, 4), bool),
    "behaviour_probability": np.array([0.25, 0.5, 1.0, 0.125, 0.75]),
    "episode": np.array([7, 7, 7, 3, 3]),
}


@pytest.mark.parametrize("kind", ["npz", "parquet"])
@pytest.mark.parametrize("columns", [log(), log(**FULL)], ids=["needed", "all"])
def test_what_is_saved_is_what_is_loaded(tmp_path, kind, columns):
    if kind == "parquet":
        pytest.importorskip("pyarrow")
    data = dataset.validate(columns)
    path = tmp_path / f"log.{kind}"
    dataset.save(data, path)
    for name, loaded in dataset.load(path)._asdict().items():
        expected = getattr(data, name)
        assert_array_equal(loaded, expected)
        assert getattr(loaded, "dtype", None) == getattr(expected, "dtype", None) or kind == "parquet"


def test_types_and_what_is_inferred():
    data = dataset.validate(log())
    assert data.num_actions == 3
    assert_array_equal(data.episode, [0, 0, 0, 1, 1])
    assert (data.action.dtype, data.reward.dtype, data.terminated.dtype) == (np.int32, np.float32, bool)
    assert data.cost is None
    assert dataset.validate(log(**FULL)).num_actions == 4
    assert dataset.validate(log(), num_actions=9).num_actions == 9
    assert dataset.validate(log(cost=np.zeros((5, 1)))).cost_names == ("cost 0",)
    # Observations as they are: numbers of states, or pictures.
    assert dataset.validate(log(observation=np.arange(5))).observation.shape == (5,)
    assert dataset.validate(log(observation=np.zeros((5, 2, 3), bool))).observation.dtype == bool


def test_a_description_by_hand():
    description = dataset.describe(dataset.validate(log(**FULL)))
    assert (description.steps, description.episodes, description.terminated) == (5, 2, 1)
    assert description.episode_return == (1.25, 1.0, 1.5)
    assert description.episode_length == (2.5, 2.0, 3.0)
    assert description.action_counts == (2, 2, 1, 0)
    assert description.cost == {"a": 0.0, "b": 2.5}
    assert str(description).splitlines()[:2] == [
        "5 steps, 2 episodes, of which 1 terminated",
        "observation float32[2], 4 actions",
    ]


nan_in_row_3 = np.array([0.0, 0.5, 1.0, np.nan, 2.0])


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({k: v for k, v in log().items() if k != "reward"}, "missing columns reward; needed are"),
        (log(rewards=np.zeros(5)), "unknown column 'rewards'; did you mean reward"),
        (log(reward=nan_in_row_3), "reward must be finite, got nan in row 3"),
        (log(observation=np.full((5, 2), np.inf)), "finite, got inf in rows 0, 1, 2, 3, 4$"),
        (log(action=np.array([0, -1, 0, 0, -1])), "from 0 to 0, got -1 in rows 1, 4"),
        (log(action=np.array([0, 9, 0, 0, 9]), num_actions=9), "from 0 to 8, got 9 in rows 1, 4"),
        (log(action=np.array([0, 0.5, 0, 0, 1])), "action must be a whole number, got 0.5 in row 1"),
        (log(terminated=np.array([0, 0, 2, 0, 0])), "terminated must be true or false, got 2 in row 2"),
        (log(truncated=np.array([0, 0, 1, 0, 1])), "got both in row 2"),
        (log(truncated=np.zeros(5, bool)), "terminated or truncated, got neither in row 4"),
        (log(episode=[0, 0, 0, 1, 0]), "in one piece, got an earlier one again in row 4"),
        (log(episode=[0, 0, 0, 0, 0]), "must not go on behind its end, got row 2"),
        (log(episode=[0, 0, 1, 2, 2]), "got neither in row 1"),
        (log(reward=np.zeros(4)), "as many rows as each other.*'reward': 4"),
        (log(observation=[[0.0], [1.0], [2.0, 3.0], [4.0], [5.0]]), r"got shape \[2\] in row 2 after"),
        (log(reward=["a"] * 5), "reward must be numbers"),
        (log(reward=np.zeros((5, 1))), r"reward must have 1 axes, rows first, got shape \[5, 1\]"),
        (log(next_observation=np.zeros((5, 3))), "must have the shape of observation"),
        (log(behaviour_probability=[0.5, 0, 1, 1, 1.5]), r"in \(0, 1\], got 0 in rows 1, 4"),
        (log(legal_actions=np.eye(5)[:, :3] > 0), "allow an action, got none in rows 3, 4"),
        (log(legal_actions=np.ones((5, 2)), num_actions=3), "must have 3 columns.*got 2"),
        (log(cost=np.zeros((5, 2)), cost_names=["a"]), r"each of the 2 costs, got \['a'\]"),
        ({name: column[:0] for name, column in log().items()}, "at least one, got"),
    ],
)
def test_bad_data_is_refused_in_one_line(columns, message):
    with pytest.raises(jaxq.InputError, match=message) as caught:
        dataset.validate(columns)
    assert "\n" not in str(caught.value)


def test_all_mistakes_are_told_at_once():
    columns = log(reward=nan_in_row_3, terminated=np.full(5, 3), behaviour_probability=np.zeros(5))
    with pytest.raises(ValueError, match=r"3 mistakes: .*reward.*row 3 \| .*terminated.* \| behaviour"):
        dataset.validate(columns)
    columns = log(action=np.full(5, 8), truncated=np.zeros(5, bool), num_actions=3)
    with pytest.raises(ValueError, match=r"2 mistakes: action must .* \| the last step"):
        dataset.validate(columns)


def test_many_rows_are_counted():
    columns = {name: np.tile(column, (20, *[1] * (column.ndim - 1))) for name, column in log().items()}
    columns["reward"][:] = np.nan
    with pytest.raises(ValueError, match="in rows 0, 1, 2, 3, 4 and 95 more"):
        dataset.validate(columns)


def test_damaged_files_are_refused(tmp_path):
    path = tmp_path / "log.npz"
    dataset.save(dataset.validate(log(**FULL)), path)
    whole = path.read_bytes()
    for part in (whole[: len(whole) // 2], whole[:-10], b"", b"no zip file"):
        path.write_bytes(part)
        with pytest.raises(jaxq.InputError, match="cannot be read as a npz file without pickles"):
            dataset.load(path)
    middle = len(whole) // 3
    path.write_bytes(
        whole[:middle] + bytes(byte ^ 255 for byte in whole[middle : middle + 40]) + whole[middle + 40 :]
    )
    with pytest.raises(jaxq.InputError):
        dataset.load(path)


def test_pickles_are_not_read(tmp_path):
    path = tmp_path / "log.npz"
    np.savez(path, **log(reward=np.array([{}] * 5, object)))
    with pytest.raises(jaxq.InputError, match="without pickles"):
        dataset.load(path)


def test_damaged_parquet_is_refused(tmp_path):
    pytest.importorskip("pyarrow")
    path = tmp_path / "log.parquet"
    dataset.save(dataset.validate(log()), path)
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(jaxq.InputError, match="cannot be read as a parquet file"):
        dataset.load(path)
    with pytest.raises(jaxq.InputError, match=r"these observations have shape \[2, 2\]; save as .npz"):
        dataset.save(dataset.validate(log(observation=np.zeros((5, 2, 2)))), path)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: dataset.load("log.csv"), r"ends in .npz or .parquet, got 'log.csv'"),
        (lambda: dataset.load("nowhere.npz"), "there is no file nowhere.npz"),
        (lambda: dataset.validate([1, 2]), "dictionary of columns, got list"),
        (lambda: dataset.validate(log(), num_actions=0), "num_actions must be at least 1"),
    ],
)
def test_wrong_calls_are_one_line(call, message):
    with pytest.raises(jaxq.InputError, match=message):
        call()
