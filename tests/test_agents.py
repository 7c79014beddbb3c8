"""Agents and components of a user's own are treated like built-in ones."""

import dataclasses
from typing import ClassVar

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose
from test_contract import same

import jaxq
from jaxq.agents.exploration import EpsilonGreedy
from jaxq.checks import InputError
from jaxq.learning import greedy_bootstrap


class Counting(jaxq.Agent):
    """Learns nothing but how often it was asked, at a rate that is a leaf."""

    name, num_envs, iteration_steps = "counting", 3, 6
    hparams = jaxq.Hparams.of(rate=jaxq.Hyperparameter(1.0, low=0, high=10))

    def init(self, key, hparams):
        return {"count": jnp.float32(0)}, ()

    def act(self, key, learner, hparams, inputs):
        return jaxq.PolicyOutput(jax.random.randint(key, (3,), 0, 2))

    def policy(self, learner, inputs):
        return jaxq.PolicyOutput(jnp.zeros(inputs.first.shape, jnp.int32))

    def learn(self, key, learner, replay, hparams, newest, steps):
        assert newest.reward.shape == (2, 3)
        count = learner["count"] + hparams.rate
        return {"count": count}, replay, jaxq.LearningStatistics(loss=count)


@pytest.fixture(scope="module")
def population(cartpole):
    return jaxq.Population(jaxq.Trainer(cartpole, Counting()), size=4)


def test_an_agent_of_the_users_own_trains_sweeps_and_evaluates(population):
    trainer = population.trainer
    hparams = jaxq.grid(trainer.hparams, rate=[1.0, 2.0], seeds=2)
    state, metrics = population.run(population.init(jax.random.key(0), hparams), 60)
    assert_allclose(state.learner["count"], [10, 10, 20, 20])
    assert_allclose(metrics.loss, [5.5, 5.5, 11, 11])
    assert np.isnan(metrics.epsilon).all()
    assert np.isnan(metrics.q_value).all()
    returns = population.evaluate(state, jax.random.key(1), num_episodes=2)
    assert ((returns >= 8) & (returns <= 12)).all()
    assert population.memory().total > 0


def test_it_takes_part_in_population_based_training(population):
    state, _ = population.run(population.init(jax.random.key(0)), 60)
    after = jaxq.pbt(jax.random.key(1), state, np.arange(4.0), vary=["rate"])
    assert after.hparams.rate[0] in (np.float32(1.25), np.float32(0.8))
    with pytest.raises(InputError, match="not a leaf"):
        jaxq.pbt(jax.random.key(1), state, np.arange(4.0), vary=["learning_rate"])


def test_its_leaves_are_checked(population):
    with pytest.raises(InputError, match=r"rate must be a number in \[0, 10\], got 11"):
        jaxq.grid(population.trainer.hparams, rate=[11.0])
    with pytest.raises(InputError, match="hparams have no leaf 'learning_rate'; choose from rate"):
        population.trainer.hparams.replace(learning_rate=1.0)


def test_it_has_no_action_values(population):
    agent = population.agent(population.init(jax.random.key(0)), 0)
    with pytest.raises(InputError, match="counting has no action values; ask its policy"):
        population.trainer.q_values(agent, jnp.zeros(4))


def test_it_cannot_be_split_over_devices(cartpole):
    with pytest.raises(InputError, match="counting has no batch_size and cannot be split"):
        jaxq.Trainer(cartpole, Counting(), mesh=jax.make_mesh((1,), ("data",)))


def test_what_is_missing_is_named(cartpole):
    class Half:
        def bind(self, env, split):
            return self

    with pytest.raises(InputError, match=r"must have .*num_envs, .*subclass jaxq\.Agent"):
        jaxq.Trainer(cartpole, Half())
    with pytest.raises(InputError, match="algorithm must be a recipe or an agent, got 3"):
        jaxq.Trainer(cartpole, 3)


def rule(q_online_t):
    return greedy_bootstrap(q_online_t)


def test_a_rule_of_the_users_own_is_the_built_in_one_to_the_bit(cartpole, small):
    trained = []
    for keywords in ({"double": True}, {"bootstrap": rule}):
        trainer = jaxq.Trainer(cartpole, jaxq.dqn(**small(**keywords)))
        trained.append(trainer.run(trainer.init(jax.random.key(0)), 200)[0].learner)
    same(*trained)


@dataclasses.dataclass(frozen=True)
class Sometimes:
    """Averages the greedy value and the mean one, by a leaf of its own."""

    leaves: ClassVar = {"greed": jaxq.Hyperparameter(1.0, low=0, high=1)}

    def __call__(self, hparams, q_target_t):
        greedy = greedy_bootstrap(q_target_t).probs_t
        mean = jnp.full_like(greedy, 1 / greedy.size)
        return jaxq.learning.expected_bootstrap(hparams.greed * greedy + (1 - hparams.greed) * mean)


