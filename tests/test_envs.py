from pathlib import Path

import gymnax
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from gymnax.environments import environment, spaces
from gymnax.environments.bsuite.catch import Catch
from gymnax.wrappers import FlattenObservationWrapper
from numpy.testing import assert_allclose, assert_array_equal
from worlds import Endless, World

import jaxq

CONTINUOUS = {
    "Pendulum-v1",
    "MountainCarContinuous-v0",
    "PointRobot-misc",
    "Reacher-misc",
    "Swimmer-misc",
}
# MNISTBandit downloads its data, which a test must not depend on.
DISCRETE = [id for id in gymnax.registered_envs if id not in CONTINUOUS | {"MNISTBandit-bsuite"}]
TABLES = [
    "FrozenLake-v1",
    "FrozenLake8x8-v1",
    "CliffWalking-v1",
    "CliffWalkingSlippery-v1",
    "Taxi-v4",
    "Cliff-grid",
    "FourRooms-grid",
    "WindyGrid-grid",
    "Incident-table",
]
STEPS = 40


def play(env, key, num_steps=STEPS, params=None):
    """Act at random, inside a scan, which only takes states whose types never change."""
    params = env.params if params is None else params

    def step(carry, key):
        state, observation = carry
        action_key, step_key = jax.random.split(key)
        action = jax.random.randint(action_key, (), 0, env.num_actions)
        state, timestep = env.step(step_key, state, action, params)
        return (state, timestep.observation), (observation, action, timestep)

    reset_key, key = jax.random.split(key)
    _, outputs = jax.jit(jax.lax.scan, static_argnums=0)(
        step, env.reset(reset_key, params), jax.random.split(key, num_steps)
    )
    return outputs


@pytest.mark.parametrize("id", [*DISCRETE, "Taxi-v4", "Incident-v0"])
@pytest.mark.filterwarnings("ignore")
def test_every_discrete_environment_steps_inside_a_scan(id):
    with jax.numpy_rank_promotion("allow"):
        env = jaxq.envs.make(id)
        observation, _, timestep = play(env, jax.random.key(0))
    spec = env.observation_spec
    for part in (observation, timestep.observation, timestep.final_observation):
        assert part.shape == (STEPS, *spec.shape)
        assert part.dtype == spec.dtype
        trainer = jaxq.Trainer(env, jaxq.dqn(**jaxq.preset(id).keywords))
        state = trainer.template
        assert jax.eval_shape(trainer.loop.run, state, jnp.int32(1))[0] == state
    assert timestep.reward.dtype == jnp.float32
    assert timestep.terminated.dtype == timestep.truncated.dtype == bool
    assert not (timestep.terminated & timestep.truncated).any()


@pytest.mark.parametrize("id", TABLES)
def test_every_table_steps_inside_a_scan(id):
    env = jaxq.envs.make(id)
    observation, action, timestep = play(env, jax.random.key(0), 2_000)
    final = np.asarray(timestep.final_observation)
    for s, a, reward, to, ends in zip(
        *(np.asarray(part) for part in (observation, action, timestep.reward)),
        final,
        np.asarray(timestep.terminated),
        strict=True,
    ):
        p, *what = (leaf[s, a] for leaf in env.outcomes)
        possible = zip(p, *what, strict=True)
        assert any(p > 0 and (to, reward, ends) == tuple(rest) for p, *rest in possible)
    ended = np.asarray(timestep.terminated | timestep.truncated)
    assert ended.any()
    assert_array_equal(timestep.observation[~ended], final[~ended])
    assert (env.initial[np.asarray(timestep.observation)[ended]] > 0).all()


@pytest.mark.parametrize("id", sorted(CONTINUOUS))
def test_continuous_actions_are_refused_by_name(id):
    with pytest.raises(ValueError, match=rf"{id} has continuous actions.*CartPole-v1.*FrozenLake"):
        jaxq.envs.make(id)


