"""Settings: what shapes a recipe's program, and which mixes make sense."""

import dataclasses
from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax

from jaxq import checks
from jaxq.agents.mixes import out_of_range, senseless
from jaxq.hparams import Hparams
from jaxq.kernels.products import global_norm
from jaxq.types import PyTree

LOSSES = ("huber", "squared")
VALUES = ("scalar", "rescaled", "categorical", "quantile", "implicit_quantile")
EXPLORATIONS = ("epsilon_greedy", "boltzmann", "ucb", "ensemble")
COMPUTE_TYPES = ("float32", "bfloat16")
SCHEDULES = ("linear", "exponential", "ladder")


def _clipped(optimizer: Callable[..., Any], hparams: Hparams) -> optax.GradientTransformation:
    return optax.chain(_clip(hparams.max_gradient_norm), optimizer(hparams.learning_rate))


def _clip(max_norm: jax.Array) -> optax.GradientTransformation:
    """Do what `optax.clip_by_global_norm` does, with a norm that is faster to work out."""

    def update(gradient: PyTree, state: optax.EmptyState, _: PyTree = None) -> tuple:
        norm = global_norm(gradient)
        scale = jnp.where(norm < max_norm, 1, max_norm / norm)
        return jax.tree.map(lambda leaf: leaf * scale, gradient), state

    return optax.GradientTransformation(lambda _: optax.EmptyState(), update)


def adam(hparams: Hparams) -> optax.GradientTransformation:
    """Clip gradients by their global norm, then take a step of Adam.

    Args:
        hparams: `learning_rate` and `max_gradient_norm` are used.

    Returns:
        The transformation; it is rebuilt at each update, so both may be traced.

    References:
        Kingma and Ba, Adam, 2015, algorithm 1; Pascanu et al., 2013, algorithm 1 (clipping).
    """
    return _clipped(optax.adam, hparams)


def radam(hparams: Hparams) -> optax.GradientTransformation:
    """Clip gradients by their global norm, then take a step of rectified Adam.

    Args:
        hparams: `learning_rate` and `max_gradient_norm` are used.

    Returns:
        The transformation.

    References:
        Liu et al., On the Variance of the Adaptive Learning Rate and Beyond, 2020, algorithm 2.
    """
    return _clipped(optax.radam, hparams)


OPTIMIZERS = (adam, radam)


