"""Configurations: filled in, read from files, repeated, and all mistakes told at once."""

import dataclasses
import json

import pytest

import jaxq
from jaxq import cli
from jaxq.configuration import read_config


def write(path, text):
    path.write_text(text)
    return path


TOML = """
environment = "CartPole-v1"
algorithm = "double_dqn"
agents = 6
steps = 5_000
on_divergence = "stop"

[keywords]
hidden_sizes = [16, 8]
double = true

[sweep]
learning_rate = [0.001, 0.01]
"""


def test_toml_goes_over_the_preset_and_the_command_line_over_both(tmp_path):
    file = write(tmp_path / "run.toml", TOML)
    config = read_config(file, {"agents": 2, "keywords": {"hidden_sizes": (4,)}})
    assert (config.algorithm, config.agents, config.steps) == ("double_dqn", 2, 5_000)
    assert config.on_divergence == "stop"
    assert config.keywords["hidden_sizes"] == (4,)
    assert config.keywords["double"] is True
    assert config.keywords["learning_rate_steps"] == 5_000  # the preset's
    assert config.sweep == {"learning_rate": [0.001, 0.01]}


@pytest.mark.optimized
def test_the_config_of_a_run_repeats_it(tmp_path):
    words = (
        "train FrozenLake-v1 --algorithm sarsa --agents 4 --steps 500 --seed 5 --sweep discount=0.9,0.99"
    )
    assert cli.main([*words.split(), "--out", str(tmp_path / "first")]) == 0
    config = str(tmp_path / "first" / "config.json")
    assert cli.main(["train", "--config", config, "--out", str(tmp_path / "again")]) == 0
    evaluations = [
        json.loads((tmp_path / name / "report" / "evaluation.json").read_text())["returns"]
        for name in ("first", "again")
    ]
    assert evaluations[0] == evaluations[1]
    described = [
        json.loads((tmp_path / name / "config.json").read_text()) for name in ("first", "again")
    ]
    for part in ("keywords", "sweep", "settings", "hparams", "seed", "chunk"):
        assert described[0][part] == described[1][part]


def test_a_changed_config_of_a_run_keeps_the_rest(tmp_path):
    words = "train FrozenLake-v1 --algorithm sarsa --agents 4 --steps 50 --set epsilon_end=0.3"
    sweep = "--sweep discount=0.9,0.99"
    assert cli.main([*words.split(), *sweep.split(), "--out", str(tmp_path / "run")]) == 0
    file = tmp_path / "run" / "config.json"
    then = read_config(file, {})
    assert read_config(file, {"seed": 7}) == dataclasses.replace(then, seed=7)
    assert then.chunk is not None
    changed = read_config(file, {"keywords": {"learning_rate": 0.2}})
    assert changed.keywords == {**then.keywords, "learning_rate": 0.2}
    assert changed.sweep == then.sweep
    assert changed.chunk is None
    # What is set now is not swept any more, and the other way around.
    assert read_config(file, {"keywords": {"discount": 0.5}}).sweep == {}
    swept = read_config(file, {"sweep": {"epsilon_end": [0.1, 0.2]}})
    assert swept.sweep == {**then.sweep, "epsilon_end": [0.1, 0.2]}
    assert "epsilon_end" not in swept.keywords
    with pytest.raises(jaxq.InputError, match="discount is both set and swept"):
        read_config(file, {"keywords": {"discount": 0.5}, "sweep": {"discount": [0.5]}})


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("steps = ", "cannot be read"),
        ("steps = 5", "names no environment"),
        ('environment = "CartPole-v1"\nstep = 5', "'step' is no part"),
        ('environment = "CartPole-v1"\nkeywords = 5', "keywords must hold values by their names"),
        ('environment = "CartPole-v1"\n[sweep]\nlearning_rate = 0.1', "list of at least one value"),
        ('environment = "CartPole-v1"\nagents = 0\nsteps = -1', "2 mistakes"),
    ],
)
def test_mistakes_in_a_file_are_told(tmp_path, text, words):
    with pytest.raises(jaxq.InputError, match=words):
        read_config(write(tmp_path / "run.toml", text), {})


def test_all_mistakes_are_told_at_once():
    with pytest.raises(jaxq.InputError) as caught:
        jaxq.configure(
            "CartPole-v0",
            agents=0,
            keywords={"learning_rate": -1, "bath_size": 3, "hidden_sizes": (8,)},
            sweep={"batch_size": [1, 2], "discount": [2.0]},
            on_divergence="panic",
        )
    message = str(caught.value)
    assert message.startswith("7 mistakes: ")
    for words in (
        "did you mean CartPole-v1",
        "agents must be at least 1",
        "learning_rate must be",
        "did you mean batch_size",
        "'batch_size' cannot vary",
        "discount must be",
        "unknown on_divergence 'panic'",
    ):
        assert words in message


def test_one_mistake_is_told_as_it_is():
    with pytest.raises(jaxq.InputError, match=r"^agents must be at least 1"):
        jaxq.configure("CartPole-v1", agents=0)


def test_an_error_carries_the_keywords_that_it_is_about():
    with pytest.raises(jaxq.InputError) as caught:
        jaxq.dqn(batch_size=20_000)
    assert caught.value.keywords == ("batch_size", "buffer_size")
    with pytest.raises(jaxq.InputError) as caught:
        jaxq.configure("CartPole-v1", agents=0, keywords={"discount": 2.0, "n_step": 0})
    assert [part.keywords for part in caught.value.parts] == [("agents",), ("n_step",), ("discount",)]


def test_what_follows_from_a_mistake_is_no_other_mistake():
    with pytest.raises(jaxq.InputError, match=r"^batch_size must not exceed buffer_size") as caught:
        jaxq.configure("CartPole-v1", keywords={"batch_size": 20_000, "buffer_size": 50})
    assert len(caught.value.parts) == 1
