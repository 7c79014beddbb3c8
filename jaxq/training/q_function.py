"""A network and the meaning of what it gives: action values out of observations."""

from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxq import checks
from jaxq.algorithms import Settings
from jaxq.hparams import Hparams
from jaxq.learning import CategoricalValue, QuantileValue, RescaledValue, ScalarValue, Value
from jaxq.networks import (
    Ensemble,
    Head,
    ImplicitQuantileNetwork,
    QNetwork,
    QuantileNetwork,
    RecurrentQNetwork,
    Torso,
    with_initial_value,
)
from jaxq.types import Environment, ObservationSpec, PyTree


class QFunction(NamedTuple):
    """A network with a value representation.

    Attributes:
        network: Maps observations `[B, ...]` to what represents action values.
        value: What that represents.
        members: Members of an ensemble, whose outputs have a leading axis; 0 for none.
        own: Whether the network was built here, so that it is known where values begin.
    """

    network: nn.Module
    value: Value
    members: int
    own: bool

    def init(self, key: jax.Array, hparams: Hparams, *arguments: jax.Array) -> PyTree:
        """Make fresh weights, whose values begin at `initial_value` if there is one."""
        # One agent after another: on CPU, XLA hands the decompositions behind orthogonal initializers
        # of many agents to a pool of threads, in which devices then wait for each other for ever.
        init = jax.custom_batching.sequential_vmap(self.network.init)
        params = init(key, *arguments)
        if self.own and hparams.initial_value is not None:
            # As the network gives it, on whatever scale.
            start = self.value.constant_target(hparams.initial_value).reshape(())
            params = with_initial_value(params, start)
        return params

    def output(self, params: PyTree, observation: jax.Array, key: jax.Array | None = None) -> PyTree:
        """Return what represents action values; with a key, noise and quantiles are drawn anew."""
        return self.network.apply(params, observation, rngs=streams(key))

    def q_values(
        self, params: PyTree, observation: jax.Array, key: jax.Array | None = None
    ) -> jax.Array:
        """Return action values `[B, A]`; of an ensemble, the mean of its members'."""
        q = self.member_values(params, observation, key)
        return q.mean(axis=0) if self.members else q

    def member_values(
        self, params: PyTree, observation: jax.Array, key: jax.Array | None = None
    ) -> jax.Array:
        """Return action values `[B, A]`; of an ensemble, each member's, `[K, B, A]`."""
        output = self.output(params, observation, key)
        return self.each(jax.vmap(self.value.q))(output)

    def each(self, function: Any) -> Any:
        """Apply a function to each member of an ensemble, or to what is none as it is."""
        return jax.vmap(function) if self.members else function


def streams(key: jax.Array | None) -> dict[str, jax.Array]:
    """Name the random numbers that networks may draw; none without a key."""
    if key is None:
        return {}
    noise, quantiles = jax.random.split(key)
    return {"noise": noise, "quantiles": quantiles}


def make_q_function(settings: Settings, spec: ObservationSpec, num_actions: int) -> QFunction:
    """Build the network that settings describe, and say what it gives."""
    value = _value(settings)
    if settings.network is not None:
        return QFunction(_ensemble(settings, settings.network), value, _members(settings), False)
    dtype = None if settings.compute_type == "float32" else jnp.dtype(settings.compute_type)
    torso = Torso(spec, settings.hidden_sizes, settings.layer_norm, settings.noisy, dtype)
    outputs = {"categorical": settings.num_atoms, "quantile": settings.num_quantiles}
    head = Head(num_actions, outputs.get(settings.value), settings.dueling, settings.noisy, dtype)
    network: nn.Module
    if settings.recurrent_size:
        network = RecurrentQNetwork(torso, head, settings.recurrent_size)
    elif settings.value == "implicit_quantile":
        network = ImplicitQuantileNetwork(torso, head, settings.num_quantiles)
    elif settings.value == "quantile":
        network = QuantileNetwork(torso, head)
    else:
        network = _ensemble(settings, QNetwork(torso, head))
    return QFunction(network, value, _members(settings), True)


def _members(settings: Settings) -> int:
    return settings.ensemble_size if settings.exploration == "ensemble" else 0


def _ensemble(settings: Settings, member: nn.Module) -> nn.Module:
    members = _members(settings)
    return Ensemble(member, members, settings.prior_scale) if members else member


def _value(settings: Settings) -> Value:
    if settings.value == "categorical":
        return CategoricalValue(settings.num_atoms, settings.value_min, settings.value_max)
    if settings.value == "scalar":
        return ScalarValue(settings.loss)
    if settings.value == "rescaled":
        return RescaledValue(ScalarValue(settings.loss))
    return QuantileValue()


def check_network(env: Environment, settings: Settings, q_function: QFunction) -> None:
    """Check that a network of the user's own fits the environment.

    Raises:
        InputValueError: If it does not, with what it gives.
    """
    spec = env.observation_spec
    # It is made with one observation, acts on as many as there are environments, and learns from others.
    for size in dict.fromkeys((settings.num_envs, 1, settings.batch_size)):
        first, batch = (jax.ShapeDtypeStruct((number, *spec.shape), spec.dtype) for number in (1, size))
        try:
            variables = jax.eval_shape(q_function.network.init, jax.random.key(0), first)
            q = jax.eval_shape(q_function.q_values, variables, batch)
            others = sorted(set(variables) - {"params"})
            got = f"variables {others} beside its params" if others else f"{q.dtype}{list(q.shape)}"
        except Exception as error:
            got = f"an error: {(str(error) or type(error).__name__).splitlines()[0]}"
        expected = f"float32[{size}, {env.num_actions}]"
        if got != expected:
            raise checks.InputValueError(
                f"the network must map observations {jnp.dtype(batch.dtype)}{list(batch.shape)} of "
                f"{env.name} to action values {expected}, for batches of any size, got {got}"
            )
