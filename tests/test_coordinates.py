"""Coordinates of a table's states: what is taken, and what is told of what is not."""

import copy
import pickle

import numpy as np
import pytest

import jaxq
from jaxq import checks

P = {s: {0: [(1.0, (s + 1) % 3, 0.0, False)]} for s in range(3)}


@pytest.mark.parametrize("given", [[(0, 0), (0, 2), (-1, 5)], np.array([[0, 0], [0, 2], [-1, 5.0]])])
def test_whole_numbers_of_any_type_are_taken(given):
    env = jaxq.envs.from_table(P, coordinates=given)
    assert env.coordinates.dtype == np.int64
    assert env.coordinates.tolist() == [[0, 0], [0, 2], [-1, 5]]
    for copied in (pickle.loads(pickle.dumps(env)), copy.deepcopy(env)):
        assert copied.coordinates.tolist() == env.coordinates.tolist()


def test_without_them_there_are_none():
    assert jaxq.envs.from_table(P).coordinates is None


@pytest.mark.parametrize(
    ("given", "error", "told"),
    [
        ("left", checks.InputTypeError, "a row and a column for each state, got 'left'"),
        ([(0, 0), (0,), (1, 1)], checks.InputTypeError, "whole numbers"),
        ([(True, True)] * 3, checks.InputTypeError, "whole numbers"),
        ([0, 1, 2], checks.InputValueError, r"shape \[3, 2\], got shape \[3\]"),
        ([(0, 0), (0, 1)], checks.InputValueError, r"shape \[3, 2\], got shape \[2, 2\]"),
        ([(0, 0), (0, 0.5), (1, 1)], checks.InputValueError, "got 0.5 as the column of state 1"),
        ([(0, 0), (np.nan, 1), (1, 1)], checks.InputValueError, "got nan as the row of state 1"),
        ([(0, 0), (1, 1), (1e9, 1)], checks.InputValueError, r"got 1e\+09 as the row of state 2"),
        ([(0, 4), (1, 1), (0, 4)], checks.InputValueError, "got row 0, column 4 for states 0 and 2"),
    ],
)
def test_what_is_wrong_is_told_with_the_corrected_call(given, error, told):
    with pytest.raises(error, match=told) as caught:
        jaxq.envs.from_table(P, coordinates=given)
    assert str(caught.value).endswith("for example coordinates=[divmod(s, columns) for s in range(3)]")
    assert "\n" not in str(caught.value)
