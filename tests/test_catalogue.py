"""What the command line says of recipes, presets and environments."""

import re
from pathlib import Path

import jax
import numpy as np
import pytest

import jaxq
from jaxq import cli
from jaxq.agents import ALGORITHMS
from jaxq.agents.catalogue import keywords_of
from jaxq.configuration.preset_notice import preset_notice
from jaxq.envs.catalogue import KNOWN

ROOT = Path(__file__).parents[1]


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


def measured():
    """What `benchmarks/random_returns.py` wrote: random returns, and the best ones of tables."""
    text = (ROOT / "benchmarks" / "results" / "random_returns.md").read_text()
    rows = re.findall(r"^\| (\S+) \| (-?[\d.]+) \| \S+ \| (\S*) *\|$", text, re.MULTILINE)
    return {name: (float(random), float(best) if best else None) for name, random, best in rows}


def test_every_environment_is_known_with_what_was_measured():
    found = measured()
    assert {*KNOWN} <= {*jaxq.envs.ids()}
    usable = [info for info in jaxq.envs.listing() if info.actions is not None]
    assert {info.id for info in usable} == {*KNOWN}
    for info in usable:
        random, best = found.get(info.id, (None, None))
        assert info.random == random
        assert best is None or info.best == best


def test_what_cannot_be_learned_is_said(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "250")
    assert cli.main(["envs"]) == 0
    (line,) = [line for line in capsys.readouterr().out.splitlines() if "SimpleBandit" in line]
    assert "cannot be learned: its arms are redrawn at each reset" in line


def test_arms_of_the_simple_bandit_are_redrawn():
    """What the catalogue says: no action is better than another one over episodes."""
    env = jaxq.envs.make("SimpleBandit-bsuite")

    def pull(key, action):
        reset_key, key = jax.random.split(key)
        state, _ = env.reset(reset_key, env.params)
        return env.step(key, state, action, env.params)[1].reward

    keys = jax.random.split(jax.random.key(0), 2_000)
    returns = [jax.vmap(pull, (0, None))(keys, action).mean() for action in range(env.num_actions)]
    assert np.ptp(np.array(returns)) < 0.05
