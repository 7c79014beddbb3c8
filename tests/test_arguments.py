"""How words behind a command are read, and what is said of those that cannot be."""

import dataclasses

import pytest

import jaxq
from jaxq import cli
from jaxq.cli.assignments import parse_lists
from jaxq.cli.entry import COMMANDS
from jaxq.cli.messages import in_options
from jaxq.configuration import Config


def parsed(words):
    name, *others = words.split()
    return vars(COMMANDS[name].parse(others))


def test_words_become_values():
    words = "train --set a=1 b=2 --agents 3 --set c=4 --on_divergence=stop --track wandb"
    values = parsed(f"{words} --no-track-agents CartPole-v1")
    assert values["set"] == ["a=1", "b=2", "c=4"]
    assert (values["agents"], values["steps"]) == (3, None)
    assert values["on_divergence"] == "stop"
    assert values["track_agents"] is False
    assert (values["track"], values["env"]) == (["wandb"], "CartPole-v1")


def test_what_is_not_typed_has_its_default():
    assert parsed("evaluate runs/x")["episodes"] == 32
    assert parsed("view")["open"] is True
    assert [str(path) for path in parsed("report a b")["dir"]] == ["a", "b"]


@pytest.mark.parametrize(
    ("words", "message"),
    {
        "train --agents many": "--agents takes a whole number, got 'many'",
        "train --checkpoint-minutes x": "--checkpoint-minutes takes a number",
        "train --agents": "--agents expected one argument",
        "train --agent 3": "unknown option '--agent'; did you mean --agents",
        "train CartPole-v1 again": "no use for 'again'; see jaxq train --help",
        "evaluate": "required: DIR; see jaxq evaluate --help",
        "collect runs/x": "required: --out",
        "envs --x": "unknown option '--x'",
    }.items(),
)
def test_words_that_cannot_be_read(words, message):
    with pytest.raises(jaxq.InputError) as caught:
        parsed(words)
    assert message in str(caught.value)


def test_a_command_that_there_is_not(capsys):
    assert cli.main(["trian"]) == 2
    assert "unknown command 'trian'; did you mean train" in capsys.readouterr().err


def test_help_names_every_argument():
    for command in COMMANDS.values():
        shown = command.help()
        assert command.summary.split()[0] in shown
        assert all(option in shown for option, *_ in command._arguments())


def test_errors_of_the_library_name_options_on_the_command_line():
    names = [field.name for field in dataclasses.fields(Config)]
    for said, shown in {
        "for example agents=4": "for example --agents 4",
        "use a smaller rate, or on_divergence='freeze'": "use a smaller rate, or --on-divergence freeze",
        "use sweep={'discount': [0.9, 0.99]}": "use --sweep discount=0.9, 0.99",
        "algorithm=c52: unknown": "algorithm=c52: unknown",
        "for example batch_size=32": "for example batch_size=32",
    }.items():
        assert in_options(said, names) == shown


def test_commas_inside_brackets_part_no_values():
    words = ["hidden_sizes=(64,64),[32,32]", "budgets={'wear': 1, 'noise': 2},{'wear': 3}"]
    assert parse_lists("--sweep", words) == {
        "hidden_sizes": [(64, 64), [32, 32]],
        "budgets": [{"wear": 1, "noise": 2}, {"wear": 3}],
    }
