"""Q-networks: a torso and a head, for every representation of a value."""

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxq import checks
from jaxq.kernels.cosines import cosines
from jaxq.kernels.dispatch import one_gpu
from jaxq.kernels.perceptron import perceptron
from jaxq.learning import Quantiles, quantile_midpoints
from jaxq.networks.heads import Head
from jaxq.networks.torso import Torso


class Features(nn.Module):
    """The torso of what is given features: it passes them on."""

    def __call__(self, features: jax.Array) -> jax.Array:
        """Return what it is given, `[B, F]`."""
        return features


class QNetwork(nn.Module):
    """A torso and a head, for action values or for a categorical distribution of each.

    Attributes:
        torso: Observations to features.
        head: Features to action values.
    """

    torso: nn.Module
    head: nn.Module

    def __call__(self, observation: jax.Array) -> jax.Array:
        """Map observations `[B, ...]` to what the head gives: `[B, A]` or `[B, A, K]`."""
        values = self._by_perceptron(observation) if one_gpu() and not self.is_initializing() else None
        return self.head(self.torso(observation)) if values is None else values

    def _by_perceptron(self, observation: jax.Array) -> jax.Array | None:
        """Work out plain layers in one go, or nothing if there are others."""
        if type(self.torso) is not Torso or type(self.head) is not Head:
            return None
        hidden, last = self.torso.inputs_and_layers(observation), self.head.linear_layer()
        if hidden is None or last is None:
            return None
        x, layers = hidden
        outputs = () if self.head.outputs is None else (self.head.outputs,)
        return perceptron(x, [*layers, last]).reshape(-1, self.head.num_actions, *outputs)


class QuantileNetwork(nn.Module):
    """Quantiles of each action's return at N fixed fractions, the midpoints `(i + 1/2) / N`.

    Attributes:
        torso: Observations to features.
        head: Features to quantiles `[B, A, N]`, such as `Head(num_actions, outputs=N)`.

    Raises:
        InputValueError: If the head gives something else.

    References:
        Dabney et al., Distributional Reinforcement Learning with Quantile Regression, 2018, lemma 2.
    """

    torso: nn.Module
    head: nn.Module

    def __call__(self, observation: jax.Array) -> Quantiles:
        """Map observations `[B, ...]` to quantiles, values `[B, A, N]` at fractions `[B, N]`."""
        values = self.head(self.torso(observation))
        if values.ndim != 3:
            raise checks.InputValueError(
                "the head of a quantile network must give quantiles [B, A, N], got "
                f"{list(values.shape)}; for example Head(num_actions, outputs=200)"
            )
        return Quantiles(values, _midpoints(values.shape[0], values.shape[2]))


class ImplicitQuantileNetwork(nn.Module):
    """Quantiles of each action's return at any fractions, which are part of the input.

    `z[b, a, n] = head(features[b] * phi(tau[b, n]))[a]` with
    `phi(tau) = relu(dense(cos(pi i tau)))`, `i = 0 ... num_cosines - 1`. The head should have a hidden
    layer, as in the paper: a linear one makes values bilinear in features and embedding.

    With an rng stream "quantiles", `apply(variables, x, rngs={"quantiles": key})`, each element of the
    batch gets fractions of its own, uniform in [0, 1); without it all get the midpoints
    `(n + 1/2) / N`, for evaluation.

    Attributes:
        torso: Observations to features `[B, F]`.
        head: Features to action values `[B, A]`, such as `Head(num_actions, hidden_size=64)`.
        num_quantiles: Number of fractions N in a forward pass. The weights do not depend on it:
            `network.clone(num_quantiles=32)` takes the same ones.
        num_cosines: Number of cosines that a fraction is described by.

    Raises:
        InputValueError: If the torso or the head gives something else.

    References:
        Dabney et al., Implicit Quantile Networks for Distributional Reinforcement Learning, 2018,
        equation 4 and figure 1.
    """

    torso: nn.Module
    head: nn.Module
    num_quantiles: int
    num_cosines: int = 64

    def __post_init__(self) -> None:
        """Check the sizes."""
        self.num_quantiles = checks.whole_number("num_quantiles", self.num_quantiles)
        self.num_cosines = checks.whole_number("num_cosines", self.num_cosines)
        super().__post_init__()

    @nn.compact
    def __call__(self, observation: jax.Array) -> Quantiles:
        """Map observations `[B, ...]` to quantiles, values `[B, A, N]` at fractions `[B, N]`."""
        features = self.torso(observation)
        if features.ndim != 2:
            raise checks.InputValueError(
                f"the torso must give features [B, F], got {list(features.shape)}; "
                "for example features.reshape(features.shape[0], -1)"
            )
        batch, width = features.shape
        taus = self._fractions(batch)
        waves = cosines(taus, self.num_cosines)
        # In the type of what it is multiplied with.
        embedding = nn.relu(nn.Dense(width, dtype=features.dtype, name="embedding")(waves))
        # Flattened, so that a head of the user's own sees a batch like any other.
        values = self.head((features[:, None] * embedding).reshape(-1, width))
        if values.ndim != 2:
            raise checks.InputValueError(
                "the head of an implicit quantile network must give one number per action, [B, A], "
                f"got {list(values.shape)}; for example Head(num_actions, hidden_size=64)"
            )
        values = values.reshape(batch, self.num_quantiles, -1)
        return Quantiles(jnp.swapaxes(values, 1, 2), taus)

    def _fractions(self, batch: int) -> jax.Array:
        if not self.has_rng("quantiles"):
            return _midpoints(batch, self.num_quantiles)
        return jax.random.uniform(self.make_rng("quantiles"), (batch, self.num_quantiles), jnp.float32)


def _midpoints(batch: int, count: int) -> jax.Array:
    return jnp.broadcast_to(quantile_midpoints(count)[None], (batch, count))