@pytest.mark.parametrize("id", [id for id in DISCRETE if id.endswith("MinAtar")])
def test_minatar_boards_lose_nothing_as_bool(id):
    with jax.numpy_rank_promotion("allow"):
        as_bool = jaxq.envs.make(id)
        as_float = jaxq.envs.from_gymnax(*gymnax.make(id))
        narrow, wide = (play(env, jax.random.key(1), 300)[0] for env in (as_bool, as_float))
    assert narrow.dtype == bool
    assert wide.dtype == jnp.float32
    assert_array_equal(narrow.astype(jnp.float32), wide)


def test_the_final_observation_is_from_before_the_reset(cartpole):
    observation, _action, timestep = play(cartpole, jax.random.key(0), 400)
    ended = np.asarray(timestep.terminated)
    assert ended.any()
    raw, params = gymnax.make("CartPole-v1")
    for t in np.flatnonzero(ended)[:5]:
        assert not raw.observation_space(params).contains(timestep.final_observation[t] * 2).all()
        assert abs(timestep.observation[t]).max() <= 0.05  # where CartPole starts
    going = np.flatnonzero(~ended[:-1])
    assert_array_equal(timestep.final_observation[going], observation[going + 1])


def test_the_time_limit_truncates():
    env = jaxq.envs.from_gymnax(Endless(), Endless().default_params.replace(max_steps_in_episode=5))
    _, _, timestep = play(env, jax.random.key(0), 12)
    assert not timestep.terminated.any()
    assert_array_equal(np.flatnonzero(timestep.truncated), [4, 9])


@pytest.mark.parametrize("kind", ["truncates", "terminates"])
def test_a_time_limit_means_what_it_is_said_to(kind):
    params = Endless().default_params.replace(max_steps_in_episode=5)
    env = jaxq.envs.from_gymnax(Endless(), params, time_limit=kind)
    _, _, timestep = play(env, jax.random.key(0), 12)
    assert_array_equal(np.flatnonzero(timestep.terminated), [4, 9] if kind == "terminates" else [])
    assert_array_equal(np.flatnonzero(timestep.truncated), [] if kind == "terminates" else [4, 9])


def test_the_table_of_time_limits_has_every_environment_and_stands_in_the_documentation():
    assert set(jaxq.envs.TIME_LIMITS) == set(DISCRETE) | {"MNISTBandit-bsuite", "Incident-v0"}
    page = (Path(__file__).parents[1] / "docs" / "time_limits.md").read_text()
    for id, (kind, reason) in jaxq.envs.TIME_LIMITS.items():
        assert f"| {id} | {kind} | {reason} |" in page
        if id != "MNISTBandit-bsuite":
            assert jaxq.envs.make(id).time_limit == kind


def test_a_time_limit_is_one_of_two_and_gymnaxs_alone():
    assert jaxq.envs.make("CartPole-v1", time_limit="terminates").time_limit == "terminates"
    with pytest.raises(ValueError, match="did you mean truncates"):
        jaxq.envs.make("CartPole-v1", time_limit="truncate")
    with pytest.raises(TypeError, match="FrozenLake-v1 is a table and has no time limit"):
        jaxq.envs.make("FrozenLake-v1", time_limit="terminates")


def test_reaching_the_goal_at_the_time_limit_is_termination():
    env = jaxq.envs.from_gymnax(World(), World().default_params.replace(max_steps_in_episode=1))
    _, _, timestep = play(env, jax.random.key(0), 3)
    assert timestep.terminated.all()
    assert not timestep.truncated.any()


def test_parameters_are_arrays_that_may_differ(cartpole):
    lengths = jnp.array([1, 3])
    params = jax.vmap(lambda n: cartpole.params.replace(max_steps_in_episode=n))(lengths)
    ended = jax.vmap(lambda params: play(cartpole, jax.random.key(0), 6, params)[2].truncated)(params)
    assert_array_equal(ended, [[1, 1, 1, 1, 1, 1], [0, 0, 1, 0, 0, 1]])


