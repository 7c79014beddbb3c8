"""Learning within budgets, held against linear programming."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import jaxq
from jaxq import cli
from jaxq.checks import InputError
from jaxq.learning import Bootstrap, PricedValue, multiplier_step, priced_target

LAYERS, WIDTH, ACTIONS = 3, 2, 3
SHARES = (0.55, 0.7, 0.85, 1.0)  # of what the best policy without a budget costs


def layered(seed):
    """Three steps through layers of two states each; what pays more tends to cost more."""
    rng = np.random.default_rng(seed)
    end = LAYERS * WIDTH
    reward = rng.uniform(size=(end + 1, ACTIONS))
    cost = reward * rng.uniform(0, 2, reward.shape)
    table = {end: {a: [(1.0, end, 0.0, True)] for a in range(ACTIONS)}}
    for s in range(end):
        first = (s // WIDTH + 1) * WIDTH
        after = rng.dirichlet(np.ones(WIDTH), ACTIONS)
        table[s] = {
            a: [(after[a, i], first + i, reward[s, a], False) for i in range(WIDTH)]
            if first < end
            else [(1.0, end, reward[s, a], True)]
            for a in range(ACTIONS)
        }
    spare = np.ones_like(cost)
    return jaxq.envs.from_table(table, initial=0, costs={"spare": spare, "wear": cost}, name="layered")


def exact(env, budget):
    # Budgets are undiscounted, and episodes end.
    return jaxq.constrained_value_iteration(env, budgets={"wear": budget}, discount=1 - 1e-7)


def budgets_of(env):
    return [share * exact(env, 100.0).costs["wear"] for share in SHARES]


def front(env, recipe, steps):
    """Mean return, cost and price of the second half of training, for each budget, in one program."""
    trainer = jaxq.Trainer(env, recipe)
    budgets = budgets_of(env)
    population = jaxq.Population(trainer, size=len(budgets))
    state = population.init(jax.random.key(0), jaxq.grid(trainer.hparams, budget_wear=budgets))
    state, _ = population.run(state, steps)
    state, metrics = population.run(state, steps)
    assert (state.learner.multipliers >= 0).all()
    wear = env.cost_names.index("wear")
    return np.asarray(metrics.episode_return), np.asarray(metrics.episode_cost[:, wear])


def check_front(env, returns, costs):
    """Within 2% of the best within the budgets, which are met within 2%; who may spend more has more."""
    budgets = budgets_of(env)
    best = [exact(env, budget).value for budget in budgets]
    assert_allclose(returns, best, rtol=0.02)
    assert (costs <= np.array(budgets) * 1.02).all()
    assert (np.diff(returns) > 0).all()
    assert (np.diff(costs) > 0).all()


GREEDY_IN_THE_END = {"discount": 1.0, "epsilon_end": 0.0, "epsilon_steps": 8_000}
SLOW_PRICES = {"budgets": {"wear": 1.0}, "multiplier_learning_rate": 3e-3}


@pytest.mark.learning
@pytest.mark.optimized
@pytest.mark.parametrize("seed", range(3))
def test_tables_come_to_the_front_of_linear_programming(seed):
    env = layered(seed)
    recipe = jaxq.constrained_q_learning(
        num_envs=4, learning_rate=0.1, visit_exponent=0.0, **GREEDY_IN_THE_END, **SLOW_PRICES
    )
    check_front(env, *front(env, recipe, 20_000))


NETWORK = {
    **{"hidden_sizes": (32,), "num_envs": 8, "batch_size": 64, "buffer_size": 8_000},
    **{"learning_starts": 400, "train_interval": 8, "learning_rate": 2e-3},
}


@pytest.mark.learning
@pytest.mark.optimized
@pytest.mark.parametrize("keywords", [{}, {"double": True, "dueling": True, "n_step": 2}])
def test_networks_come_to_the_front_of_linear_programming(keywords):
    env = layered(0)
    recipe = jaxq.constrained_dqn(**NETWORK, **GREEDY_IN_THE_END, **SLOW_PRICES, **keywords)
    check_front(env, *front(env, recipe, 20_000))


def test_prices_rise_while_episodes_cost_more_than_the_budget():
    """With one step for every episode: exactly by the rate times what was overspent, down to zero."""
    table = {0: {a: [(1.0, 0, float(a), True)] for a in range(2)}}
    env = jaxq.envs.from_table(table, initial=0, costs={"wear": [[0.0, 2.0]]})
    for recipe, rate in ((jaxq.constrained_q_learning, 0.5), (jaxq.constrained_dqn, 0.25)):
        keywords = {} if recipe is jaxq.constrained_q_learning else {**SMALL, **REPLAY}
        keywords = {**keywords, "epsilon_end": 1.0, "num_envs": 4}
        trainer = jaxq.Trainer(
            env, recipe(budgets={"wear": 0.5}, multiplier_learning_rate=rate, **keywords)
        )
        state = trainer.init(jax.random.key(0))
        price = 0.0
        for _ in range(5):
            state, metrics = trainer.run(state, 4)
            overspent = metrics.episodes * (metrics.episode_cost[0] - 0.5)
            price = max(price + rate * overspent, 0.0)
            assert_allclose(state.learner.multipliers, [price], rtol=1e-6)


SMALL = {"hidden_sizes": (16,), "num_envs": 4, "batch_size": 16}
REPLAY = {"buffer_size": 400, "learning_starts": 80, "train_interval": 4}
MIXES = {
    "n-step, prioritized, dueling": {"n_step": 3, "prioritized": True, "dueling": True},
    "munchausen, noisy": {"munchausen": True, "noisy": True},
    "recurrent": {"recurrent_size": 8, "sequence_length": 6, "burn_in": 2, "n_step": 2},
    "ensemble, ucb, conservative": {"exploration": "ucb", "ensemble_size": 3, "conservative": True},
}


@pytest.mark.parametrize("mix", MIXES)
def test_budgets_compose_with_the_other_components(mix):
    recipe = jaxq.dqn(budgets={"wear": 0.1, "spare": 9.0}, **SMALL, **REPLAY, **MIXES[mix])
    trainer = jaxq.Trainer(layered(0), recipe)
    state, metrics = trainer.run(trainer.init(jax.random.key(0)), 200)
    assert np.isfinite(metrics.loss)
    assert metrics.loss > 0
    # Of the two only one binds: an episode has three steps, each of which costs one to spare.
    assert state.learner.multipliers[0] > 0
    assert state.learner.multipliers[1] == 0
    assert trainer.q_values(state, jnp.arange(4)).shape == (4, ACTIONS)


def test_what_is_cheap_but_illegal_is_never_done():
    """Action 0 is legal and costs; action 1 pays more and costs nothing, and is not legal."""
    table = {0: {a: [(0.5, 0, float(a), False), (0.5, 0, float(a), True)] for a in range(2)}}
    env = jaxq.envs.from_table(
        table, initial=0, costs={"wear": [[1.0, 0.0]]}, legal_actions=np.array([[True, False]])
    )
    for recipe in (
        jaxq.constrained_q_learning(budgets={"wear": 0.0}, initial_value=9.0),
        jaxq.constrained_dqn(budgets={"wear": 0.0}, **SMALL, **REPLAY),
    ):
        trainer = jaxq.Trainer(env, recipe)
        state, _ = trainer.run(trainer.init(jax.random.key(0)), 200)
        assert state.actors.max_abs_reward.max() == 0
        assert state.learner.multipliers[0] > 0


def test_targets_of_reward_and_costs_by_hand():
    """Both bootstrap from the second action; a bonus and a shift belong to the reward alone."""
    values_t = jnp.array([[1.0, 5.0], [2.0, 4.0]])
    bootstrap = Bootstrap(jnp.array([0.0, 1.0]), jnp.array([0.0, 10.0]), jnp.float32(100.0))
    target = priced_target(jnp.array([3.0, 7.0]), jnp.float32(0.5), bootstrap, values_t)
    assert_allclose(target, [3 + 100 + 0.5 * (2 + 10), 7 + 0.5 * 4])
    value = PricedValue("squared", jnp.array([2.0]))
    assert_allclose(value.q(values_t), [1 - 2 * 5, 2 - 2 * 4])
    loss = value.loss(values_t, jnp.int32(1), jnp.array([3.0, 7.0]))
    assert_allclose(loss.loss, (1 + 9) / 2)
    assert_allclose([loss.td_error, loss.priority], [1 - 2 * 3, 1 + 2 * 3])
    step = multiplier_step(jnp.array([1.0]), jnp.array([6.0]), 2.0, jnp.array([5.0]), 0.1)
    assert_allclose(step, [1 + 0.1 * (6 - 10)])


def test_without_budgets_constrained_recipes_are_the_plain_ones(cartpole, small):
    states = []
    for recipe in (jaxq.dqn, jaxq.constrained_dqn):
        trainer = jaxq.Trainer(cartpole, recipe(**small()))
        states.append(trainer.run(trainer.init(jax.random.key(0)), 60)[0].learner)
    jax.tree.map(assert_array_equal, *states)
    assert states[0].multipliers == ()
    assert "multiplier_learning_rate" not in jaxq.constrained_q_learning().hparams


REFUSED = {
    "no cost of the name": (
        lambda: jaxq.Trainer(layered(0), jaxq.constrained_dqn(budgets={"waer": 1.0})),
        "layered has no cost 'waer'; did you mean wear",
    ),
    "no cost of the name, table": (
        lambda: jaxq.Trainer(layered(0), jaxq.constrained_q_learning(budgets={"waer": 1.0})),
        "layered has no cost 'waer'; did you mean wear",
    ),
    "no costs at all": (
        lambda: jaxq.Trainer(jaxq.envs.make("CartPole-v1"), jaxq.constrained_dqn(budgets={"wear": 1.0})),
        "CartPole-v1 has no cost 'wear'; it declares none",
    ),
    "no dictionary": (lambda: jaxq.constrained_dqn(budgets=1.0), "must be a dictionary by names"),
    "no number": (lambda: jaxq.constrained_dqn(budgets={"wear": "low"}), r"budgets\['wear'\] must be"),
    "not finite": (
        lambda: jaxq.constrained_q_learning(budgets={"wear": np.inf}),
        r"budgets\['wear'\] must be a finite",
    ),
    "distribution": (lambda: jaxq.c51(budgets={"wear": 1.0}), "value must be 'scalar', got Categorical"),
    "rescaled": (lambda: jaxq.r2d2(budgets={"wear": 1.0}), "value must be 'scalar', got Rescaled"),
    "window": (lambda: jaxq.pqn(budgets={"wear": 1.0}), "lambda-returns over a window"),
    "traces": (lambda: jaxq.q_lambda(budgets={"wear": 1.0}), "learns? from each real step"),
    "two tables": (
        lambda: jaxq.double_q_learning(budgets={"wear": 1.0}),
        "leave out double, traces, planning_steps",
    ),
    "leaf": (
        lambda: jaxq.constrained_dqn(budgets={"wear": 1.0}, multiplier_learning_rate=-1.0),
        "multiplier_learning_rate must be",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_does_not_go_with_budgets_is_refused_in_one_line(case):
    call, message = REFUSED[case]
    with pytest.raises(InputError, match=message) as caught:
        call()
    assert "\n" not in str(caught.value)


def test_budgets_are_swept_in_one_program(tmp_path):
    words = ["train", "Incident-table", "--algorithm", "constrained_q_learning", "--agents", "4"]
    words += ["--steps", "40", "--set", "budgets={'availability':1.0}", "--out", str(tmp_path / "run")]
    assert cli.main([*words, "--sweep", "budget_availability=1,2"]) == 0
    config = json.loads((tmp_path / "run" / "config.json").read_text())
    assert config["sweep"] == {"budget_availability": [1, 2]}
