"""One gradient step against numbers worked out by hand."""

from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import jaxq
from jaxq.agents.gradient_update import LearnerState
from jaxq.agents.protocol import first_input
from jaxq.agents.q_function import StepExtras
from jaxq.types import ObservationSpec, Trajectory


class Table(nn.Module):
    """Two states, two actions, and nothing else."""

    @nn.compact
    def __call__(self, observation):
        table = self.param("table", nn.initializers.zeros, (2, 2))
        return table[observation.astype(jnp.int32)[:, 0]]


def gradient_descent(hparams):
    return optax.chain(
        optax.clip_by_global_norm(hparams.max_gradient_norm), optax.sgd(hparams.learning_rate)
    )


class World(NamedTuple):
    """As much of an environment as an agent asks for."""

    name: str = "world"
    num_actions: int = 2
    observation_spec: ObservationSpec = ObservationSpec((1,), jnp.dtype("float32"))
    has_legal_actions: bool = False
    cost_names: tuple[str, ...] = ()


def update_of(recipe):
    return recipe.bind(World(), lambda batch: batch).update


def transitions(s_tm1, a_tm1, r_t, discount_t, s_t, weight=None, extras=()):
    """A batch of runs of one step each."""
    count, zeros = len(a_tm1), jnp.zeros((len(a_tm1), 1), bool)
    columns = [jnp.asarray(column)[:, None] for column in (s_tm1, a_tm1, r_t, discount_t, s_t)]
    weight = jnp.ones(count) if weight is None else weight
    return Trajectory(*columns[:4], zeros, zeros, columns[4], ~zeros, extras, weight)


def step(target_due=False, target_rate=1.0, max_gradient_norm=1e9, weight=1.0, **keywords):
    """One step from online [[1, 2], [3, 1]] and target [[0, 0], [2, 4]] on one transition."""
    recipe = jaxq.dqn(network=Table(), optimizer=gradient_descent, **keywords)
    numbers = {"learning_rate": 0.5, "target_rate": target_rate, "max_gradient_norm": max_gradient_norm}
    hparams = jax.tree.map(jnp.float32, recipe.hparams.replace(**numbers))
    online = {"params": {"table": jnp.array([[1.0, 2.0], [3.0, 1.0]])}}
    target = {"params": {"table": jnp.array([[0.0, 0.0], [2.0, 4.0]])}}
    learned = LearnerState(online, target, gradient_descent(hparams).init(online))
    batch = transitions([[0.0]], [1], [1.0], [0.5], [[1.0]], jnp.array([weight]))
    learned, statistics, priority = update_of(recipe).step(
        jax.random.key(0), learned, hparams, batch, lambda interval: jnp.bool_(target_due)
    )
    assert_allclose(priority, [[statistics.td_error]])
    return learned.params["params"]["table"], learned.target_params["params"]["table"], statistics


def test_dqn_with_squared_loss():
    # target = 1 + 0.5 * max(2, 4) = 3, error = 3 - 2 = 1, loss = 1/2, gradient = -1.
    table, _, statistics = step(loss="squared")
    assert_allclose(table, [[1.0, 2.5], [3.0, 1.0]])
    assert_allclose(statistics, (0.5, 1.0, 2.0, 1.0))


def test_double_dqn():
    # The online network prefers action 0 at s_t, which the target network values at 2:
    # target = 1 + 0.5 * 2 = 2, error = 0.
    table, _, statistics = step(loss="squared", double=True)
    assert_allclose(table, [[1.0, 2.0], [3.0, 1.0]])
    assert_allclose(statistics, (0.0, 0.0, 2.0, 0.0))


def test_munchausen_dqn():
    # Of the target network: tau log pi(1 | s_tm1) = -log 2 at tau = 1, clipped to -0.5, scaled by 0.8.
    # At s_t = (2, 4): sum pi (q - log pi) = logsumexp(2, 4) = 4.126928.
    table, _, statistics = step(
        loss="squared",
        munchausen=True,
        munchausen_temperature=1.0,
        munchausen_scale=0.8,
        munchausen_clip=-0.5,
    )
    error = 1 - 0.4 + 0.5 * 4.126928 - 2
    assert_allclose(table[0, 1], 2 + 0.5 * error, rtol=1e-6)
    assert_allclose(statistics.td_error, error, rtol=1e-6)


