"""What theory and the textbook say of tables, seen in training."""

import gymnasium
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxq

pytestmark = [pytest.mark.learning, pytest.mark.optimized]

RANDOM = {"epsilon_start": 1.0, "epsilon_end": 1.0}  # every pair is visited for ever


def train(env, recipe, agents, *steps):
    """Train a population, and return it with its tables `[N, S, A]` after each number of steps."""
    population = jaxq.Population(jaxq.Trainer(env, recipe), agents)
    state, before, tables = population.init(jax.random.key(0)), 0, []
    for number in steps:
        state, metrics = population.run(state, number - before)
        tables.append(np.asarray(state.learner.q.mean(axis=1)))
        before = number
    return population, state, metrics, tables


def errors(tables, env, discount):
    """The max-norm distance of each table from the optimal values, `[N]`.

    Over the states that an episode can begin in; terminal ones are never acted in.
    """
    begun = np.asarray(env.initial) > 0
    return np.abs(tables - jaxq.value_iteration(env, discount))[:, begun].max(axis=(1, 2))


def toy(name, **keywords):
    """A table of gymnasium's, begun in every state, which a short limit makes all of them visited."""
    return jaxq.envs.from_table(gymnasium.make(name).unwrapped.P, max_steps=10, **keywords)


@pytest.mark.parametrize(
    ("env", "largest"),
    [
        # Values up to 1; 0 to -100; about -5 to 5.
        (toy("FrozenLake-v1"), 0.05),
        (toy("CliffWalking-v1"), 1.0),
        (jaxq.envs.random_mdp(seed=1), 0.15),
    ],
    ids=["FrozenLake", "CliffWalking", "random MDP"],
)
def test_the_table_converges_in_max_norm_as_steps_grow(env, largest):
    """With step sizes of visits^-0.6 the error that chance leaves falls about as steps^-0.3."""
    recipe = jaxq.q_learning(discount=0.9, visit_exponent=0.6, **RANDOM)
    *_, tables = train(env, recipe, 8, 20_000, 80_000, 320_000)
    error = [np.median(errors(table, env, 0.9)) for table in tables]
    assert error[2] < largest
    assert error[2] < error[1] < error[0]
    # 16^-0.3 = 0.44, and less where the table's beginning was still being forgotten.
    assert error[2] < 0.65 * error[0]


def test_a_constant_step_size_stays_in_a_neighbourhood():
    env = toy("FrozenLake-v1")
    constant = jaxq.q_learning(discount=0.9, learning_rate=0.3, visit_exponent=0.0, **RANDOM)
    *_, tables = train(env, constant, 8, 50_000, 200_000)
    early, late = (np.median(errors(table, env, 0.9)) for table in tables)
    assert late > 0.5 * early
    assert late > 0.1


@pytest.mark.parametrize("make", [jaxq.q_learning, jaxq.dyna_q, jaxq.double_q_learning])
def test_without_chance_a_full_step_is_exact(make):
    env = toy("CliffWalking-v1")
    recipe = make(discount=0.9, learning_rate=1.0, visit_exponent=0.0, **RANDOM)
    _, _, _, (tables,) = train(env, recipe, 4, 150_000)
    assert errors(tables, env, 0.9).max() < 1e-3


@pytest.mark.parametrize("make", [jaxq.sarsa, jaxq.expected_sarsa])
def test_on_policy_tables_come_to_the_value_of_the_behaviour(make):
    env = jaxq.envs.random_mdp(seed=2, max_steps=10)
    uniform = np.full((env.num_states, env.num_actions), 1 / env.num_actions)
    expected = jaxq.policy_evaluation(env, uniform, 0.8)
    _, _, _, (tables,) = train(env, make(discount=0.8, visit_exponent=0.7, **RANDOM), 8, 300_000)
    assert np.median(np.abs(tables - expected).max(axis=(1, 2))) < 0.1
    # And that is far from the optimal values.
    assert np.abs(expected - jaxq.value_iteration(env, 0.8)).max() > 1


def test_q_lambda_comes_to_the_optimal_values():
    env = toy("FrozenLake-v1")
    recipe = jaxq.q_lambda(discount=0.9, learning_rate=0.5, visit_exponent=0.6, **RANDOM)
    _, _, _, (tables,) = train(env, recipe, 8, 300_000)
    assert np.median(errors(tables, env, 0.9)) < 0.1


CLIFF = {"discount": 1.0, "visit_exponent": 0.0, "epsilon_start": 0.1, "epsilon_end": 0.1}


