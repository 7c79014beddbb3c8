"""Networks: torsos that turn observations into features, and heads that turn features into Q-values.

Every module takes a batch, `[B, ...]`. They are written so that a `vmap` over the weights of many
agents stays a batched matrix product, which is what runs fast on every backend.
"""

from collections.abc import Sequence

import flax.linen as nn
import jax
import jax.numpy as jnp

from jaxq.types import ObservationSpec


def encode(observation: jax.Array, spec: ObservationSpec) -> jax.Array:
    """Turn raw observations into float32 network input.

    State numbers become one-hot vectors, uint8 images are scaled to [0, 1], and everything else is
    cast.

    Args:
        observation: Observations in their own type, `[B, ...]`.
        spec: What one observation looks like.

    Returns:
        float32 `[B, ...]`, or `[B, S]` for state numbers.
    """
    if spec.num_categories is not None and spec.shape == ():
        return jax.nn.one_hot(observation, spec.num_categories)
    scale = 1 / 255 if spec.dtype == jnp.uint8 else 1
    return observation.astype(jnp.float32) * scale


class SlicedConv(nn.Module):
    """A convolution without padding, as one matrix product over shifted slices of the image.

    Under `vmap` over weights, XLA turns a convolution into a grouped one, which on CPU runs at a
    fraction of the speed of the batched matrix product that this becomes.

    Attributes:
        features: Number of output channels.
        kernel_size: Side of the square kernel in pixels.
    """

    features: int
    kernel_size: int = 3

    @nn.compact
    def __call__(self, image: jax.Array) -> jax.Array:
        """Map images `[B, H, W, C]` to `[B, H - k + 1, W - k + 1, features]`."""
        size = self.kernel_size
        height, width = image.shape[1] - size + 1, image.shape[2] - size + 1
        slices = [
            image[:, row : row + height, column : column + width]
            for row in range(size)
            for column in range(size)
        ]
        return nn.Dense(self.features)(jnp.concatenate(slices, axis=-1))


class Torso(nn.Module):
    """Features of an observation: a convolution first for images, then dense layers.

    An image is an observation with three axes, `[H, W, C]`; others are flattened.

    Attributes:
        spec: What one observation looks like.
        hidden_sizes: Widths of the dense layers.

    References:
        Young and Tian, MinAtar, 2019, section 4 (16 filters of 3x3, then 128 units).
    """

    spec: ObservationSpec
    hidden_sizes: Sequence[int]

    @nn.compact
    def __call__(self, observation: jax.Array) -> jax.Array:
        """Map observations `[B, ...]` to features `[B, hidden_sizes[-1]]`."""
        x = encode(observation, self.spec)
        if len(self.spec.shape) == 3 and min(self.spec.shape[:2]) >= 3:
            x = nn.relu(SlicedConv(16)(x))
        x = x.reshape(x.shape[0], -1)
        for size in self.hidden_sizes:
            x = nn.relu(nn.Dense(size)(x))
        return x


class LinearHead(nn.Module):
    """Action values as a linear function of the features.

    Attributes:
        num_actions: Number of actions A.
    """

    num_actions: int

    @nn.compact
    def __call__(self, features: jax.Array) -> jax.Array:
        """Map features `[B, F]` to action values `[B, A]`."""
        return nn.Dense(self.num_actions)(features)


class DuelingHead(nn.Module):
    """Action values as the state's value plus each action's advantage over the mean.

    `q[a] = v + adv[a] - mean_b adv[b]`

    Attributes:
        num_actions: Number of actions A.

    References:
        Wang et al., Dueling Network Architectures, 2016, equation 9.
    """

    num_actions: int

    @nn.compact
    def __call__(self, features: jax.Array) -> jax.Array:
        """Map features `[B, F]` to action values `[B, A]`."""
        value = nn.Dense(1)(features)
        advantage = nn.Dense(self.num_actions)(features)
        return value + advantage - advantage.mean(axis=-1, keepdims=True)


class QNetwork(nn.Module):
    """A torso and a head.

    Attributes:
        torso: Observations to features.
        head: Features to action values.
    """

    torso: nn.Module
    head: nn.Module

    def __call__(self, observation: jax.Array) -> jax.Array:
        """Map observations `[B, ...]` to action values `[B, A]`."""
        return self.head(self.torso(observation))
