"""Values above any possible return are told of, while training and in the report."""

import io
import json
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from rich.console import Console

import jaxq
from jaxq import cli
from jaxq.engine import Metrics
from jaxq.envs.catalogue import KNOWN
from jaxq.experiment import highest_values
from jaxq.experiment.highest_values import HighestValues, largest_returns
from jaxq.experiment.impossible_values import ValueMonitor, impossible, warning
from jaxq.experiment.plan import prepare
from jaxq.progress import Progress


@pytest.fixture(scope="module")
def config():
    return jaxq.configure("FrozenLake-v1", "q_learning", agents=2, steps=2_000, segments=4)


def test_what_is_impossible():
    values = np.array([19.1, 1.0, -3.0, np.nan, 5.0])
    largest = np.array([1.1, 1.1, 1.1, 1.1, np.inf])
    assert impossible(values, largest).tolist() == [0, 2]
    assert warning(values, largest).startswith("mean Q 19.1 where at most 1.1 is possible")
    assert "agent 0; 2 of 5 agents" in warning(values, largest)
    assert warning(values[1:2], largest[1:2]) is None


def test_what_is_impossible_in_an_environment():
    values = np.array([19.1, 1.0, -3.0, -200.0, 19.1, 19.1])
    largest = np.array([110.0, 110.0, 110.0, 110.0, np.nan, 1.1])
    highest = np.array([1.1, 1.1, 1.1, 1.1, 1.1, np.nan])
    # Only above; below, and where nothing is known, the largest reward still counts.
    assert impossible(values, largest, highest).tolist() == [0, 3, 4, 5]
    assert "at most 1.1 is possible in this environment (agent 0; " in warning(values, largest, highest)
    said = warning(values[3:4], largest[3:4], highest[3:4])
    assert "mean Q -200 where at most 110 is possible by the largest reward" in said


def returns_of(env, *discounts):
    named = SimpleNamespace(environment=env)
    made = jaxq.envs.make(env) if isinstance(env, str) else env
    return largest_returns(named, made, np.array(discounts)).tolist()


def test_largest_returns_of_tables_are_exact():
    # Beside the goal one of three slips leads into it.
    (lake,) = returns_of("FrozenLake-v1", 0.99)
    assert lake == pytest.approx(jaxq.value_iteration(jaxq.envs.make("FrozenLake-v1"), 0.99).max())
    assert 0.8 < lake < 1
    # Wait for 1 a step, or leave with 2: 1 / (1 - discount) or 2, whatever is more.
    P = {0: {0: [(1.0, 0, 1.0, False)], 1: [(1.0, 0, 2.0, True)]}}  # noqa: N806
    waiting = jaxq.envs.from_table(P, initial=0, max_steps=3)
    assert returns_of(waiting, 0.0, 0.9, 0.5, 0.9) == pytest.approx([2, 10, 2, 10], abs=1e-4)
    assert returns_of(waiting, 1.0, np.nan) == [np.inf, np.inf]
    # What pays most cannot be done.
    legal = jaxq.envs.from_table(P, initial=0, legal_actions=[[True, False]])
    assert returns_of(legal, 0.0) == [1]


def test_tables_that_take_long_are_bounded_by_their_largest_reward(monkeypatch):
    assert returns_of("CliffWalking-v1", 0.99) == [-1]
    assert returns_of("CliffWalking-v1", 1.0) == [0]
    monkeypatch.setattr(highest_values, "MOST_WORK", 0)
    assert returns_of("CliffWalking-v1", 0.99) == [0]
    assert returns_of("Taxi-v4", 0.9) == pytest.approx([200])


def test_largest_returns_of_other_environments_are_known():
    assert returns_of("DiscountingChain-bsuite", 0.99, 1.0) == [1.1, 1.1]
    assert returns_of("Catch-bsuite", 0.99) == [1]
    assert returns_of("CartPole-v1", 0.99) == [np.inf]
    # One of the user's own may have other rewards.
    assert returns_of(jaxq.envs.make("Catch-bsuite"), 0.99) == [np.inf]


@pytest.mark.parametrize(
    "name",
    # The umbrella's chain pays 1 or -1 by chance, 0 on average; MNIST is a download.
    sorted(
        {name for name, known in KNOWN.items() if known.most is not None}
        - {"UmbrellaChain-bsuite", "MNISTBandit-bsuite"}
    ),
)
def test_nothing_pays_more_than_is_known(name):
    """Returns from every state that random actions see, to the end of the episode or of the walk."""
    env = jaxq.envs.make(name)

    def step(state, key):
        action = jax.random.randint(jax.random.fold_in(key, 1), (), 0, env.num_actions)
        state, timestep = env.step(key, state, action, env.params)
        return state, (timestep.reward, timestep.terminated | timestep.truncated)

    def walk(key):
        state, _ = env.reset(key, env.params)
        return jax.lax.scan(step, state, jax.random.split(key, 300))[1]

    rewards, ended = jax.jit(jax.vmap(walk))(jax.random.split(jax.random.key(0), 64))
    to_go, largest = np.zeros(64), -np.inf
    for reward, end in zip(np.asarray(rewards).T[::-1], np.asarray(ended).T[::-1], strict=True):
        to_go = reward + np.where(end, 0, to_go)
        largest = max(largest, to_go.max())
    assert largest <= KNOWN[name].most + 1e-6


