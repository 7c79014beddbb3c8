"""Torsos: observations to features."""

from collections.abc import Sequence
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from flax.typing import Dtype

from jaxq import checks
from jaxq.kernels.convolution import patches
from jaxq.kernels.perceptron import Layers
from jaxq.networks.noisy import dense
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
        return jax.nn.one_hot(observation, spec.num_categories, dtype=jnp.float32)
    scale = 1 / 255 if spec.dtype == jnp.uint8 else 1
    return observation.astype(jnp.float32) * scale


class SlicedConv(nn.Module):
    """A convolution without padding, as one matrix product over shifted slices of the image.

    Under `vmap` over weights, XLA turns a convolution into a grouped one, which on CPU runs at a
    fraction of the speed of the batched matrix product that this becomes.

    Attributes:
        features: Number of output channels.
        kernel_size: Side of the square kernel in pixels.
        dtype: Type to compute in; that of the inputs and weights if `None`.

    Raises:
        InputValueError: If an image is smaller than the kernel.
    """

    features: int
    kernel_size: int = 3
    dtype: Dtype | None = None

    def __post_init__(self) -> None:
        """Check the sizes."""
        self.features = checks.whole_number("features", self.features)
        self.kernel_size = checks.whole_number("kernel_size", self.kernel_size)
        super().__post_init__()

    @nn.compact
    def __call__(self, image: jax.Array) -> jax.Array:
        """Map images `[B, H, W, C]` to `[B, H - k + 1, W - k + 1, features]`."""
        size = self.kernel_size
        if image.ndim != 4 or min(image.shape[1:3]) < size:
            raise checks.InputValueError(
                f"SlicedConv takes images [B, H, W, C] of at least {size}x{size} pixels, got "
                f"{list(image.shape)}; for example SlicedConv({self.features}, kernel_size=1)"
            )
        return dense(self.features, noisy=False, dtype=self.dtype)(patches(image, size))


class Torso(nn.Module):
    """Features of an observation: a convolution first for images, then dense layers.

    Each layer is `relu(dense(x))`, or `relu(layer_norm(dense(x)))`. An image is an observation with
    three axes, `[H, W, C]`; others are flattened.

    Attributes:
        spec: What one observation looks like.
        hidden_sizes: Widths of the dense layers; with none the features are the input itself.
        layer_norm: Whether the outputs of each layer are normalized to mean 0 and variance 1 before
            the ReLU, those of a convolution over the channels of each pixel.
        noisy: Whether the dense layers are `NoisyDense`; the convolution never is.
        dtype: Type to compute in, such as `jnp.bfloat16`; weights are float32 all the same.

    Raises:
        InputTypeError: If `spec` is no observation spec or `hidden_sizes` no widths.
        InputValueError: If an observation has no elements or another shape than `spec` says.

    References:
        Young and Tian, MinAtar, 2019, section 4 (16 filters of 3x3, then 128 units).
        Gallici et al., Simplifying Deep Temporal Difference Learning, 2024 (PQN: `layer_norm`).
        Fortunato et al., Noisy Networks for Exploration, 2018 (`noisy`).
    """

    spec: ObservationSpec
    hidden_sizes: Sequence[int]
    layer_norm: bool = False
    noisy: bool = False
    dtype: Dtype | None = None

    def __post_init__(self) -> None:
        """Check the shapes."""
        _check_spec(self.spec)
        if not isinstance(self.hidden_sizes, tuple | list):
            raise checks.InputTypeError(
                f"hidden_sizes must be widths of layers, got {self.hidden_sizes!r}; "
                "hidden_sizes=(64, 64)"
            )
        self.hidden_sizes = tuple(
            checks.whole_number("hidden_sizes", size) for size in self.hidden_sizes
        )
        super().__post_init__()

    @nn.compact
    def __call__(self, observation: jax.Array) -> jax.Array:
        """Map observations `[B, ...]` to features `[B, hidden_sizes[-1]]`."""
        x = _encoded(observation, self.spec)
        if self.convolves:
            x = self._activate(SlicedConv(16, dtype=self.dtype)(x))
        x = x.reshape(x.shape[0], -1)
        for size in self.hidden_sizes:
            x = self._activate(dense(size, self.noisy, dtype=self.dtype)(x))
        return x

    def inputs_and_layers(self, observation: jax.Array) -> tuple[jax.Array, Layers] | None:
        """Return what the first layer takes, `[B, F]`, and all layers' weights, if they are plain ones.

        Plain are dense layers with ReLUs, in float32, and nothing else.
        """
        other = self.convolves or self.layer_norm or self.noisy or self.dtype is not None
        if other or not self.hidden_sizes:
            return None
        x = _encoded(observation, self.spec)
        weights = self.variables["params"]
        dense_layers = [weights[f"Dense_{number}"] for number in range(len(self.hidden_sizes))]
        layers = [(layer["kernel"], layer["bias"]) for layer in dense_layers]
        return x.reshape(x.shape[0], -1), layers

    @property
    def convolves(self) -> bool:
        """Whether observations are images large enough for the convolution."""
        return len(self.spec.shape) == 3 and min(self.spec.shape[:2]) >= 3

    def _activate(self, x: jax.Array) -> jax.Array:
        return nn.relu(nn.LayerNorm(dtype=self.dtype)(x) if self.layer_norm else x)


def _encoded(observation: jax.Array, spec: ObservationSpec) -> jax.Array:
    shape = spec.shape
    if observation.shape[1:] != shape or observation.ndim != len(shape) + 1:
        raise checks.InputValueError(
            f"the torso takes a batch of observations [{', '.join(map(str, ('B', *shape)))}], got "
            f"{list(observation.shape)}; for one observation pass observation[None]"
        )
    return encode(observation, spec)


def _check_spec(spec: Any) -> None:
    if not isinstance(spec, ObservationSpec):
        raise checks.InputTypeError(
            f"spec must say what one observation looks like, got {spec!r}; "
            "for example env.observation_spec"
        )
    if 0 in spec.shape or spec.num_categories == 0:
        raise checks.InputValueError(
            f"an observation must have at least one element, got {spec}; "
            'for example ObservationSpec((1,), jnp.dtype("float32")) with a constant in it'
        )
