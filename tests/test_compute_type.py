"""Layers that compute in bfloat16, around weights, values and losses that stay float32."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose
from worlds import OneStep

import jaxq

KINDS = {
    "plain": {},
    "dueling": {"dueling": True, "layer_norm": True},
    "noisy": {"noisy": True},
    "categorical": {"value": "categorical"},
    "implicit": {"value": "implicit_quantile", "num_quantiles": 4},
    "ensemble": {"exploration": "ensemble", "ensemble_size": 2},
    "recurrent": {"recurrent_size": 8, "sequence_length": 4, "burn_in": 2},
}


def products(program):
    """The types of the inputs of all products in a program, those of inner programs included."""
    found = []
    for equation in program.eqns:
        if equation.primitive.name == "dot_general":
            found.append({str(variable.aval.dtype) for variable in equation.invars})
        for value in equation.params.values():
            inner = getattr(value, "jaxpr", value)
            found += products(inner) if hasattr(inner, "eqns") else []
    return found


@pytest.mark.parametrize("kind", KINDS)
def test_products_are_bfloat16_and_all_that_is_kept_float32(cartpole, small, kind):
    keywords = small(**KINDS[kind])
    trainer = jaxq.Trainer(cartpole, jaxq.dqn(**keywords, compute_type="bfloat16"))
    state = jax.eval_shape(trainer.init, jax.random.key(0))
    types = {str(leaf.dtype) for leaf in jax.tree.leaves(state.learner)}
    assert "float32" in types
    assert "bfloat16" not in types
    q = jax.make_jaxpr(trainer._q_values_of)(state.learner, jnp.ones((3, 4)))
    assert q.out_avals[0].dtype == jnp.float32
    found = products(q.jaxpr)
    # A categorical value's mean and what goes round in a recurrent layer are not the layers' own.
    assert found.count({"bfloat16"}) >= 2
    if kind not in ("categorical", "recurrent"):
        assert {"float32"} not in found


def test_the_values_are_those_of_float32_but_for_rounding(cartpole, small):
    exact, rounded = (
        jaxq.Trainer(cartpole, jaxq.dqn(**small(), compute_type=compute_type))
        for compute_type in ("float32", "bfloat16")
    )
    observation = jax.random.normal(jax.random.key(1), (50, 4))
    state = exact.init(jax.random.key(0))
    q, q_rounded = (each.q_values(state, observation) for each in (exact, rounded))
    assert_allclose(q, q_rounded, atol=0.02 * np.abs(q).max())
    assert np.abs(q - q_rounded).max() > 0


def test_it_learns_what_a_step_pays(small):
    env = jaxq.envs.from_gymnax(OneStep(), OneStep().default_params)
    keywords = small(compute_type="bfloat16", learning_rate=1e-2)
    trainer = jaxq.Trainer(env, jaxq.dqn(**keywords))
    state, _ = trainer.run(trainer.init(jax.random.key(0)), 2_000)
    assert_allclose(trainer.q_values(state, state.actors.observation), 1, atol=0.02)


@pytest.mark.parametrize(
    ("keywords", "reason"),
    [
        ({"compute_type": "float16"}, "bfloat16"),
        ({"compute_type": 16}, "compute_type"),
        ({"compute_type": "bfloat16", "network": jaxq.networks.LinearHead(2)}, "dtype=jnp.bfloat16"),
    ],
)
def test_what_makes_no_sense_is_refused(keywords, reason):
    with pytest.raises(jaxq.InputError, match=reason):
        jaxq.dqn(**keywords)
