"""Runs whose agents begin with what an agent of another run has learned."""

import dataclasses
import json
import shutil

import jax
import numpy as np
import pytest
from numpy.testing import assert_array_equal
from test_contract import same

import jaxq
from jaxq import cli
from jaxq.configuration.config_file import read_config
from jaxq.experiment.plan import prepare
from jaxq.experiment.runner import begin
from jaxq.experiment.starting import with_start

SMALL = {"hidden_sizes": (16,), "batch_size": 16, "learning_starts": 100, "num_envs": 4}
SIZES = {"agents": 2, "segments": 4, "checkpoint_segments": 1}
WORDS = "train FrozenLake-v1 --agents 2 --segments 2 --steps 600 --no-report"
SET = "--set hidden_sizes=16 batch_size=16 learning_starts=100 num_envs=4"


def configured(start, algorithm="dqn", **others):
    given = {**SIZES, "steps": 800, "keywords": SMALL, "start": start}
    return jaxq.configure(others.pop("environment", "FrozenLake-v1"), algorithm, **(given | others))


@pytest.fixture(scope="module")
def log(tmp_path_factory):
    env = jaxq.envs.make("FrozenLake-v1")
    trainer = jaxq.Trainer(env, jaxq.q_learning())
    state = trainer.init(jax.random.key(0))
    data = jaxq.collect(trainer, state, jax.random.key(1), 1_000, epsilon=1.0)
    path = tmp_path_factory.mktemp("log") / "log.npz"
    jaxq.dataset.save(data, path)
    return path


@pytest.fixture(scope="module")
def offline(log, tmp_path_factory):
    """Agents that have learned from a log alone."""
    path = tmp_path_factory.mktemp("runs") / "offline"
    keywords = {name: SMALL[name] for name in ("hidden_sizes", "batch_size")}
    jaxq.Experiment(configured(None, offline=log, keywords=keywords, steps=400), path).run(report=False)
    return path


@pytest.fixture(scope="module")
def tables(tmp_path_factory):
    path = tmp_path_factory.mktemp("runs") / "tables"
    config = jaxq.configure("FrozenLake-v1", "q_learning", agents=2, steps=4_000, segments=2)
    jaxq.Experiment(config, path).run(report=False)
    return path


def test_agents_begin_where_the_other_run_ended(offline, log):
    plan = with_start(prepare(configured(offline, start_agent=1, offline=log, offline_share=0.5)))
    assert (plan.config.start, plan.config.start_agent) == (str(offline), 1)
    state, other = begin(plan), jaxq.load(offline, 1)
    trainer, key = plan.population.trainer, jax.random.key(3)
    for index in range(2):
        agent = plan.population.agent(state, index)
        same(agent.learner, other.learner)
        assert_array_equal(trainer.evaluate(agent, key, 16), other.evaluate(key, 16))


def test_the_best_of_agents_that_did_not_act_is_the_one_that_was_evaluated_so(offline):
    returns = json.loads((offline / "report" / "evaluation.json").read_text())["returns"]
    best = int(np.argmax(np.mean(returns, axis=1)))
    assert jaxq.load(offline).origin.agent == best
    assert with_start(prepare(configured(offline))).config.start_agent == best


def test_a_saved_agent_is_begun_with(offline, tmp_path):
    saved = jaxq.load(offline, 1).save(tmp_path / "agent")
    plan = with_start(prepare(configured(saved)))
    assert plan.config.start_agent == 1
    same(plan.start.learner, jaxq.load(offline, 1).learner)
    with pytest.raises(jaxq.InputError, match=r"holds one agent.*start_agent=1"):
        with_start(prepare(configured(saved, start_agent=0)))


class StopAt(jaxq.Callback):
    def __init__(self, steps):
        self.steps = steps

    def on_segment(self, run, progress):
        if run.steps >= self.steps:
            run.stop("that is enough")


@pytest.mark.optimized
def test_a_run_goes_on_to_the_last_bit_without_the_run_that_it_began_with(offline, log, tmp_path):
    start = tmp_path / "start"
    shutil.copytree(offline, start)
    config = configured(start, start_agent=1, offline=log, offline_share=0.5)
    whole = jaxq.Experiment(config, tmp_path / "whole").run(report=False)
    jaxq.Experiment(config, tmp_path / "run", callbacks=[StopAt(300)]).run(report=False)
    shutil.rmtree(start)
    again = jaxq.Experiment.resume(tmp_path / "run")
    assert_array_equal(again.run(report=False), whole)
    for agent in range(2):
        same(*(jaxq.load(tmp_path / name, agent).learner for name in ("run", "whole")))


def test_a_run_without_checkpoint_needs_what_it_began_with(offline, tmp_path):
    start = tmp_path / "start"
    shutil.copytree(offline, start)
    experiment = jaxq.Experiment(configured(start, start_agent=1), tmp_path / "run")
    experiment.run(report=False)
    written = json.loads((tmp_path / "run" / "config.json").read_text())
    assert (written["start"], written["start_agent"]) == (str(start), 1)
    assert len(written["start_digest"]) == 64
    shutil.rmtree(tmp_path / "run" / "checkpoints")
    jaxq.Experiment.resume(tmp_path / "run").run(report=False)
    shutil.rmtree(tmp_path / "run" / "checkpoints")
    jaxq.Experiment.resume(start, steps=800).run(report=False)
    with pytest.raises(jaxq.InputError, match=r"has learned since.*another run with start="):
        jaxq.Experiment.resume(tmp_path / "run").run(report=False)
    shutil.rmtree(start)
    with pytest.raises(jaxq.InputError, match="start is no run directory"):
        jaxq.Experiment.resume(tmp_path / "run").run(report=False)


