"""Progress is read back as it was written."""

import json
from pathlib import Path

import numpy as np
import pytest

import jaxq
from jaxq.engine import CostMetrics, Metrics
from jaxq.progress import Progress
from jaxq.storage.json_values import finite

COLUMNS = np.arange(24.0).reshape(8, 3)
COSTS = np.array([[0.0, 1.0], [np.nan, np.nan], [2.0, 0.5]])


def written(metrics):
    progress = Progress(100, 1.5, 200.0, np.array([1.0, np.nan, 3.0]), metrics, [1], [1, 2])
    return progress, json.loads(json.dumps(finite(progress.row()), allow_nan=False))


@pytest.mark.parametrize("metrics", [Metrics(*COLUMNS), CostMetrics(*COLUMNS, COSTS)])
def test_a_row_is_read_back(metrics):
    progress, row = written(metrics)
    read = Progress.read(Path("metrics.jsonl"), row, 3)
    assert type(read.metrics) is type(metrics)
    for one, other in zip(read.metrics, metrics, strict=True):
        np.testing.assert_array_equal(one, other)
    plain = [(each.steps, each.seconds, each.diverged, each.stopped) for each in (read, progress)]
    assert plain[0] == plain[1]


def test_returns_are_those_of_the_episodes_that_ended_last():
    episodes = np.array([0.0, 2.0, 0.0])
    metrics = Metrics(*COLUMNS)._replace(episodes=episodes)
    read = Progress.read(Path("metrics.jsonl"), written(metrics)[1], 3)
    np.testing.assert_array_equal(read.returns, [np.nan, metrics.episode_return[1], np.nan])
    np.testing.assert_array_equal(read.after(np.array([7.0, 8.0, np.nan])).returns, [7, 4, np.nan])


def test_costs_of_other_shapes_are_refused():
    _, row = written(CostMetrics(*COLUMNS, COSTS))
    for costs in ([[1.0, 2.0]], [[1.0], [2.0], [3.0, 4.0]], [[], [], []], "many"):
        row["agents"]["episode_cost"] = costs
        with pytest.raises(jaxq.InputError, match=r"metrics\.jsonl: episode_cost must"):
            Progress.read(Path("metrics.jsonl"), row, 3)
