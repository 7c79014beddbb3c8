"""Ensembles and their random priors."""

import functools

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from jaxq.checks import InputTypeError, InputValueError
from jaxq.learning import Quantiles
from jaxq.networks import DuelingHead, Ensemble, Head, LinearHead, QNetwork, QuantileNetwork, Torso
from jaxq.types import ObservationSpec

VECTOR = ObservationSpec((4,), jnp.dtype("float32"))
MEMBER = QNetwork(Torso(VECTOR, (8,)), DuelingHead(3))
OBSERVATION = jax.random.normal(jax.random.key(0), (5, 4))


@functools.cache
def start(ensemble):
    return jax.jit(ensemble.init_with_output)(jax.random.key(1), OBSERVATION)


def one(variables, group, k):
    """Take the weights of one network out of an ensemble's."""
    return {"params": jax.tree.map(lambda leaf: leaf[k], variables["params"][group])}


def test_members_are_independent_copies():
    ensemble = Ensemble(MEMBER, 3)
    q, variables = start(ensemble)
    assert q.shape == (3, 5, 3)
    assert set(variables["params"]) == {"members"}
    for k in range(3):
        assert_allclose(q[k], MEMBER.apply(one(variables, "members", k), OBSERVATION), atol=1e-6)
        for other in range(k):
            assert np.abs(q[k] - q[other]).max() > 0.01
    assert jax.tree.structure(one(variables, "members", 0)) == jax.tree.structure(
        MEMBER.init(jax.random.key(0), OBSERVATION)
    )


@pytest.mark.parametrize("scale", [1.0, 2.5])
def test_each_member_has_a_prior_of_its_own(scale):
    ensemble = Ensemble(MEMBER, 3, prior_scale=scale)
    q, variables = start(ensemble)
    kernels = []
    for k in range(3):
        member = MEMBER.apply(one(variables, "members", k), OBSERVATION)
        prior = MEMBER.apply(one(variables, "priors", k), OBSERVATION)
        assert_allclose(q[k], member + scale * prior, atol=1e-5)
        kernels += [
            np.asarray(one(variables, group, k)["params"]["torso"]["Dense_0"]["kernel"])
            for group in ("members", "priors")
        ]
    assert len({kernel.tobytes() for kernel in kernels}) == 6


def test_members_learn_and_priors_do_not():
    ensemble = Ensemble(MEMBER, 3, prior_scale=2.5)
    variables = start(ensemble)[1]
    optimizer = optax.adam(1e-2)

    def loss(variables):
        return jnp.sum((ensemble.apply(variables, OBSERVATION) - 1.0) ** 2)

    def step(carry, _):
        variables, state = carry
        gradient = jax.grad(loss)(variables)
        updates, state = optimizer.update(gradient, state)
        return (optax.apply_updates(variables, updates), state), gradient

    (learned, _), gradients = jax.lax.scan(step, (variables, optimizer.init(variables)), length=100)
    assert loss(learned) < 0.1 * loss(variables)
    for leaf in jax.tree.leaves(gradients["params"]["priors"]):
        assert_array_equal(leaf, 0)
    jax.tree.map(assert_array_equal, learned["params"]["priors"], variables["params"]["priors"])


def test_a_member_learns_from_its_own_loss_only():
    ensemble = Ensemble(MEMBER, 3, prior_scale=2.5)
    variables = start(ensemble)[1]
    gradient_of = jax.jit(jax.grad(lambda variables: ensemble.apply(variables, OBSERVATION)[1].sum()))
    gradient = gradient_of(variables)
    for leaf in jax.tree.leaves(gradient["params"]["members"]):
        assert_array_equal(leaf[jnp.array([0, 2])], 0)
    assert any(np.any(leaf[1] != 0) for leaf in jax.tree.leaves(gradient["params"]["members"]))


def test_noisy_members_draw_noise_of_their_own_and_priors_none():
    member = QNetwork(Torso(VECTOR, (8,)), Head(3, noisy=True))
    ensemble = Ensemble(member, 2, prior_scale=1.0)
    variables = start(ensemble)[1]
    # Two members with the same weights differ by their noise only.
    twins = {**variables["params"]}
    twins["members"] = jax.tree.map(lambda leaf: jnp.stack([leaf[0]] * 2), twins["members"])
    twins["priors"] = jax.tree.map(lambda leaf: jnp.stack([leaf[0]] * 2), twins["priors"])
    quiet = ensemble.apply({"params": twins}, OBSERVATION)
    assert_allclose(quiet[0], quiet[1], atol=1e-6)
    noisy = ensemble.apply({"params": twins}, OBSERVATION, rngs={"noise": jax.random.key(2)})
    assert np.abs(noisy[0] - noisy[1]).max() > 0.01
    # With nothing but the priors left, noise changes nothing.
    twins["members"] = jax.tree.map(jnp.zeros_like, twins["members"])
    rngs = {"noise": jax.random.key(2)}
    assert_allclose(
        ensemble.apply({"params": twins}, OBSERVATION, rngs=rngs),
        ensemble.apply({"params": twins}, OBSERVATION),
    )


def test_a_module_of_the_users_own_can_be_a_member():
    class Own(nn.Module):
        @nn.compact
        def __call__(self, observation):
            return LinearHead(3)(nn.relu(nn.Dense(8)(observation)))

    q, _ = start(Ensemble(Own(), 2, prior_scale=1.0))
    assert q.shape == (2, 5, 3)
    assert np.abs(q[0] - q[1]).max() > 0.01


class Single(nn.Module):
    @nn.compact
    def __call__(self, x):
        return nn.Dense(1)(x)[..., 0]


def pick(members):
    """The weights of the second member."""
    return jax.tree.map(lambda leaf: leaf[1], members)


def test_ensembles_say_what_they_cannot_take():
    class Normalized(nn.Module):
        @nn.compact
        def __call__(self, x):
            return nn.BatchNorm(use_running_average=False)(nn.Dense(3)(x))

    with pytest.raises(InputTypeError, match=r"flax\.linen module"):
        Ensemble(lambda x: x, 3)
    with pytest.raises(InputValueError, match="num_members must be at least 1"):
        Ensemble(MEMBER, 0)
    with pytest.raises(InputValueError, match="prior_scale"):
        Ensemble(MEMBER, 3, prior_scale=-1.0)
    torso = Torso(VECTOR, (8,))
    with pytest.raises(InputValueError, match=r"action values \[B, A\]"):
        Ensemble(Single(), 2).init(jax.random.key(0), OBSERVATION)
    distributions = QNetwork(torso, Head(3, outputs=5)), QuantileNetwork(torso, Head(3, outputs=5))
    for member in distributions:
        outputs, variables = Ensemble(member, 2, 1.0).init_with_output(jax.random.key(0), OBSERVATION)
        alone = member.apply({"params": pick(variables["params"]["members"])}, OBSERVATION)
        prior = member.apply({"params": pick(variables["params"]["priors"])}, OBSERVATION)
        if isinstance(alone, Quantiles):
            assert_allclose(outputs.taus[1], alone.taus)
            outputs, alone, prior = outputs.values, alone.values, prior.values
        assert_allclose(outputs[1], alone + prior, rtol=1e-5, atol=1e-6)
    with pytest.raises(InputValueError, match="batch_stats"):
        Ensemble(Normalized(), 2).init(jax.random.key(0), OBSERVATION)
