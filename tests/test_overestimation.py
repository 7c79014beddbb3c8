"""Values above any possible return are told of, while training and in the report."""

import io
import json

import numpy as np
import pytest
from rich.console import Console

import jaxq
from jaxq import cli
from jaxq.experiment.impossible_values import impossible, warning


@pytest.fixture(scope="module")
def config():
    return jaxq.configure("FrozenLake-v1", "q_learning", agents=2, steps=2_000, segments=4)


def test_what_is_impossible():
    values = np.array([19.1, 1.0, -3.0, np.nan, 5.0])
    largest = np.array([1.1, 1.1, 1.1, 1.1, np.inf])
    assert impossible(values, largest).tolist() == [0, 2]
    assert warning(values, largest).startswith("mean Q 19.1 where at most 1.1 is possible")
    assert "agent 0; 2 of 5 agents" in warning(values, largest)
    assert warning(values[1:2], largest[1:2]) is None


def test_a_run_writes_the_largest_possible_value(config, tmp_path):
    jaxq.Experiment(config, tmp_path / "run").run(report=False)
    lines = (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()
    rows = [json.loads(line) for line in lines]
    # A reward of at most 1, and a discount of 0.99.
    assert np.allclose([row["largest_values"] for row in rows], 100, rtol=1e-4)


def test_a_run_warns_once(config, tmp_path, monkeypatch):
    monkeypatch.setattr("jaxq.experiment.impossible_values.WARNING_MARGIN", 0.0)
    said = io.StringIO()
    # As if nothing were possible: the first value that is not zero is too much.
    jaxq.Experiment(config, tmp_path / "run").run(Console(file=said, width=200), report=False)
    lines = [line for line in said.getvalue().splitlines() if "is possible" in line]
    assert len(lines) == 1
    assert lines[0].startswith("warning: after ")


def test_the_report_says_it(config, tmp_path, capsys):
    run = tmp_path / "run"
    jaxq.Experiment(config, run).run()
    assert "is possible" not in (run / "report" / "index.html").read_text()
    *rows, last = (run / "metrics.jsonl").read_text().splitlines()
    last = json.loads(last)
    last["agents"]["q_value"], last["largest_values"] = [0.5, 19.1], [1.1, 1.1]
    (run / "metrics.jsonl").write_text("\n".join([*rows, json.dumps(last)]) + "\n")
    assert cli.main(["report", str(run), "--no-watch"]) == 0
    assert "mean Q 19.1 where at most 1.1 is possible" in (run / "report" / "index.html").read_text()
    # Of a run that was written before there is nothing to say.
    del last["largest_values"]
    (run / "metrics.jsonl").write_text("\n".join([*rows, json.dumps(last)]) + "\n")
    assert cli.main(["report", str(run), "--no-watch"]) == 0
    assert "is possible" not in (run / "report" / "index.html").read_text()
