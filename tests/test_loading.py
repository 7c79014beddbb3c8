"""From a run directory back to an agent, and from there to a directory of its own."""

import json
import shutil

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxq
from jaxq.agents.protocol import first_input, next_input
from jaxq.experiment.checkpoints import Checkpoints
from jaxq.experiment.evaluating import chosen, evaluate_directory
from jaxq.experiment.plan import trainer_of

KEY = jax.random.key(7)


class Linear(nn.Module):
    """A network that no file can describe."""

    num_actions: int

    @nn.compact
    def __call__(self, observation):
        return nn.Dense(self.num_actions)(observation)


def trained(directory, environment="FrozenLake-v1", algorithm="q_learning", **fields):
    fields = {"agents": 3, "steps": 600, "segments": 3, "evaluation_episodes": 2} | fields
    config = jaxq.configure(environment, algorithm, **fields)
    jaxq.Experiment(config, directory).run()
    return config


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    directory = tmp_path_factory.mktemp("runs") / "table"
    trained(directory)
    return directory


@pytest.fixture(scope="module")
def recurrent(tmp_path_factory, small):
    directory = tmp_path_factory.mktemp("runs") / "recurrent"
    keywords = small(recurrent_size=8, sequence_length=8, burn_in=2)
    keywords = {name: value for name, value in keywords.items() if name in jaxq.r2d2().settings}
    trained(directory, "CartPole-v1", "r2d2", agents=2, steps=200, keywords=keywords)
    return directory


@pytest.fixture(params=["table", "recurrent"])
def run(request):
    return request.getfixturevalue(request.param)


def same(one, other):
    assert jax.tree.structure(one) == jax.tree.structure(other)
    for left, right in zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True):
        np.testing.assert_array_equal(left, right)


def observations(env, number):
    spec = env.observation_spec
    if spec.num_categories is not None:
        return jax.random.randint(KEY, (number,), 0, spec.num_categories).astype(spec.dtype)
    return jax.random.normal(KEY, (number, *spec.shape), spec.dtype)


def test_an_agent_is_the_one_that_was_trained(run):
    numbers = range(len(evaluate_directory(run, 2, seed=0).returns))
    loaded = [jaxq.load(run, which=number) for number in numbers]
    config = loaded[0].config
    population = jaxq.Population(trainer_of(config), config.agents)
    state = Checkpoints(run / "checkpoints").restore(population.template).state
    for number, agent in enumerate(loaded):
        state_of_one = population.agent(state, number)
        same(agent.learner, state_of_one.learner)
        same(agent.hparams, state_of_one.hparams)
        expected = population.trainer.evaluate(state_of_one, KEY, num_episodes=4)
        np.testing.assert_array_equal(agent.evaluate(KEY, num_episodes=4), expected)


def test_only_what_is_asked_for_is_read(table):
    agent = jaxq.load(table)
    like = {"hparams": jax.tree.map(lambda leaf: jnp.zeros((3,), leaf.dtype), agent.hparams)}
    saved = Checkpoints(table / "checkpoints").restore(like)
    assert [*saved.state] == ["hparams"]
    assert isinstance(saved.state["hparams"].discount, np.ndarray)


def test_it_acts_as_it_is_evaluated(run):
    agent, steps = jaxq.load(run, which=0), 12
    env, policy = agent.env, trainer_of(agent.config).agent
    env_state, observation = jax.vmap(env.reset, (0, None))(jax.random.split(KEY, 2), env.params)
    inputs, carry, reward = first_input(observation, policy.initial_carry(2)), None, None
    first = None
    for number in range(steps):
        output = policy.policy(agent.learner, inputs)
        q = agent.q_values(observation, carry, reward=reward, first=first)
        action, carry = agent.act(observation, carry, reward=reward, first=first)
        np.testing.assert_array_equal(action, output.action)
        np.testing.assert_allclose(q, policy.q_values(agent.learner, inputs)[0], rtol=1e-5, atol=1e-6)
        keys = jax.random.split(jax.random.fold_in(KEY, number), 2)
        env_state, timestep = jax.vmap(env.step, (0, 0, 0, None))(keys, env_state, action, env.params)
        inputs = next_input(inputs, output, timestep)
        observation, reward = timestep.observation, timestep.reward
        first = timestep.terminated | timestep.truncated


