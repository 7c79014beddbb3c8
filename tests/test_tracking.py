import importlib.util
import io
import json
import math
import os
import shutil
import subprocess
import sys
import threading
import time
from collections import Counter

import numpy as np
import pytest
from rich.console import Console
from tracked import events, hparams, items, of_kind, scalars, wandb_records

from jaxq import InputError, cli
from jaxq.configuration import configure
from jaxq.engine import Metrics
from jaxq.experiment import Experiment
from jaxq.progress import Progress
from jaxq.tracking import Trackers
from jaxq.tracking.logged import code_version, segment_rows
from jaxq.tracking.trackers import BackgroundTracker

RATES = [1e-3, 1e-2]
NAMES = [name for name in ("wandb", "mlflow") if importlib.util.find_spec(name)]


class Diskless:
    """A tracker whose disk is full after the first segment."""

    segments = 0

    def start(self, described, directory, resumed_at):
        pass

    def segment(self, progress):
        self.segments += 1
        if self.segments > 1:
            raise OSError("[no] space left on device,\nnone at all")

    def finish(self, evaluation, artifacts):
        raise AssertionError("it was switched off")

    def close(self):
        raise OSError("and it cannot even be closed")


@pytest.fixture(scope="module", autouse=True)
def alone(tmp_path_factory):
    """Keep wandb and MLflow to themselves: no network, no files of the user's."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WANDB_MODE", "offline")
        for name in ("CONFIG", "CACHE", "DATA"):
            patch.setenv(f"WANDB_{name}_DIR", str(tmp_path_factory.mktemp("wandb")))
        patch.setenv("DO_NOT_TRACK", "true")
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        yield


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A run of two agents with every tracker that is installed, and one that fails on the way."""
    out = tmp_path_factory.mktemp("runs") / "run"
    keywords = {"hidden_sizes": (8,), "learning_starts": 1_000}
    config = configure(
        "CartPole-v1", agents=2, steps=2_000, keywords=keywords, sweep={"learning_rate": RATES}
    )
    broken, text = Diskless(), io.StringIO()
    experiment = Experiment(config, out, track=[*NAMES, broken], track_agents=True)
    returns = experiment.run(Console(file=text))
    assert broken.segments == 2
    return out, returns, text.getvalue()


@pytest.fixture(scope="module")
def rows(trained):
    return [json.loads(line) for line in (trained[0] / "metrics.jsonl").read_text().splitlines()]


def progress(steps, agents=2, returns=(20.0, 30.0)):
    metrics = Metrics(*(np.arange(agents, dtype=np.float32) + k for k in range(8)))
    return Progress(steps, steps / 100, 1_000.0, np.array(returns), metrics)


def described(trained):
    return json.loads((trained[0] / "config.json").read_text())


def test_a_tracker_that_fails_costs_one_line_and_nothing_else(trained, rows):
    _, returns, text = trained
    (line,) = [line for line in text.splitlines() if "warning" in line]
    assert "Diskless" in line
    assert "[no] space left on device, none at all" in line
    assert returns.shape == (2, 32)
    assert rows[-1]["steps"] == 2_000


def test_tensorboard_has_the_distribution_over_agents(trained, rows):
    out, returns, _ = trained
    read = scalars(out / "tensorboard")
    assert [step for step, _ in read["steps_per_second"]] == [row["steps"] for row in rows]
    for name in ("iqm", "interval_low", "interval_high", "min", "max"):
        assert f"return/{name}" in read
    for name in ("loss", "td_error", "q_value", "gradient_norm", "epsilon"):
        for statistic in (np.mean, np.min, np.max):
            expected = [statistic(row["agents"][name]) for row in rows]
            values = [value for _, value in read[f"{name}/{statistic.__name__}"]]
            np.testing.assert_allclose(values, expected, rtol=1e-5)
    ((step, low),) = read["evaluation/interval_low"]
    assert step == 2_000
    assert low == pytest.approx(returns.mean(axis=1).min())


