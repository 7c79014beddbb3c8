"""The recipes: each fills the slots of an `Algorithm` in a few lines.

Read `dqn` first; the settings that all deep recipes share are documented at `Settings`, the
hyperparameters that may vary inside a population at `jaxq.Hparams`.
"""

import dataclasses
import inspect
from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax
import optax

from jaxq import checks
from jaxq.hparams import Hparams, leaf_number, names
from jaxq.learning import greedy_probabilities
from jaxq.networks import DuelingHead, LinearHead, QNetwork, Torso
from jaxq.types import ObservationSpec

LOSSES: dict[str, Callable[[jax.Array], jax.Array]] = {
    "huber": lambda td_error: optax.losses.huber_loss(td_error),
    "squared": lambda td_error: optax.losses.l2_loss(td_error),
}


def adam(hparams: Hparams) -> optax.GradientTransformation:
    """Clip gradients by their global norm, then take a step of Adam.

    Args:
        hparams: `learning_rate` and `max_gradient_norm` are used.

    Returns:
        The transformation; it is rebuilt at each update, so both may be traced.

    References:
        Kingma and Ba, Adam, 2015, algorithm 1; Pascanu et al., 2013, algorithm 1 (clipping).
    """
    return optax.chain(
        optax.clip_by_global_norm(hparams.max_gradient_norm), optax.adam(hparams.learning_rate)
    )


@dataclasses.dataclass(frozen=True)
class Settings:
    """What shapes the program: static, and the same for all agents of a population.

    Attributes:
        hidden_sizes: Widths of the dense layers.
        network: A `flax.linen` module of the user's own instead, which maps observations `[B, ...]`
            in their own type to action values `[B, A]`.
        num_envs: Environments E that one agent acts in side by side.
        buffer_size: Transitions that the replay holds, rounded up to whole iterations.
        batch_size: Transitions B in one gradient step.
        learning_starts: Env steps of the agent that fill the replay before the first gradient step,
            rounded up to whole iterations.
        train_interval: Env steps of the agent per gradient step, whatever the number of environments.
        target_interval: Env steps of the agent per update of the target network, which can follow
            no more than once on each gradient step.
        double: Whether the online network chooses the action that the target network values.
        dueling: Whether the head splits action values into a state's value and advantages.
        n_step: Steps whose rewards are summed before bootstrapping.
        loss: "huber" or "squared".
        optimizer: Makes an optax transformation out of the hyperparameters.
    """

    hidden_sizes: tuple[int, ...] = (120, 84)
    network: nn.Module | None = None
    num_envs: int = 10
    buffer_size: int = 10_000
    batch_size: int = 128
    learning_starts: int = 1_000
    train_interval: int = 10
    target_interval: int = 500
    double: bool = False
    dueling: bool = False
    n_step: int = 1
    loss: str = "huber"
    optimizer: Callable[[Hparams], optax.GradientTransformation] = adam

    def __post_init__(self) -> None:
        """Check every setting, so that a mistake is reported before anything is compiled."""
        for name in (
            "num_envs", "buffer_size", "batch_size", "train_interval", "target_interval", "n_step"
        ):  # fmt: skip
            object.__setattr__(self, name, checks.whole_number(name, getattr(self, name)))
        starts = checks.whole_number("learning_starts", self.learning_starts, minimum=0)
        object.__setattr__(self, "learning_starts", starts)
        object.__setattr__(self, "hidden_sizes", _widths(self.hidden_sizes))
        checks.known("loss", self.loss, LOSSES)
        for name in ("double", "dueling"):
            if not isinstance(getattr(self, name), bool):
                raise checks.InputTypeError(f"{name} must be True or False, got {getattr(self, name)!r}")
        if not callable(self.optimizer):
            raise checks.InputTypeError(
                f"optimizer must be a function of the hyperparameters, got {self.optimizer!r}; "
                "for example lambda hparams: optax.sgd(hparams.learning_rate)"
            )
        self._check_network()
        self._check_replay()

    def _check_network(self) -> None:
        if self.network is None:
            return
        if not isinstance(self.network, nn.Module):
            raise checks.InputTypeError(
                f"network must be a flax.linen module, got {self.network!r}; "
                "for an MLP use hidden_sizes=(64, 64)"
            )
        if self.dueling:
            raise checks.InputValueError(
                "dueling=True builds a head, and network=... brings its own; "
                "leave out dueling, and end the network in jaxq.networks.DuelingHead(num_actions)"
            )

    def _check_replay(self) -> None:
        needed = self.n_step * self.num_envs
        if self.batch_size > self.buffer_size:
            raise checks.InputValueError(
                f"batch_size must not exceed buffer_size, got {self.batch_size} > "
                f"{self.buffer_size}; for example buffer_size={self.batch_size}"
            )
        if needed > self.buffer_size:
            raise checks.InputValueError(
                f"buffer_size must hold n_step * num_envs = {needed} transitions, "
                f"got {self.buffer_size}; for example buffer_size={needed}"
            )


