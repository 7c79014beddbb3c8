"""Minari's datasets as logged data, made by Minari itself."""

import warnings

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import jaxq
from jaxq.checks import InputTypeError, InputValueError

minari = pytest.importorskip("minari")
gymnasium = pytest.importorskip("gymnasium")
# Minari moves the folder that it has collected into, and then warns that it cannot delete it.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")


class Line(gymnasium.Env):
    """Walks up a line; action 1 ends the episode at the third place."""

    observation_space = gymnasium.spaces.Box(0, 10, (2,), np.float64)

    def __init__(self, actions=None):
        self.action_space = gymnasium.spaces.Discrete(2) if actions is None else actions

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.place = 0
        return np.array([0.0, 1.0]), {}

    def step(self, action):
        self.place += 1
        return np.array([self.place, 1.0]), float(self.place), self.place == 3, False, {}


def collected(env, actions, name):
    """Let Minari collect an episode for each list of actions."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of what a dataset's card should say
        collector = minari.DataCollector(env)
        for number, episode in enumerate(actions):
            collector.reset(seed=number)
            for action in episode:
                collector.step(action)
        return collector.create_dataset(name, algorithm_name="none", author="none", author_email="none")


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path))


@pytest.fixture
def data():
    # The second episode is cut off by the reset that follows it.
    return collected(Line(), [[0, 1, 0], [1, 0], [0, 0, 1]], "line/test-v0")


def test_episodes_become_transitions(data):
    found = jaxq.dataset.from_minari(data)
    assert found.num_actions == 2
    assert_array_equal(found.action, [0, 1, 0, 1, 0, 0, 0, 1])
    assert_array_equal(found.episode, [0, 0, 0, 1, 1, 2, 2, 2])
    assert_array_equal(found.observation[:, 0], [0, 1, 2, 0, 1, 0, 1, 2])
    assert_array_equal(found.next_observation[:, 0], [1, 2, 3, 1, 2, 1, 2, 3])
    assert found.observation.dtype == np.float32
    assert_allclose(found.reward, [1, 2, 3, 1, 2, 1, 2, 3])
    assert_array_equal(np.flatnonzero(found.terminated), [2, 7])
    assert_array_equal(np.flatnonzero(found.truncated), [4])


def test_an_id_is_enough_and_the_data_can_be_saved(data, tmp_path):
    found = jaxq.dataset.from_minari("line/test-v0")
    jaxq.dataset.save(found, tmp_path / "log.npz")
    assert_array_equal(jaxq.dataset.load(tmp_path / "log.npz").reward, found.reward)


def test_what_is_no_dataset_is_refused():
    with pytest.raises(InputValueError, match="no Minari dataset 'line/other-v0' on this machine"):
        jaxq.dataset.from_minari("line/other-v0")
    with pytest.raises(InputTypeError, match="a Minari dataset or its id is needed, got int"):
        jaxq.dataset.from_minari(5)


def test_actions_that_are_not_discrete_are_refused():
    box = gymnasium.spaces.Box(0, 1, (1,), np.float32)
    data = collected(Line(box), [[np.zeros(1, np.float32)] * 3], "line/box-v0")
    with pytest.raises(InputValueError, match="actions must be discrete and numbered from 0"):
        jaxq.dataset.from_minari(data)


def test_without_the_extra_it_is_named(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "minari", None)
    with pytest.raises(InputValueError, match=r"pip install 'jaxq\[minari\]'"):
        jaxq.dataset.from_minari("line/test-v0")