def test_tensorboard_has_a_run_for_each_agent(trained, rows):
    out, returns, _ = trained
    for agent, rate in enumerate(RATES):
        directory = out / "tensorboard" / "agents" / str(agent)
        assert hparams(directory)["learning_rate"] == rate
        read = scalars(directory)
        expected = [row["agents"]["loss"][agent] for row in rows]
        np.testing.assert_allclose([value for _, value in read["loss"]], expected, rtol=1e-5)
        assert read["evaluation/return"] == [(2_000, pytest.approx(returns[agent].mean()))]


def test_tensorboard_itself_can_read_it(trained):
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    run = accumulator.EventAccumulator(str(trained[0] / "tensorboard"))
    run.Reload()
    assert run.Scalars("epsilon/mean")[-1].step == 2_000


def test_tensorboard_takes_back_what_a_resumed_run_does_again(trained, tmp_path):
    for resumed_at, segments in (None, (10, 20, 30)), (20, (30, 40)):
        trackers = Trackers(track_agents=True)
        trackers.start(described(trained), tmp_path, print, resumed_at)
        for steps in segments:
            trackers.on_segment(None, progress(steps))
        trackers.close()
    for directory in (tmp_path / "tensorboard", tmp_path / "tensorboard" / "agents" / "1"):
        assert len([event for event in events(directory) if event.file_version]) == 2
        assert {tuple(step for step, _ in read) for read in scalars(directory).values()} == {
            (10, 20, 30, 40)
        }


def runs_of(out):
    """The records of wandb's runs, the population's first."""
    ids = json.loads((out / "tracking" / "wandb.json").read_text())["runs"]
    paths = [sorted(out.glob(f"wandb/offline-run-*-{run}/run-{run}.wandb")) for run in ids]
    return [[record for path in paths for record in complete_records(path)] for paths in paths]


def complete_records(path):
    """The records of one file: `Run.finish` does not wait until wandb's own process has closed it."""
    deadline = time.monotonic() + 60
    while not of_kind(records := wandb_records(path), "exit") and time.monotonic() < deadline:
        time.sleep(0.1)
    return records


def test_wandb_has_a_group_of_runs(trained, rows):
    pytest.importorskip("wandb")
    out, returns, _ = trained
    population, *agents = runs_of(out)
    history = [items(row.item) for row in of_kind(population, "history")]
    assert [int(row["_step"]) for row in history] == [row["steps"] for row in rows]
    assert float(history[-1]["loss/max"]) == pytest.approx(max(rows[-1]["agents"]["loss"]))
    config = items(of_kind(population, "run")[0].config.update)
    assert json.loads(config["settings"])["hidden_sizes"] == [8]
    assert json.loads(config["code"])["jaxq"]
    (artifact,) = of_kind(population, "artifact")
    names = {entry.path for entry in artifact.manifest.contents}
    assert {"report/evaluation.json", "report/index.html"} < names
    assert f"checkpoints/{rows[-1]['steps']:010d}/manifest.json" in names
    for agent, (rate, records) in enumerate(zip(RATES, agents, strict=True)):
        run = of_kind(records, "run")[0]
        assert run.run_group == out.name
        assert run.display_name == f"agent {agent}"
        assert json.loads(items(run.config.update)["hparams"])["learning_rate"] == rate
        summary = {}
        for record in of_kind(records, "summary"):
            summary |= items(record.update)
        assert float(summary["evaluation/return"]) == pytest.approx(returns[agent].mean())
    assert [of_kind(records, "exit")[0].exit_code for records in (population, *agents)] == [0, 0, 0]


def client_of(out):
    mlflow = pytest.importorskip("mlflow")
    return mlflow.MlflowClient(f"sqlite:///{out / 'mlflow.db'}")


def mlflow_runs(out):
    return json.loads((out / "tracking" / "mlflow.json").read_text())["runs"]


def test_mlflow_has_nested_runs(trained, rows):
    out, returns, _ = trained
    client = client_of(out)
    parent, *agents = mlflow_runs(out)
    history = client.get_metric_history(parent, "loss/max")
    assert [metric.step for metric in history] == [row["steps"] for row in rows]
    assert history[-1].value == pytest.approx(max(rows[-1]["agents"]["loss"]))
    run = client.get_run(parent)
    assert run.info.status == "FINISHED"
    assert run.data.params["settings.hidden_sizes"] == "[8]"
    assert run.data.tags["jaxq.code.jaxq"]
    files = {entry.path for entry in client.list_artifacts(parent, "report")}
    assert {"report/evaluation.json", "report/index.html"} <= files
    checkpoint = f"checkpoints/{rows[-1]['steps']:010d}"
    assert [entry.path for entry in client.list_artifacts(parent, "checkpoints")] == [checkpoint]
    files = {entry.path for entry in client.list_artifacts(parent, checkpoint)}
    assert files == {f"{checkpoint}/manifest.json", f"{checkpoint}/state"}
    for agent, (rate, child) in enumerate(zip(RATES, agents, strict=True)):
        run = client.get_run(child)
        assert run.data.tags["mlflow.parentRunId"] == parent
        assert float(run.data.params["learning_rate"]) == rate
        assert run.data.metrics["evaluation/return"] == pytest.approx(returns[agent].mean())


@pytest.mark.parametrize("name", ["wandb", "mlflow"])
def test_a_resumed_run_goes_on_without_logging_twice(name, trained, tmp_path):
    pytest.importorskip(name)
    out = tmp_path / "run"
    shutil.copytree(trained[0], out, symlinks=True)
    before = json.loads((out / "tracking" / f"{name}.json").read_text())
    warnings = []
    trackers = Trackers([name], track_agents=True)
    trackers.start(described(trained), out, warnings.append, resumed_at=1_900)
    for steps in (1_950, 2_000, 2_050):
        trackers.on_segment(None, progress(steps))
    trackers.close()
    assert warnings == []
    after = json.loads((out / "tracking" / f"{name}.json").read_text())
    assert after == {"runs": before["runs"], "steps": 2_050}
    if name == "wandb":
        logged = [
            [int(items(row.item)["_step"]) for row in of_kind(records, "history")]
            for records in runs_of(out)
        ]
    else:
        client = client_of(out)
        assert client.get_run(before["runs"][0]).info.status == "KILLED"
        tags = ["epsilon/mean", "epsilon", "epsilon"]
        logged = [
            [metric.step for metric in client.get_metric_history(run, tag)]
            for run, tag in zip(before["runs"], tags, strict=True)
        ]
    for steps in logged:
        assert max(Counter(steps).values()) == 1
        assert steps[-2:] == [2_000, 2_050]


def test_what_is_not_finite_is_left_out():
    (values,) = segment_rows(progress(10, returns=(math.nan, math.nan)), agents=False)
    assert "return/iqm" not in values
    assert values["loss/min"] == 3
    assert all(math.isfinite(value) for value in values.values())
    _, first, second = segment_rows(progress(10, returns=(math.nan, 7.0)), agents=True)
    assert "return" not in first
    assert second["return"] == 7.0


def test_a_tracker_that_hangs_does_not_hold_up_the_end():
    freed, lines = threading.Event(), []

    class Hanging(Diskless):
        def segment(self, progress):
            freed.wait()

        def close(self):
            pass

    tracker = BackgroundTracker("Hanging", Hanging(), lines.append, close_seconds=0.01)
    tracker.start({}, None, None)
    tracker.call("segment", progress(10))
    tracker.close()
    freed.set()
    (line,) = lines
    assert "did not take everything" in line


def test_a_tracker_that_cannot_start_is_done_without(tmp_path, trained):
    (tmp_path / "tensorboard").write_text("a file where the directory should be")
    warnings = []
    trackers = Trackers()
    trackers.start(described(trained), tmp_path, warnings.append)
    trackers.on_segment(None, progress(10))
    trackers.close()
    (warning,) = warnings
    assert "tensorboard" in warning


def test_a_missing_package_is_one_line_that_names_the_extra(tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "wandb", None)  # as if it were not installed
    out = tmp_path / "run"
    assert cli.main(["train", "CartPole-v1", "--track", "wandb", "--out", str(out)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "pip install 'jaxq[wandb]'" in line
    assert not out.exists()


def test_a_directory_of_that_name_is_no_package(tmp_path, monkeypatch):
    """Such as wandb leaves in the current directory."""
    for name in list(sys.modules):
        if name.split(".")[0] == "wandb":
            monkeypatch.delitem(sys.modules, name)
    (tmp_path / "wandb").mkdir()
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    with pytest.raises(InputError, match="not installed"):
        Trackers(["wandb"])


@pytest.mark.parametrize(
    ("track", "message"), [(["wandbb"], "did you mean wandb"), ("wandb", "sequence"), ([3], "name")]
)
def test_unknown_trackers_are_refused(track, message):
    with pytest.raises(InputError, match=message):
        Trackers(track)


def test_the_code_is_named_by_its_commit_where_there_is_one(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert "commit" not in code_version()
    git = ["git", "-c", "user.name=x", "-c", "user.email=x@example.com"]
    for words in (["init", "-q"], ["commit", "-q", "--allow-empty", "-m", "first"]):
        subprocess.run([*git, *words], check=True)
    commit = code_version()["commit"]
    assert len(commit) == 40
    (tmp_path / "file").write_text("x")
    subprocess.run([*git, "add", "file"], check=True)
    assert code_version()["commit"] == f"{commit}-dirty"


def test_the_commit_is_read_without_running_what_a_repository_says(tmp_path, monkeypatch):
    """Its configuration, attributes and hooks name programs, and none of them runs."""
    repository, ran = tmp_path / "repository", tmp_path / "ran"
    repository.mkdir()
    safe = ["git", "-c", "user.name=x", "-c", "user.email=x@example.com", "-c", "core.fsmonitor=false"]

    def git(*words):
        subprocess.run([*safe, *words], check=True, cwd=repository, capture_output=True)

    git("init", "-q")
    (repository / "file").write_text("x")
    git("add", "file")
    git("commit", "-q", "-m", "first")
    git("config", "core.fsmonitor", f"touch {ran}")
    git("config", "filter.own.clean", f"touch {ran}; cat")
    (repository / ".gitattributes").write_text("* filter=own")
    # Touched, so that whoever compares has to look into it.
    os.utime(repository / "file", (1, 1))
    monkeypatch.chdir(repository)
    commit = code_version()["commit"]
    assert len(commit) == 40
    git("pack-refs", "--all")
    git("worktree", "add", "-q", str(tmp_path / "worktree"))
    (tmp_path / "worktree" / "below").mkdir()
    ran.unlink(missing_ok=True)
    for directory in (repository, tmp_path / "worktree", tmp_path / "worktree" / "below"):
        monkeypatch.chdir(directory)
        assert code_version()["commit"] == commit
    (tmp_path / "worktree" / "file").write_text("y")
    assert code_version()["commit"] == f"{commit}-dirty"
    assert not ran.exists()


@pytest.mark.parametrize("head", ["ref: ../../secret", "ref: refs/../../secret", "", "x" * 40, "\0"])
def test_a_head_that_git_did_not_write_names_no_commit(head, tmp_path, monkeypatch):
    (tmp_path / "secret").write_text("0" * 40)
    (tmp_path / "repository" / ".git").mkdir(parents=True)
    (tmp_path / "repository" / ".git" / "HEAD").write_text(head)
    monkeypatch.chdir(tmp_path / "repository")
    assert "commit" not in code_version()
