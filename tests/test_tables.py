"""Finite MDPs as tables: what they are made of, how they step, and the worlds that are built in."""

import subprocess
import sys

import gymnasium
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import stats

import jaxq
from jaxq.envs import from_map, from_table, maximization_bias, random_mdp
from jaxq.envs.table import TableState

# From 0, action 0 comes to one of three ends, two of which differ in reward only; action 1 stays. State
# 1 leads back, and only 2 is terminal.
MIXED = {
    0: {
        0: [(0.1, 1, 5.0, False), (0.2, 1, -5.0, False), (0.3, 2, 1.0, True), (0.4, 0, 0.0, False)],
        1: [(1.0, 0, -1.0, False)],
    },
    1: {0: [(0.75, 0, 0.0, False), (0.25, 2, 0.5, True)], 1: [(1.0, 0, 2.0, False)]},
    2: {0: [(1.0, 2, 0.0, True)], 1: [(1.0, 2, 0.0, True)]},
}


def distribution(env, s, a):
    """What may follow, as {(next state, reward, terminated): probability}."""
    probability, *what = (leaf[s, a] for leaf in env.outcomes)
    return {
        (int(to), float(reward), bool(ends)): p
        for p, to, reward, ends in zip(probability, *what, strict=True)
        if p > 0
    }


def step_many(env, s, a, num=4000, time=0, seed=0):
    """Take action `a` in state `s` many times; both may be arrays, then leaves are `[pairs, num]`."""

    def step(s, a, key):
        return env.step(key, TableState(s, jnp.int32(time)), a, env.params)

    keys = jax.random.split(jax.random.key(seed), (*np.shape(s), num))
    many = jax.vmap(step, in_axes=(None, None, 0))
    many = jax.vmap(many) if np.ndim(s) else many
    return jax.jit(many)(jnp.int32(s), jnp.int32(a), keys)


def p_values(env, pairs, expected, num=4000):
    """How likely frequencies at least as far from `expected` would be, for each state and action."""
    _, timestep = step_many(env, *np.transpose(pairs), num)
    seen = np.stack([timestep.final_observation, timestep.reward, timestep.terminated], axis=-1)
    values = []
    for outcomes, chances in zip(seen.tolist(), expected, strict=True):
        counts = dict.fromkeys(chances, 0)
        for to, reward, ends in outcomes:
            counts[int(to), reward, bool(ends)] += 1  # one that cannot happen is a KeyError
        values.append(stats.chisquare(list(counts.values()), num * np.array([*chances.values()])).pvalue)
    return values


def test_outcomes_are_those_of_the_dictionary():
    env = from_table(MIXED)
    assert (env.num_states, env.num_actions) == (3, 2)
    assert env.outcomes.probability.shape == (3, 2, 4)
    for s, actions in MIXED.items():
        for a, outcomes in actions.items():
            assert distribution(env, s, a) == {tuple(rest): p for p, *rest in outcomes}


def test_duplicate_outcomes_are_merged_and_impossible_ones_left_out():
    outcomes = [(0.25, 1, 1, False), (0.25, 1, 1.0, False), (0.5, 1, 2.0, False), (0.0, 0, 9.0, True)]
    env = from_table({0: {0: outcomes}, 1: {0: [(1, 0, 0, False)]}})
    assert env.outcomes.probability.shape == (2, 1, 2)
    assert distribution(env, 0, 0) == {(1, 1.0, False): 0.5, (1, 2.0, False): 0.5}


def test_outcomes_come_as_often_as_the_table_says():
    env = from_table(MIXED)
    # The pairs that have something to draw; at a fixed key this passes or fails for good.
    pairs = [(0, 0), (1, 0)]
    assert min(p_values(env, pairs, [distribution(env, *pair) for pair in pairs])) > 0.01
    # The test has the power to tell 0.3 from 0.27.
    wrong = {(1, 5.0, False): 0.1, (1, -5.0, False): 0.2, (2, 1.0, True): 0.27, (0, 0.0, False): 0.43}
    assert p_values(env, [(0, 0)], [wrong])[0] < 0.001