def test_leaves_of_a_component_are_swept_beside_the_others(cartpole, small):
    trainer = jaxq.Trainer(cartpole, jaxq.dqn(**small(bootstrap=Sometimes(), greed=0.5)))
    assert float(trainer.hparams.greed) == 0.5
    population = jaxq.Population(trainer, size=4)
    hparams = jaxq.grid(trainer.hparams, greed=[0.0, 1.0], learning_rate=[1e-3, 1e-4])
    # All begin alike, so that only what they learn differs.
    keys = jnp.stack([jax.random.key(0)] * 4)
    _, metrics = population.run(population.init(keys, hparams), 200)
    assert len(set(np.asarray(metrics.q_value).tolist())) == 4
    with pytest.raises(InputError, match=r"greed must be a number in \[0, 1\], got 2"):
        jaxq.dqn(bootstrap=Sometimes(), greed=2)


class Twice(EpsilonGreedy):
    @property
    def leaves(self):
        return {**super().leaves, "discount": jaxq.Hyperparameter(0.5)}


class Wrong(EpsilonGreedy):
    leaves: ClassVar = {"replace": 3}


def test_leaves_that_cannot_be_are_refused():
    with pytest.raises(InputError, match="two components declare the leaf discount"):
        jaxq.dqn(exploration=Twice())
    with pytest.raises(InputError, match="leaves of Wrong must be hyperparameters by name"):
        jaxq.dqn(exploration=Wrong())


def test_hyperparameters_are_a_pytree_with_names():
    hparams = jaxq.Hparams.of(a=jaxq.Hyperparameter(1.0), b=jaxq.Hyperparameter(2.0))
    doubled = jax.tree.map(lambda leaf: 2 * leaf, hparams)
    assert (doubled.a, doubled.b) == (2, 4)
    assert "a" in doubled
    assert "c" not in doubled
    assert repr(doubled) == "Hparams(a=2.0, b=4.0)"
    assert hparams == jaxq.Hparams.of(a=jaxq.Hyperparameter(1.0), b=jaxq.Hyperparameter(2.0))
    assert hash(hparams) == hash(hparams.replace(a=1.0))
    with pytest.raises(dataclasses.FrozenInstanceError):
        hparams.a = 3


class ThreeActions(Counting):
    def act(self, key, learner, hparams, inputs):
        return jaxq.PolicyOutput(jnp.zeros(4, jnp.int32))


class OtherState(Counting):
    def learn(self, key, learner, replay, hparams, newest, steps):
        return {"count": jnp.zeros(2)}, replay, jaxq.LearningStatistics()


class Uneven(Counting):
    iteration_steps = 4


class NoEnvironments(Counting):
    num_envs = 0


class Undeclared(Counting):
    hparams = jaxq.Hparams(rate=1.0)


class Lost:
    """Target parameters that forget what they are."""

    is_online = False

    def init(self, params):
        return params

    def update(self, state, params, hparams, due):
        return ()

    def evaluate(self, state, params, hparams, apply):
        return apply(params)


class OneAction(EpsilonGreedy):
    def act(self, key, q, hparams, inputs):
        return jaxq.PolicyOutput(jnp.zeros(3, jnp.int32))


MISFITS = {
    "counting cannot be trained: ValueError: vmap got inconsistent sizes": ThreeActions(),
    r"counting must keep the shapes .*count.* was float32\[\] and became float32\[2\]": OtherState(),
    "iteration_steps of counting must be a multiple of 3, got 4; .*iteration_steps=6": Uneven(),
    "num_envs must be at least 1": NoEnvironments(),
    "hparams of counting must say what rate may be": Undeclared(),
    "got .*Meta; for example jaxq.dqn": Counting,
    "dqn cannot be trained: AttributeError: .*probs_t": {"bootstrap": lambda q_target_t: q_target_t},
    "dqn cannot be trained: TypeError: scan body": {"target": Lost(), "target_interval": None},
    "dqn cannot be trained: ValueError: vmap": {"exploration": OneAction()},
}


@pytest.mark.parametrize("message", MISFITS)
def test_what_does_not_fit_fails_in_one_line_before_anything_is_compiled(cartpole, small, message):
    given = MISFITS[message]
    with pytest.raises(InputError, match=message):
        jaxq.Trainer(cartpole, jaxq.dqn(**small(**given)) if isinstance(given, dict) else given)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: jaxq.Hyperparameter("x"), "default must be"),
        (lambda: jaxq.Hyperparameter(5, low=0, high=1), r"default must be a number in \[0, 1\]"),
        (lambda: jaxq.Hparams.of(a=3), "a must be a jaxq.Hyperparameter, got 3"),
    ],
)
def test_declarations_are_checked(make, message):
    with pytest.raises(InputError, match=message):
        make()


@pytest.mark.parametrize(("old", "new"), jaxq.agents.keywords.RENAMED.items())
def test_old_names_of_leaves_are_still_read(old, new):
    recipe = {"cql_alpha": jaxq.conservative_dqn, "lambda_": jaxq.pqn}.get(new, jaxq.dqn)
    keywords = {"exploration": "ucb"} if new == "ucb_coefficient" else {}
    with pytest.warns(DeprecationWarning, match=f"{old} is called {new} now"):
        hparams = recipe(**keywords, **{old: 0.25}).hparams
    assert getattr(hparams, new) == 0.25
