"""A run directory that was received from others: links in it are never followed."""

import os
import shutil

import pytest

import jaxq
from jaxq import cli
from jaxq.experiment.checkpoints import Checkpoints
from jaxq.storage import access

SECRET = "somebody else's"


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    out = tmp_path_factory.mktemp("runs") / "original"
    config = jaxq.configure(
        "FrozenLake-v1", "q_learning", agents=2, steps=500, segments=5, checkpoint_segments=2
    )
    jaxq.Experiment(config, out).run()
    return out


@pytest.fixture
def run(original, tmp_path):
    return shutil.copytree(original, tmp_path / "run")


@pytest.fixture
def outside(tmp_path):
    """A directory that nothing of this is to touch."""
    path = tmp_path / "outside"
    (path / "0000000100").mkdir(parents=True)
    (path / "0000000100" / "file").write_text(SECRET)
    (path / "file").write_text(SECRET)
    return path


def contents(directory):
    return {path: path.is_file() and path.read_bytes() for path in directory.rglob("*")}


def link(path, target):
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    path.unlink(missing_ok=True)
    path.symlink_to(target)


FILES = (
    "report/index.html", "report/learning_curves.svg",
    "report/episode.gif", "report/evaluation.json", "report/evaluation.json.new",
    ".lock", "config.json", "config.json.new", "metrics.jsonl", "metrics.jsonl.new",
    "snapshots.npz", "snapshots.npz.new",
    "tracking", "tensorboard", "report", "checkpoints", "wandb", "mlflow.db",
)  # fmt: skip


@pytest.mark.parametrize("command", ["report", "resume", "evaluate"])
@pytest.mark.parametrize("name", FILES)
def test_a_link_is_refused_by_name_and_what_it_leads_to_stays(run, outside, name, command, capsys):
    before = contents(outside)
    # To a file, to a directory, to nothing, and to what is inside.
    for target in (outside / "file", outside, outside / "new", run / "config.json"):
        link(run / name, target)
        assert cli.main([command, str(run)]) == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert f"{run / name} is a link" in line
        assert contents(outside) == before


def test_a_pipe_is_not_waited_for(run, capsys):
    (run / "report" / "index.html").unlink(missing_ok=True)
    os.mkfifo(run / "report" / "index.html")
    assert cli.main(["report", str(run)]) == 2
    assert "index.html is no plain file" in capsys.readouterr().err


def test_the_directory_itself_may_be_a_link(run, tmp_path, capsys):
    (tmp_path / "linked").symlink_to(run)
    assert cli.main(["evaluate", str(tmp_path / "linked"), "--episodes", "2"]) == 0
    (run / "checkpoints").rename(tmp_path / "moved")
    (run / "checkpoints").symlink_to(tmp_path / "moved")
    with pytest.raises(jaxq.InputError, match="checkpoints is a link"):
        Checkpoints(run / "checkpoints")


def test_a_checkpoint_that_is_a_link_is_passed_over_and_never_emptied(run, outside, tmp_path, capsys):
    newest = max((run / "checkpoints").iterdir())
    newest.rename(tmp_path / "moved")
    newest.symlink_to(tmp_path / "moved")
    (run / "checkpoints" / "0000000001").symlink_to(outside)
    (run / "checkpoints" / ".unfinished").symlink_to(outside)
    before = contents(outside), contents(tmp_path / "moved")
    # It writes the newest one anew, and removes the oldest.
    assert cli.main(["resume", str(run)]) == 0
    assert "cannot be used: it is a link" in " ".join("".join(capsys.readouterr()).split())
    assert (contents(outside), contents(tmp_path / "moved")) == before
    assert newest.is_dir()
    assert not [path for path in (run / "checkpoints").iterdir() if path.is_symlink()]


def test_a_sweep_with_a_linked_group_is_refused(run, tmp_path, capsys):
    (tmp_path / "sweep").mkdir()
    (tmp_path / "sweep" / "sweep.json").write_text("{}")
    (tmp_path / "sweep" / "group").symlink_to(run)
    for command in ("report", "resume", "evaluate"):
        assert cli.main([command, str(tmp_path / "sweep")]) == 2
        assert "group is a link" in capsys.readouterr().err


def test_writing_replaces_a_link_and_appending_refuses_it(outside, tmp_path):
    for name in ("page", "page.new"):
        (tmp_path / name).symlink_to(outside / "file")
    access.replace(tmp_path / "page", "new")
    assert (tmp_path / "page").read_text() == "new"
    assert not (tmp_path / "page").is_symlink()
    (tmp_path / "line").symlink_to(outside / "file")
    for action in (access.open_to_append, access.read_text):
        with pytest.raises(jaxq.InputError, match="line is a link"):
            action(tmp_path / "line")
    with pytest.raises(jaxq.InputError, match="line is a link"), access.locked(tmp_path / "line"):
        pass
    assert (outside / "file").read_text() == SECRET