@pytest.mark.parametrize("num_outcomes", [2, 3, 5, 17])
def test_any_number_of_outcomes_is_drawn_from(num_outcomes):
    env = random_mdp(num_outcomes, 20, 2, num_outcomes)
    pairs = [(s, a) for s in range(5) for a in range(2)]
    # Rewards come as float32.
    expected = [
        {(to, float(np.float32(r)), ends): p for (to, r, ends), p in distribution(env, *pair).items()}
        for pair in pairs
    ]
    # The least of ten p-values is below 0.001 in one of a hundred.
    assert min(p_values(env, pairs, expected)) > 0.001


def test_episodes_begin_as_often_as_the_distribution_says():
    def starts(initial):
        env = from_table(MIXED, initial=initial)
        keys = jax.random.split(jax.random.key(0), 4000)
        _, observation = jax.jit(jax.vmap(env.reset, in_axes=(0, None)))(keys, env.params)
        # What begins by itself after an end is no different from what a reset begins.
        state, timestep = step_many(env, 2, 0, seed=1)
        assert timestep.terminated.all()
        assert_array_equal(state.number, timestep.observation)
        return [np.bincount(part, minlength=3) for part in (observation, timestep.observation)]

    for counts in starts([0.2, 0.5, 0.3]):
        assert stats.chisquare(counts, [800, 2000, 1200]).pvalue > 0.01
    for counts in starts([0.5, 0.0, 0.5]):
        assert counts[1] == 0
        assert stats.chisquare(counts[[0, 2]]).pvalue > 0.01
    for counts in starts(1):
        assert_array_equal(counts, [0, 4000, 0])
    for counts in starts(None):  # 2 is terminal
        assert counts[2] == 0
        assert stats.chisquare(counts[:2]).pvalue > 0.01


def test_the_next_start_does_not_depend_on_the_outcome():
    # Both are drawn from one key: were it one number, a reward would tell where the next episode begins.
    P = {0: {0: [(0.5, 1, 0.0, True), (0.5, 1, 1.0, True)]}, 1: {0: [(1.0, 1, 0.0, True)]}}  # noqa: N806
    env = from_table(P, initial=[0.5, 0.5])
    _, timestep = step_many(env, 0, 0)
    table = np.histogram2d(timestep.reward, timestep.observation, bins=2)[0]
    assert stats.chi2_contingency(table).pvalue > 0.01


def test_reward_ending_and_the_automatic_reset():
    env = from_table(MIXED, initial=1, max_steps=10)
    state, timestep = step_many(env, 0, 0, time=3)
    assert timestep.reward.dtype == jnp.float32
    for part in (timestep.observation, timestep.final_observation, state.number, state.time):
        assert part.dtype == jnp.int32
    ended = np.asarray(timestep.terminated)
    assert_array_equal(ended, timestep.final_observation == 2)
    assert_array_equal(timestep.reward[ended], 1.0)
    assert not timestep.truncated.any()
    # The transition ends in 2, the next episode begins in 1 at time 0.
    assert_array_equal(timestep.observation[ended], 1)
    assert_array_equal(state.time, np.where(ended, 0, 4))
    assert_array_equal(timestep.observation[~ended], timestep.final_observation[~ended])
    assert_array_equal(state.number, timestep.observation)


def test_the_time_limit_truncates_what_does_not_end_by_itself():
    env = from_table(MIXED, initial=1, max_steps=4)
    state, timestep = step_many(env, 0, 0, time=3)
    assert timestep.terminated.any()
    assert_array_equal(timestep.truncated, ~timestep.terminated)
    assert_array_equal(timestep.observation, 1)
    assert_array_equal(state.time, 0)
    assert set(timestep.final_observation.tolist()) == {0, 1, 2}


def test_time_limits_may_differ_per_agent():
    env = from_table({0: {0: [(1.0, 0, 1.0, False)]}})
    params = jax.vmap(lambda n: env.params.replace(max_steps_in_episode=n))(jnp.array([1, 3]))

    def play(params):
        def step(state, key):
            state, timestep = env.step(key, state, jnp.int32(0), params)
            return state, timestep.truncated

        state, _ = env.reset(jax.random.key(0), params)
        return jax.lax.scan(step, state, jax.random.split(jax.random.key(1), 6))[1]

    assert_array_equal(jax.vmap(play)(params), [[1, 1, 1, 1, 1, 1], [0, 0, 1, 0, 0, 1]])