def test_the_command_line_begins_with_another_run(offline, log, tmp_path, capsys):
    first, second = tmp_path / "first", tmp_path / "second"
    words = [*WORDS.split(), "--start", str(offline), "--start-agent", "1", "--offline", str(log)]
    words += ["--offline-share", "0.5", *SET.split()]
    assert cli.main([*words, "--out", str(first)]) == 0
    assert "beginning with agent 1 after 400 steps" in capsys.readouterr().out
    # Repeated with the agent that is best, which is chosen anew where a run is given anew.
    config = ["train", "--config", str(first / "config.json"), "--no-report"]
    assert cli.main([*config, "--start", str(offline), "--out", str(second)]) == 0
    best = jaxq.load(offline).origin.agent
    assert json.loads((second / "config.json").read_text())["start_agent"] == best
    capsys.readouterr()
    assert cli.main(["compare", str(first), str(second), "--json"]) == 0
    notes = " ".join(json.loads(capsys.readouterr().out)["notes"])
    assert f"first: The agents began with what agent 1 of {offline} had" in notes


def test_another_agent_may_be_begun_with_when_a_run_is_repeated(offline, tmp_path):
    experiment = jaxq.Experiment(configured(offline, start_agent=1), tmp_path / "run")
    experiment.run(report=False)
    file = tmp_path / "run" / "config.json"
    found = [with_start(prepare(read_config(file, given))) for given in ({}, {"start_agent": 0})]
    assert [plan.config.start_agent for plan in found] == [1, 0]
    assert found[0].config.start_digest == experiment.config.start_digest
    assert found[1].config.start_digest != experiment.config.start_digest


def test_every_group_of_a_sweep_begins_with_it(offline, tmp_path):
    sweep = {"batch_size": [8, 16]}
    keywords = {name: value for name, value in SMALL.items() if name != "batch_size"}
    groups = jaxq.configure_sweep(
        "FrozenLake-v1", agents=2, steps=400, segments=2, sweep=sweep, keywords=keywords, start=offline
    )
    made = jaxq.Sweep(groups, tmp_path / "sweep")
    assert {config.start for config in made.groups.values()} == {str(offline)}
    assert len({config.start_digest for config in made.groups.values()}) == 1
    wide = {
        name: dataclasses.replace(config, keywords={**config.keywords, "hidden_sizes": (32,)})
        for name, config in groups.items()
    }
    with pytest.raises(jaxq.InputError, match="another network or optimizer"):
        jaxq.Sweep(wide, tmp_path / "other")


def test_tables_are_begun_with(tables, tmp_path):
    keywords = {"learning_rate": 0.05}
    config = configured(tables, "q_learning", keywords=keywords, steps=2_000, start_agent="iqm")
    plan = with_start(prepare(config))
    assert_array_equal(begin(plan).learner.q[0], jaxq.load(tables, "iqm").learner.q)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"start": 3}, "start must be the directory of a run"),
        ({"start": "nowhere"}, "nowhere is no run directory"),
        ({"start_agent": 2}, "start_agent must be below the 2"),
        ({"start_agent": "worst"}, "unknown start_agent 'worst'"),
        ({"start": None, "start_agent": 1}, "for example start='runs/first'"),
        ({"keywords": {**SMALL, "hidden_sizes": (32,)}}, r"example keywords={'hidden_sizes': \[16\]}"),
        ({"keywords": {**SMALL, "dueling": True}}, "example keywords={'dueling': False}"),
        ({"algorithm": "c51"}, "for example algorithm=dqn"),
        (
            {"environment": "CartPole-v1"},
            "from a run of dqn on CartPole-v1; this one is of dqn",
        ),
    ],
)
def test_what_cannot_be_begun_with_is_refused(changes, told, offline, tmp_path):
    given = {"start": offline, **changes}
    with pytest.raises(jaxq.InputError, match=told):
        jaxq.Experiment(configured(**given), tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("environment", "algorithm", "told"),
    [
        ("Cliff-grid", "q_learning", "from a run of q_learning on Cliff-grid"),
        ("FrozenLake-v1", "double_q_learning", "for example algorithm=q_learning"),
    ],
)
def test_another_table_is_refused(environment, algorithm, told, tables, tmp_path):
    config = configured(tables, algorithm, environment=environment, keywords={})
    with pytest.raises(jaxq.InputError, match=told):
        jaxq.Experiment(config, tmp_path / "run")


def test_damage_is_told_as_damage(offline, tmp_path):
    start = tmp_path / "start"
    shutil.copytree(offline, start)
    for manifest in start.glob("checkpoints/*/manifest.json"):
        manifest.write_text("{}")
    with pytest.raises(jaxq.InputError, match=r"cannot be used: manifest\.json"):
        jaxq.Experiment(configured(start), tmp_path / "run")


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ([*SET.replace("=16", "=32", 1).split()], "for example --set hidden_sizes=16\n"),
        (["--algorithm", "c51", *SET.split()], "for example --algorithm dqn\n"),
        (["--start-agent", "7", *SET.split()], "below the 2"),
    ],
)
def test_bad_input_is_one_line_with_options(words, told, offline, tmp_path, capsys):
    arguments = [*WORDS.split(), "--start", str(offline), "--out", str(tmp_path / "run"), *words]
    assert cli.main(arguments) == 2
    error = capsys.readouterr().err
    assert told in error
    assert error.count("\n") == 1