def test_a_recurrent_agent_remembers_and_looks_at_rewards(recurrent):
    agent = jaxq.load(recurrent, which=0)
    observation = observations(agent.env, 1)[0]
    _, carry = agent.act(observation)
    anew, later = agent.q_values(observation), agent.q_values(observation, carry)
    assert not np.allclose(anew, later)
    assert not np.allclose(later, agent.q_values(observation, carry, reward=5.0))
    # What begins anew knows nothing of before.
    np.testing.assert_allclose(anew, agent.q_values(observation, carry, reward=5.0, first=True))


def test_one_observation_a_batch_and_the_users_own_vmap_and_jit_agree(run):
    agent = jaxq.load(run, which=0)
    batch = observations(agent.env, 5)
    actions, carry = agent.act(batch)
    q = agent.q_values(batch, carry, reward=jnp.ones(5))
    assert (actions.shape, q.shape) == ((5,), (5, agent.env.num_actions))
    assert (actions.dtype, q.dtype) == (jnp.int32, jnp.float32)

    def alone(observation):
        action, carry = agent.act(observation)
        return action, agent.q_values(observation, carry, reward=1.0)

    for function in (jax.vmap(alone), jax.jit(jax.vmap(alone))):
        same(function(batch)[0], actions)
        np.testing.assert_allclose(function(batch)[1], q, rtol=1e-5, atol=1e-6)
    action, single = alone(batch[0])
    assert (action.shape, single.shape) == ((), (agent.env.num_actions,))
    np.testing.assert_allclose(single, q[0], rtol=1e-5, atol=1e-6)


def test_it_keeps_to_legal_actions(table):
    agent = jaxq.load(table)
    best = int(agent.act(0)[0])
    mask = jnp.arange(4) != best
    assert int(agent.act(0, legal_actions=mask)[0]) != best
    many, _ = agent.act(jnp.zeros(3, jnp.int32), legal_actions=mask)
    assert (many == int(agent.act(0, legal_actions=mask)[0])).all()
    with pytest.raises(jaxq.InputError, match=r"legal_actions must be bool \[4\]"):
        agent.act(0, legal_actions=[1, 0, 1, 1])


def test_it_acts_inside_a_scan(run):
    agent = jaxq.load(run, which=0)
    steps = observations(agent.env, 6)

    def step(carry, observation):
        action, carry = agent.act(observation, carry, reward=1.0)
        return carry, action

    _, scanned = jax.lax.scan(step, agent.initial_carry(), steps)
    carry, actions = None, []
    for observation in steps:
        action, carry = agent.act(observation, carry, reward=1.0)
        actions.append(action)
    np.testing.assert_array_equal(scanned, jnp.stack(actions))


def test_numbers_that_do_not_fit_are_refused(table):
    agent = jaxq.load(table)
    _, carry = agent.act([0, 1])
    for arguments, keywords, message in (
        ((99,), {}, "state number"),
        (([[0]],), {}, "jax.vmap adds further axes"),
        (([],), {}, "at least one"),
        (([0, 1, 2], carry), {}, "that of 3 observations"),
        ((0, 1), {}, "carry must be what act returned"),
        (([0, 1], carry), {"reward": [1.0, 1.0, 1.0]}, r"shape \[2\], got \[3\]"),
        (([0, 1], carry), {"reward": "much"}, "reward must be"),
    ):
        with pytest.raises(jaxq.InputError, match=message):
            agent.act(*arguments, **keywords)
    with pytest.raises(jaxq.InputError, match="num_episodes"):
        agent.evaluate(KEY, num_episodes=0)


def test_the_best_and_the_typical_agent_are_found():
    returns = np.array([np.nan, 1.0, 5.0, 2.0, 9.0, 6.0])
    assert chosen("best", returns) == 4
    assert chosen("iqm", returns) == 2
    assert chosen(3, returns) == 3
    for which, message in ((6, "below the 6"), (-1, "at least 0"), ("worst", '"best", "iqm"')):
        with pytest.raises(jaxq.InputError, match=message):
            chosen(which, returns)
    with pytest.raises(jaxq.InputError, match="which=0"):
        chosen("best", returns[:1])


def test_a_run_is_asked_for_its_best_agent(table):
    scores = json.loads(max((table / "checkpoints").iterdir()).joinpath("manifest.json").read_text())
    agent = jaxq.load(table)
    assert agent.origin.agent == int(np.argmax(scores["returns"]))
    assert agent.origin.score == max(scores["returns"])
    assert agent.origin.steps == 600
    assert "agent" in repr(agent)
    assert "q_learning" in repr(agent)