def test_arrays_say_the_same_as_a_dictionary():
    P = np.zeros((3, 2, 3))  # noqa: N806
    P[0, 0], P[0, 1], P[1, 0], P[1, 1] = [0.4, 0.3, 0.3], [1, 0, 0], [0.75, 0, 0.25], [1, 0, 0]
    rewards = np.array([[1.0, -1.0], [0.5, 2.0], [99.0, 99.0]])
    terminated = np.array([False, False, True])
    env = from_table(P, rewards=rewards, terminated=terminated)
    assert distribution(env, 0, 0) == {
        (0, 1.0, False): 0.4, (1, 1.0, False): 0.3, (2, 1.0, True): 0.3
    }  # fmt: skip
    # What is said of a terminal state does not count.
    assert distribution(env, 2, 1) == {(2, 0.0, True): 1.0}
    assert_array_equal(env.initial, [0.5, 0.5, 0.0])
    by_next = np.broadcast_to(rewards[:, :, None], P.shape)
    other = from_table(P.tolist(), rewards=by_next, terminated=terminated)
    for one, two in zip(env.outcomes, other.outcomes, strict=True):
        assert_array_equal(one, two)
    by_next = rewards[:, :, None] + np.arange(3)
    env = from_table(P, rewards=by_next, terminated=terminated)
    assert distribution(env, 1, 0) == {(0, 0.5, False): 0.75, (2, 2.5, True): 0.25}
    # Without ends, and with probabilities that float32 has rounded.
    env = from_table(np.full((3, 1, 3), 1 / 3, np.float32), rewards=np.zeros((3, 1)))
    assert not env.outcomes.terminated.any()
    assert_allclose(env.outcomes.probability.sum(axis=-1), 1, rtol=1e-15)


TOY_TEXT = [
    ("FrozenLake-v1", {}, 100),
    ("FrozenLake-v1", {"map_name": "8x8", "is_slippery": False}, 100),
    ("FrozenLake-v1", {"desc": ["SF", "HG"], "max_episode_steps": 7}, 7),
    ("FrozenLake8x8-v1", {"success_rate": 0.5}, 200),
    ("CliffWalking-v1", {}, 200),  # which has no limit
    ("CliffWalking-v1", {"is_slippery": True}, 200),
    ("Taxi-v4", {}, 200),
    ("Taxi-v4", {"is_rainy": True}, 200),
]


@pytest.mark.parametrize(("id", "keywords", "max_steps"), TOY_TEXT)
def test_toy_text_is_its_table(id, keywords, max_steps):
    env = jaxq.envs.make(id, **keywords)
    original = gymnasium.make(id, **keywords)
    table = original.unwrapped.P
    assert env.name == id
    assert env.params.max_steps_in_episode == max_steps
    assert_array_equal(env.initial, original.unwrapped.initial_state_distrib)
    assert env.num_states == original.observation_space.n == env.states.num
    assert env.num_actions == original.action_space.n
    for s in range(env.num_states):
        for a in range(env.num_actions):
            found = distribution(env, s, a)
            assert found.keys() == {tuple(rest) for p, *rest in table[s][a] if p > 0}
            for outcome, p in found.items():
                assert_allclose(p, sum(q for q, *rest in table[s][a] if tuple(rest) == outcome))
    same = from_table(original)
    assert (same.name, same.params.max_steps_in_episode) == (id, max_steps)
    assert_array_equal(same.outcomes.probability, env.outcomes.probability)


def test_what_a_gymnasium_environment_says_may_be_overruled():
    env = from_table(gymnasium.make("FrozenLake-v1"), initial=4, max_steps=3, name="lake")
    assert (env.name, env.params.max_steps_in_episode, env.initial[4]) == ("lake", 3, 1)
    bare = from_table(gymnasium.make("FrozenLake-v1").unwrapped.P)
    assert (bare.name, bare.params.max_steps_in_episode) == ("table", 200)
    # All cells but the 4 holes and the goal.
    assert np.count_nonzero(bare.initial) == 11


