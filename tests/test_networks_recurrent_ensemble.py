"""Ensembles of recurrent networks: what members and priors give is what each gives alone."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from jaxq.checks import InputValueError
from jaxq.networks import LinearHead, RecurrentEnsemble, RecurrentQNetwork, Torso
from jaxq.types import ObservationSpec

B, T, K, H, A, SCALE = 2, 5, 3, 4, 2, 0.5
MEMBER = RecurrentQNetwork(Torso(ObservationSpec((3,), jnp.dtype("float32")), (8,)), LinearHead(A), H)
ENSEMBLE = RecurrentEnsemble(MEMBER, K, SCALE)
OBSERVATIONS = jax.random.normal(jax.random.key(0), (B, T, 3))
STARTS = jnp.array([[True, False, False, True, False], [False] * T])
PREVIOUS = jax.random.normal(jax.random.key(1), (B, T, A + 1))
CARRY = jax.random.normal(jax.random.key(2), (B, 2 * K, H))


@pytest.fixture(scope="module")
def variables():
    return ENSEMBLE.init(jax.random.key(3), CARRY, OBSERVATIONS[:, 0], PREVIOUS[:, 0])


def alone(variables, method, carry, *inputs):
    """What each member and, behind them, each prior gives."""
    given = []
    for place in range(2 * K):
        group, k = ("members", place) if place < K else ("priors", place - K)
        params = jax.tree.map(lambda leaf, k=k: leaf[k], variables["params"][group])
        given.append(MEMBER.apply({"params": params}, carry[..., place, :], *inputs, method=method))
    return given


def combined(outputs):
    return np.stack([outputs[k] + SCALE * outputs[K + k] for k in range(K)])


def test_one_step(variables):
    inputs = OBSERVATIONS[:, 0], PREVIOUS[:, 0]
    after, q = ENSEMBLE.apply(variables, CARRY, *inputs)
    carries, outputs = zip(*alone(variables, "__call__", CARRY, *inputs), strict=True)
    assert_allclose(after, np.stack(carries, axis=-2), atol=1e-6)
    assert_allclose(q, combined(outputs), atol=1e-6)


def test_runs_of_steps_and_steps_aside(variables):
    inputs = OBSERVATIONS, STARTS, PREVIOUS
    carries, q = ENSEMBLE.apply(variables, CARRY, *inputs, method="unroll")
    expected, outputs = zip(*alone(variables, "unroll", CARRY, *inputs), strict=True)
    assert carries.shape == (B, T, 2 * K, H)
    assert_allclose(carries, np.stack(expected, axis=-2), atol=1e-6)
    assert_allclose(q, combined(outputs), atol=1e-6)
    aside = ENSEMBLE.apply(variables, carries, OBSERVATIONS, PREVIOUS, method="branch")
    outputs = alone(variables, "branch", carries, OBSERVATIONS, PREVIOUS)
    assert_allclose(aside, combined(outputs), atol=1e-6)


def test_members_learn_and_priors_do_not(variables):
    def loss(variables):
        carries, q = ENSEMBLE.apply(variables, CARRY, OBSERVATIONS, STARTS, PREVIOUS, method="unroll")
        return jnp.sum(q**2) + jnp.sum(carries**2)

    gradient = jax.jit(jax.grad(loss))(variables)["params"]
    assert all((leaf == 0).all() for leaf in jax.tree.leaves(gradient["priors"]))
    assert all((leaf != 0).any() for leaf in jax.tree.leaves(gradient["members"]))


def test_without_a_scale_there_are_no_priors():
    ensemble = RecurrentEnsemble(MEMBER, K)
    carry = ensemble.initial_carry(B)
    assert_array_equal(carry, np.zeros((B, K, H)))
    variables = ensemble.init(jax.random.key(0), carry, OBSERVATIONS[:, 0], PREVIOUS[:, 0])
    assert set(variables["params"]) == {"members"}


@pytest.mark.parametrize(("members", "scale"), [(0, 0.0), (2, -1.0)])
def test_numbers_that_cannot_be_are_refused(members, scale):
    with pytest.raises(InputValueError):
        RecurrentEnsemble(MEMBER, members, scale)
