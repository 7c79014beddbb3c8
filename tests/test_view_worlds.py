"""Grids of worlds with coordinates: what the page gets of them, and what it draws."""

import numpy as np
import pytest
import worlds

import jaxq
from jaxq.cli import main
from jaxq.view import run_data, view_page
from jaxq.view.tables import notes_on_states
from jaxq.view.worlds import world_of


def room(coordinates=None):
    """Six cells in two rows, numbered from the last to the first; actions left, up, right and down."""
    ways = {}
    for s in range(6):
        row, column = divmod(5 - s, 3)
        found = {}
        for a, (down, right) in enumerate([(0, -1), (-1, 0), (0, 1), (1, 0)]):
            to = np.clip([row + down, column + right], 0, [1, 2])
            number = 5 - int(to @ [3, 1])
            found[a] = [(1.0, number, -1.0, number == 0)]
        ways[s] = found
    places = [divmod(5 - s, 3) for s in range(6)] if coordinates is None else coordinates
    return jaxq.envs.from_table(ways, coordinates=places, initial=5, name="room")


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    path = tmp_path_factory.mktemp("view") / "cross"
    words = "train worlds:cross --algorithm q_learning --agents 2 --steps 600 --segments 3"
    assert main([*words.split(), "--out", str(path)]) == 0
    return run_data(path, trust_imports=True)


def test_states_lie_where_their_coordinates_say():
    world = world_of(worlds.cross())
    assert world["cells"] == [" E ", "..E", " . "]
    assert world["at"] == [4, 1, 5, 7, 3]
    assert world["origin"] == [-1, -1]
    assert world["entering"] == {"1": 2.0, "2": -1.0}
    assert world["start"] == 0


def test_actions_without_ways_have_their_own_names_or_numbers():
    env = worlds.cross()
    assert world_of(env)["arrows"] is None
    assert world_of(env)["actions"] == ["rise", "turn", "go down"]
    del env.action_names
    assert world_of(env)["actions"] == ["action 0", "action 1", "action 2"]


def test_four_ways_are_found_by_the_coordinates():
    world = world_of(room())
    assert world["cells"] == ["...", "..E"]
    assert world["actions"] == ["up", "right", "down", "left"]
    assert [arrow["column"] for arrow in world["arrows"]] == [1, 2, 3, 0]
    # The same table in one line: up and down lead to the sides too.
    assert world_of(room([(0, 5 - s) for s in range(6)]))["arrows"] is None


def test_coordinates_that_span_too_much_are_told():
    env = room([(100 * s, 0) for s in range(5)] + [(0, 9)])
    assert world_of(env) is None
    assert notes_on_states(jaxq.Trainer(env, jaxq.q_learning())) == [
        "Coordinates span 401 by 10 cells, more than 2,500 are not drawn: "
        "the values of all states are listed."
    ]


def test_king_moves_are_drawn_too():
    world = world_of(jaxq.envs.make("WindyGrid-grid", kings_moves=True))
    assert world["arrows"] is None
    assert world["actions"][4] == "up right"
    assert "at" not in world


def test_values_are_those_of_the_states(opened, data):
    page = opened(view_page(data))
    agent = data["ranked"][0]
    assert page.locator("#training .grid .cell").count() == 5
    assert page.locator("#training .grid .cell.end").count() == 2
    page.focus("#training .cell.free >> nth=0")
    text = page.inner_text("#training .gridbox .readout")
    assert text.startswith("State 0, row 0, column 0: rise 2.000, turn \N{MINUS SIGN}1.000, go down")
    assert page.locator("#training .cell.free >> nth=0 >> path.greedy").count() == 1
    # From the middle down is state 3, the fourth; up from it the middle again.
    page.keyboard.press("ArrowDown")
    assert page.inner_text("#training .gridbox .readout").startswith("State 3, row 1, column 0")
    page.keyboard.press("ArrowUp")
    assert page.inner_text("#training .gridbox .readout").startswith("State 0, row 0")
    assert data["table"]["agents"][str(agent)][0][0] == pytest.approx(2.0)
    assert "rise" in page.inner_text("#choices")
    assert page.locator("#states .grid").count() == 1
    page.set_viewport_size({"width": 375, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth") == 375


def test_of_many_actions_the_best_alone_is_drawn(opened, data):
    world = data["table"]["world"] | {"actions": [f"action {a}" for a in range(8)]}
    wider = {
        agent: [[*row, *[-9.0] * 5] for row in rows] for agent, rows in data["table"]["agents"].items()
    }
    table = data["table"] | {"world": world, "agents": wider, "exact": wider, "snapshots": None}
    page = opened(view_page(data | {"table": table, "actions": world["actions"]}))
    assert page.locator("#training .cell.free >> nth=0 >> path").count() == 1
    assert page.locator("#training .cell.free >> nth=0 >> text").all_text_contents() == ["a0", "2.00"]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_no_violation(opened, data, scheme, violations):
    assert not violations(opened(view_page(data)), scheme)