def test_conservative_dqn():
    # The penalty is logsumexp(1, 2) - 2 = 0.313262, its gradient softmax(1, 2) - (0, 1).
    table, _, statistics = step(loss="squared", conservative=True, cql_alpha=0.2)
    low, high = 0.268941, 0.731059
    assert_allclose(table[0], [1 - 0.5 * 0.2 * low, 2 + 0.5 * (1 - 0.2 * (high - 1))], rtol=1e-5)
    assert_allclose(statistics.loss, 0.5 + 0.2 * 0.313262, rtol=1e-5)


def test_importance_weights_scale_the_step():
    table, _, statistics = step(loss="squared", weight=0.5)
    assert_allclose(table, [[1.0, 2.25], [3.0, 1.0]])
    assert_allclose(statistics.loss, 0.25)


def test_huber_loss_moves_no_further_than_an_error_of_one():
    table, _, _ = step(loss="huber", double=False, target_rate=1.0)
    assert_allclose(table, [[1.0, 2.5], [3.0, 1.0]])


def test_gradients_are_clipped_by_their_global_norm():
    table, _, statistics = step(loss="squared", max_gradient_norm=0.5)
    assert_allclose(table, [[1.0, 2.25], [3.0, 1.0]])
    assert_allclose(statistics.gradient_norm, 1.0)


def test_each_member_of_an_ensemble_is_clipped_by_its_own_norm():
    """Two members with errors of 4 and 0.5, each to be bounded by 1."""
    recipe = jaxq.bootstrapped_dqn(
        network=Table(), ensemble_size=2, prior_scale=0.0, optimizer=gradient_descent
    )
    hparams = recipe.hparams.replace(learning_rate=0.5, max_gradient_norm=1.0)
    params = {"params": {"members": {"table": jnp.zeros((2, 2, 2))}}}
    opt_state = jax.vmap(gradient_descent(hparams).init)(params)
    # Two transitions, of which each member learns from one: with a mean over both, errors halve.
    mask = StepExtras(mask=jnp.eye(2, dtype=bool))
    batch = transitions(jnp.zeros((2, 1)), [0, 1], [8.0, 1.0], [0.0, 0.0], jnp.zeros((2, 1)), None, mask)
    learner, statistics, _ = update_of(recipe).step(
        jax.random.key(0),
        LearnerState(params, params, opt_state),
        hparams,
        batch,
        lambda interval: jnp.bool_(False),
    )
    table = learner.params["params"]["members"]["table"][:, 0]
    # Gradients -4 and -0.5: clipped to -1 the first, and the second as it is.
    assert_allclose(table, [[0.5, 0.0], [0.0, 0.25]], rtol=1e-6)
    assert_allclose(statistics.gradient_norm, (4 + 0.5) / 2, rtol=1e-6)
    assert_allclose(statistics.loss, (64 / 4 + 1 / 4) / 2, rtol=1e-6)


@pytest.mark.parametrize(
    ("due", "rate", "expected"),
    [
        (False, 1.0, [[0.0, 0.0], [2.0, 4.0]]),
        (True, 1.0, [[1.0, 2.5], [3.0, 1.0]]),
        (True, 0.5, [[0.5, 1.25], [2.5, 2.5]]),
    ],
)
def test_the_target_network_is_copied_or_averaged_when_due(due, rate, expected):
    _, target, _ = step(loss="squared", target_due=due, target_rate=rate)
    assert_allclose(target, expected)


