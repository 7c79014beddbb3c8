"""Recurrent networks."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from jaxq.checks import InputError, InputValueError
from jaxq.networks import GRU, DuelingHead, Head, RecurrentQNetwork, Torso
from jaxq.types import ObservationSpec

B, T, H = 4, 6, 7
VECTOR = ObservationSpec((3,), jnp.dtype("float32"))
NETWORK = RecurrentQNetwork(Torso(VECTOR, (8,)), DuelingHead(2), H)
OBSERVATIONS = jax.random.normal(jax.random.key(0), (B, T, 3))
CARRY = jax.random.normal(jax.random.key(1), (B, H))
# Sequence 0 has no start, 1 begins with one, 2 has two in the middle, 3 one at the end.
STARTS = jnp.zeros((B, T), bool).at[1, 0].set(True).at[2, 2:4].set(True).at[3, 5].set(True)
VARIABLES = jax.jit(NETWORK.init)(jax.random.key(2), CARRY, OBSERVATIONS[:, 0])


@jax.jit
def unroll(carry, observations, starts):
    return NETWORK.apply(VARIABLES, carry, observations, starts, method="unroll")


@jax.jit
def step(carry, observation):
    return NETWORK.apply(VARIABLES, carry, observation)


def test_a_gru_by_hand():
    """One feature of 1, a carry of 1/2: every weight is chosen."""
    params = {
        "input": {"kernel": jnp.array([[0.0, 2.0, 2.0]]), "bias": jnp.array([0.0, -1.0, 0.5])},
        "kernel": jnp.array([[2.0, 0.0, 4.0]]),
        "bias": jnp.array([1.0]),
    }
    carry = GRU(1).apply({"params": params}, jnp.array([[0.5]]), jnp.array([[1.0]]))
    # r = sigmoid(0 + 2 / 2) = sigmoid(1) = 0.7310586
    # z = sigmoid(2 - 1 + 0) = 0.7310586
    # n = tanh(2 + 0.5 + r (4 / 2 + 1)) = tanh(4.6931758) = 0.9998323
    # h' = (1 - z) n + z / 2 = 0.2688963 + 0.3655293 = 0.6344256
    assert_allclose(carry, [[0.6344256]], rtol=1e-6)


def test_the_gru_begins_with_orthogonal_gates():
    init = jax.jit(jax.vmap(lambda key: GRU(H).init(key, CARRY, CARRY)["params"]["kernel"]))
    keys = jax.random.split(jax.random.key(0), 2)
    gates = init(keys).reshape(2, H, 3, H).swapaxes(1, 2).reshape(6, H, H)
    for gate in gates:
        assert_allclose(gate @ gate.T, jnp.eye(H), atol=1e-5)
    assert len({gate.tobytes() for gate in np.asarray(gates)}) == 6


def test_an_unroll_equals_single_steps():
    carries, outputs = unroll(CARRY, OBSERVATIONS, STARTS)
    assert carries.shape == (B, T, H)
    assert outputs.shape == (B, T, 2)
    carry = CARRY
    for t in range(T):
        carry = jnp.where(STARTS[:, t, None], NETWORK.initial_carry(B), carry)
        carry, output = step(carry, OBSERVATIONS[:, t])
        assert_allclose(carries[:, t], carry, atol=1e-6)
        assert_allclose(outputs[:, t], output, atol=1e-6)


def test_an_unroll_in_two_pieces_is_the_same_unroll():
    carries, outputs = unroll(CARRY, OBSERVATIONS, STARTS)
    first, _ = unroll(CARRY, OBSERVATIONS[:, :2], STARTS[:, :2])
    second, rest = unroll(first[:, -1], OBSERVATIONS[:, 2:], STARTS[:, 2:])
    assert_allclose(carries[:, 2:], second, atol=1e-6)
    assert_allclose(outputs[:, 2:], rest, atol=1e-6)


def test_nothing_crosses_the_start_of_an_episode():
    _, outputs = unroll(CARRY, OBSERVATIONS, STARTS)
    _, others = unroll(CARRY + 1, OBSERVATIONS.at[:, 0].add(1), STARTS)
    changed = np.any(outputs != others, axis=-1)
    # Sequence 1 forgets its carry before step 0, whose own observation it still sees;
    # 2 forgets at step 2 and 3 at step 5.
    assert_array_equal(changed.sum(axis=1), [6, 6, 2, 5])
    assert_array_equal(changed[2], [True, True, False, False, False, False])
    last = jax.jit(jax.grad(lambda carry: unroll(carry, OBSERVATIONS, STARTS)[1][:, -1].sum()))
    assert_array_equal(np.any(last(CARRY) != 0, axis=-1), [True, False, False, False])


def test_a_branch_is_one_step_from_each_carry():
    following = jax.random.normal(jax.random.key(3), (B, T, 3))
    carries, _ = unroll(CARRY, OBSERVATIONS, STARTS)
    q = NETWORK.apply(VARIABLES, carries, following, method="branch")
    assert q.shape == (B, T, 2)
    for t in range(T):
        _, output = step(carries[:, t], following[:, t])
        assert_allclose(q[:, t], output, atol=1e-6)


def test_a_branch_into_the_observation_that_follows_is_the_unroll():
    carries, outputs = unroll(CARRY, OBSERVATIONS, STARTS)
    q = NETWORK.apply(VARIABLES, carries[:, :-1], OBSERVATIONS[:, 1:], method="branch")
    differs = np.any(np.abs(q - outputs[:, 1:]) > 1e-6, axis=-1)
    assert_array_equal(differs, STARTS[:, 1:])


def test_unrolls_of_many_agents_equal_a_loop():
    variables = jax.tree.map(lambda leaf: jnp.stack([leaf, -leaf, leaf / 2]) + 0.1, VARIABLES)

    @jax.jit
    def values_and_gradient(variables):
        def loss(variables):
            _, q = NETWORK.apply(variables, CARRY, OBSERVATIONS, STARTS, method="unroll")
            return jnp.sum(q**2), q

        return jax.grad(loss, has_aux=True)(variables)

    vmapped = jax.jit(jax.vmap(values_and_gradient))(variables)
    for i in range(3):
        single = values_and_gradient(jax.tree.map(lambda leaf, i=i: leaf[i], variables))
        taken = jax.tree.map(lambda leaf, i=i: leaf[i], vmapped)
        jax.tree.map(lambda a, b: assert_allclose(a, b, atol=1e-4), taken, single)


def test_the_gradient_goes_through_time():
    """The value at the last step moves with the first observation as finite differences say."""

    def last(x):
        return unroll(CARRY, OBSERVATIONS.at[0, 0, 0].set(x), STARTS)[1][0, -1, 0]

    x, h = OBSERVATIONS[0, 0, 0], 0.05
    slope = (last(x + h) - last(x - h)) / (2 * h)
    assert abs(slope) > 1e-5
    assert_allclose(jax.jit(jax.grad(last))(x), slope, rtol=0.05)


def test_images_noise_and_distributions_can_be_unrolled():
    spec = ObservationSpec((5, 5, 2), jnp.dtype("uint8"))
    network = RecurrentQNetwork(Torso(spec, (8,)), Head(3, outputs=4, noisy=True), H)
    observations = jnp.ones((B, T, 5, 5, 2), jnp.uint8)
    variables = jax.jit(network.init)(jax.random.key(0), CARRY, observations[:, 0])

    @jax.jit
    def outputs(rngs):
        _, out = network.apply(variables, CARRY, observations, STARTS, method="unroll", rngs=rngs)
        return out

    noisy, quiet = outputs({"noise": jax.random.key(1)}), outputs({})
    assert noisy.shape == (B, T, 3, 4)
    assert np.abs(noisy - quiet).max() > 1e-3


def test_an_episode_begins_with_zeros():
    assert_array_equal(NETWORK.initial_carry(3), np.zeros((3, H)))


def test_recurrent_networks_say_what_they_cannot_take():
    with pytest.raises(InputError, match="hidden_size must be"):
        RecurrentQNetwork(Torso(VECTOR, (8,)), DuelingHead(2), 0)
    with pytest.raises(InputValueError, match="T of at least 1"):
        unroll(CARRY, OBSERVATIONS[:, :0], STARTS[:, :0])
    with pytest.raises(AssertionError):
        unroll(CARRY, OBSERVATIONS, STARTS[:, 1:])
    with pytest.raises(AssertionError):
        NETWORK.apply(VARIABLES, CARRY[:2], OBSERVATIONS[:, 0])
