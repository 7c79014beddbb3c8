"""Heads: features to action values, in whatever form the values are represented."""

import flax.linen as nn
import flax.traverse_util
import jax
import jax.numpy as jnp
from flax.typing import Dtype

from jaxq import checks
from jaxq.networks.ensemble import PRIORS
from jaxq.networks.noisy import check_features, dense
from jaxq.types import PyTree

ACTION_VALUES, STATE_VALUE, ADVANTAGES = "action_values", "state_value", "advantages"


class Head(nn.Module):
    """The last layers: one number per action, or K numbers per action (atoms' logits, quantiles).

    `z = linear(h)` with `h = relu(dense(features))`, or `h = features` without a hidden layer; with
    `dueling` `z[a, k] = v[k] + adv[a, k] - mean_b adv[b, k]`, both with a hidden layer of their own:
    without one the two add up to one linear function of the features.

    Attributes:
        num_actions: Number of actions A.
        outputs: Numbers K per action; `None` for one, without an axis for it.
        dueling: Whether values split into the state's and the actions' advantages.
        noisy: Whether the layers are `NoisyDense`.
        dtype: Type to compute in, such as `jnp.bfloat16`; the values are float32 all the same.
        hidden_size: Width of each stream's hidden layer, 0 for none; `None` makes a dueling head's as
            wide as the features, and gives another head none.
        layer_norm: Whether hidden layers are normalized before the ReLU, as those of a `Torso`.

    References:
        Wang et al., Dueling Network Architectures, 2016, equation 9 and section 4.2 (`dueling`).
        Hessel et al., Rainbow, 2018, section "The Integrated Agent" (dueling for each atom).

    Example:
        >>> import jax, jax.numpy as jnp
        >>> head, features = Head(num_actions=3, outputs=51, dueling=True), jnp.ones((5, 8))
        >>> head.init_with_output(jax.random.key(0), features)[0].shape
        (5, 3, 51)
    """

    num_actions: int
    outputs: int | None = None
    dueling: bool = False
    noisy: bool = False
    dtype: Dtype | None = None
    hidden_size: int | None = None
    layer_norm: bool = False

    def __post_init__(self) -> None:
        """Check the sizes."""
        self.num_actions = checks.whole_number("num_actions", self.num_actions)
        if self.outputs is not None:
            self.outputs = checks.whole_number("outputs", self.outputs)
        if self.hidden_size is not None:
            self.hidden_size = checks.whole_number("hidden_size", self.hidden_size, minimum=0)
        super().__post_init__()

    @nn.compact
    def __call__(self, features: jax.Array) -> jax.Array:
        """Map features `[B, F]` to values `[B, A]`, or `[B, A, K]`."""
        check_features(features)
        width = 1 if self.outputs is None else self.outputs
        name = ADVANTAGES if self.dueling else ACTION_VALUES
        values = self._stream(self.num_actions * width, name, features)
        values = values.reshape(*features.shape[:-1], self.num_actions, width)
        if self.dueling:
            state_value = jnp.expand_dims(self._stream(width, STATE_VALUE, features), -2)
            values = state_value + values - values.mean(axis=-2, keepdims=True)
        return values.squeeze(-1) if self.outputs is None else values

    def linear_layer(self) -> tuple[jax.Array, jax.Array] | None:
        """Return weights and biases of a head that is one plain layer, in float32."""
        if self.dueling or self.hidden_size or self.noisy or self.dtype is not None:
            return None
        layer = self.variables["params"][ACTION_VALUES]
        return layer["kernel"], layer["bias"]

    def _stream(self, outputs: int, name: str, features: jax.Array) -> jax.Array:
        size = self.hidden_size
        if size is None:
            size = features.shape[-1] if self.dueling else 0
        if size:
            features = dense(size, self.noisy, f"{name}_hidden", self.dtype)(features)
            if self.layer_norm:
                features = nn.LayerNorm(dtype=self.dtype, name=f"{name}_norm")(features)
            features = nn.relu(features)
        return dense(outputs, self.noisy, name, self.dtype)(features).astype(jnp.float32)


class LinearHead(nn.Module):
    """Action values as a linear function of the features; what a module of your own can end in.

    Attributes:
        num_actions: Number of actions A.
    """

    num_actions: int

    @nn.compact
    def __call__(self, features: jax.Array) -> jax.Array:
        """Map features `[B, F]` to action values `[B, A]`."""
        return Head(self.num_actions)(features)


class DuelingHead(nn.Module):
    """Action values as the state's value plus each action's advantage over the mean.

    `q[a] = v + adv[a] - mean_b adv[b]`, each stream with a hidden layer of its own.

    Attributes:
        num_actions: Number of actions A.
        hidden_size: Width of the hidden layers, 0 for none; as wide as the features if `None`.

    References:
        Wang et al., Dueling Network Architectures, 2016, equation 9 and section 4.2.
    """

    num_actions: int
    hidden_size: int | None = None

    @nn.compact
    def __call__(self, features: jax.Array) -> jax.Array:
        """Map features `[B, F]` to action values `[B, A]`."""
        return Head(self.num_actions, dueling=True, hidden_size=self.hidden_size)(features)


def with_initial_value(params: PyTree, value: jax.Array | float) -> PyTree:
    """Shift all action values of a network by the same number: optimistic initialization.

    `q[a] + value` for every action, by adding to the bias of the last layer, or of the state's value
    where the head is dueling. Quantiles shift all alike; logits of a categorical distribution would
    not move its mean, so this is not for them. All members of an ensemble shift, its priors stay.

    Args:
        params: Weights of a network that ends in a head of `jaxq.networks`; nested as flax has them,
            with or without the collection's name around them.
        value: What is added, `[]`; it may be traced.

    Returns:
        Weights of the same structure.

    Raises:
        InputValueError: If the weights hold no such head, or `value` is not one number.

    References:
        Sutton and Barto, Reinforcement Learning, 2nd edition, 2018, section 2.6.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> head, features = LinearHead(2), jnp.zeros((1, 8))
        >>> variables = with_initial_value(head.init(jax.random.key(0), features), 5.0)
        >>> head.apply(variables, features).tolist()
        [[5.0, 5.0]]
    """
    if jnp.ndim(value) != 0:
        raise checks.InputValueError(
            f"value must be one number, got shape {jnp.shape(value)}; for many agents vmap over them"
        )
    leaves = flax.traverse_util.flatten_dict(params)
    biases = [path for path in leaves if _is_output_bias(path)]
    if not biases:
        raise checks.InputValueError(
            "initial values need a network that ends in a head of jaxq.networks, got none among its "
            "weights; for example end yours in jaxq.networks.LinearHead(num_actions)"
        )
    shifted = {path: leaves[path] + jnp.asarray(value, leaves[path].dtype) for path in biases}
    return flax.traverse_util.unflatten_dict({**leaves, **shifted})


def _is_output_bias(path: tuple[str, ...]) -> bool:
    ends = ((ACTION_VALUES, "bias"), (STATE_VALUE, "bias"))
    return path[-2:] in ends and PRIORS not in path