@dataclasses.dataclass(frozen=True)
class Algorithm:
    """A recipe, ready to be given an environment by `jaxq.Trainer`.

    Attributes:
        name: What the command line calls it.
        hparams: Starting values of the leaves.
        settings: What shapes the program.
    """

    name: str
    hparams: Hparams
    settings: Settings

    def network(self, spec: ObservationSpec, num_actions: int) -> nn.Module:
        """Make the network that maps observations `[B, ...]` to action values `[B, A]`."""
        if self.settings.network is not None:
            return self.settings.network
        head = DuelingHead if self.settings.dueling else LinearHead
        return QNetwork(Torso(spec, self.settings.hidden_sizes), head(num_actions))

    def bootstrap_probabilities(self, q_online_t: jax.Array, q_target_t: jax.Array) -> jax.Array:
        """Say how much each action at `s_t` counts in the target, `[A]`.

        Args:
            q_online_t: The online network's values at `s_t`, `[A]`.
            q_target_t: The target network's, `[A]`.
        """
        return greedy_probabilities(q_online_t if self.settings.double else q_target_t)

    def loss(self, td_error: jax.Array) -> jax.Array:
        """Penalize TD errors, elementwise."""
        return LOSSES[self.settings.loss](td_error)


def dqn(**keywords: Any) -> Algorithm:
    """DQN: a network learns `q(s, a)` from replayed transitions and a slower copy of itself.

    `loss = huber(r_t + discount_t * max_a q_target(s_t, a) - q(s_tm1, a_tm1))`

    The defaults are made for populations on low-dimensional tasks: one gradient step of batch 128
    per 10 env steps in 10 environments.

    Args:
        **keywords: Fields of `jaxq.algorithms.Settings`, and starting values of the leaves
            `learning_rate, learning_rate_steps, discount, epsilon_start, epsilon_end,
            epsilon_steps, target_rate, max_gradient_norm`.

    Returns:
        The recipe.

    Raises:
        InputTypeError: If a keyword does not exist or has the wrong type.
        InputValueError: If a value is out of range, or two do not fit together.

    References:
        Mnih et al., Human-level control through deep reinforcement learning, 2015, algorithm 1.
        `double`: van Hasselt et al., 2016, equation 4. `dueling`: Wang et al., 2016, equation 9.
        `n_step`: Sutton, 1988; Hessel et al., Rainbow, 2018, section 3. `hidden_sizes`,
        `buffer_size`, `batch_size`, `train_interval`, `target_interval` and `discount` as in
        CleanRL's DQN for classic control.

    Example:
        >>> import jaxq
        >>> jaxq.dqn(double=True, learning_rate=1e-3).hparams.learning_rate
        0.001
    """
    leaves = Hparams(
        learning_rate=2.5e-4,
        learning_rate_steps=0,
        discount=0.99,
        epsilon_start=1.0,
        epsilon_end=0.05,
        epsilon_steps=20_000,
        target_rate=1.0,
        max_gradient_norm=10.0,
    )
    return _fill("dqn", leaves, keywords)


ALGORITHMS: dict[str, Callable[..., Algorithm]] = {"dqn": dqn}
"""Every recipe by the name that the command line knows it by."""


def recipe(name: str) -> Callable[..., Algorithm]:
    """Return the recipe of a name.

    Raises:
        InputValueError: If there is none, naming the nearest.
    """
    return ALGORITHMS[checks.known("algorithm", name, ALGORITHMS)]


def summary(name: str) -> str:
    """Return the one line that says what a recipe is."""
    return (inspect.getdoc(recipe(name)) or "").splitlines()[0]


def settings_names() -> list[str]:
    """List the static keywords that every deep recipe takes."""
    return [field.name for field in dataclasses.fields(Settings)]


def _fill(name: str, leaves: Hparams, keywords: dict[str, Any]) -> Algorithm:
    """Fill the settings and the leaves of a recipe from its keywords."""
    settings = {key: value for key, value in keywords.items() if key in settings_names()}
    values = {key: value for key, value in keywords.items() if key not in settings}
    for key in values:
        if key not in names(leaves):
            choices = settings_names() + names(leaves)
            raise checks.InputTypeError(
                f"{name}() has no keyword {key!r}; {checks.nearest(key, choices)}"
            )
    leaves = leaves.replace(**{key: leaf_number(key, value) for key, value in values.items()})
    return Algorithm(name, leaves, Settings(**settings))


def _widths(hidden_sizes: Any) -> tuple[int, ...]:
    if isinstance(hidden_sizes, int) and not isinstance(hidden_sizes, bool):
        hidden_sizes = (hidden_sizes,)
    if not isinstance(hidden_sizes, tuple | list):
        raise checks.InputTypeError(
            f"hidden_sizes must be widths of layers, got {hidden_sizes!r}; hidden_sizes=(64, 64)"
        )
    return tuple(checks.whole_number("hidden_sizes", size) for size in hidden_sizes)