@pytest.mark.parametrize(("num_envs", "train_interval"), [(4, 4), (3, 4), (4, 1), (1, 4), (6, 4)])
def test_target_updates_come_every_target_interval(cartpole, small, num_envs, train_interval):
    """Steps of the optimizer and copies of the target follow from env steps alone."""
    keywords = small(num_envs=num_envs, train_interval=train_interval, target_interval=12)
    trainer = jaxq.Trainer(cartpole, jaxq.dqn(**keywords))
    state = trainer.init(jax.random.key(0))
    while state.steps - trainer.warmup_steps < 48:
        before = state
        state, _ = trainer.run(state, 1)
        since = int(state.steps) - trainer.warmup_steps
        assert int(state.learner.opt_state[1][0].count) == since // train_interval
        copies = (since // 12) - ((since - trainer.iteration_steps) // 12)
        same = jax.tree.map(np.array_equal, before.learner.target_params, state.learner.target_params)
        assert all(jax.tree.leaves(same)) == (copies == 0)
        if since % 12 == 0:
            jax.tree.map(assert_array_equal, state.learner.params, state.learner.target_params)


def test_values_stay_finite_where_they_are_worked_out_twice(cartpole):
    """A program that is compiled without care works values out anew wherever they are needed."""
    settings = {
        "hidden_sizes": (64,),
        "num_envs": 4,
        "learning_rate": 5e-3,
        "batch_size": 64,
        "learning_starts": 200,
        "train_interval": 4,
    }
    trainer = jaxq.Trainer(cartpole, jaxq.noisy_dqn(**settings))
    _, metrics = trainer.run(trainer.init(jax.random.key(0)), 2_000)
    assert np.isfinite(metrics.loss)


def test_implicit_quantiles_choose_bootstrap_and_predict_with_fractions_of_their_own(cartpole, small):
    """N = 3, N' = 5, K = 2: the midpoints choose the action whose random quantiles are the target."""
    sizes = {"num_quantiles": 3, "num_target_quantiles": 5, "num_policy_quantiles": 2}
    trainer = jaxq.Trainer(cartpole, jaxq.iqn(**small(**sizes)))
    agent, r_t = trainer.agent, jnp.arange(64.0)
    q_function = agent.q_function

    @jax.jit
    def outputs():
        learner, _ = agent.init(jax.random.key(0), trainer.hparams)
        s_t, keys = jax.random.normal(jax.random.key(1), (64, 4)), jax.random.split(jax.random.key(2), 3)
        batch = transitions(s_t, jnp.zeros(64, jnp.int32), r_t, jnp.full(64, 0.5), s_t)
        targets = agent.update.targets(learner, trainer.hparams, batch, *keys[1:]).targets
        prediction = q_function.predictions(learner.params, batch, keys[0])
        drawn = q_function.following(learner.params, batch, keys[1])
        midpoints = q_function.network.clone(num_quantiles=2).apply(learner.params, s_t)
        acting = agent.q_values(learner, first_input(s_t, agent.initial_carry(64)))[0]
        return prediction, targets, drawn, midpoints, acting

    prediction, targets, drawn, midpoints, acting = outputs()
    assert prediction.values.shape == (64, 2, 3)
    assert drawn.values.shape == (64, 2, 5)
    assert not np.isin(prediction.taus, drawn.taus).any()
    assert_allclose(midpoints.taus[0], [0.25, 0.75])
    q = np.mean(midpoints.values, axis=-1)
    best = q.argmax(axis=-1)
    expected = r_t[:, None] + 0.5 * np.asarray(drawn.values)[np.arange(64), best]
    assert_allclose(targets, expected, rtol=1e-5)
    # With the fractions that are bootstrapped from, some choices would have been others.
    assert (best != np.mean(drawn.values, axis=-1).argmax(axis=-1)).any()
    # Acting and evaluation follow the same greedy policy.
    assert_allclose(acting, q, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("keywords", "width"),
    [
        ({"dueling": True}, 16),
        ({"dueling": True, "hidden_sizes": ()}, None),
        ({"dueling": True, "noisy": True, "value": "categorical", "num_atoms": 7}, 16),
        ({"dueling": True, "value": "quantile"}, 16),
        ({"dueling": True, "value": "implicit_quantile"}, 16),
        ({"dueling": True, "recurrent_size": 12}, 12),
        ({"value": "implicit_quantile"}, 16),
        ({"value": "implicit_quantile", "hidden_sizes": ()}, None),
        ({}, None),
    ],
)
def test_heads_have_hidden_layers_as_wide_as_their_features(cartpole, small, keywords, width):
    keywords = small(hidden_sizes=(24, 16)) | keywords
    trainer = jaxq.Trainer(cartpole, jaxq.dqn(**keywords))
    params = trainer.template.learner.params["params"]
    found = {name: layer["kernel"].shape for name, layer in params["head"].items() if "hidden" in name}
    streams = ("state_value", "advantages") if "dueling" in keywords else ("action_values",)
    assert found == {f"{stream}_hidden": (width, width) for stream in streams if width}
