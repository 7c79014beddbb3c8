"""Costs on the page of a run: of its agents, and of the steps that it plays."""

import json
import shutil

import numpy as np
import pytest
import worlds

from jaxq.cli import main
from jaxq.experiment.costs import EpisodeCosts
from jaxq.view import run_data, view_page
from jaxq.view.costs import cost_data
from jaxq.view.episodes import Episodes


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    path = tmp_path_factory.mktemp("view") / "toll"
    words = "train worlds:toll --algorithm constrained_q_learning --agents 6 --steps 4000 --segments 4"
    budgets = ["--set", "budgets={'toll': 1}", "--sweep", "budget_toll=0,3"]
    assert main([*words.split(), *budgets, "--out", str(path)]) == 0
    return path


@pytest.fixture(scope="module")
def data(run):
    return run_data(run, trust_imports=True)


def with_budgets(data, budgets):
    """The same data with other budgets for the toll."""
    costs = [cost | {"budget": budgets} if cost["name"] == "toll" else cost for cost in data["costs"]]
    return data | {"costs": costs}


def test_costs_of_episodes_by_hand():
    played = np.array([[True, True], [True, False]])
    cost = np.array([[[1.0, 2.0], [3.0, 4.0]], [[5.0, 6.0], [7.0, 8.0]]])
    episodes = Episodes(*[np.zeros((2, 2))] * 6, played=played, cost=cost)
    assert episodes.costs_of_episodes().tolist() == [[6.0, 8.0], [3.0, 4.0]]


def test_costs_of_agents_by_hand():
    costs = np.array([[[0.0], [2.0]], [[4.0], [4.0]]])
    (found,) = cost_data(EpisodeCosts(("toll",), costs, np.array([[1.0], [3.0]])))
    assert found["mean"] == [1.0, 4.0]
    assert found["budget"] == [1.0, 3.0]
    assert found["within"] == 1
    (free,) = cost_data(EpisodeCosts(("toll",), costs, np.full((2, 1), np.nan)))
    assert free["budget"] is None
    assert free["within"] is None
    assert cost_data(None) == []


def test_costs_are_those_of_the_evaluation(data, run):
    written = json.loads((run / "report" / "evaluation.json").read_text())["costs"]
    assert [cost["name"] for cost in data["costs"]] == ["toll", "noise"]
    for cost in data["costs"]:
        np.testing.assert_allclose(cost["mean"], written[cost["name"]]["mean"], rtol=1e-4)
    toll, noise = data["costs"]
    assert toll["budget"] == [0, 0, 0, 3, 3, 3]
    assert noise["budget"] is None
    # Who may pay crosses the bridge, and who may not walks around.
    assert toll["mean"] == [0, 0, 0, 2, 2, 2]
    assert toll["within"] == 6


def test_step_costs_are_those_of_what_was_done(data):
    costs = np.stack([*worlds.toll().costs.values()])
    for agent in data["ranked"]:
        episode = data["agents"][str(agent)]
        state = [int(seen[0]) for seen in episode["observation"]]
        for k, found in enumerate(episode["costs"]):
            assert found["steps"] == costs[k, state, episode["action"]].tolist()
            assert found["mean"] == pytest.approx(sum(found["steps"]))


def test_a_run_that_goes_on_tells_what_was_played(opened, run, tmp_path):
    path = tmp_path / "run"
    shutil.copytree(run, path)
    (path / "report" / "evaluation.json").unlink()
    data = run_data(path, trust_imports=True)
    assert data["costs"] == []
    page = opened(view_page(data))
    assert "toll costs 2 per episode played here" in page.inner_text("#population .status") or (
        "toll costs 0 per episode played here" in page.inner_text("#population .status")
    )


def test_the_page_tells_costs_and_marks_who_is_over_budget(opened, data):
    page = opened(view_page(with_budgets(data, [0, 0, 0, 1, 1, 3])))
    assert "Cost per episode: toll" in page.inner_text("#lead")
    assert page.locator("#population .agentpoint.over").count() == 2
    page.select_option("#agent", "3")
    assert "toll costs 2 per episode, budget 1" in page.inner_text("#population .status")
    assert "noise costs 1 per episode" in page.inner_text("#population .status")
    page.select_option('[aria-label="What the horizontal axis shows"]', "cost of toll")
    places = page.locator("#population .agentpoint").evaluate_all(
        "points => points.map((point) => Number(point.getAttribute('cx')))"
    )
    assert places[0] == places[1] == places[2] < places[3] == places[4] == places[5]
    assert page.locator("#population .chart >> nth=0 >> path.diagonal").count() == 0


def test_one_budget_of_all_is_a_line(opened, data):
    page = opened(view_page(with_budgets(data, [1] * 6)))
    page.select_option('[aria-label="What the horizontal axis shows"]', "cost of toll")
    assert page.locator("#population .chart >> nth=0 >> path.diagonal").count() == 1


def test_the_episode_adds_its_costs_up(opened, data):
    page = opened(view_page(data))
    page.select_option("#agent", "0")
    assert "noise cost 0.25, so far 0.25" in page.inner_text("#episode .status")
    page.focus("#step")
    page.keyboard.press("End")
    assert "toll cost 0, so far 0, noise cost 0.5, so far 0.75" in page.inner_text("#episode .status")
    label = page.get_attribute('#episode [aria-label^="Costs so far"]', "aria-label")
    assert label.endswith("toll comes to 0, noise comes to 0.75")
    assert page.locator("#episode .line.cost1").count() == 1
    # The toll's budget, 0, is drawn; the noise has none.
    assert page.locator("#episode path.diagonal").count() == 1
    page.set_viewport_size({"width": 375, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth") == 375


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_no_violation(opened, data, scheme, violations):
    assert not violations(opened(view_page(data)), scheme)