def test_sarsa_takes_the_safe_path_and_q_learning_the_short_one():
    """Sutton and Barto, 2018, example 6.6: the better path while exploring is the longer one."""
    env = jaxq.envs.make("CliffWalking-v1")
    returns, online = {}, {}
    for name, rate in ("q_learning", 0.5), ("sarsa", 0.1), ("expected_sarsa", 0.5):
        recipe = getattr(jaxq, name)(learning_rate=rate, **CLIFF)
        population, state, metrics, _ = train(env, recipe, 16, 20_000, 40_000)
        returns[name] = population.evaluate(state, jax.random.key(1), 1, max_steps=500)
        online[name] = float(metrics.episode_return.mean())
    assert (returns["q_learning"] == -13).all()
    for name in ("sarsa", "expected_sarsa"):
        assert np.median(returns[name]) <= -15
        assert online[name] > -25
    assert online["q_learning"] < -40


def test_double_q_learning_is_less_tempted_by_noise():
    """Sutton and Barto, 2018, example 6.7: a maximum over noise is no estimate of a maximum."""
    env = jaxq.envs.maximization_bias()
    recipe = {**CLIFF, "learning_rate": 0.1}
    left, value = {}, {}
    for make in jaxq.q_learning, jaxq.double_q_learning:
        _, _, metrics, (tables,) = train(env, make(**recipe), 512, 300)
        left[make] = float(metrics.episode_length.mean()) - 1  # an episode that goes left is longer
        value[make] = float(tables[:, 0, 1::2].max(axis=1).mean())
    assert value[jaxq.q_learning] > 0.02  # the truth is -0.1
    assert value[jaxq.double_q_learning] < 0.01
    assert left[jaxq.q_learning] > 2 * left[jaxq.double_q_learning]


def test_dyna_learns_from_fewer_steps():
    env = jaxq.envs.make("Cliff-grid")
    short = {}
    for make in jaxq.q_learning, jaxq.dyna_q:
        recipe = make(learning_rate=1.0, visit_exponent=0.0, epsilon_start=0.1, epsilon_end=0.1)
        population, state, *_ = train(env, recipe, 16, 700)
        returns = population.evaluate(state, jax.random.key(1), 1, max_steps=300)
        short[make] = int((np.asarray(returns) == -13).sum())
    assert short[jaxq.dyna_q] >= 14
    assert short[jaxq.dyna_q] > short[jaxq.q_learning]


def test_optimism_finds_what_random_actions_do_not():
    """The treasure of DeepSea takes 20 right actions in a row: one random episode in a million."""
    env = jaxq.envs.make("DeepSea-bsuite", size=20)
    solved = {}
    for initial_value, epsilon in (1.0, 0.0), (0.0, 0.1):
        recipe = jaxq.q_learning(
            initial_value=initial_value,
            learning_rate=1.0,
            visit_exponent=0.0,
            epsilon_start=epsilon,
            epsilon_end=epsilon,
        )
        population, state, *_ = train(env, recipe, 8, 20_000)
        returns = np.asarray(population.evaluate(state, jax.random.key(1), 1))
        solved[initial_value] = int((returns > 0.9).sum())
    assert solved == {1.0: 8, 0.0: 0}


@pytest.mark.parametrize(
    ("id", "steps"), [("Catch-bsuite", 60_000), ("FrozenLake-misc", 200_000), ("WindyGrid-grid", 60_000)]
)
def test_tables_work_on_what_can_be_numbered(id, steps):
    env = jaxq.envs.make(id)
    recipe = jaxq.q_learning(epsilon_steps=steps, discount=0.99)
    population, state, *_ = train(env, recipe, 8, steps)
    returns = np.asarray(population.evaluate(state, jax.random.key(1), 64)).mean(axis=1)
    # All balls caught; about 0.74 by the best policy within 100 steps; 15 steps to the goal.
    least = {"Catch-bsuite": 0.95, "FrozenLake-misc": 0.6, "WindyGrid-grid": -17}[id]
    assert np.median(returns) >= least


@pytest.mark.parametrize("exploration", ["boltzmann", "ucb"])
def test_other_explorations_solve_the_lake_too(exploration):
    env = jaxq.envs.make("FrozenLake-v1")
    leaves = {
        "boltzmann": {"temperature_start": 0.1, "temperature_end": 0.01},
        "ucb": {"ucb_coefficient": 0.5},
    }
    recipe = jaxq.q_learning(
        exploration=exploration, epsilon_start=0.0, epsilon_end=0.0, **leaves[exploration]
    )
    population, state, *_ = train(env, recipe, 8, 200_000)
    returns = np.asarray(population.evaluate(state, jax.random.key(1), 64)).mean(axis=1)
    assert np.median(returns) >= 0.6


def test_a_sweep_over_tables_is_one_compilation():
    env = jaxq.envs.make("FrozenLake-v1")
    trainer = jaxq.Trainer(env, jaxq.q_learning())
    hparams = jaxq.grid(trainer.hparams, visit_exponent=[0.0, 0.6, 1.0], initial_value=[0.0, 1.0])
    population = jaxq.Population(trainer, 6)
    state, _ = population.run(population.init(jax.random.key(0), hparams), 1_000)
    assert len({leaf.tobytes() for leaf in np.asarray(state.learner.q)}) == 6
    assert jnp.isfinite(state.learner.q).all()