def test_what_the_engine_asks_for():
    env = from_table(MIXED, name="mixed")
    assert repr(env) == "mixed(2 actions, 3 states)"
    assert env.observation_spec == jaxq.types.ObservationSpec((), jnp.dtype(jnp.int32), 3)
    assert env.states.num == 3
    assert env.states.of(jnp.int32(2)) == 2


def same(value, s=0):
    return {0: {0: [(1.0, s, value, False)]}}


def pair(outcomes):
    return {0: {0: [(1.0, 1, 0.0, False)]}, 1: {0: outcomes}}


UNIFORM = np.full((2, 1, 2), 0.5)
ZEROS = np.zeros((2, 1))


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: from_table({}), ValueError, "P must not be empty; for example P ="),
        (lambda: from_table({0: {}}), ValueError, "actions of state 0 must not be empty"),
        (lambda: from_table({0: {0: []}}), TypeError, r"state 0, action 0: expected a list of outcomes"),
        (lambda: from_table({1: {0: [(1.0, 1, 0.0, False)]}}), ValueError, "P must be numbered 0 to 0"),
        (lambda: from_table({0: 3}), TypeError, "the actions of state 0 must be a dictionary"),
        (lambda: from_table({0: {0: [(1.0, 0, 0.0)]}}), TypeError, r"must be \(probability, next_state"),
        (lambda: from_table(pair([("a", 0, 0.0, False)])), TypeError, "state 1, action 0: an outcome"),
        (lambda: from_table(pair([(0.9, 0, 0.0, False)])), ValueError, "sum of 0.9.*P\\[1\\]\\[0\\] ="),
        (
            lambda: from_table(pair([(-0.5, 0, 0.0, False), (1.5, 0, 0.0, False)])),
            ValueError,
            r"state 1, action 0: probability must be in \[0, 1\], got -0.5",
        ),
        (lambda: from_table(pair([(np.nan, 0, 0.0, False)])), ValueError, "probability .* got nan"),
        (lambda: from_table(pair([(1.0, 2, 0.0, False)])), ValueError, "next state .* 0 to 1, got 2"),
        (lambda: from_table(pair([(1.0, -1, 0.0, False)])), ValueError, "next state .* got -1"),
        (lambda: from_table(pair([(1.0, 0.5, 0.0, False)])), ValueError, "next state .* got 0.5"),
        (lambda: from_table(same(np.inf)), ValueError, "reward must be a finite float32, got inf"),
        (lambda: from_table(same(1e39)), ValueError, "reward must be a finite float32"),
        (lambda: from_table({0: {0: [(1, 0, 0, 2)]}}), ValueError, "terminated must be True or False"),
        (
            lambda: from_table({**same(0.0, 1), 1: {0: [(1, 0, 0, 0)], 1: [(1, 0, 0, 0)]}}),
            ValueError,
            "every state must have the same actions: state 0 has 1, state 1 has 2",
        ),
        (lambda: from_table({0: {0: [(1.0, 0, 0.0, True)]}}), ValueError, "from_table.P, initial=0"),
        (lambda: from_table(same(0.0), rewards=ZEROS), TypeError, "leave out rewards= and terminated="),
        (lambda: from_table(same(0.0), initial=1), ValueError, "one of the 1 states, got 1"),
        (lambda: from_table(same(0.0), initial=-1), ValueError, "initial must be at least 0"),
        (lambda: from_table(same(0.0), initial=[0.5, 0.5]), ValueError, r"shape \[2\]"),
        (lambda: from_table(same(0.0), initial=[0.5]), ValueError, "sum 0.5"),
        (lambda: from_table(same(0.0), initial="start"), TypeError, "initial must be"),
        (lambda: from_table(same(0.0), max_steps=0), ValueError, "max_steps must be at least 1"),
        (lambda: from_table(UNIFORM), TypeError, "need rewards"),
        (lambda: from_table(UNIFORM[0], rewards=ZEROS), ValueError, r"\[S, A, S\].*\[1, 2\]"),
        (lambda: from_table(np.zeros((0, 1, 0)), rewards=ZEROS), ValueError, "got an array of shape"),
        (
            lambda: from_table(UNIFORM, rewards=np.zeros(2)),
            ValueError,
            r"rewards must have shape \[2, 1\]",
        ),
        (lambda: from_table(UNIFORM * 0.9, rewards=ZEROS), ValueError, "state 0, action 0: .* 0.9"),
        (lambda: from_table(-UNIFORM, rewards=ZEROS), ValueError, "probability must be"),
        (lambda: from_table(UNIFORM, rewards=ZEROS + np.nan), ValueError, "reward must be"),
        (
            lambda: from_table(UNIFORM, rewards=ZEROS, terminated=[0, 1]),
            ValueError,
            "terminated must be a bool for each of the 2 states",
        ),
        (lambda: from_table("FrozenLake-v1"), TypeError, "P must be an array of numbers"),
        (lambda: from_table(gymnasium.make("Blackjack-v1")), TypeError, "has no table"),
        (lambda: jaxq.envs.make("Taxi-v4", fickle_passenger=True), ValueError, "leave out fickle"),
        (lambda: from_map(["S.", "G"]), ValueError, "lines of equal length"),
        (lambda: from_map(["S?"]), ValueError, "'.' free"),
        (lambda: from_map([]), ValueError, "lines of equal length"),
        (lambda: from_map(3), TypeError, "a map is a list of lines"),
        (lambda: from_map(["##"]), ValueError, "needs a start"),
        (lambda: from_map(["SCS"]), ValueError, "exactly one, got 2"),
        (lambda: from_map(["S.G"], slip=1.5), ValueError, r"slip must be a number in \[0, 1\]"),
        (lambda: from_map(["S.G"], goal_reward=np.inf), ValueError, "goal_reward must be"),
        (lambda: jaxq.envs.four_rooms(goal=(0, 5)), ValueError, "goal must be a free cell"),
        (lambda: jaxq.envs.four_rooms(goal=(0, 0)), ValueError, "start must be a free cell"),
        (lambda: jaxq.envs.four_rooms(start=7), ValueError, "start must be a free cell"),
        (lambda: maximization_bias(num_actions=3), ValueError, "num_actions must be even"),
        (lambda: random_mdp(0, 3, 2, 4), ValueError, "branching must be at most num_states=3"),
    ],
)
def test_mistakes_are_one_line(call, error, message):
    with pytest.raises(jaxq.InputError, match=message) as caught:
        call()
    assert isinstance(caught.value, error)
    assert "\n" not in str(caught.value)