@dataclasses.dataclass(frozen=True)
class Settings:
    """What shapes the program of a deep recipe: static, and the same for all agents of a population.

    Attributes:
        hidden_sizes: Widths of the dense layers. Where the head has hidden layers, they are as wide as
            the last of these, and it has none if there are none.
        network: A `flax.linen` module of the user's own instead, which maps observations `[B, ...]`
            in their own type to action values `[B, A]`.
        layer_norm: Whether features are normalized before each activation.
        noisy: Whether dense layers have learned noise on their weights, which explores by itself.
        compute_type: Type that dense layers and convolutions compute in, "float32" or "bfloat16".
            Weights, optimizer, targets and losses are float32 all the same, and so is a recurrent layer.
        recurrent_size: Width of a recurrent layer behind the others; 0 for none. With one, the agent
            learns from sequences.
        num_envs: Environments E that one agent acts in side by side.
        memory: "replay", or "window": learn from the newest `buffer_size` transitions and forget them.
        buffer_size: Transitions that are remembered, rounded up to whole iterations.
        batch_size: Transitions B in one gradient step; of a recurrent agent, sequences.
        sequence_length: Steps that a recurrent agent learns from in one sequence.
        burn_in: Steps before those, which only bring its state up to date.
        prioritized: Whether the replay draws what was mispredicted more often; of a recurrent agent,
            sequences that begin every half `sequence_length`.
        learning_starts: Env steps of the agent that fill the replay before the first gradient step,
            rounded up to whole iterations.
        train_interval: Env steps of the agent per gradient step, whatever the number of environments.
        target_interval: Env steps of the agent per update of the target network, which can follow
            no more than once on each gradient step.
        double: Whether the online network chooses the action that the target network values.
        dueling: Whether the head splits action values into a state's value and advantages, each with
            a hidden layer of its own; behind a recurrent layer, as wide as that one.
        n_step: Steps whose rewards are summed before bootstrapping.
        munchausen: Whether the log-policy is added to the reward, and the policy is soft.
        conservative: Whether actions that were not taken are pulled toward low values.
        value: How values are represented: "scalar", "rescaled" (one number too, of which the network
            gives about the square root), "categorical", "quantile" or "implicit_quantile".
        num_atoms: Atoms K of a categorical value.
        value_min: Lowest atom of a categorical value, in units of discounted return; with `value_max`,
            and the atoms have the same gap everywhere. Without the two they are dense near zero and
            reach beyond +-1,000, for returns of any size.
        value_max: Highest atom.
        num_quantiles: Quantiles N of a quantile value; of an implicit one, random fractions at which
            the prediction is compared with the target.
        num_target_quantiles: Random fractions N' that an implicit quantile value bootstraps from.
        num_policy_quantiles: Fractions K over which it is averaged to choose actions, the midpoints
            `(k + 1/2) / K`.
        loss: "squared" or "huber", for scalar and rescaled values.
        exploration: How actions are chosen: "epsilon_greedy", "boltzmann", "ucb" or "ensemble"; a
            random action is mixed into each of them with probability epsilon.
        epsilon_schedule: "linear" or "exponential" in env steps, or "ladder": constant, and another
            for each environment.
        count_bits: Bits of the hash by which "ucb" tells observations apart.
        ensemble_size: Members of an "ensemble".
        prior_scale: Weight of each member's fixed random prior.
        optimizer: Makes an optax transformation out of the hyperparameters.
    """

    hidden_sizes: tuple[int, ...] = (120, 84)
    network: nn.Module | None = None
    layer_norm: bool = False
    noisy: bool = False
    compute_type: str = "float32"
    recurrent_size: int = 0
    num_envs: int = 10
    memory: str = "replay"
    buffer_size: int = 10_000
    batch_size: int = 128
    sequence_length: int = 16
    burn_in: int = 8
    prioritized: bool = False
    learning_starts: int = 1_000
    train_interval: int = 5
    target_interval: int = 5
    double: bool = False
    dueling: bool = False
    n_step: int = 1
    munchausen: bool = False
    conservative: bool = False
    value: str = "scalar"
    num_atoms: int = 51
    value_min: float | None = None
    value_max: float | None = None
    num_quantiles: int = 32
    num_target_quantiles: int = 8
    num_policy_quantiles: int = 8
    loss: str = "squared"
    exploration: str = "epsilon_greedy"
    epsilon_schedule: str = "linear"
    count_bits: int = 12
    ensemble_size: int = 10
    prior_scale: float = 3.0
    optimizer: Callable[[Hparams], optax.GradientTransformation] = adam

    def __post_init__(self) -> None:
        """Check every setting, so that a mistake is reported before anything is compiled."""
        minima = {"learning_starts": 0, "burn_in": 0, "recurrent_size": 0, "num_atoms": 2}
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if field.type is int:
                value = checks.whole_number(field.name, value, minima.get(field.name, 1))
            elif field.type is bool:
                checks.true_or_false(field.name, value)
            elif field.type is float or (field.type == (float | None) and value is not None):
                checks.in_range(field.name, value, -jnp.inf, jnp.inf)
                value = float(value)
            object.__setattr__(self, field.name, value)
        object.__setattr__(self, "hidden_sizes", _widths(self.hidden_sizes))
        checks.known("memory", self.memory, ("replay", "window"))
        checks.known("value", self.value, VALUES)
        checks.known("loss", self.loss, LOSSES)
        checks.known("compute_type", self.compute_type, COMPUTE_TYPES)
        checks.known("exploration", self.exploration, EXPLORATIONS)
        checks.known("epsilon_schedule", self.epsilon_schedule, SCHEDULES)
        if not callable(self.optimizer):
            raise checks.InputTypeError(
                f"optimizer must be a function of the hyperparameters, got {self.optimizer!r}; "
                "for example lambda hparams: optax.sgd(hparams.learning_rate)"
            )
        if self.network is not None and not isinstance(self.network, nn.Module):
            raise checks.InputTypeError(
                f"network must be a flax.linen module, got {self.network!r}; "
                "for an MLP use hidden_sizes=(64, 64)"
            )
        for wrong, reason in [*senseless(self), *out_of_range(self)]:
            if wrong:
                raise checks.InputValueError(reason)
        self._check_sizes()

    def _check_sizes(self) -> None:
        needed = self.rows_needed * self.num_envs
        if self.batch_size > self.buffer_size:
            raise checks.InputValueError(
                f"batch_size must not exceed buffer_size, got {self.batch_size} > "
                f"{self.buffer_size}; for example buffer_size={self.batch_size}"
            )
        if needed > self.buffer_size:
            raise checks.InputValueError(
                f"buffer_size must hold {self.rows_needed} steps (n_step, or a whole sequence) of "
                f"{self.num_envs} environments, got {self.buffer_size}; "
                f"for example buffer_size={needed}"
            )
        if self.memory == "window":
            self._check_window()

    def _check_window(self) -> None:
        """Check that whole epochs of whole batches fit whole rows."""
        example = "for example num_envs=4, buffer_size=512, batch_size=128, train_interval=32"
        if self.buffer_size % self.batch_size or self.buffer_size % self.num_envs:
            raise checks.InputValueError(
                "a window is shuffled into whole batches: num_envs and batch_size must divide "
                f"buffer_size, got {self.num_envs}, {self.batch_size} and {self.buffer_size}; {example}"
            )
        if self.batch_size % self.train_interval:
            raise checks.InputValueError(
                "a window is learned from in batch_size / train_interval whole epochs, so "
                f"train_interval must divide batch_size, got {self.train_interval} and "
                f"{self.batch_size}; {example}"
            )

    @property
    def rows_needed(self) -> int:
        """Steps of one environment that there must be before anything can be learned from them."""
        if not self.recurrent_size:
            return self.n_step
        return self.sequence_rows + (self.sequence_stride - 1 if self.prioritized else 0)

    @property
    def sequence_rows(self) -> int:
        """Steps in one sequence of a recurrent agent, the burn-in included."""
        return self.burn_in + self.sequence_length

    @property
    def sequence_stride(self) -> int:
        """Steps from one prioritized sequence to the next: what is learned overlaps by half."""
        return max(self.sequence_length // 2, 1)


def _widths(hidden_sizes: Any) -> tuple[int, ...]:
    if isinstance(hidden_sizes, int) and not isinstance(hidden_sizes, bool):
        hidden_sizes = (hidden_sizes,)
    if not isinstance(hidden_sizes, tuple | list):
        raise checks.InputTypeError(
            f"hidden_sizes must be widths of layers, got {hidden_sizes!r}; hidden_sizes=(64, 64)"
        )
    return tuple(checks.whole_number("hidden_sizes", size) for size in hidden_sizes)
