"""Costs beside reward: what environments declare comes through rollouts, replays and windows."""

import pickle

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from replays import ENVS, SPEC, rows_from
from worlds import World

import jaxq
from jaxq.checks import InputError
from jaxq.replay import PrioritizedReplay, SequenceReplay, UniformReplay

SMALL = {"hidden_sizes": (16,), "num_envs": 4, "batch_size": 16}
REPLAY = {"buffer_size": 400, "learning_starts": 80, "train_interval": 4}

# One may work (1) for a reward at a cost, or wait (0); each ends the day half of the time.
DAY = {0: {a: [(0.5, 0, float(a), False), (0.5, 1, float(a), True)] for a in range(2)}}
DAY[1] = {a: [(1.0, 1, 0.0, True)] for a in range(2)}
COSTS = np.array([[[0.0, 1.0], [2.0, 0.0]], [[0.0, 0.0], [0.0, 0.0]]])  # [S, A, K]
NAMES = ("risk", "delay")


def day(**keywords):
    return jaxq.envs.from_table(DAY, initial=0, name="day", **keywords)


def test_a_table_gives_the_costs_of_each_action():
    env = day(costs=COSTS, cost_names=NAMES)
    assert env.cost_names == NAMES
    by_name = day(costs={name: COSTS[..., k] for k, name in enumerate(NAMES)})
    for made in (env, by_name, pickle.loads(pickle.dumps(env))):
        state, _ = made.reset(jax.random.key(0), made.params)
        for action in range(2):
            cost = made.step(jax.random.key(1), state, jnp.int32(action), made.params)[1].cost
            assert cost.dtype == jnp.float32
            assert_array_equal(cost, COSTS[0, action])
    assert day().cost_names == ()


def test_linear_programming_takes_the_costs_of_the_environment():
    """A reward of 1 and a risk of 2 for every working day out of two: a risk of 1 allows half of it."""
    env = day(costs=COSTS, cost_names=NAMES)
    own = jaxq.constrained_value_iteration(env, budgets={"risk": 1.0}, discount=0.5)
    given = jaxq.constrained_value_iteration(env, {"risk": COSTS[..., 0]}, {"risk": 1.0}, discount=0.5)
    assert own.value == given.value
    assert_allclose([own.value, own.costs["risk"], own.policy[0, 1]], [0.5, 1.0, 0.375], atol=1e-9)
    with pytest.raises(InputError, match="unknown cost of day 'risks'; did you mean risk"):
        jaxq.constrained_value_iteration(env, budgets={"risks": 1.0})


def test_linear_programming_keeps_to_legal_actions():
    legal = np.array([[True, False], [True, True]])
    env = day(costs=COSTS, cost_names=NAMES, legal_actions=legal)
    solution = jaxq.constrained_value_iteration(env, budgets={"risk": 9.0}, discount=0.5)
    assert_allclose(solution.policy[0], [1, 0])
    assert solution.value == 0


class Shift(World):
    """Three steps; action 1 costs the cue in one way, and every step costs 0.5 in another."""

    length = 3
    cost_names = ("wear", "time")

    def see(self, state):
        return state.time.astype(jnp.float32)[None]

    def costs(self, state, action, params):
        return jnp.stack([action * (1.0 + state.cue), 0.5])


class Reported(Shift):
    """The same, as the environment reports it by itself."""

    def step_env(self, key, state, action, params):
        *stepped, info = super().step_env(key, state, action, params)
        return *stepped, {**info, "cost": Shift.costs(self, state, action, params)}

    costs = None


@pytest.mark.parametrize("world", [Shift, Reported])
def test_an_environment_of_the_users_own_has_costs(world):
    env = jaxq.envs.from_gymnax(world())
    assert env.cost_names == ("wear", "time")
    assert jaxq.envs.stack_frames(env, 2).cost_names == env.cost_names
    assert pickle.loads(pickle.dumps(env)).cost_names == env.cost_names
    state, _ = env.reset(jax.random.key(3), env.params)
    for action in (1, 0, 1):
        cue = state.cue
        state, timestep = env.step(jax.random.key(1), state, jnp.int32(action), env.params)
        # Where the episode ends too, it is the cost of its own last step.
        assert_allclose(timestep.cost, [action * (1.0 + cue), 0.5])
    renamed = jaxq.envs.from_gymnax(world(), cost_names=("a", "b"))
    assert renamed.cost_names == ("a", "b")
    assert jaxq.envs.from_gymnax(world(), cost_names=()).cost_names == ()


