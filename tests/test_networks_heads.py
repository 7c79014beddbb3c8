"""Heads, noisy layers, and initial values."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from jaxq.checks import InputError, InputValueError
from jaxq.networks import (
    DuelingHead,
    Ensemble,
    Head,
    ImplicitQuantileNetwork,
    LinearHead,
    NoisyDense,
    QNetwork,
    QuantileNetwork,
    RecurrentQNetwork,
    Torso,
    with_initial_value,
)
from jaxq.networks.noisy import SMALL_BATCH
from jaxq.types import ObservationSpec

FEATURES = jax.random.normal(jax.random.key(0), (6, 8))
VECTOR = ObservationSpec((4,), jnp.dtype("float32"))
TORSO = Torso(VECTOR, (8,))


@pytest.mark.parametrize("outputs", [None, 1, 5])
@pytest.mark.parametrize("dueling", [False, True])
@pytest.mark.parametrize("noisy", [False, True])
def test_every_head_ends_in_values_per_action(outputs, dueling, noisy):
    head = Head(3, outputs, dueling, noisy)
    values, variables = jax.eval_shape(head.init_with_output, jax.random.key(1), FEATURES)
    assert values.shape == ((6, 3) if outputs is None else (6, 3, outputs))
    sizes = {leaf.shape[-1] for leaf in jax.tree.leaves(variables)}
    # Of a dueling head, each stream has a hidden layer as wide as the features.
    assert sizes == {3 * (outputs or 1)} | ({outputs or 1, 8} if dueling else set())


def test_a_dueling_head_by_hand():
    """One feature of 2, two actions, two atoms: every weight is chosen."""
    params = {
        "state_value_hidden": {"kernel": jnp.array([[0.5]]), "bias": jnp.array([1.0])},
        "state_value": {"kernel": jnp.array([[1.0, 2.0]]), "bias": jnp.array([0.0, 1.0])},
        "advantages_hidden": {"kernel": jnp.array([[-1.0]]), "bias": jnp.array([3.0])},
        "advantages": {"kernel": jnp.array([[3.0, 0.0, 1.0, 4.0]]), "bias": jnp.zeros(4)},
    }
    head = Head(2, outputs=2, dueling=True)
    values = head.apply({"params": params}, jnp.array([[2.0], [4.0]]))
    # Of 2: hidden 0.5 * 2 + 1 = 2 and -2 + 3 = 1, so v = [2, 5] and adv = [[3, 0], [1, 4]], whose means
    # over the actions are [2, 2]. Of 4: hidden 3 and relu(-1) = 0, so v = [3, 7] and no advantages.
    assert_allclose(values, [[[3.0, 3.0], [1.0, 7.0]], [[3.0, 7.0], [3.0, 7.0]]])


def test_a_hidden_layer_by_hand():
    """Two features of which the first hidden unit sees the difference, normalized or not."""
    params = {
        "action_values_hidden": {"kernel": jnp.array([[1.0, 1.0], [-1.0, 1.0]]), "bias": jnp.zeros(2)},
        "action_values": {"kernel": jnp.array([[2.0], [10.0]]), "bias": jnp.array([0.5])},
    }
    features = jnp.array([[3.0, 1.0], [1.0, 3.0]])
    # h = relu([2, 4]) and relu([-2, 4]).
    values = Head(1, hidden_size=2).apply({"params": params}, features)
    assert_allclose(values, [[44.5], [40.5]])
    # Two numbers normalized to mean 0 and variance 1 are -1 and 1, of which the ReLU leaves 0 and 1.
    norm = {"action_values_norm": {"scale": jnp.ones(2), "bias": jnp.zeros(2)}}
    values = Head(1, hidden_size=2, layer_norm=True).apply({"params": params | norm}, features)
    assert_allclose(values, [[10.5], [10.5]], rtol=1e-5)


def test_a_dueling_head_is_no_linear_function_of_its_features():
    """What a linear head could represent as well, `f(x) + f(y) = f(x + y) + f(0)`, does not hold."""
    for head, linear in ((DuelingHead(3), False), (DuelingHead(3, hidden_size=0), True)):
        variables = head.init(jax.random.key(1), FEATURES)
        x, y = head.apply(variables, FEATURES), head.apply(variables, -FEATURES)
        assert np.allclose(x + y, 2 * head.apply(variables, 0 * FEATURES), atol=1e-5) == linear


@pytest.mark.parametrize("outputs", [None, 5])
def test_dueling_values_average_to_the_state_value(outputs):
    head = Head(3, outputs, dueling=True)
    values, variables = head.init_with_output(jax.random.key(1), FEATURES)
    hidden = nn.relu(FEATURES @ variables["params"]["state_value_hidden"]["kernel"])
    state_value = hidden @ variables["params"]["state_value"]["kernel"]
    assert_allclose(values.mean(axis=1).reshape(6, -1), state_value, atol=1e-5)
    # Advantages move the actions apart, but a constant added to all of them changes nothing.
    advantages = variables["params"]["advantages"]
    moved = {**variables["params"], "advantages": {**advantages, "bias": advantages["bias"] + 7}}
    assert_allclose(head.apply({"params": moved}, FEATURES), values, atol=1e-5)


def test_the_simple_heads_are_the_head():
    for simple, head in ((LinearHead(3), Head(3)), (DuelingHead(3), Head(3, dueling=True))):
        values, variables = simple.init_with_output(jax.random.key(1), FEATURES)
        same = head.apply({"params": variables["params"]["Head_0"]}, FEATURES)
        assert_array_equal(values, same)


def test_heads_say_what_they_cannot_take():
    for build in (lambda: Head(0), lambda: Head(3, outputs=0), lambda: Head(None)):
        with pytest.raises(InputError, match="must be"):
            build()
    for head in (LinearHead(3), Head(3, noisy=True)):
        with pytest.raises(InputValueError, match="F of at least 1"):
            head.init(jax.random.key(0), jnp.zeros((6, 0)))


# Noisy layers.


def test_a_noisy_layer_begins_as_in_the_paper():
    p, q = 400, 300
    params = NoisyDense(q).init(jax.random.key(0), jnp.zeros((1, p)))["params"]
    for name, scale in (("kernel", p * q), ("bias", q)):
        # Uniform in +-1 / sqrt(400) = +-0.05, whose standard deviation is 0.05 / sqrt(3).
        assert np.abs(params[name]).max() <= 0.05
        assert np.abs(params[name]).max() > 0.049
        # The standard error of a uniform's standard deviation is 0.45 / sqrt(n) of it; here 3 of them.
        assert_allclose(np.std(params[name]), 0.05 / np.sqrt(3), rtol=1.4 / np.sqrt(scale))
        assert_allclose(params[f"{name}_sigma"], 0.5 * 0.05, rtol=1e-6)


def noisy_layer(batch):
    x = jnp.tile(jnp.array([[1.0, -2.0, 0.5]]), (batch, 1))
    layer = NoisyDense(2)
    variables = layer.init(jax.random.key(0), x)
    spread = jax.tree.map(
        lambda leaf: leaf * jnp.arange(1.0, leaf.size + 1).reshape(leaf.shape), variables
    )
    return layer, spread, x


@pytest.mark.parametrize("batch", [1, SMALL_BATCH])
def test_noise_has_the_mean_and_variance_of_the_closed_form(batch):
    """y_j - mean_j = f(e_j) (sum_i x_i sigma_ij f(e_i) + sigma_j), and E f(e)^2 = E|e| = sqrt(2/pi)."""
    layer, variables, x = noisy_layer(batch)
    keys = jax.random.split(jax.random.key(1), 20_000)
    y = jax.jit(jax.vmap(lambda key: layer.apply(variables, x, rngs={"noise": key})[0]))(keys)
    params = variables["params"]
    mean = x[0] @ params["kernel"] + params["bias"]
    m = np.sqrt(2 / np.pi)
    sigma_x = np.asarray(x[0])[:, None] * np.asarray(params["kernel_sigma"])
    variance = m * (m * (sigma_x**2).sum(0) + np.asarray(params["bias_sigma"]) ** 2)
    # Four standard errors: of the mean sqrt(variance / n); of the variance, relative to it,
    # sqrt((kurtosis - 1) / n), where the kurtosis is at most 1.57 * 3, for f(e_j) times a sum of f(e_i).
    assert np.all(np.abs(y.mean(0) - mean) < 4 * np.sqrt(variance / 20_000))
    assert_allclose(y.var(0), variance, rtol=4 * np.sqrt(3.7 / 20_000))


def test_without_the_rng_stream_the_means_are_used():
    layer, variables, x = noisy_layer(5)
    params = variables["params"]
    expected = x @ params["kernel"] + params["bias"][None]
    assert_allclose(layer.apply(variables, x), expected, rtol=1e-6)
    noisy = layer.apply(variables, x, rngs={"noise": jax.random.key(1)})
    assert np.all(np.abs(noisy - expected) > 1e-3)


def test_noise_is_drawn_once_for_a_batch_and_anew_for_a_key():
    layer, variables, x = noisy_layer(5)
    first, again, other = (
        layer.apply(variables, x, rngs={"noise": jax.random.key(seed)}) for seed in (1, 1, 2)
    )
    assert_array_equal(first, again)
    assert np.all(np.abs(first - other) > 1e-3)
    assert_allclose(first, jnp.broadcast_to(first[:1], first.shape), rtol=1e-6)
    # The two ways to compute it, by the size of the batch, are the same function.
    large = layer.apply(variables, jnp.tile(x, (20, 1)), rngs={"noise": jax.random.key(1)})
    assert_allclose(large[:5], first, rtol=1e-5)


def test_layers_of_one_network_have_noise_of_their_own():
    class Twins(nn.Module):
        @nn.compact
        def __call__(self, x):
            return NoisyDense(2)(x), NoisyDense(2)(x)

    variables = Twins().init(jax.random.key(0), jnp.ones((1, 3)))
    params = dict.fromkeys(variables["params"], variables["params"]["NoisyDense_0"])
    left, right = Twins().apply({"params": params}, jnp.ones((1, 3)), rngs={"noise": jax.random.key(1)})
    assert np.all(np.abs(left - right) > 1e-3)


# Initial values.

CASES = {
    "linear": QNetwork(TORSO, LinearHead(3)),
    "dueling": QNetwork(TORSO, DuelingHead(3)),
    "noisy": QNetwork(Torso(VECTOR, (8,), noisy=True), Head(3, dueling=True, noisy=True)),
    "quantiles": QuantileNetwork(TORSO, Head(3, outputs=5)),
    "dueling quantiles": QuantileNetwork(TORSO, Head(3, outputs=5, dueling=True)),
    "implicit quantiles": ImplicitQuantileNetwork(TORSO, Head(3, dueling=True), 5),
    "ensemble": Ensemble(QNetwork(TORSO, DuelingHead(3)), 2, prior_scale=3.0),
    "recurrent": RecurrentQNetwork(TORSO, LinearHead(3), 7),
}


@pytest.mark.parametrize("name", CASES)
def test_an_initial_value_shifts_every_action_value(name):
    network, observation = CASES[name], jax.random.normal(jax.random.key(3), (6, 4))
    arguments = (jnp.ones((6, 7)), observation) if name == "recurrent" else (observation,)
    variables = jax.jit(network.init)(jax.random.key(1), *arguments)
    # Noise as well: whatever is drawn, the shift is the same.
    rngs = {"noise": jax.random.key(4), "quantiles": jax.random.key(5)}

    @jax.jit
    def values(variables):
        out = network.apply(variables, *arguments, rngs=rngs)
        return out[1] if name == "recurrent" else getattr(out, "values", out)

    shifted = with_initial_value(variables, 10.0)
    assert jax.tree.structure(shifted) == jax.tree.structure(variables)
    assert_allclose(values(shifted), values(variables) + 10.0, atol=1e-5)
    bare = with_initial_value(variables["params"], 10.0)
    jax.tree.map(assert_array_equal, bare, shifted["params"])


def test_an_initial_value_may_be_traced_and_differ_between_agents():
    head = LinearHead(2)
    variables = head.init(jax.random.key(0), jnp.zeros((1, 3)))
    shift = jax.jit(jax.vmap(with_initial_value, in_axes=(None, 0)))
    q = jax.vmap(lambda variables: head.apply(variables, jnp.zeros((1, 3))))
    assert_array_equal(q(shift(variables, jnp.array([1.0, -2.0]))), [[[1.0, 1.0]], [[-2.0, -2.0]]])


def test_an_initial_value_needs_a_head_and_one_number():
    variables = nn.Dense(2).init(jax.random.key(0), jnp.zeros((1, 3)))
    with pytest.raises(InputValueError, match="LinearHead"):
        with_initial_value(variables, 1.0)
    with pytest.raises(InputValueError, match="one number"):
        with_initial_value(LinearHead(2).init(jax.random.key(0), FEATURES), jnp.ones(2))
