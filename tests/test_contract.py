"""What every recipe promises, whatever it learns and however.

Most are held to it in a world where half of the actions are illegal, and pay best.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from worlds import chain

import jaxq
from jaxq.agents import ALGORITHMS, TABULAR

# Every recipe joins the contract by being in ALGORITHMS; what keeps its test small stands here.
CASES = {
    **{name: (name, {}) for name in ALGORITHMS},
    "dqn, 3 environments, a step per 2": ("dqn", {"num_envs": 3, "train_interval": 2}),
    "dqn, a mix": ("dqn", {"dueling": True, "prioritized": True, "n_step": 3, "value": "quantile"}),
    "dqn, boltzmann": ("dqn", {"exploration": "boltzmann"}),
    "dqn, ucb": ("dqn", {"exploration": "ucb", "count_bits": 6}),
    "recurrent ensemble": ("r2d2", {"exploration": "ensemble", "ensemble_size": 3}),
    "ensemble with UCB": ("bootstrapped_dqn", {"exploration": "ucb", "ensemble_size": 3}),
    "q_learning, boltzmann": ("q_learning", {"exploration": "boltzmann"}),
    "q_learning, ucb": ("q_learning", {"exploration": "ucb"}),
    "sarsa, boltzmann, 3 environments": ("sarsa", {"exploration": "boltzmann", "num_envs": 3}),
    "double expected Sarsa": ("expected_sarsa", {"double": True, "epsilon_schedule": "exponential"}),
}
# In worlds without masks, of numbers and of states.
UNMASKED = {
    **dict.fromkeys(["dqn, 3 environments, a step per 2", "dqn, a mix"], "CartPole-v1"),
    **dict.fromkeys(["sarsa, boltzmann, 3 environments", "double expected Sarsa"], "FrozenLake-misc"),
}
# Compiled once more for one agent alone: one of each kind.
LOOPED = ["dqn", "rainbow", "iqn", "pqn", "r2d2", "bootstrapped_dqn", "constrained_dqn", "q_learning"]
SMALL = {
    "pqn": {"buffer_size": 40, "batch_size": 20, "train_interval": 10, "learning_starts": 0}
    | {"target_interval": None},
    "r2d2": {"sequence_length": 4, "burn_in": 2, "batch_size": 4, "prioritized": True}
    | {"recurrent_size": 8},
    "bootstrapped_dqn": {"ensemble_size": 3},
    "c51": {"num_atoms": 7},
    "rainbow": {"num_atoms": 7},
    "qr_dqn": {"num_quantiles": 5},
    "iqn": {"num_quantiles": 5},
    "dyna_q": {"planning_steps": 2},
}


def host(leaf):
    """Bring a leaf to the host, whole, whichever devices its parts are on."""
    typed = jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)
    return np.asarray(jax.random.key_data(leaf) if typed else leaf)


def same(left, right):
    """Check two pytrees for equality to the last bit."""
    jax.tree.map(assert_array_equal, jax.tree.map(host, left), jax.tree.map(host, right))


def agent(outputs, i):
    """Take one agent's part out of what a population gives."""
    return jax.tree.map(lambda leaf: host(leaf)[i], outputs)


@pytest.fixture(scope="module", params=CASES)
def trainer(request, small):
    name, keywords = CASES[request.param]
    masked = request.param not in UNMASKED
    env = chain() if masked else jaxq.envs.make(UNMASKED[request.param])
    recipe = ALGORITHMS[name]
    if masked:
        # Half of the actions are random, and an untried one looks best.
        keywords = {"epsilon_start": 0.5, "epsilon_end": 0.5, **keywords}
        keywords |= {"initial_value": 30.0} if "initial_value" in recipe().hparams else {}
    sizes = {} if name in TABULAR else small(**SMALL.get(name, {}))
    return jaxq.Trainer(env, recipe(**sizes | keywords))


@pytest.fixture(scope="module")
def population(trainer):
    return jaxq.Population(trainer, size=5)


@pytest.fixture(scope="module")
def trained(population):
    return population.run(population.init(jax.random.key(3)), 400)


def test_the_same_key_gives_the_same_agent(population, trained):
    same(trained, population.run(population.init(jax.random.key(3)), 400))
    other = population.init(jax.random.key(4))
    assert not np.array_equal(other.key, trained[0].key)


def test_training_lowers_for_accelerators(population):
    """What only a CPU can do is found here, without an accelerator."""
    training = jax.jit(population.run, static_argnums=1).trace(population.template, 400)
    program = training.lower(lowering_platforms=("tpu", "cuda")).as_text()
    assert "stablehlo.while" in program
    assert "callback" not in program


