"""Combinations are ranked, and one sentence says what came out."""

import dataclasses

import numpy as np
import pytest

import jaxq
from jaxq.experiment.ranking import outcome, ranked


@pytest.fixture(scope="module")
def config():
    sweep = {"learning_rate": [0.1, 0.2, 0.3]}
    return jaxq.configure("FrozenLake-v1", "q_learning", agents=12, steps=100, sweep=sweep)


def scores(*means):
    return np.concatenate([mean + np.array([-0.1, 0.0, 0.0, 0.1]) for mean in means])


def test_the_best_combination_comes_first(config):
    found = ranked([("", config, scores(1, 3, 2))])
    assert [row.values["learning_rate"] for row in found] == [0.2, 0.3, 0.1]
    assert [row.agents for row in found] == [slice(4, 8), slice(8, 12), slice(0, 4)]
    assert [row.iqm for row in found] == pytest.approx([3, 2, 1])


def test_combinations_without_a_score_come_last(config):
    values = scores(1, 3, 2)
    values[4:8] = np.nan
    assert [row.values["learning_rate"] for row in ranked([("", config, values)])] == [0.3, 0.1, 0.2]


@pytest.mark.parametrize(
    ("means", "said"),
    [
        ((1, 2, 3), "learning_rate 0.3 scored best: 3 [2.9, 3.1]; its interval overlaps no other."),
        ((1, 3, 3.01), "its interval overlaps that of 0.2."),
        ((3, 3.02, 3.01), "its interval overlaps those of 0.3 and 0.1."),
        ((np.nan, np.nan, np.nan), "No agent has a score."),
    ],
)
def test_one_sentence_says_what_came_out(config, means, said):
    assert outcome(ranked([("", config, scores(*means))])).endswith(said)


def test_single_agents_have_no_interval_to_judge_by(config):
    config = dataclasses.replace(config, agents=3)
    said = outcome(ranked([("", config, np.array([1.0, 2.0, 3.0]))]))
    assert said.startswith("learning_rate 0.3 scored best: 3; ")
    assert "may be chance" in said


def test_groups_are_ranked_together_but_environments_apart(config):
    other = dataclasses.replace(config, environment="Cliff-grid")
    one, two = ("a", config, scores(1, 2, 3)), ("b", config, scores(4, 5, 6))
    assert [row.group for row in ranked([one, two])] == ["b"] * 3 + ["a"] * 3
    assert outcome(ranked([one, two])).startswith("b, learning_rate 0.3 scored best")
    apart = ranked([("c", other, scores(9, 9, 9)), one])
    assert [row.group for row in apart] == ["c"] * 3 + ["a"] * 3
    assert "On FrozenLake-v1: a, learning_rate 0.3 scored best" in outcome(apart)
