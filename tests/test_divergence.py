"""Agents that diverge are found, and the others do not notice."""

import io
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from rich.console import Console
from test_contract import agent, same
from test_resume import final_state, rows

import jaxq
from jaxq import cli
from jaxq.configuration.config_file import config_of
from jaxq.engine import Metrics
from jaxq.experiment.directory import RunDirectory
from jaxq.experiment.display import Display
from jaxq.experiment.impossible_values import DivergenceMonitor
from jaxq.experiment.plan import prepare
from jaxq.progress import Progress
from jaxq.reports.curves import mean_label
from jaxq.reports.runs import read_run
from jaxq.storage.stored_arrays import read_manifest

pytestmark = pytest.mark.optimized

SMALL = {"hidden_sizes": (8,), "learning_starts": 200, "batch_size": 8, "max_gradient_norm": 1e9}


def run(directory, rates, **others):
    config = jaxq.configure(
        "CartPole-v1",
        agents=2 * len(rates),
        steps=2_000,
        segments=6,
        keywords=SMALL,
        sweep={"learning_rate": rates},
        **others,
    )
    return jaxq.Experiment(config, directory).run()


@pytest.fixture(scope="module")
def healthy(tmp_path_factory):
    directory = tmp_path_factory.mktemp("healthy") / "run"
    return directory, run(directory, [1e-3, 1e-3])


@pytest.fixture(scope="module")
def frozen(tmp_path_factory):
    directory = tmp_path_factory.mktemp("frozen") / "run"
    return directory, run(directory, [1e-3, 1e30])


def test_diverging_agents_are_marked_and_reported(frozen):
    directory, _ = frozen
    lines = [json.loads(line) for line in (directory / "metrics.jsonl").read_text().splitlines()]
    assert lines[-1]["diverged"] == [2, 3]
    evaluation = json.loads((directory / "report" / "evaluation.json").read_text())
    assert evaluation["diverged"] == [2, 3]


def test_scores_count_agents_that_have_diverged(frozen):
    """Everywhere the same ones: in metrics.jsonl, in the checkpoint and in a report."""
    directory, _ = frozen
    lines = [json.loads(line) for line in (directory / "metrics.jsonl").read_text().splitlines()]
    for line, returns in zip(lines, read_run(directory).history.returns, strict=True):
        assert np.isfinite(returns).all()
        assert line["iqm"] == pytest.approx(jaxq.iqm(returns))
        assert line["without_return"] == 0
    newest = max((directory / "checkpoints").iterdir())
    assert read_manifest(newest)["score"] == lines[-1]["iqm"]


def test_a_score_says_how_many_agents_it_leaves_out():
    metrics = Metrics(*np.zeros((8, 4)))
    history = [
        Progress(400, 1.0, 1e3, np.array(returns), metrics)
        for returns in ([np.nan, np.nan, np.nan, 10.0], [np.nan, 20.0, 20.0, 20.0])
    ]
    assert [progress.row()["without_return"] for progress in history] == [3, 1]
    returns = np.stack([progress.returns for progress in history])
    assert mean_label(returns) == "interquartile mean of 1 to 3 agents, those with a return"
    assert mean_label(returns[1:]) == "interquartile mean of 3 agents"
    text = io.StringIO()
    config = jaxq.configure("CartPole-v1", agents=4, steps=400)
    with Display(Console(file=text, width=200), config) as display:
        display.update(history[0])
    assert "IQM 10.0, without 3 of 4 agents" in text.getvalue()


def test_the_others_do_not_notice(frozen, healthy):
    np.testing.assert_array_equal(frozen[1][:2], healthy[1][:2])
    states = [final_state(directory)._replace(steps=None) for directory, _ in (frozen, healthy)]
    for i in (0, 1):
        same(agent(states[0], i), agent(states[1], i))


def test_a_frozen_agent_stays_where_its_numbers_were_finite(frozen):
    state = final_state(frozen[0])
    for leaf in jax.tree.leaves(state.learner):
        assert np.isfinite(leaf).all()
    assert np.isfinite(frozen[1]).all()


def test_a_restarted_agent_learns_anew(tmp_path):
    returns = run(tmp_path / "run", [1e-3, 1e30], on_divergence="restart")
    state = final_state(tmp_path / "run")
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(state.learner))
    assert np.isfinite(returns).all()
    # What it samples are steps that it has taken: no cart stands still in the middle, upright.
    plan = prepare(config_of(RunDirectory.open(tmp_path / "run").read_config()))
    replay = plan.population.trainer.agent.source.replay
    rows = state.steps // replay.num_envs

    def observations(key, memory, hparams):
        sample = replay.sample(key, memory, rows, hparams)
        return sample.observation, sample.next_observation

    sampled = jax.jit(jax.vmap(observations))(state.key, state.memory, state.hparams)
    assert np.any(np.stack(sampled) != 0, axis=-1).all()


