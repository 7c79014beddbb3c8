"""Costs of an evaluation: what a run writes, reads back and shows."""

import html
import json
import shutil

import numpy as np
import pytest
from numpy.testing import assert_allclose

import jaxq
from jaxq.checks import InputValueError
from jaxq.cli import main
from jaxq.experiment.costs import EpisodeCosts
from jaxq.experiment.ranking import interval_text
from jaxq.experiment.records import read_evaluation
from jaxq.reports import read_run
from jaxq.reports.costs import cost_rows, front, within_budgets

NAMES = ("availability", "needless_action", "restart_limit")


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A sweep over two budgets of one cost, two agents each."""
    config = jaxq.configure(
        "Incident-v0",
        "constrained_dqn",
        agents=4,
        steps=600,
        segments=2,
        keywords={
            "budgets": {"availability": 1.0},
            "learning_starts": 100,
            "num_envs": 4,
            "hidden_sizes": (16,),
            "buffer_size": 500,
        },
        sweep={"budget_availability": [0.5, 1e6]},
        evaluation_episodes=3,
    )
    directory = tmp_path_factory.mktemp("runs") / "run"
    jaxq.Experiment(config, directory).run()
    return directory


def test_a_run_writes_what_its_episodes_cost(run):
    written = json.loads((run / "report" / "evaluation.json").read_text())
    assert tuple(written["costs"]) == NAMES
    found = written["costs"]["availability"]
    assert np.shape(found["episodes"]) == (4, 3)
    assert_allclose(found["mean"], np.mean(found["episodes"], axis=1))
    assert found["budget"] == [0.5, 0.5, 1e6, 1e6]
    over = np.array(found["episodes"]) > np.array(found["budget"])[:, None]
    assert_allclose(found["share_over_budget"], over.mean(axis=1))
    assert "budget" not in written["costs"]["restart_limit"]
    within = np.array(found["mean"]) <= found["budget"]
    expected = np.where(within, np.mean(written["returns"], axis=1), np.nan)
    given = np.array(written["return_within_budget"], float)
    assert_allclose(given, expected, rtol=1e-6)
    assert within[2:].all()


def test_what_was_written_is_read_back(run):
    file = run / "report" / "evaluation.json"
    costs = read_evaluation(file, 4).costs
    assert costs.names == NAMES
    assert costs.budgeted.tolist() == [True, False, False]
    written = json.loads(file.read_text())["costs"]
    for k, name in enumerate(NAMES):
        assert_allclose(costs.costs[..., k], written[name]["episodes"])


def test_evaluate_prints_the_costs(run, capsys):
    assert main(["evaluate", str(run), "--episodes", "2", "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert np.shape(printed["costs"]["availability"]["episodes"]) == (4, 2)
    assert main(["evaluate", str(run), "--episodes", "2"]) == 0
    shown = capsys.readouterr().out
    assert "availability" in shown
    assert "within all budgets" in shown


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        ({"costs": 5}, "costs: expected names with values"),
        ({"costs": {"a": 5}}, "a of costs: expected names with values"),
        ({"costs": {"a": {"episodes": [[1.0, 2.0]]}}}, "one list for each of the agents"),
        ({"costs": {"a": {"episodes": [[1.0], [2.0]]}}}, "must be a list of 2 numbers"),
        ({"costs": {"a": {"episodes": [[1.0, 2.0]] * 2, "budget": [1.0]}}}, "budget of a of costs"),
    ],
)
def test_damaged_costs_are_refused(tmp_path, damage, message):
    file = tmp_path / "evaluation.json"
    file.write_text(json.dumps({"steps": 1, "returns": [[0.0, 1.0], [2.0, 3.0]], **damage}))
    with pytest.raises(InputValueError, match=message):
        read_evaluation(file, 2)


def test_episodes_given_up_are_left_out_of_means_and_count_as_over_budget():
    costs = EpisodeCosts(("wear",), np.array([[[1.0], [np.nan]], [[5.0], [3.0]]]), np.full((2, 1), 2.0))
    assert costs.mean.tolist() == [[1.0], [4.0]]
    assert costs.shares_over_budget.tolist() == [[0.5], [1.0]]
    assert_allclose(costs.returns_within_budget(np.array([[7.0, np.nan], [8.0, 8.0]])), [7.0, np.nan])


def test_the_report_shows_costs_and_what_return_they_buy(run, tmp_path):
    copy = shutil.copytree(run, tmp_path / "copy")
    assert main(["report", str(copy), "--no-watch"]) == 0
    text = (copy / "report" / "index.html").read_text()
    found = read_run(copy)
    for name in NAMES:
        assert f"<td>{name}</td>" in text
    rows = cost_rows(found, found.ranking[0].agents)
    assert f"{rows[0].share_over:.0%}" in text
    assert interval_text(rows[0].interval) in text
    drawn = (copy / "report" / "cost_1.svg").read_text()
    assert drawn.count("<title>agent ") == 4
    assert "Pareto front" in drawn
    assert within_budgets(found) in html.unescape(text)


def test_rows_of_costs_are_the_evaluations(run):
    found = read_run(run)
    written = json.loads((run / "report" / "evaluation.json").read_text())["costs"]["availability"]
    row, other, _ = cost_rows(found, slice(0, 2))
    assert row.iqm == pytest.approx(jaxq.iqm(written["mean"][:2]))
    assert (row.budget, other.budget) == ("0.5", "")
    assert row.share_over == pytest.approx(np.mean(written["share_over_budget"][:2]))
    assert row.within == sum(mean <= 0.5 for mean in written["mean"][:2])
    assert cost_rows(found)[0].budget == "0.5 to 1e+06"


def test_comparisons_have_costs_too(run, tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "150")
    copy = shutil.copytree(run, tmp_path / "copy")
    capsys.readouterr()
    assert main(["compare", str(run), str(copy), "--json"]) == 0
    one, other = json.loads(capsys.readouterr().out)["runs"]
    assert tuple(one["costs"]) == NAMES
    assert one["costs"] == other["costs"]
    assert one["costs"]["availability"]["budget"] == [0.5, 1e6]
    assert "budget" not in one["costs"]["restart_limit"]
    assert main(["compare", str(run), str(copy)]) == 0
    assert "agents within" in capsys.readouterr().out


def test_the_front_by_hand():
    costs, returns = np.array([1.0, 2.0, 2.0, 3.0, 0.5]), np.array([1.0, 3.0, 2.0, 2.5, np.nan])
    assert front(costs, returns).tolist() == [0, 1]
