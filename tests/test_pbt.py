import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import jaxq

SIZE = 8


@pytest.fixture(scope="module")
def population(cartpole, small):
    return jaxq.Population(jaxq.Trainer(cartpole, jaxq.dqn(**small())), SIZE)


@pytest.fixture(scope="module")
def state(population):
    hparams = jaxq.grid(population.trainer.hparams, learning_rate=np.geomspace(1e-4, 1e-2, SIZE))
    return population.run(population.init(jax.random.key(0), hparams), 100)[0]


SCORES = jnp.array([3.0, jnp.nan, 7.0, 5.0, 6.0, 8.0, 4.0, 1.0])
WORST, BEST = [1, 7], [2, 5]


def weights(state):
    return np.asarray(jax.tree.leaves(state.learner.params)[0])


def test_the_worst_take_over_from_the_best_and_the_others_go_on(state):
    after = jaxq.pbt(jax.random.key(0), state, SCORES, vary=["learning_rate"])
    before, new = weights(state), weights(after)
    for agent in set(range(SIZE)) - set(WORST):
        assert_array_equal(new[agent], before[agent])
        assert after.hparams.learning_rate[agent] == state.hparams.learning_rate[agent]
    for agent in WORST:
        (donor,) = [best for best in BEST if (new[agent] == before[best]).all()]
        ratio = after.hparams.learning_rate[agent] / state.hparams.learning_rate[donor]
        assert min(abs(ratio - 1.25), abs(ratio - 0.8)) < 1e-6
        assert after.hparams.discount[agent] == state.hparams.discount[donor]
    # What an agent lives through stays its own.
    assert (jax.random.key_data(after.key) == jax.random.key_data(state.key)).all()
    for part in ("actors", "memory", "env_params", "steps"):
        jax.tree.map(assert_array_equal, getattr(after, part), getattr(state, part))


def test_all_of_the_best_are_chosen_and_both_directions_taken(state):
    taken, ratios = set(), set()
    for seed in range(20):
        after = jaxq.pbt(jax.random.key(seed), state, SCORES, vary=["discount"], factor=2)
        for agent in WORST:
            taken |= {best for best in BEST if (weights(after)[agent] == weights(state)[best]).all()}
            horizon = 1 / (1 - np.float64(after.hparams.discount[agent]))
            ratios.add(round(horizon / 100, 1))
    assert taken == set(BEST)
    assert ratios == {0.5, 2.0}


def test_leaves_stay_in_their_range(state):
    after = state
    for seed in range(30):
        after = jaxq.pbt(jax.random.key(seed), after, SCORES, vary=["target_rate"], factor=10)
        assert_array_equal(after.hparams.target_rate <= 1, np.ones(SIZE, bool))


def test_the_population_trains_on_without_another_trace(population, state):
    after = jaxq.pbt(jax.random.key(0), state, SCORES, vary=["learning_rate"])
    for leaf, was in zip(jax.tree.leaves(after), jax.tree.leaves(state), strict=True):
        assert leaf.sharding == was.sharding
    trained, metrics = population.run(after, 40)
    assert_allclose(trained.hparams.learning_rate, after.hparams.learning_rate)
    assert jnp.isfinite(metrics.loss).all()


@pytest.mark.parametrize(
    ("keywords", "error", "message"),
    [
        ({"vary": ["batch_size"]}, TypeError, "These may vary"),
        ({"scores": np.ones(3)}, ValueError, r"shape \(8,\), got \(3,\)"),
        ({"fraction": 0.6}, ValueError, "fraction must be"),
        ({"factor": 1.0}, ValueError, "factor must be"),
        ({"key": 0}, TypeError, "PRNG key"),
    ],
)
def test_what_is_refused(state, keywords, error, message):
    arguments = {"key": jax.random.key(0), "scores": SCORES, "vary": ["learning_rate"]} | keywords
    key, scores = arguments.pop("key"), arguments.pop("scores")
    with pytest.raises(error, match=message):
        jaxq.pbt(key, state, scores, **arguments)


def test_one_agent_has_nobody_to_learn_from(population, cartpole, small):
    trainer = jaxq.Trainer(cartpole, jaxq.dqn(**small()))
    with pytest.raises(ValueError, match="two agents"):
        jaxq.pbt(jax.random.key(0), trainer.init(jax.random.key(0)), [1.0], vary=[])


@pytest.mark.parametrize(
    ("recipe", "own", "taken"),
    [
        (jaxq.sarsa(num_envs=2), "waiting", "q"),
        (jaxq.q_lambda(num_envs=2), "traces", "visits"),
        (jaxq.dyna_q(planning_steps=2, num_envs=2), "waiting", "model"),
    ],
    ids=["sarsa", "q_lambda", "dyna_q"],
)
def test_of_a_table_only_what_was_learned_is_taken_over(recipe, own, taken):
    """A donor's last step would be followed by this agent's action, in this agent's episode."""
    template = jaxq.Trainer(jaxq.envs.make("FrozenLake-misc"), recipe).template
    numbers = np.random.default_rng(0)

    def four(leaf):
        return jnp.asarray(numbers.integers(0, 100, (4, *leaf.shape)), leaf.dtype)

    learner = jax.tree.map(four, template.learner)
    before = template._replace(
        learner=learner,
        hparams=jax.tree.map(four, template.hparams),
        actors=jax.tree.map(four, template.actors._replace(carry=(), env_state=())),
        key=jax.random.split(jax.random.key(0), 4),
        env_params=(),
    )
    after = jaxq.pbt(jax.random.key(0), before, [0.0, 3.0, 1.0, 2.0], vary=[])
    source = jnp.array([1, 1, 2, 3])
    donated = jax.tree.map(lambda leaf: leaf[source], getattr(learner, taken))
    jax.tree.map(assert_array_equal, getattr(after.learner, taken), donated)
    jax.tree.map(assert_array_equal, getattr(after.learner, own), getattr(learner, own))