def test_keywords_reach_the_environment():
    env = jaxq.envs.make("FrozenLake-misc", map_name="8x8")
    assert env.observation_spec.num_categories == 64


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: jaxq.envs.make("CartPole-v2"), ValueError, "did you mean CartPole-v1"),
        (lambda: jaxq.envs.make("cartpole"), ValueError, "did you mean CartPole-v1"),
        (lambda: jaxq.envs.make(3), TypeError, "must be a name"),
        (lambda: jaxq.envs.make("CartPole-v1", gravity=1), TypeError, "does not take"),
        (lambda: jaxq.envs.make("FrozenLake-misc", map_name="9x9"), ValueError, "cannot be made"),
        (lambda: jaxq.envs.make("Taxi-v3"), ValueError, "did you mean Taxi-v4"),
        (lambda: jaxq.envs.make("Clif-grid"), ValueError, "did you mean Cliff-grid"),
        (lambda: jaxq.envs.make("Cliff-grid", slop=0.1), TypeError, "does not take.*slop"),
        (lambda: jaxq.envs.make("Cliff-grid", slip=2), ValueError, r"slip must be a number in \[0, 1\]"),
        (lambda: jaxq.envs.make("FrozenLake-v1", nonsense=1), TypeError, "does not take.*nonsense"),
        (lambda: jaxq.envs.make("FrozenLake-v1", map_name="9x9"), ValueError, "cannot be made"),
        (lambda: jaxq.envs.make("FrozenLake-v1", success_rate=2.0), ValueError, "probability must be"),
        (lambda: jaxq.envs.from_gymnax("CartPole-v1"), TypeError, r"jaxq.envs.make"),
        (lambda: jaxq.envs.from_gymnax(Hot()), ValueError, "continuous actions"),
        (lambda: jaxq.envs.from_gymnax(Old()), TypeError, "six values"),
        (lambda: jaxq.envs.from_gymnax(Pair()), TypeError, "must be one array"),
        (lambda: jaxq.envs.from_gymnax(Growing()), ValueError, "must have one shape"),
        (lambda: jaxq.envs.from_gymnax(Vector()), ValueError, "single numbers"),
    ],
)
def test_what_cannot_be_used_is_refused(call, error, message):
    with pytest.raises(error, match=message):
        call()


class Hot(World):
    def action_space(self, params=None):
        return spaces.Box(-1, 1, (1,))


class Old(World):
    def step(self, key, state, action, params):
        return super().step(key, state, action, params)[:5]


class Vector(World):
    def reward(self, state, action, params):
        return jnp.ones(1)


class Pair(World):
    def see(self, state):
        return {"a": jnp.zeros(1), "b": jnp.zeros(1)}


class Growing(World):
    def step(self, key, state, action, params=None):
        _, *rest = environment.Environment.step(self, key, state, action, params)
        return jnp.zeros(3), *rest


def test_the_listing_names_every_environment():
    with jax.numpy_rank_promotion("allow"):
        listing = jaxq.envs.listing()
    assert [info.id for info in listing] == [*gymnax.registered_envs, *TABLES, "Incident-v0"]
    assert {info.id: info.observation for info in listing}["Taxi-v4"] == "int32[], 500 states"
    assert {info.id for info in listing if info.actions is None} == CONTINUOUS
    assert all(info.note for info in listing if info.actions is None)


def test_repr_says_what_it_is(cartpole):
    assert repr(cartpole) == "CartPole-v1(2 actions, observation float32[4])"
    assert_allclose(cartpole.params.gravity, 9.8, rtol=1e-6)


def numbered(env, key, num_steps=3_000):
    """Play at random, and return all observations that came up, flattened, and their numbers."""
    observation, _, timestep = play(env, key, num_steps)
    seen = jnp.concatenate([observation, timestep.observation, timestep.final_observation])
    numbers = jax.jit(jax.vmap(env.states.of))(seen)
    assert numbers.dtype == jnp.int32
    return np.asarray(seen).reshape(len(seen), -1), np.asarray(numbers)


def gymnax_with(id, params=None, observation_dtype=None, **keywords):
    env, defaults = gymnax.make(id, **keywords)
    params = defaults.replace(**(params or {}))
    return jaxq.envs.from_gymnax(env, params, observation_dtype=observation_dtype)