def test_a_restarted_agent_keeps_all_but_what_it_learned(cartpole, small):
    """Also of a recurrent network, whose states that are no numbers end with it."""
    keywords = small(recurrent_size=8, sequence_length=4, burn_in=2, batch_size=4)
    population = jaxq.Population(jaxq.Trainer(cartpole, jaxq.r2d2(**keywords)), 3)
    template = population.template._replace(key=None)
    before = jax.tree.map(lambda leaf: np.full(leaf.shape, 7, leaf.dtype), template)
    before = before._replace(key=jax.random.split(jax.random.key(0), 3))
    before.actors.carry.network[:] = np.nan
    before.memory.ring.extras.carry[:, 0] = np.nan
    after = DivergenceMonitor(population).reinitialized(np.array([False, True, False]), before)
    assert after.steps == 7
    before, after = (state._replace(steps=None) for state in (before, after))
    for i in (0, 2):
        same(agent(after, i), agent(before, i))
    new, old = agent(after, 1), agent(before, 1)
    assert all(leaf.max() < 7 for leaf in jax.tree.leaves(new.learner.params))
    same(new.learner.params, new.learner.target_params)
    assert not new.actors.carry.network.any()
    assert not new.memory.ring.extras.carry[0].any()
    assert (new.memory.ring.extras.carry[1:] == 7).all()
    same(*(state._replace(learner=(), actors=(), memory=()) for state in (new, old)))
    same(*(state.actors._replace(carry=()) for state in (new, old)))
    same(*(state.memory.ring._replace(extras=()) for state in (new, old)))


def test_a_run_may_stop_and_keeps_what_was_before(tmp_path, capsys):
    words = (
        "train CartPole-v1 --agents 2 --steps 2000 --segments 6 --on-divergence stop --sweep "
        "learning_rate=1e-3,1e30 --set hidden_sizes=8 learning_starts=200 batch_size=8 "
        "max_gradient_norm=1e9 --out"
    )
    assert cli.main([*words.split(), str(tmp_path / "run")]) == 1
    error = capsys.readouterr().err
    assert "agents [1] have diverged" in error
    assert error.count("\n") == 1
    state = final_state(tmp_path / "run")
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(state.learner))
    assert not (tmp_path / "run" / "metrics.jsonl").exists() or rows(tmp_path / "run")


@pytest.fixture(scope="module")
def population(cartpole, small):
    return jaxq.Population(jaxq.Trainer(cartpole, jaxq.dqn(**small(discount=0.9))), 3)


def test_values_larger_than_any_return_are_divergence(population):
    """CartPole pays at most 1 a step, so that nothing is worth more than 1 / (1 - 0.9) = 10."""
    state, metrics = population.run(population.init(jax.random.key(0)), 80)
    monitor = DivergenceMonitor(population)
    assert not monitor.diverged(state, metrics).any()

    def shifted(by):
        params = jaxq.networks.with_initial_value(state.learner.params, 0.0)
        head = params["params"]["head"]["action_values"]
        head["bias"] = head["bias"] + np.array(by)[:, None]
        return state._replace(learner=state.learner._replace(params=params))

    assert monitor.diverged(shifted([0.0, 500.0, 50.0]), metrics).tolist() == [False, True, False]
    assert monitor.diverged(shifted([0.0, -500.0, np.nan]), metrics).tolist() == [False, True, True]


def test_with_discount_one_there_is_no_largest_return(population):
    hparams = population.trainer.hparams.replace(discount=1.0)
    state, metrics = population.run(population.init(jax.random.key(0), hparams), 80)
    assert not DivergenceMonitor(population).diverged(state, metrics).any()


def test_large_rewards_that_add_up_to_nothing_are_no_divergence():
    """A step that pays 500 and one that costs 500: every return is 0, and no value is."""
    paths = {s: {a: [(1.0, s + 1, r, s == 1)] for a in (0, 1)} for s, r in ((0, 500.0), (1, -500.0))}
    paths[2] = {a: [(1.0, 2, 0.0, True)] for a in (0, 1)}
    env = jaxq.envs.from_table(paths, initial=0)
    recipe = jaxq.q_learning(discount=0.9, learning_rate=1.0, visit_exponent=0.0, epsilon_end=1.0)
    population = jaxq.Population(jaxq.Trainer(env, recipe), 2)
    # The second one is optimistic, of values that a million steps could not pay.
    hparams = population.trainer.hparams.replace(initial_value=np.array([0.0, 1e6]))
    monitor = DivergenceMonitor(population)
    state, metrics = population.run(population.init(jax.random.key(0), hparams), 3)
    assert not monitor.diverged(state, metrics).any()
    state, metrics = population.run(state, 98)
    assert state.actors.observation.tolist() == [[1], [1]]
    learned, exact = state.learner.q[:, 0, :2], [[50, 50], [-500, -500]]
    np.testing.assert_allclose(learned, [exact, exact], atol=1e-3)
    assert not monitor.diverged(state, metrics).any()
    # The largest reward is remembered, however long ago it was seen.
    quiet = metrics._replace(episode_return=np.zeros(2))
    for factor, diverged in ((99.0, False), (101.0, True)):
        values = state.learner._replace(q=state.learner.q * factor)
        assert monitor.diverged(state._replace(learner=values), quiet).tolist() == [diverged, False]


def test_the_largest_value_counts_what_is_paid_beyond_the_reward(cartpole):
    recipe = jaxq.munchausen_dqn(
        discount=0.9, munchausen_scale=0.5, munchausen_clip=-4.0, munchausen_temperature=10.0
    )
    largest_value = jaxq.Trainer(cartpole, recipe).agent.largest_value
    # (3 + 0.5 * 4 + 10 * log 2) / (1 - 0.9)
    assert largest_value(recipe.hparams, jnp.float32(3)) == pytest.approx(119.3147, rel=1e-4)
    assert largest_value(recipe.hparams.replace(discount=1.0), jnp.float32(3)) == np.inf
