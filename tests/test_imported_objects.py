"""Objects by import path: only what the user names, or says to trust, is ever imported."""

import json
import sys

import pytest

import jaxq
from jaxq import cli
from jaxq.configuration.objects import imported, is_import_path

MODULE = """
import pathlib
import flax.linen as nn
import jaxq

pathlib.Path(__file__).with_name("ran").touch()
TABLE = {0: {0: [(1.0, 1, 0.0, False)], 1: [(1.0, 1, 1.0, False)]}, 1: {0: [(1.0, 0, 1.0, True)]}}
TABLE[1][1] = TABLE[1][0]

def make():
    return jaxq.envs.from_table(TABLE, name="two-states")

algorithm = jaxq.q_learning(num_envs=2)
number = 3

class Net(nn.Module):
    @nn.compact
    def __call__(self, observation):
        return nn.Dense(2)(observation)

network = Net()
"""


@pytest.fixture
def module(tmp_path, monkeypatch):
    """The name of a module in the current directory, that says so where it was run."""
    name = f"mine_{tmp_path.name}"
    (tmp_path / f"{name}.py").write_text(MODULE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    yield name
    sys.modules.pop(name, None)


@pytest.fixture
def run(module, tmp_path):
    words = f"train {module}:make --algorithm {module}:algorithm --agents 2 --steps 100 --segments 2"
    assert cli.main([*words.split(), "--out", str(tmp_path / "run")]) == 0
    sys.modules.pop(module)
    (tmp_path / "ran").unlink()
    return tmp_path / "run"


def test_a_run_is_trained_resumed_and_evaluated_by_import_path(run, module, capsys):
    described = json.loads((run / "config.json").read_text())
    assert described["environment"] == "two-states"
    assert described["imports"] == {
        "environment": f"{module}:make", "algorithm": f"{module}:algorithm"
    }  # fmt: skip
    assert cli.main(["resume", str(run), "--steps", "200", "--trust-imports"]) == 0
    capsys.readouterr()
    words = ["evaluate", str(run), "--episodes", "2", "--json", "--trust-imports"]
    assert cli.main(words) == 0
    assert len(json.loads(capsys.readouterr().out)["returns"]) == 2
    assert jaxq.load(run, trust_imports=True).q_values(0).shape == (2,)
    again = ["train", "--config", str(run / "config.json"), "--out", str(run.with_name("again"))]
    assert cli.main([*again, "--trust-imports"]) == 0


def test_nothing_is_imported_that_is_not_trusted(run, module, tmp_path, capsys):
    config = str(run / "config.json")
    for words in (["resume", str(run)], ["evaluate", str(run)], ["train", "--config", config]):
        assert cli.main(words) == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert f"'{module}:make'" in line
        assert "--trust-imports" in line
    for function in (jaxq.load, jaxq.Experiment.resume):
        with pytest.raises(jaxq.InputError, match="environment=environment, algorithm=algorithm"):
            function(run)
    assert cli.main(["report", str(run), "--out", str(tmp_path / "report")]) == 0
    assert not (tmp_path / "ran").exists()
    assert module not in sys.modules


def test_what_is_no_import_path_is_damage(run, capsys):
    described = json.loads((run / "config.json").read_text())
    for imports in (5, {"environment": 5}, {"environment": "os:system('x')"}, {"environment": "os"}):
        (run / "config.json").write_text(json.dumps({**described, "imports": imports}))
        assert cli.main(["resume", str(run), "--trust-imports"]) == 2
        assert "imports must hold paths" in capsys.readouterr().err


def test_a_network_by_import_path(module, tmp_path):
    words = (
        f"train CartPole-v1 --agents 2 --steps 100 --segments 1 --set network={module}:network "
        "num_envs=2 buffer_size=100 batch_size=8 learning_starts=20 --out run"
    )
    assert cli.main(words.split()) == 0
    assert json.loads((tmp_path / "run/config.json").read_text())["only_in_python"] == ["network"]
    with pytest.raises(jaxq.InputError, match="network from"):
        jaxq.load("run", which=0)
    agent = jaxq.load("run", which=0, trust_imports=True)
    assert agent.save("agent").is_dir()
    assert jaxq.load("agent", trust_imports=True).q_values([0.0] * 4).shape == (2,)


def test_what_cannot_be_imported_is_one_line(module, capsys):
    for words, message in (
        (["train", "no_such_module:make"], "ModuleNotFoundError"),
        (["train", f"{module}:nothing"], "AttributeError"),
        (["train", f"{module}:number"], "must be an environment, or a function"),
        (["train", "CartPole-v1", "--algorithm", f"{module}:number"], "must be an algorithm"),
    ):
        assert cli.main(words) == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert message in line


def test_import_paths_are_told_from_other_text():
    for text in ("a:b", "a.b:c.d", "_a:_b"):
        assert is_import_path(text)
    for text in ("a", "a:", ":b", "a:b:c", "a b:c", "a:b()", "1:2", "loguniform:1e-4:1e-2", 5, None):
        assert not is_import_path(text)
    assert imported("network", "json:dumps") is json.dumps