def test_what_is_saved_is_read_back_without_the_run(run, tmp_path):
    agent = jaxq.load(shutil.copytree(run, tmp_path / "run"), which=1)
    path = agent.save(tmp_path / "somewhere" / "agent")
    shutil.rmtree(tmp_path / "run")
    again = jaxq.load(path)
    assert again.config == agent.config
    assert again.origin == agent.origin
    same(again.learner, agent.learner)
    same(again.hparams, agent.hparams)
    np.testing.assert_array_equal(again.evaluate(KEY, 3), agent.evaluate(KEY, 3))
    # And once more, from what was read back; the same number may be asked for.
    same(jaxq.load(again.save(tmp_path / "copy"), which=1).learner, agent.learner)
    assert not [*path.parent.glob("*.unfinished")]


def test_no_replay_is_saved(tmp_path, small):
    trained(tmp_path / "run", "CartPole-v1", "dqn", agents=2, steps=200, keywords=small())
    path = jaxq.load(tmp_path / "run", which=0).save(tmp_path / "agent")
    names = set((path / "state" / "_METADATA").read_text().split('"'))
    assert "learner" in names
    assert not names & {"memory", "actors", "replay"}


def test_a_directory_that_is_there_is_not_written_over(table, tmp_path):
    (tmp_path / "taken").mkdir()
    (tmp_path / "file").write_text("")
    agent = jaxq.load(table)
    with pytest.raises(jaxq.InputError, match="exists already"):
        agent.save(tmp_path / "taken")
    with pytest.raises(jaxq.InputError, match="cannot be written"):
        agent.save(tmp_path / "file" / "agent")


def test_damage_of_a_saved_agent_is_told(table, tmp_path):
    whole = jaxq.load(table).save(tmp_path / "agent")
    with pytest.raises(jaxq.InputError, match="holds one agent"):
        jaxq.load(whole, which=2 if jaxq.load(whole).origin.agent != 2 else 1)
    for number, path in enumerate(sorted(path for path in whole.rglob("*") if path.is_file())):
        damaged = shutil.copytree(whole, tmp_path / str(number))
        path = damaged / path.relative_to(whole)
        path.write_bytes(path.read_bytes()[:-1] + b"?")
        with pytest.raises(jaxq.InputError, match="holds no agent that can be used"):
            jaxq.load(damaged)
    linked = shutil.copytree(whole, tmp_path / "linked")
    (linked / "agent.json").unlink()
    (linked / "agent.json").symlink_to(whole / "agent.json")
    with pytest.raises(jaxq.InputError, match=r"agent.json is a link"):
        jaxq.load(linked)


def test_damage_of_a_run_is_told(table, tmp_path):
    with pytest.raises(jaxq.InputError, match="no run directory"):
        jaxq.load(tmp_path)
    with pytest.raises(jaxq.InputError, match="must be a path"):
        jaxq.load(3)
    run = shutil.copytree(table, tmp_path / "run")
    newest = max((run / "checkpoints").iterdir())
    (newest / "manifest.json").write_text("{}")
    older = run / "checkpoints" / "0000000400"
    if older.exists():
        shutil.rmtree(older)
    with pytest.raises(jaxq.InputError, match=f"checkpoint {newest.name} cannot be used"):
        jaxq.load(run)
    shutil.rmtree(run / "checkpoints")
    with pytest.raises(jaxq.InputError, match="no checkpoint yet"):
        jaxq.load(run)


def test_an_older_checkpoint_is_told(tmp_path):
    trained(tmp_path / "run", checkpoint_segments=1)
    (tmp_path / "run" / "checkpoints" / "0000000600" / "manifest.json").unlink()
    with pytest.warns(UserWarning, match="the one after 400 steps is used instead"):
        assert jaxq.load(tmp_path / "run").origin.steps == 400


def test_what_was_given_in_python_is_asked_for(tmp_path, small):
    keywords = small(network=Linear(2))
    config = trained(tmp_path / "run", "CartPole-v1", "dqn", agents=2, steps=200, keywords=keywords)
    with pytest.raises(jaxq.InputError, match=r"jaxq.load\(directory, config=config\)"):
        jaxq.load(tmp_path / "run", which=0)
    with pytest.raises(jaxq.InputError, match="must come from"):
        jaxq.load(tmp_path / "run", which=0, config="dqn")
    agent = jaxq.load(tmp_path / "run", which=0, config=config)
    path = agent.save(tmp_path / "agent")
    with pytest.raises(jaxq.InputError, match=r"jaxq.load\(directory, config=config\)"):
        jaxq.load(path)
    same(jaxq.load(path, config=config).learner, agent.learner)