def test_settings_of_the_program_around_it_change_nothing(population, trained):
    """Neither types of 64 bits, which draw other numbers, nor strict promotion."""
    with jax.enable_x64(True), jax.numpy_dtype_promotion("strict"):
        found = population.run(population.init(jax.random.key(3)), 400)
        returns = population.evaluate(found[0], jax.random.key(1), num_episodes=6)
    same(trained, found)
    same(returns, population.evaluate(trained[0], jax.random.key(1), num_episodes=6))


def test_seeds_train_different_agents(trainer, trained):
    state, _ = trained
    tabular = trainer.algorithm.name in TABULAR
    learned = state.learner.visits if tabular else state.learner.params
    for leaf in jax.tree.leaves(learned):
        if leaf.ndim > 2 and leaf.any():
            assert len({host(leaf)[i].tobytes() for i in range(5)}) == 5


def test_a_run_in_pieces_is_the_same_run(trainer, population):
    start = population.init(jax.random.key(0))
    whole, _ = population.run(start, 30 * trainer.iteration_steps)
    pieces = start
    for length in (1, 19, 10):
        pieces, _ = population.run(pieces, length * trainer.iteration_steps)
    same(whole, pieces)


@pytest.mark.parametrize("trainer", LOOPED, indirect=True)
def test_vmap_equals_a_loop(trainer, population):
    """A population is vmapped over chunks; each of its agents is what a trainer makes alone."""
    keys = jax.random.split(jax.random.key(3), 5)
    together, _ = population.run(population.init(keys), 40)
    for i in (0, 4):
        single, _ = trainer.run(trainer.init(keys[i]), 40)
        jax.tree.map(
            lambda a, b, i=i: assert_allclose(host(a)[i], b, atol=1e-3),
            together.learner,
            single.learner,
        )


def test_a_second_run_traces_nothing(population, trainer, trained, monkeypatch):
    def fail(*_):
        raise AssertionError("traced again")

    state, _ = trained
    monkeypatch.setattr(trainer.loop, "_iterate", fail)
    population.run(state, 400)
    population.run(state, 160)


def test_an_agent_is_bit_identical_whatever_its_population(trainer, population, trained):
    trained = _without_steps(trained)
    keys = jax.random.split(jax.random.key(3), 5)
    alone = jaxq.Population(trainer, size=1, chunk=population.chunk)
    for i in (0, 4):
        single = alone.run(alone.init(keys[i : i + 1]), 400)
        same(agent(trained, i), agent(_without_steps(single), 0))
    backwards = _without_steps(population.run(population.init(keys[::-1]), 400))
    for i in range(5):
        same(agent(trained, i), agent(backwards, 4 - i))


def _without_steps(outputs):
    """Leave out the clock, which all agents share."""
    state, metrics = outputs
    return state._replace(steps=None), metrics


def test_nothing_leaks_between_agents(population, trainer, trained):
    """An agent that breaks, its learning rate absurd, leaves the others as they were."""
    state, _ = trained
    rates = jnp.full(5, trainer.hparams.learning_rate).at[2].set(1e30)
    broken, _ = population.run(
        population.init(jax.random.key(3), trainer.hparams.replace(learning_rate=rates)), 400
    )
    for i in (0, 1, 3, 4):
        same(*(agent(part._replace(hparams=None, steps=None), i) for part in (state, broken)))


def test_metrics_are_finite_and_per_agent(trained):
    _state, metrics = trained
    for name, leaf in metrics._asdict().items():
        assert leaf.shape == (5,), name
        assert leaf.dtype == np.float32, name
        assert np.isfinite(leaf).all(), name
    assert (metrics.episodes > 0).all()


@pytest.mark.parametrize("trainer", [case for case in CASES if case not in UNMASKED], indirect=True)
def test_no_illegal_action_is_taken(population, trained):
    state, _ = trained
    # What is illegal pays 10.
    assert state.actors.max_abs_reward.max() <= 1
    returns = population.evaluate(state, jax.random.key(1), num_episodes=6)
    assert ((returns == 0) | (returns == 1)).all()


def test_evaluation_plays_whole_episodes(population, trained):
    state, _ = trained
    returns = population.evaluate(state, jax.random.key(1), num_episodes=6)
    assert returns.shape == (5, 6)
    assert np.isfinite(returns).all()
    again = population.evaluate(state, jax.random.key(1), num_episodes=6)
    assert_array_equal(returns, again)


def test_num_steps_is_rounded_up_to_whole_iterations(trainer, population):
    state = population.init(jax.random.key(0))
    assert state.steps == trainer.warmup_steps
    for num_steps in (1, trainer.iteration_steps, trainer.iteration_steps + 1):
        after, _ = population.run(state, num_steps)
        advanced = int(after.steps - state.steps)
        assert num_steps <= advanced < num_steps + trainer.iteration_steps
