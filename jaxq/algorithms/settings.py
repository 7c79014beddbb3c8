"""Settings: what shapes a recipe's program, and which mixes make sense."""

import dataclasses
from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax

from jaxq import checks
from jaxq.hparams import Hparams
from jaxq.networks.products import global_norm
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
        hidden_sizes: Widths of the dense layers.
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
        prioritized: Whether the replay draws what was mispredicted more often.
        learning_starts: Env steps of the agent that fill the replay before the first gradient step,
            rounded up to whole iterations.
        train_interval: Env steps of the agent per gradient step, whatever the number of environments.
        target_interval: Env steps of the agent per update of the target network, which can follow
            no more than once on each gradient step.
        double: Whether the online network chooses the action that the target network values.
        dueling: Whether the head splits action values into a state's value and advantages.
        n_step: Steps whose rewards are summed before bootstrapping.
        munchausen: Whether the log-policy is added to the reward, and the policy is soft.
        conservative: Whether actions that were not taken are pulled toward low values.
        value: How values are represented: "scalar", "rescaled" (one number too, of which the network
            gives about the square root), "categorical", "quantile" or "implicit_quantile".
        num_atoms: Atoms K of a categorical value.
        value_min: Lowest atom of a categorical value, in units of discounted return.
        value_max: Highest atom.
        num_quantiles: Quantiles of a quantile value.
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
    train_interval: int = 10
    target_interval: int = 500
    double: bool = False
    dueling: bool = False
    n_step: int = 1
    munchausen: bool = False
    conservative: bool = False
    value: str = "scalar"
    num_atoms: int = 51
    value_min: float = -100.0
    value_max: float = 100.0
    num_quantiles: int = 32
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
            elif field.type is float:
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
        for wrong, reason in [*_senseless(self), *_out_of_range(self)]:
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
        return self.burn_in + self.sequence_length if self.recurrent_size else self.n_step


def _senseless(s: Settings) -> list[tuple[bool, str]]:
    """List the mixes that make no sense, each with the reason."""
    window, recurrent, ensemble = s.memory == "window", s.recurrent_size > 0, s.exploration == "ensemble"
    own, scalar = s.network is not None, s.value in ("scalar", "rescaled")
    return [
        (
            own and s.dueling,
            "dueling=True builds a head, and network=... brings its own; "
            "leave out dueling, and end the network in jaxq.networks.DuelingHead(num_actions)",
        ),
        (
            own and (s.noisy or s.layer_norm or recurrent or not scalar),
            "noisy, layer_norm, recurrent_size and distributions as value build the network, and "
            "network=... brings its own; leave out one of the two",
        ),
        (
            own and s.compute_type != "float32",
            "compute_type is that of the layers which are built here, and network=... brings its own; "
            "give those dtype=jnp.bfloat16 instead",
        ),
        (
            window and s.prioritized,
            "a window is learned from as a whole, so there is nothing to prioritize; "
            "leave out prioritized=True, or use memory='replay'",
        ),
        (
            window and s.n_step > 1,
            "a window has lambda-returns, which mix returns of all lengths; "
            "leave out n_step, and set trace_decay",
        ),
        (
            window and (s.munchausen or recurrent or ensemble or not scalar),
            "lambda-returns over a window are numbers that the behaviour earned; munchausen, "
            "recurrent_size, exploration='ensemble' and distributions as value need memory='replay'",
        ),
        (
            s.munchausen and (s.double or s.n_step > 1),
            "a Munchausen target follows its own soft policy for one step: there is no maximum for "
            "double to split, and no log-policy of the steps between for n_step > 1; leave them out",
        ),
        (
            ensemble and (s.noisy or recurrent or not scalar),
            "an ensemble explores by the disagreement of its plain members; "
            "leave out noisy, recurrent_size and value, or use another exploration",
        ),
        (
            recurrent and (s.prioritized or not scalar or s.noisy),
            "sequences are drawn uniformly and learned as numbers, not distributions; "
            "leave out prioritized, value and noisy, or recurrent_size",
        ),
    ]


def _out_of_range(s: Settings) -> list[tuple[bool, str]]:
    """List the numbers that do not fit, by themselves or to each other, each with the reason."""
    return [
        (
            s.recurrent_size > 0 and s.n_step > s.sequence_length,
            f"n_step must fit into the sequence, got {s.n_step} > {s.sequence_length}; "
            f"for example sequence_length={2 * s.n_step}",
        ),
        (
            s.value == "categorical" and s.value_min >= s.value_max,
            f"value_min must be less than value_max, got {s.value_min:g} and {s.value_max:g}; "
            "for example value_min=-10, value_max=10",
        ),
        (
            s.count_bits > 20,
            f"count_bits must be at most 20, a million counts per action, got {s.count_bits}; "
            "for example count_bits=12",
        ),
        (s.prior_scale < 0, f"prior_scale must be at least 0, got {s.prior_scale:g}"),
    ]


def _widths(hidden_sizes: Any) -> tuple[int, ...]:
    if isinstance(hidden_sizes, int) and not isinstance(hidden_sizes, bool):
        hidden_sizes = (hidden_sizes,)
    if not isinstance(hidden_sizes, tuple | list):
        raise checks.InputTypeError(
            f"hidden_sizes must be widths of layers, got {hidden_sizes!r}; hidden_sizes=(64, 64)"
        )
    return tuple(checks.whole_number("hidden_sizes", size) for size in hidden_sizes)
