"""What the command line says of recipes, presets and environments."""

import pytest

import jaxq
from jaxq import cli
from jaxq.agents import ALGORITHMS
from jaxq.agents.catalogue import keywords_of
from jaxq.experiment.preset_notice import preset_notice


@pytest.mark.parametrize("name", ALGORITHMS)
def test_every_keyword_of_a_recipe_is_listed_with_its_meaning(name):
    algorithm = ALGORITHMS[name]()
    found = {keyword.name: keyword for keyword in keywords_of(algorithm)}
    assert [*found] == [*algorithm.leaves, *algorithm.settings]
    assert [name for name, keyword in found.items() if not (keyword.meaning and keyword.range)] == []
    for leaf, declared in algorithm.leaves.items():
        assert found[leaf].is_leaf
        assert found[leaf].range == declared.range
        assert float(found[leaf].default) == pytest.approx(getattr(algorithm.hparams, leaf))


def test_ranges_are_intervals():
    leaves = jaxq.dqn().leaves
    assert leaves["discount"].range == "[0, 1]"
    assert leaves["target_rate"].range == "(0, 1]"
    assert leaves["learning_rate"].range == "(0, inf)"
    assert leaves["initial_value"].range == "(-inf, inf)"


def test_the_command_line_lists_them(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    assert cli.main(["algorithms"]) == 0
    assert "max_gradient_norm" not in capsys.readouterr().out
    assert cli.main(["algorithms", "--verbose"]) == 0
    shown = capsys.readouterr().out
    assert all(f"{name}: " in shown for name in ALGORITHMS)
    assert cli.main(["algorithms", "c51"]) == 0
    shown = capsys.readouterr().out
    assert "num_atoms" in shown
    assert "num_quantiles" not in shown
    assert cli.main(["algorithms", "c52"]) == 2
    assert "c51" in capsys.readouterr().err
    assert cli.main(["train", "--help"]) == 0
    assert "jaxq algorithms --verbose" in " ".join(capsys.readouterr().out.replace("│", "").split())


@pytest.mark.parametrize(
    ("environment", "algorithm", "said"),
    [
        ("CartPole-v1", "dqn", "preset (tuned for CartPole-v1): hidden_sizes=120x84 "),
        ("Breakout-MinAtar", "dqn", "preset (for all of MinAtar, as in its paper): "),
        ("Pong-misc", "dqn", "preset (none of its own, so what was tuned for classic control): "),
        ("FrozenLake-v1", "q_learning", "epsilon_steps=100000"),
    ],
)
def test_a_run_says_which_preset_it_took(environment, algorithm, said):
    assert said in preset_notice(jaxq.configure(environment, algorithm))


def test_what_the_user_sets_is_no_preset():
    notice = preset_notice(jaxq.configure("CartPole-v1", keywords={"learning_rate": 5e-4}))
    assert "learning_rate=" not in notice
    assert preset_notice(jaxq.configure("CartPole-v1", jaxq.dqn())) is None


def test_the_terminal_says_it_before_training(tmp_path, capsys):
    words = "train FrozenLake-v1 --algorithm q_learning --agents 2 --steps 1000 --no-report --out"
    assert cli.main([*words.split(), str(tmp_path / "run")]) == 0
    shown = capsys.readouterr().out
    assert shown.index("preset (") < shown.index("compiling")