def test_values_may_begin_higher_and_be_paid_more():
    def highest(algorithm, largest_return, env="FrozenLake-v1"):
        agent = jaxq.Trainer(jaxq.envs.make(env), algorithm).agent
        return float(agent.highest_value(agent.hparams, jnp.float32(largest_return)))

    assert highest(jaxq.q_learning(), 0.8) == 1
    assert highest(jaxq.q_learning(initial_value=2.0), 1.1) == 2
    assert highest(jaxq.dqn(discount=1.0), 1.1) == pytest.approx(1.1)
    recipe = jaxq.munchausen_dqn(
        discount=0.9, munchausen_scale=0.5, munchausen_clip=-4.0, munchausen_temperature=10.0
    )
    # 3 + (0.5 * 4 + 10 * log 2) / (1 - 0.9)
    assert highest(recipe, 3.0, "CartPole-v1") == pytest.approx(3 + 89.3147, rel=1e-4)


@pytest.mark.parametrize(("q_value", "warns"), [(19.1, True), (1.0, False)])
def test_a_chain_is_not_worth_19(q_value, warns):
    config = jaxq.configure("DiscountingChain-bsuite", "dqn", agents=2, steps=20_000)
    plan, said = prepare(config), []
    state = SimpleNamespace(hparams=plan.hparams)
    metrics = Metrics(*np.zeros((len(Metrics._fields), 2)))._replace(q_value=np.array([0.5, q_value]))
    progress = Progress(1_000, 1.0, 1.0, np.zeros(2), metrics, largest_values=np.full(2, 110.0))
    run = SimpleNamespace(config=config, population=plan.population, state=state, progress=progress)
    bounds = HighestValues()
    bounds.on_start(run)
    bounds.on_segment(run, run.progress)
    np.testing.assert_allclose(run.progress.highest_values, [1.1, 1.1], rtol=1e-6)
    ValueMonitor(said.append).on_segment(run, run.progress)
    assert bool(said) == warns
    if warns:
        assert "mean Q 19.1 where at most 1.1 is possible in this environment (agent 1; " in said[0]


def test_a_run_writes_the_largest_possible_value(config, tmp_path):
    jaxq.Experiment(config, tmp_path / "run").run(report=False)
    lines = (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()
    rows = [json.loads(line) for line in lines]
    # A reward of at most 1, and a discount of 0.99.
    assert np.allclose([row["largest_values"] for row in rows], 100, rtol=1e-4)
    # A reward once only.
    assert [row["highest_values"] for row in rows] == [[1, 1]] * len(rows)


def test_a_run_warns_once(config, tmp_path, monkeypatch):
    monkeypatch.setattr("jaxq.experiment.impossible_values.WARNING_MARGIN", 0.0)
    said = io.StringIO()
    # As if nothing were possible: the first value that is not zero is too much.
    jaxq.Experiment(config, tmp_path / "run").run(Console(file=said, width=200), report=False)
    lines = [line for line in said.getvalue().splitlines() if "is possible" in line]
    assert len(lines) == 1
    assert lines[0].startswith("warning: after ")


def test_the_report_says_it(config, tmp_path, capsys):
    run = tmp_path / "run"
    jaxq.Experiment(config, run).run()
    assert "is possible" not in (run / "report" / "index.html").read_text()
    *rows, last = (run / "metrics.jsonl").read_text().splitlines()
    last = json.loads(last)
    last["agents"]["q_value"], last["largest_values"] = [0.5, 19.1], [110, 110]
    last["highest_values"] = [1.1, 1.1]
    (run / "metrics.jsonl").write_text("\n".join([*rows, json.dumps(last)]) + "\n")
    assert cli.main(["report", str(run), "--no-watch"]) == 0
    assert "mean Q 19.1 where at most 1.1 is possible" in (run / "report" / "index.html").read_text()
    # Of a run that was written before there is nothing to say but what rewards say, or nothing at all.
    del last["highest_values"]
    last["largest_values"] = [15, 15]
    (run / "metrics.jsonl").write_text("\n".join([*rows, json.dumps(last)]) + "\n")
    assert cli.main(["report", str(run), "--no-watch"]) == 0
    said = "mean Q 19.1 where at most 15 is possible by the largest reward"
    assert said in (run / "report" / "index.html").read_text()
    del last["largest_values"]
    (run / "metrics.jsonl").write_text("\n".join([*rows, json.dumps(last)]) + "\n")
    assert cli.main(["report", str(run), "--no-watch"]) == 0
    assert "is possible" not in (run / "report" / "index.html").read_text()