def test_incidents_declare_their_violations():
    env = jaxq.envs.make("Incident-v0", services=2)
    assert env.cost_names == ("availability", "needless_action", "restart_limit")
    raw, params = jaxq.envs.Incident(2), jaxq.envs.incident_params(2)
    keys = jax.random.split(jax.random.key(0), 20)

    def play(key):
        state, _ = env.reset(key, env.params)
        action = jax.random.randint(key, (), 0, env.num_actions)
        info = raw.step(key, state, action, params)[5]
        return env.step(key, state, action, env.params)[1].cost, info["cost"]

    cost, reported = jax.jit(jax.vmap(play))(keys)
    assert_array_equal(cost, reported)
    assert cost.sum() > 0
    assert jaxq.envs.make("Incident-table", services=1).cost_names == env.cost_names


REPLAYS = [(UniformReplay, {}), (PrioritizedReplay, {"n_step": 3}), (SequenceReplay, {"length": 4})]


@pytest.mark.parametrize(("kind", "sizes"), REPLAYS)
def test_a_replay_gives_back_costs_summed_like_rewards(kind, sizes):
    replay = kind(SPEC, num_rows=8, num_envs=ENVS, batch_size=500, **sizes)
    state = replay.init((), (), jax.ShapeDtypeStruct((2,), jnp.dtype("float32")))
    add = jax.jit(replay.add)
    for row in range(13):
        rows = rows_from(row, truncated=(9,), terminated=(6,))
        reward = jnp.sin(rows.observation)
        state = add(state, rows._replace(reward=reward, cost=jnp.stack([reward, -2 * reward], -1)), row)
    hparams = jaxq.Hparams(discount=jnp.float32(0.9), importance=jnp.float32(0))
    runs = replay.sample(jax.random.key(0), state, jnp.int32(13), hparams)
    assert runs.cost.shape == (*runs.reward.shape, 2)
    assert_allclose(runs.cost[..., 0], runs.reward, rtol=1e-6)
    assert_allclose(runs.cost[..., 1], -2 * runs.reward, rtol=1e-6)


@pytest.mark.parametrize("name", ["dqn", "n_step_dqn", "pqn", "r2d2", "q_learning", "sarsa", "dyna_q"])
def test_a_recipe_without_budgets_learns_the_same_beside_costs(name):
    keywords = {"num_envs": 4}
    if name in jaxq.agents.DEEP:
        keywords = {**SMALL, **REPLAY, **({"recurrent_size": 8} if name == "r2d2" else {})}
    if name == "pqn":
        keywords = {**SMALL, "buffer_size": 64, "train_interval": 4}
    learners = []
    for env in (day(), day(costs=COSTS, cost_names=NAMES)):
        trainer = jaxq.Trainer(env, jaxq.agents.ALGORITHMS[name](**keywords))
        state, metrics = trainer.run(trainer.init(jax.random.key(0)), 200)
        learners.append((state.learner, metrics.loss))
    jax.tree.map(assert_array_equal, *learners)


def test_environments_without_costs_store_none(cartpole, small):
    template = jaxq.Trainer(cartpole, jaxq.dqn(**small())).template
    assert template.memory.ring.cost == ()
    assert template.actors.episode_cost == ()
    template = jaxq.Trainer(day(costs=COSTS, cost_names=NAMES), jaxq.dqn(**small())).template
    assert template.memory.ring.cost.shape == (50, 4, 2)


class Few(Shift):
    cost_names = ("wear",)


class Silent(World):
    cost_names = ("wear",)


OWN = {
    Few: r"Few: costs must be float32 \[1\], one for each of \['wear'\], got \[2\]",
    Silent: r"Silent: costs must come from step_env as info\['cost'\], or from a method",
}


@pytest.mark.parametrize("world", OWN, ids=lambda world: world.__name__)
def test_costs_that_do_not_fit_their_names_are_refused(world):
    with pytest.raises(InputError, match=OWN[world]):
        jaxq.envs.from_gymnax(world(), name=world.__name__)


@pytest.mark.parametrize(
    ("keywords", "message"),
    [
        ({"costs": COSTS}, r"array \[S, A, K\] with cost_names"),
        ({"cost_names": NAMES}, r"array \[S, A, K\] with cost_names"),
        ({"costs": {"risk": COSTS[..., 0]}, "cost_names": ("risk",)}, "a dictionary and cost_names"),
        ({"costs": COSTS, "cost_names": ("risk",)}, r"\[2, 2, 1\], got shape \[2, 2, 2\]"),
        ({"costs": COSTS * np.nan, "cost_names": NAMES}, "costs must be a finite"),
        ({"costs": COSTS, "cost_names": ("a b", "c")}, "different names of letters"),
        ({"costs": COSTS, "cost_names": ("a", "a")}, "different names of letters"),
        ({"costs": COSTS, "cost_names": "risk"}, "must be a tuple of names"),
        ({"costs": {"a": [[1.0]], "b": [1.0]}}, r"must all have shape \[S, A\]"),
    ],
)
def test_costs_of_tables_are_checked(keywords, message):
    with pytest.raises(InputError, match=message) as caught:
        day(**keywords)
    assert "\n" not in str(caught.value)