RESAMPLED = {"resample_goal_pos": True, "resample_init_pos": True, "max_steps_in_episode": 20}
# With the number of states, by hand: rows * columns^2; size^2 + 1; 104 open cells, and 104 goals.
COUNTED = [
    (lambda: gymnax_with("Catch-bsuite"), 10 * 5**2),
    (lambda: gymnax_with("Catch-bsuite", rows=3, columns=4, observation_dtype=bool), 3 * 4**2),
    (lambda: gymnax_with("Catch-bsuite", rows=2, columns=1), 2),
    (lambda: gymnax_with("DeepSea-bsuite"), 65),
    (lambda: gymnax_with("DeepSea-bsuite", size=3, params={"deterministic": False}), 10),
    (lambda: gymnax_with("DeepSea-bsuite", size=5, observation_dtype=bool), 26),
    (lambda: gymnax_with("FourRooms-misc"), 104 * 104),
    (lambda: gymnax_with("FourRooms-misc", params=RESAMPLED), 104 * 104),
    (lambda: gymnax_with("FourRooms-misc", pos_fixed=[0, 3], goal_fixed=[12, 12]), 105 * 105),
    (lambda: gymnax_with("FourRooms-misc", use_visual_obs=True), 104),
    (lambda: gymnax_with("FourRooms-misc", use_visual_obs=True, observation_dtype=jnp.uint8), 104),
    (lambda: gymnax_with("FrozenLake-misc", map_name="8x8"), 64),
    (lambda: jaxq.envs.make("Taxi-v4"), 500),
]


@pytest.mark.parametrize(("make", "num"), COUNTED)
def test_state_numbers_tell_observations_apart(make, num):
    with jax.numpy_rank_promotion("allow"):
        env = make()
        seen, numbers = numbered(env, jax.random.key(0))
    assert env.states.num == num
    assert (numbers >= 0).all()
    assert (numbers < num).all()
    # As many pairs as observations: each has one number. As many numbers: no two share one.
    observations = np.unique(seen, axis=0)
    pairs = np.unique(np.column_stack([seen, numbers]), axis=0)
    assert len(observations) == len(pairs) == len(np.unique(numbers))


def test_state_numbers_cover_what_can_be_seen():
    with jax.numpy_rank_promotion("allow"):
        _, numbers = numbered(gymnax_with("DeepSea-bsuite", size=3), jax.random.key(0))
        # Below the diagonal there are no cells to be in; the empty board comes last.
        assert set(numbers.tolist()) == {0, 3, 4, 6, 7, 8, 9}
        _, numbers = numbered(gymnax_with("Catch-bsuite", rows=2, columns=3), jax.random.key(0))
    # 3 balls above a paddle in the middle; then 3 balls against 2 or 3 places of the paddle, where
    # (0, 1) and (1, 0), (1, 2) and (2, 1), (0, 2) and (2, 0) look the same.
    above, below = numbers[numbers < 9], numbers[numbers >= 9]
    assert set(above.tolist()) == {0 * 3 + 1, 1 * 3 + 1, 2 * 3 + 1}
    pairs = {(0, 0), (0, 1), (0, 2), (1, 1), (1, 2), (2, 2)}
    assert set(below.tolist()) == {(3 + ball) * 3 + paddle for ball, paddle in pairs}


class Mirrored(Catch):
    """Shows something else than what it inherits from."""


@pytest.mark.parametrize(
    "make",
    [
        lambda: jaxq.envs.make("CartPole-v1"),
        lambda: jaxq.envs.from_gymnax(World()),
        lambda: jaxq.envs.from_gymnax(Mirrored()),
        lambda: jaxq.envs.from_gymnax(FlattenObservationWrapper(Catch())),
        lambda: gymnax_with("DeepSea-bsuite", params={"sample_action_map": True}),
        lambda: gymnax_with("FourRooms-misc", params=RESAMPLED, use_visual_obs=True),
        lambda: gymnax_with("FourRooms-misc", goal_fixed=[20, 20]),
        lambda: gymnax_with("FourRooms-misc", observation_dtype=bool),
        lambda: gymnax_with("FrozenLake-misc", observation_dtype=bool),
    ],
)
def test_states_that_cannot_be_counted_or_told_have_no_numbers(make):
    with jax.numpy_rank_promotion("allow"):
        assert make().states is None
