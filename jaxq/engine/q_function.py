"""A network and the meaning of what it gives: action values out of observations."""

from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxq import checks
from jaxq.agents import Settings
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

# How far the atoms of a categorical value reach that was given no ends.
SUPPORT = 1e3


class QFunction(NamedTuple):
    """A network with a value representation.

    Of implicit quantiles, predictions, targets and the policy have fractions of their own, of which
    there need not be as many: `network` predicts with N of them, `target_network` bootstraps from N',
    and `policy_network` chooses with K; all take the same weights. Of anything else the three are one.

    Attributes:
        network: Maps observations `[B, ...]` to what represents action values.
        target_network: The same for what is bootstrapped from.
        policy_network: The same for which action is best.
        value: What that represents.
        members: Members of an ensemble, whose outputs have a leading axis; 0 for none.
        own: Whether the network was built here, so that it is known where values begin.
    """

    network: nn.Module
    target_network: nn.Module
    policy_network: nn.Module
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

    def target_output(self, params: PyTree, observation: jax.Array, key: jax.Array) -> PyTree:
        """Return what represents the action values to bootstrap from, noise and quantiles drawn anew."""
        return self.target_network.apply(params, observation, rngs=streams(key))

    def q_values(
        self, params: PyTree, observation: jax.Array, key: jax.Array | None = None
    ) -> jax.Array:
        """Return action values `[B, A]`; of an ensemble, the mean of its members'."""
        q = self.member_values(params, observation, key)
        return q.mean(axis=0) if self.members else q

    def member_values(
        self, params: PyTree, observation: jax.Array, key: jax.Array | None = None
    ) -> jax.Array:
        """Return action values `[B, A]`; of an ensemble, each member's, `[K, B, A]`.

        With a key, noise is drawn anew. Fractions are always the midpoints `(k + 1/2) / K`: so there is
        one greedy policy, which acting, evaluation and targets agree on, and as a quadrature they come
        nearer to the mean than as many random ones.
        """
        rngs = {name: stream for name, stream in streams(key).items() if name == "noise"}
        output = self.policy_network.apply(params, observation, rngs=rngs)
        return self.each(jax.vmap(self.value.q))(output)

    def policy_values(
        self, params: PyTree, observation: jax.Array, output: PyTree, key: jax.Array
    ) -> jax.Array:
        """Return the action values that choose what is bootstrapped from.

        Args:
            params: The weights that choose.
            observation: Observations, `[B, ...]`.
            output: The `target_output` of these weights.
            key: PRNG key for noise, if the values are worked out anew.

        Returns:
            Those of `output`, leaves `[B, A]` or `[K, B, A]`; of implicit quantiles `member_values`, as
            a choice by the fractions that are bootstrapped from would be biased toward their luck.
        """
        if self.policy_network is self.network:
            return self.each(jax.vmap(self.value.q))(output)
        return self.member_values(params, observation, key)

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
    """Build the network that settings describe, and say what it gives.

    Raises:
        InputValueError: If `layer_norm` has no layers to normalize.
    """
    own = settings.network is None
    member = _network(settings, spec, num_actions) if own else settings.network
    network, members = _ensemble(settings, member), _members(settings)
    target = policy = network
    if isinstance(network, ImplicitQuantileNetwork):
        target = network.clone(num_quantiles=settings.num_target_quantiles)
        policy = network.clone(num_quantiles=settings.num_policy_quantiles)
    return QFunction(network, target, policy, _value(settings), members, own)


def _network(settings: Settings, spec: ObservationSpec, num_actions: int) -> nn.Module:
    dtype = None if settings.compute_type == "float32" else jnp.dtype(settings.compute_type)
    torso = Torso(spec, settings.hidden_sizes, settings.layer_norm, settings.noisy, dtype)
    if settings.layer_norm and not (settings.hidden_sizes or _head_size(settings) or torso.convolves):
        raise checks.InputValueError(
            "layer_norm=True normalizes hidden layers, and hidden_sizes=() has none; "
            "for example hidden_sizes=(64, 64), or leave out layer_norm"
        )
    outputs = {"categorical": settings.num_atoms, "quantile": settings.num_quantiles}
    head = Head(
        num_actions,
        outputs.get(settings.value),
        settings.dueling,
        settings.noisy,
        dtype,
        _head_size(settings),
        settings.layer_norm,
    )
    if settings.recurrent_size:
        return RecurrentQNetwork(torso, head, settings.recurrent_size)
    if settings.value == "implicit_quantile":
        return ImplicitQuantileNetwork(torso, head, settings.num_quantiles)
    if settings.value == "quantile":
        return QuantileNetwork(torso, head)
    return QNetwork(torso, head)


def _head_size(settings: Settings) -> int:
    """Return the width of the head's hidden layers: that of the features, or 0 for none.

    Where no hidden layers are asked for, the features are the observation itself, and all is linear.
    """
    if settings.dueling and settings.recurrent_size:
        return settings.recurrent_size
    needed = settings.dueling or settings.value == "implicit_quantile"
    return settings.hidden_sizes[-1] if needed and settings.hidden_sizes else 0


def _members(settings: Settings) -> int:
    return settings.ensemble_size if settings.exploration == "ensemble" else 0


def _ensemble(settings: Settings, member: nn.Module) -> nn.Module:
    members = _members(settings)
    return Ensemble(member, members, settings.prior_scale) if members else member


def _value(settings: Settings) -> Value:
    if settings.value == "categorical":
        if settings.value_min is None:
            return CategoricalValue(settings.num_atoms, -SUPPORT, SUPPORT, "symlog")
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
