"""Run directories with damage in them: one line that names the file, whoever reads it."""

import json
import shutil

import pytest

import jaxq
from jaxq import cli
from jaxq.experiment.directory import RunDirectory
from jaxq.reports import read_run

DEEP = "[" * 100_000
ROW = {"steps": 1, "seconds": 1.0, "steps_per_second": 1.0, "diverged": []}


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    out = tmp_path_factory.mktemp("runs") / "original"
    config = jaxq.configure("FrozenLake-v1", "q_learning", agents=2, steps=500, segments=5)
    jaxq.Experiment(config, out).run()
    return out


@pytest.fixture
def run(original, tmp_path):
    return shutil.copytree(original, tmp_path / "run")


def foreign(run, text):
    """Put a line into the middle of the metrics."""
    lines = (run / "metrics.jsonl").read_bytes().splitlines()
    content = text if isinstance(text, bytes) else text.encode()
    (run / "metrics.jsonl").write_bytes(b"\n".join([*lines[:2], content, *lines[2:], b""]))


def changed(run, **changes):
    """Return the third line of the metrics with something else in it."""
    row = json.loads((run / "metrics.jsonl").read_text().splitlines()[2])
    return json.dumps({**row, **changes})


def one_agent_more(run):
    row = json.loads(changed(run))
    return json.dumps(
        {**row, "agents": {name: [*column, 0.0] for name, column in row["agents"].items()}}
    )


FOREIGN = {
    "a number": lambda run: "5",
    "null": lambda run: "null",
    "a list": lambda run: "[]",
    "nothing": lambda run: "{}",
    "no agents": lambda run: json.dumps(ROW),
    "no metrics": lambda run: json.dumps({**ROW, "agents": {"loss": [0.0, 0.0]}}),
    "too many agents": one_agent_more,
    "no text": lambda run: b"\xff\xfe\x00",
    "deep": lambda run: DEEP,
    "closed and deep": lambda run: "[" * 500 + "]" * 500,
    "infinite": lambda run: "Infinity",
    "infinite steps": lambda run: changed(run, steps=float("inf")),
    "steps' text": lambda run: changed(run, steps="1"),
    "half a step": lambda run: changed(run, steps=0.5),
    "infinite seconds": lambda run: changed(run, seconds=float("inf")),
    "a stranger": lambda run: changed(run, diverged=[2]),
    "long": lambda run: b" " * 3_000_000 + b"{}",
    "cut off": lambda run: changed(run)[:-9],
}


@pytest.mark.parametrize("case", FOREIGN)
def test_a_foreign_line_in_the_metrics_is_named_by_all_who_read_them(run, case):
    foreign(run, FOREIGN[case](run))
    before = (run / "metrics.jsonl").read_bytes()
    for read in (lambda: read_run(run), lambda: RunDirectory.open(run).rewind_metrics(500, 2)):
        with pytest.raises(jaxq.InputError, match=r"metrics\.jsonl, line 3") as error:
            read()
        assert "\n" not in str(error.value)
        assert len(str(error.value)) < 500
    assert (run / "metrics.jsonl").read_bytes() == before


def refused(words, capsys):
    """Run a command that is refused, and return its one line."""
    assert cli.main([*map(str, words)]) == 2
    output = capsys.readouterr()
    (line,) = output.err.splitlines()
    return line


def test_every_command_says_so_in_one_line(run, capsys):
    foreign(run, "null")
    commands = ["resume", run], ["report", run, "--no-watch"], ["compare", run, run]
    for words in commands:
        assert "metrics.jsonl, line 3: expected names with values, got None" in refused(words, capsys)


def test_a_last_line_that_was_cut_off_is_left_out_and_null_stands_for_no_number(run):
    lines = (run / "metrics.jsonl").read_text().splitlines()
    row = json.loads(lines[0])
    row["agents"] = {name: [None, None] for name in row["agents"]}
    (run / "metrics.jsonl").write_text("\n".join([json.dumps(row), *lines[1:-1], lines[-1][:-5]]))
    found = read_run(run)
    assert "cut off" in found.notes[0]
    assert found.history.steps.size == 4
    RunDirectory.open(run).rewind_metrics(500, 2)
    # What was read is what is written again.
    assert (run / "metrics.jsonl").read_text().splitlines() == [json.dumps(row), *lines[1:-1]]


TRACK = "config.json: track"
SPOILED = {
    "track": ({"track": ["wandb"]}, TRACK),
    "track's names": ({"track": {"names": [[]], "agents": False}}, TRACK),
    "track's agents": ({"track": {"names": [], "agents": 1}}, TRACK),
    "resumed": ({"resumed": 5}, "config.json: resumed must be a list"),
    "resumed's parts": ({"resumed": [5]}, "config.json: resumed must be a list"),
    "only_in_python": ({"only_in_python": 5}, "config.json: only_in_python must be a list of names"),
    "only_in_python's names": ({"only_in_python": [5]}, "config.json: only_in_python must be a list"),
    "keywords": ({"keywords": []}, "config.json: keywords: expected names with values"),
}


@pytest.mark.parametrize("case", SPOILED)
def test_a_configuration_of_other_types_is_refused_by_all(run, case, capsys):
    changes, message = SPOILED[case]
    file = run / "config.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), **changes}))
    before = file.read_text()
    for words in (["resume", run], ["evaluate", run], ["report", run], ["compare", run, run]):
        assert message in refused(words, capsys)
    assert "only_in_python" not in message or "config.json" in refused(
        ["train", "--config", file, "--out", run / "new"], capsys
    )
    assert file.read_text() == before


@pytest.mark.parametrize("text", [DEEP, '{"a":' * 100_000, '{"a":[' + "[" * 200 + "]" * 200 + "]}"])
def test_no_file_is_nested_too_deep_to_be_refused(run, tmp_path, text, capsys):
    (run / "config.json").write_text(text)
    for words in (["resume", run], ["evaluate", run], ["report", run], ["compare", run, run]):
        assert "config.json" in refused(words, capsys)
    assert "config.json" in refused(["train", "--config", run / "config.json"], capsys)
    (tmp_path / "deep.toml").write_text(f"seed = {DEEP}")
    assert "deep.toml" in refused(["train", "--config", tmp_path / "deep.toml"], capsys)
    (tmp_path / "sweep.json").write_text(text)
    for words in (["resume", tmp_path], ["report", tmp_path]):
        assert "sweep.json" in refused(words, capsys)


def test_a_manifest_nested_too_deep_is_damage(run, capsys):
    for manifest in run.glob("checkpoints/*/manifest.json"):
        manifest.write_text(DEEP)
    assert "manifest.json" in refused(["evaluate", run], capsys)


def test_infinite_returns_in_the_evaluation_are_refused(run, capsys):
    file = run / "report" / "evaluation.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), "returns": [[1.0], [1e999]]}))
    assert "some are infinite" in refused(["report", run], capsys)
