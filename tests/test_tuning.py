"""What `jaxq tune` measures, and what it remembers."""

import dataclasses
import json
from pathlib import Path

import pytest

import jaxq
from jaxq.cli import main
from jaxq.experiment.plan import prepare
from jaxq.experiment.tuning import remember, remembered


@pytest.fixture(autouse=True)
def two_cores(monkeypatch):
    monkeypatch.setattr("jaxq.engine.devices.num_cores", lambda: 2)


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path


@pytest.fixture(scope="module")
def trainer(cartpole, small):
    return jaxq.Trainer(cartpole, jaxq.dqn(**small()))


def test_every_chunk_is_measured_and_the_fastest_is_the_best(trainer):
    tuning = jaxq.tune(jaxq.Population(trainer, 16), seconds=0.01)
    # Eight are the whole share of a core.
    assert sorted(tuning.speeds) == [1, 2, 4, 8]
    assert tuning.default == 4
    assert tuning.speeds[tuning.best] == max(tuning.speeds.values())
    assert min(tuning.speeds.values()) > 0


def test_what_is_tried_may_be_given(trainer):
    assert sorted(jaxq.tune(jaxq.Population(trainer, 4), [2], seconds=0.01).speeds) == [2]


CALLS = {
    "jaxq.Population": lambda population: jaxq.tune(population.trainer),
    "at least one": lambda population: jaxq.tune(population, []),
    "chunk must be at least 1": lambda population: jaxq.tune(population, [0]),
    "seconds": lambda population: jaxq.tune(population, [1], seconds=-1),
}


@pytest.mark.parametrize("reason", CALLS)
def test_senseless_calls_are_refused(trainer, reason):
    with pytest.raises(jaxq.InputError, match=reason):
        CALLS[reason](jaxq.Population(trainer, 2))


def test_what_was_found_is_taken_for_such_a_population_alone(cache):
    config = jaxq.configure("CartPole-v1", agents=8, steps=2_000)
    population = prepare(config).population
    assert population.chunk == 4
    assert remember(population, 2)
    assert prepare(config).population.chunk == 2
    # Another number of agents, other settings, a chunk of the user's own: not what was measured.
    others = [{"agents": 64}, {"keywords": {"hidden_sizes": (8,)}}]
    for other in others:
        assert prepare(jaxq.configure("CartPole-v1", **{"agents": 8} | other)).population.chunk == 4
    assert prepare(dataclasses.replace(config, chunk=1)).population.chunk == 1


def test_what_cannot_be_read_was_not_remembered(cache, trainer):
    assert remembered(trainer, 8) is None
    remember(jaxq.Population(trainer, 8), 2)
    assert remembered(trainer, 8) == 2
    (file,) = cache.glob("jaxq/chunks/*/*.json")
    for text in ("{", '{"chunk": 0}', '{"chunk": "many"}', "[]", ""):
        file.write_text(text)
        assert remembered(trainer, 8) is None


def test_a_user_without_a_home_remembers_nothing(monkeypatch, trainer):
    def nowhere():
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr(Path, "home", nowhere)
    assert remembered(trainer, 8) is None
    assert not remember(jaxq.Population(trainer, 8), 2)


def test_looking_for_what_is_remembered_makes_no_directory(cache, trainer):
    assert remembered(trainer, 8) is None
    assert not [*cache.iterdir()]


def test_a_chunk_that_does_not_fit_the_memory_is_passed_over(cache, monkeypatch):
    config = jaxq.configure("CartPole-v1", agents=8, steps=2_000)
    population = prepare(config).population
    remember(population, 64)
    assert prepare(config).population.chunk == 64
    limit = int(1.05 * population.memory().total)
    monkeypatch.setattr("jaxq.engine.population.memory_limit", lambda mesh: limit)
    assert prepare(config).population.chunk == 4
    # What would have to be filled up with more agents is not tried either.
    assert sorted(jaxq.tune(population, [4, 64], seconds=0.01).speeds) == [4]
    with pytest.raises(jaxq.InputError, match="agents take"):
        jaxq.tune(population, [64], seconds=0.01)


def test_a_run_goes_on_with_the_chunk_that_it_began_with(cache, tmp_path):
    config = jaxq.configure("FrozenLake-v1", "q_learning", agents=2, steps=100)
    experiment = jaxq.Experiment(config, tmp_path / "run")
    experiment.run()
    chunk = experiment._plan.population.chunk
    remember(experiment._plan.population, 2 * chunk)
    assert prepare(config).population.chunk == 2 * chunk
    for given in (None, config):
        resumed = jaxq.Experiment.resume(tmp_path / "run", config=given)
        assert resumed._plan.population.chunk == chunk


def test_the_command_measures_and_remembers(cache, capsys):
    words = ["tune", "Catch-bsuite", "--algorithm", "pqn", "--agents", "2", "--seconds", "0.01"]
    assert main([*words, "--set", "hidden_sizes=8"]) == 0
    said = capsys.readouterr().out
    (file,) = cache.glob("jaxq/chunks/*/*.json")
    assert f"takes a chunk of {json.loads(file.read_text())['chunk']} for such" in said
    assert "default" in said


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["Pong"], "environment"),
        (["CartPole-v1", "--agents", "0"], "agents"),
        (["CartPole-v1", "--seconds", "nan"], "seconds"),
        (["CartPole-v1", "--set", "batch=3"], "batch"),
    ],
)
def test_the_command_refuses_what_is_wrong(capsys, words, reason):
    assert main(["tune", *words]) == 2
    said = capsys.readouterr().err
    assert reason in said
    assert said.count("\n") == 1