def test_a_map_is_drawn():
    # 0 S  1 .  2 C
    # 3 .  4 #  5 G
    env = from_map("S.C .#G", step_reward=-1.0, goal_reward=10.0, cliff_reward=-7.0)
    up, right, down, left = range(4)
    assert distribution(env, 0, up) == {(0, -1.0, False): 1.0}  # off the grid
    assert distribution(env, 0, right) == {(1, -1.0, False): 1.0}
    assert distribution(env, 1, down) == {(1, -1.0, False): 1.0}  # into the wall
    assert distribution(env, 1, right) == {(0, -7.0, False): 1.0}  # over the cliff
    assert distribution(env, 3, left) == {(3, -1.0, False): 1.0}
    assert distribution(from_map("SG", goal_reward=10.0), 0, right) == {(1, 10.0, True): 1.0}
    assert_array_equal(env.initial, [1, 0, 0, 0, 0, 0])
    assert_array_equal(from_map("S.S").initial, [0.5, 0, 0.5])
    assert_array_equal(from_map("..G").initial, [0.5, 0.5, 0])
    # Slipping, each of the three other directions has a third of 0.3; up and left both stay.
    slippery = from_map("S.C .#G", slip=0.3)
    for outcome, p in {(0, -1.0, False): 0.2, (1, -1.0, False): 0.7, (3, -1.0, False): 0.1}.items():
        assert_allclose(distribution(slippery, 0, right)[outcome], p)


