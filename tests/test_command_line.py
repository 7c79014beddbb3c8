"""What may be typed, sent and taken away from the command, and what comes of it."""

import io
import os
import shutil
import signal
import subprocess
import sys

import pytest

import jaxq
from jaxq import cli, interruption
from jaxq.progress import Progress

LONG = "9" * 100_000
TOO_LONG = "x" * 300


def refused(words, capsys):
    """Run a command that is not to run, and return the line that says so."""
    assert cli.main(words.split()) == 2
    output = capsys.readouterr()
    assert output.out == ""
    (line,) = output.err.splitlines()
    assert line.startswith("jaxq: error: ")
    return line


@pytest.mark.parametrize(
    ("words", "message"),
    {
        "--set loss={[]}": "unknown loss '{[]}'",
        "--set hidden_sizes={[1]:2}": "must be widths",
        "--sweep loss={[]},{}": "2 mistakes",
        "--sweep batch_size=[1],{}": "batch_size must be a whole number",
        "--algorithm None": "--algorithm takes a value, got None",
        "--agents=None": "--agents takes a value, got None",
        "--out None": "--out takes a value, got None",
        "--sweep batch_size=32,32.0": "the sweep has batch_size=32 twice",
        "--sweep hidden_sizes=8x8,(8,8.0)": "twice",
        "--steps 1e400": "--steps takes a whole number",
    }.items(),
)
def test_words_that_cannot_be_used(words, message, capsys):
    assert message in refused(f"train CartPole-v1 {words}", capsys)


@pytest.mark.parametrize(
    "words",
    [
        "--set batch_size=1000000000",
        "--set num_envs=1000000000",
        "--algorithm dqnn",
        "--algorithm r2d2 --set burn_in=1000000",
        "--sweep environment=3",
    ],
)
def test_one_mistake_is_told_once(words, capsys):
    environment = "" if "environment" in words else "CartPole-v1"
    assert "mistakes" not in refused(f"train {environment} {words}", capsys)


def test_of_two_mistakes_both_are_told(capsys):
    line = refused("train CartPole-v1 --set batch_size=1000000000 discount=2", capsys)
    assert "2 mistakes: batch_size" in line
    assert "discount must be" in line


@pytest.mark.parametrize(
    "words",
    [
        f"--set loss={LONG}",
        f"--set {LONG}=1",
        f"--sweep batch_size={LONG}",
        f"--sample discount={LONG}",
        f"--algorithm {LONG}",
        f"--agents {LONG}",
        f"--track {LONG}",
        f"--out {LONG}",
    ],
    ids=lambda words: words.split("9")[0],
)
def test_a_long_value_is_not_told_whole(words, capsys):
    assert len(refused(f"train CartPole-v1 {words}", capsys)) < 2_500


@pytest.mark.parametrize("words", ["evaluate", "resume", "report", "compare x", "train --config"])
def test_a_name_that_no_file_can_have_is_a_mistake(words, capsys):
    assert "File name too long" in refused(f"{words} {TOO_LONG}", capsys)


@pytest.mark.parametrize("out", ["x/..", f"x/y/{TOO_LONG}", "x/../y/.."])
@pytest.mark.parametrize("sweep", ["", " --sweep num_envs=1,2"])
def test_a_directory_that_cannot_be_leaves_nothing_behind(out, sweep, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    refused(f"train FrozenLake-v1 --algorithm q_learning{sweep} --out {out}", capsys)
    assert not list(tmp_path.iterdir())


def test_help_can_be_printed_in_ascii(monkeypatch):
    for stream in ("stdout", "stderr"):
        monkeypatch.setattr(sys, stream, io.TextIOWrapper(io.BytesIO(), encoding="ascii"))
    assert cli.main(["train", "--help"]) == 0
    sys.stdout.flush()
    assert b"--algorithm" in sys.stdout.buffer.getvalue()
    print("\N{BOX DRAWINGS LIGHT HORIZONTAL}", flush=True)


SLOW_IMPORT = """
import sys, time

class Slow:
    def find_spec(self, name, path=None, target=None):
        if name == "jax._src":
            print("importing", flush=True)
            time.sleep(60)

sys.meta_path.insert(0, Slow())
"""


def test_ctrl_c_while_importing_ends_the_command(tmp_path):
    (tmp_path / "sitecustomize.py").write_text(SLOW_IMPORT)
    path = os.pathsep.join([str(tmp_path), *filter(None, [os.environ.get("PYTHONPATH")])])
    with subprocess.Popen(
        [sys.executable, "-m", "jaxq.cli", "algorithms"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": path},
    ) as process:
        assert process.stdout.readline() == "importing\n"
        process.send_signal(signal.SIGINT)
        out, errors = process.communicate(timeout=60)
    assert process.returncode == interruption.INTERRUPTED
    assert out == ""
    assert "Traceback" not in errors
    assert errors.count("interrupted") == 1


def test_ctrl_c_is_left_alone_where_jaxq_is_not_the_command():
    assert not interruption.is_command()
    assert signal.getsignal(signal.SIGINT) is not interruption._end


def test_a_run_whose_directory_is_deleted_stops(tmp_path, monkeypatch):
    """Also where what writes checkpoints has made the directory again."""
    run = tmp_path / "run"
    facts = Progress.facts

    def delete(progress):
        # Before the first checkpoint, so that nothing is being written there meanwhile.
        if progress.steps == 100:
            shutil.rmtree(run)
        return facts(progress)

    monkeypatch.setattr(Progress, "facts", delete)
    config = jaxq.configure(
        "FrozenLake-v1", "q_learning", agents=1, steps=400, segments=8, checkpoint_segments=2
    )
    experiment = jaxq.Experiment(config, run)
    with pytest.raises(FileNotFoundError, match="run directory was deleted"):
        experiment.run()
    assert not (run / "report").exists()
    assert not (run / "metrics.jsonl").exists()


def test_a_report_that_cannot_be_written_plays_nothing_first(tmp_path, capsys):
    run = tmp_path / "run"
    config = jaxq.configure("FrozenLake-v1", "q_learning", agents=1, steps=40, segments=1)
    jaxq.Experiment(config, run).run()
    assert "cannot be written" in refused(f"report {run} --out /dev/null/report", capsys)
    assert not (run / "report" / "episode.gif").exists()
    assert os.listdir(tmp_path) == ["run"]
