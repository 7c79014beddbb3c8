"""Legal actions: no recipe explores by an illegal one or bootstraps from one.

That none is taken is a part of every recipe's contract; see `test_contract`.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from replays import ENVS, SPEC, rows_from
from worlds import ACTIONS, BEST_PAID, FORWARD, STATES, STAY, World, chain

import jaxq
from jaxq.agents import ALGORITHMS
from jaxq.agents.protocol import first_input
from jaxq.checks import InputError
from jaxq.learning import mask_illegal, mix_uniform, munchausen_bootstrap, td_target, ucb_values
from jaxq.replay import PrioritizedReplay, SequenceReplay, UniformReplay

GAMMA = 0.9


@pytest.fixture(scope="module")
def env():
    return chain()


FORWARD_VALUES = GAMMA ** np.arange(STATES - 1, -1, -1.0)


def test_value_iteration_takes_the_best_legal_action(env):
    q = jaxq.value_iteration(env, discount=GAMMA)
    assert_allclose(q[:STATES, FORWARD], FORWARD_VALUES, atol=1e-6)
    assert_allclose(q[1::2, STAY][:2], GAMMA * FORWARD_VALUES[1::2], atol=1e-6)


SMALL = {"hidden_sizes": (16,), "num_envs": 4, "batch_size": 16}
REPLAY = {"buffer_size": 400, "learning_starts": 80, "train_interval": 4}


def keywords_of(name):
    if name == "pqn":
        return {**SMALL, "buffer_size": 64, "train_interval": 4}
    return {**SMALL, **REPLAY, **({"recurrent_size": 8} if name == "r2d2" else {})}


TABLES = {
    "q_learning": {"learning_rate": 1.0, "visit_exponent": 0.0},
    "double_q_learning": {"learning_rate": 0.5, "visit_exponent": 0.0},
    "dyna_q": {"learning_rate": 1.0, "visit_exponent": 0.0},
    "q_lambda": {"learning_rate": 0.2, "lambda_": 0.5},
}


@pytest.mark.parametrize("name", TABLES)
def test_a_table_learns_the_values_of_legal_actions(env, name):
    """From values of 30, to which the illegal ones stay: a bootstrap from one would never come down."""
    keywords = {"initial_value": 30.0, "discount": GAMMA, "epsilon_end": 1.0, **TABLES[name]}
    trainer = jaxq.Trainer(env, ALGORITHMS[name](**keywords))
    state, _ = trainer.run(trainer.init(jax.random.key(0)), 20_000)
    q = np.asarray(trainer.q_values(state, jnp.arange(STATES)))
    assert_allclose(q[:, FORWARD], FORWARD_VALUES, rtol=1e-3)
    assert_allclose(q[1::2, STAY], GAMMA * FORWARD_VALUES[1::2], rtol=1e-3)
    assert (q[:, BEST_PAID] == 30).all()


def test_expected_sarsa_averages_over_legal_actions(env):
    """The behaviour is uniform over what is legal, and so is what it is worth."""
    recipe = jaxq.expected_sarsa(
        discount=GAMMA, epsilon_start=1.0, epsilon_end=1.0, learning_rate=1.0, visit_exponent=0.0
    )
    trainer = jaxq.Trainer(env, recipe)
    state, _ = trainer.run(trainer.init(jax.random.key(0)), 20_000)
    policy = env.legal / env.legal.sum(axis=1, keepdims=True)
    exact = jaxq.policy_evaluation(env, policy, discount=GAMMA)
    q = np.asarray(trainer.q_values(state, jnp.arange(STATES)))
    assert_allclose(q[:, FORWARD], exact[:STATES, FORWARD], rtol=1e-3)


DEEP = {
    "dqn": {},
    "double_dqn": {},
    # Returns of several steps are worth what the behaviour makes of them, so that one has to end.
    "n_step_dqn": {"prioritized": True, "epsilon_end": 0.0, "epsilon_steps": 6_000},
    "munchausen_dqn": {"munchausen_scale": 0.0, "munchausen_temperature": 1e-3},
    "c51": {"value_min": -1.0, "value_max": 40.0, "num_atoms": 83},
    "iqn": {},
    "pqn": {
        **{"buffer_size": 128, "batch_size": 64, "layer_norm": False},
        **{"epsilon_end": 0.0, "epsilon_steps": 6_000},
    },
    "r2d2": {
        **{"recurrent_size": 16, "batch_size": 16, "sequence_length": 6, "burn_in": 2},
        **{"epsilon_end": 0.0, "epsilon_steps": 6_000},
    },
}


@pytest.mark.learning
@pytest.mark.parametrize("name", DEEP)
def test_a_network_learns_the_values_of_legal_actions(env, name):
    keywords = {
        **keywords_of(name),
        **{"hidden_sizes": (64,), "batch_size": 64, "learning_rate": 5e-3, "discount": GAMMA},
        **{"learning_rate_steps": 12_000, "epsilon_start": 1.0, "epsilon_end": 1.0},
        **DEEP[name],
    }
    if "initial_value" in ALGORITHMS[name]().hparams:
        keywords["initial_value"] = 5.0
    trainer = jaxq.Trainer(env, ALGORITHMS[name](**keywords))
    state, _ = trainer.run(trainer.init(jax.random.key(0)), 12_000)
    agent, q = trainer.agent, []
    inputs = first_input(jnp.zeros(1, jnp.int32), agent.initial_carry(1))
    for s in range(STATES):
        now = inputs._replace(observation=jnp.array([s]), first=jnp.array([s == 0]))
        values, carry = jax.jit(agent.q_values)(state.learner, now)
        inputs = inputs._replace(carry=carry, previous_action=jnp.array([FORWARD]))
        q.append(float(values[0, FORWARD]))
    assert_allclose(q, FORWARD_VALUES, atol=0.04)
    assert (trainer.evaluate(state, jax.random.key(1), num_episodes=4) == 1).all()


def test_values_and_random_actions_are_masked_by_hand():
    legal = jnp.array([True, False, True])
    assert_array_equal(mask_illegal(jnp.array([1.0, 2.0, 3.0]), legal), np.float32([1, -1e30, 3]))
    assert_allclose(mix_uniform(jnp.array([0.0, 0.0, 1.0]), jnp.float32(0.5), legal), [0.25, 0, 0.75])
    # Neither tried nor legal: last all the same.
    masked = mask_illegal(jnp.zeros(3), legal)
    assert int(jnp.argmax(ucb_values(masked, jnp.array([1.0, 0.0, 2.0]), jnp.float32(1)))) == 0
    assert mask_illegal(jnp.ones(3), ()) is not None


REPLAYS = [(UniformReplay, {}), (PrioritizedReplay, {"n_step": 3}), (SequenceReplay, {"length": 4})]


@pytest.mark.parametrize(("kind", "sizes"), REPLAYS)
def test_a_replay_gives_back_the_masks_of_both_ends(kind, sizes):
    """Where an episode was cut off it is the mask of its last state, not of the one after the reset."""
    replay = kind(SPEC, num_rows=8, num_envs=ENVS, batch_size=500, **sizes)

    def mask(number):
        """Ten bits that tell states apart, those that end an episode included."""
        shifts = [jnp.int32(2 * (number % 500)) >> a for a in range(ACTIONS)]
        return jnp.stack(shifts, axis=-1) % 2 == 1

    state = replay.init((), jax.ShapeDtypeStruct((ACTIONS,), jnp.dtype(bool)))
    add = jax.jit(replay.add)
    for row in range(13):
        rows = rows_from(row, truncated=(9,), terminated=(6,))
        legal = mask(rows.observation), mask(rows.next_observation)
        state = add(state, rows._replace(legal_actions=legal[0], next_legal_actions=legal[1]), row)
    assert state.ring.legal_actions.shape == (8, ENVS, 2)
    hparams = jaxq.Hparams(discount=jnp.float32(0.9), importance=jnp.float32(0))
    runs = replay.sample(jax.random.key(0), state, jnp.int32(13), hparams)
    assert_array_equal(runs.legal_tm1[..., :ACTIONS], mask(runs.observation))
    goes_on = np.asarray(~runs.terminated)
    assert_array_equal(
        np.asarray(runs.legal_t[..., :ACTIONS])[goes_on],
        np.asarray(mask(runs.next_observation))[goes_on],
    )
    assert np.asarray(runs.truncated).any()


def test_a_soft_policy_is_over_legal_actions():
    """The best-valued action is illegal: `tau log sum exp(q / tau)` and the bonus are of the others."""
    temperature, scale, q = 0.5, 0.9, np.array([1.0, 2.0, 50.0])
    masked = mask_illegal(jnp.float32(q), jnp.array([True, True, False]))
    bootstrap = munchausen_bootstrap(masked, jnp.int32(0), masked, temperature, scale, -2.0)
    soft = temperature * np.log(np.exp(q[:2] / temperature).sum())
    expected = 3.0 + scale * (q[0] - soft) + 0.99 * soft
    assert_allclose(td_target(jnp.float32(3), jnp.float32(0.99), bootstrap, masked), expected, rtol=1e-6)


class Masked(World):
    """Two steps; only the action that the cue shows is legal, and the other one pays."""

    length = 3

    def see(self, state):
        return state.cue.astype(jnp.float32)[None]

    def reward(self, state, action, params):
        return jnp.where(action == state.cue, 0.0, 1.0)

    def legal_actions(self, state, params):
        return (
            jnp.arange(2) == (state.cue + state.time) % 2 if self.turns else jnp.arange(2) == state.cue
        )

    turns = False


def test_an_environment_of_the_users_own_says_what_is_legal():
    env = jaxq.envs.from_gymnax(Masked())
    assert env.has_legal_actions
    trainer = jaxq.Trainer(env, jaxq.dqn(**keywords_of("dqn")))
    state, metrics = trainer.run(trainer.init(jax.random.key(0)), 200)
    assert metrics.episodes > 0
    assert state.actors.max_abs_reward.max() == 0
    assert (trainer.evaluate(state, jax.random.key(1), num_episodes=8) == 0).all()


def test_the_mask_of_a_final_state_is_its_own():
    world = Masked()
    world.turns = True
    env = jaxq.envs.from_gymnax(world, world.default_params.replace(max_steps_in_episode=2))

    def last(key):
        state, _ = env.reset(key, env.params)
        cue = state.cue
        for _ in range(2):
            state, timestep = env.step(key, state, jnp.int32(0), env.params)
        return timestep, cue, env.legal_actions(state, env.params)

    timestep, cue, legal = jax.vmap(last)(jax.random.split(jax.random.key(0), 16))
    assert timestep.truncated.all()
    assert_array_equal(timestep.final_legal_actions[:, 0], cue % 2 == 0)
    assert_array_equal(timestep.legal_actions, legal)


class Never(Masked):
    def legal_actions(self, state, params):
        return jnp.full(2, state.time < 1)


class Three(Masked):
    def legal_actions(self, state, params):
        return jnp.ones(3, bool)


class Broken(Masked):
    def legal_actions(self, state, params):
        return state.nothing


class Told(World):
    """Only `info` says what is legal, which at the start of an episode nobody has."""

    def step_env(self, key, state, action, params):
        *outputs, info = super().step_env(key, state, action, params)
        return *outputs, info | {"legal_actions": jnp.ones(2, bool)}


MASKS = {
    Told: r"Told.*give the environment a method legal_actions\(state, params\)",
    Never: "Never.*must allow an action in every state",
    Three: r"Three.*must be bool \[2\].*got \[3\]",
    Broken: "Broken.*legal_actions failed",
}


@pytest.mark.parametrize("world", MASKS, ids=lambda world: world.__name__)
def test_masks_that_cannot_be_are_refused_by_name(world):
    with pytest.raises(InputError, match=MASKS[world]):
        jaxq.envs.from_gymnax(world(), name=world.__name__)


def test_masks_of_tables_are_checked():
    P = np.ones((2, 2, 2)) / 2  # noqa: N806
    arguments = {"rewards": np.zeros((2, 2)), "initial": 0}
    for legal, message in (
        (np.ones((2, 3), bool), r"must have shape \[2, 2\]"),
        (np.ones((2, 2)), "must be true or false"),
        (np.array([[True, True], [False, False]]), "got none in state 1"),
    ):
        with pytest.raises(InputError, match=message):
            jaxq.envs.from_table(P, legal_actions=legal, **arguments)


def test_grid_worlds_may_allow_moves_that_lead_somewhere_only():
    env = jaxq.envs.from_map(["S.#", "..G"], legal_moves_only=True)
    # Of the start: right and down; of the wall, where nobody is, what leads out of it.
    assert env.legal[0].tolist() == [False, True, True, False]
    assert env.legal.any(axis=1).all()
    free = jaxq.envs.from_map(["S.#", "..G"])
    assert free.legal is None
    assert_allclose(
        jaxq.value_iteration(env, 0.9)[0].max(), jaxq.value_iteration(free, 0.9)[0].max(), atol=1e-5
    )


def test_environments_without_masks_carry_none(cartpole, small):
    trainer = jaxq.Trainer(cartpole, jaxq.dqn(**small()))
    assert trainer.template.memory.ring.legal_actions == ()
    program = str(jax.make_jaxpr(trainer.loop.run)(trainer.template, jnp.int32(1)))
    assert "-1.0000000150474662e+30" not in program
    assert "1e+30" not in program