def test_the_cliff_is_gymnasiums():
    ours, theirs = jaxq.envs.make("Cliff-grid"), jaxq.envs.make("CliffWalking-v1")
    assert_array_equal(ours.initial, theirs.initial)
    for s in range(37):  # all but the cliff and the goal
        for a in range(4):
            assert distribution(ours, s, a) == distribution(theirs, s, a)


def test_four_rooms():
    env = jaxq.envs.make("FourRooms-grid")
    # The rooms have 5x5, 6x5, 5x5 and 4x5 cells, and there are 4 hallways.
    everywhere = jaxq.envs.make("FourRooms-grid", start=None)
    assert np.count_nonzero(everywhere.initial) == 25 + 30 + 25 + 20 + 4 - 1  # not the goal
    goal = 8 * 11 + 8
    # One step above the goal, going down: 2/3, and 1/9 in each other direction.
    following = distribution(env, goal - 11, 2)
    assert_allclose(following[(goal, 1.0, True)], 2 / 3)
    assert_allclose(following[(goal - 12, 0.0, False)], 1 / 9)
    assert distribution(jaxq.envs.make("FourRooms-grid", slip=0), 0, 1) == {(1, 0.0, False): 1.0}


def test_the_wind_blows_up_from_the_column_that_is_left():
    env = jaxq.envs.make("WindyGrid-grid")
    up, right, _, left = range(4)
    cell = lambda row, column: row * 10 + column  # noqa: E731
    assert distribution(env, cell(3, 3), right) == {(cell(2, 4), -1.0, False): 1.0}
    assert distribution(env, cell(3, 8), left) == {(cell(2, 7), -1.0, False): 1.0}  # in the book
    assert distribution(env, cell(1, 6), right) == {(cell(0, 7), -1.0, False): 1.0}  # at the edge
    assert distribution(env, cell(4, 8), left) == {(cell(3, 7), -1.0, True): 1.0}
    assert distribution(env, cell(0, 0), up) == {(cell(0, 0), -1.0, False): 1.0}
    gusty = jaxq.envs.make("WindyGrid-grid", stochastic_wind=True, kings_moves=True)
    following = distribution(gusty, cell(5, 3), 5)  # down and right, wind 0, 1 or 2
    assert following.keys() == {(cell(row, 4), -1.0, False) for row in (4, 5, 6)}
    assert_allclose(list(following.values()), 1 / 3)
    assert distribution(gusty, cell(5, 0), 5) == {(cell(6, 1), -1.0, False): 1.0}


@pytest.mark.parametrize("num_outcomes", [2, 3, 16])
def test_maximization_bias_has_its_mean_and_variance(num_outcomes):
    env = maximization_bias(num_actions=6, num_outcomes=num_outcomes)
    for a in range(6):
        assert distribution(env, 0, a) == ({(1, 0.0, False): 1.0} if a % 2 else {(2, 0.0, True): 1.0})
        probability, rewards = env.outcomes.probability[1, a], env.outcomes.reward[1, a]
        assert len(rewards) == num_outcomes
        assert_allclose(probability @ rewards, -0.1, rtol=1e-14)
        assert_allclose(probability @ (rewards + 0.1) ** 2, 1, rtol=1e-14)
    assert_array_equal(env.initial, [1, 0, 0])


def test_random_mdps_are_their_seed():
    one, same, other = (random_mdp(seed, 7, 3, 2) for seed in (1, 1, 2))
    for left, right in zip(one.outcomes, same.outcomes, strict=True):
        assert_array_equal(left, right)
    assert (one.outcomes.reward != other.outcomes.reward).any()
    assert one.outcomes.probability.shape == (7, 3, 2)
    assert (one.outcomes.probability > 0).all()


def test_tables_need_no_gymnax_and_fix_no_devices():
    # `jaxq.value_iteration` is imported with jaxq, after which use_all_cores still has to work.
    words = (
        "import sys, jaxq, jaxq.dynamic_programming, jaxq.envs.table, jaxq.envs.grids, jaxq.envs.mdps; "
        "assert not {'gymnax', 'gymnasium'} & set(sys.modules); jaxq.use_all_cores()"
    )
    result = subprocess.run(
        [sys.executable, "-W", "error", "-c", words], capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr
