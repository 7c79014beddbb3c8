"""Representations of value: a number, probabilities of fixed atoms, or quantiles.

Each says what a network's output means, what a transition's target is in its own terms, and how far
the output is from it; always for one observation or transition, which callers vmap. Their rule of
bootstrapping is the one formula of `jaxq.learning.targets`.
"""

import dataclasses
import math
import numbers
from typing import Any, NamedTuple, Protocol

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax

from jaxq import checks
from jaxq.learning.distributions import Quantiles, categorical_projection, quantile_huber_loss
from jaxq.learning.targets import Bootstrap, td_target, value_of_action


class Loss(NamedTuple):
    """How far one prediction is from its target.

    Attributes:
        loss: What to minimize, `[]`.
        td_error: Expected target minus expected prediction, `[]`, without gradient.
        priority: How much there is to learn from the transition, `[]`, >= 0, without gradient.
    """

    loss: jax.Array
    td_error: jax.Array
    priority: jax.Array


class Value(Protocol):
    """What the engine asks of a representation of value; outputs are a network's for one observation."""

    def q(self, output: Any) -> jax.Array:
        """Return the expected value of each action, `[A]`."""
        ...

    def target(
        self, r_t: jax.Array, discount_t: jax.Array, bootstrap: Bootstrap, output_t: Any
    ) -> jax.Array:
        """Say what the action taken at `s_tm1` turned out to be worth.

        `target = r_t + bonus + discount_t * sum_a probs_t[a] * (Z(s_t, a) + shift_t[a])`

        Args:
            r_t: Reward on the way to `s_t`, `[]`.
            discount_t: What the value of `s_t` counts for, `[]`; zero where the episode terminated.
            bootstrap: How the actions at `s_t` enter.
            output_t: The output that values them.

        Returns:
            The target, in the representation's own form, through which no gradient flows.
        """
        ...

    def constant_target(self, number: jax.Array) -> jax.Array:
        """Return the target that is one number `[]` for sure, such as a lambda-return; no gradient."""
        ...

    def loss(self, output_tm1: Any, a_tm1: jax.Array, target: jax.Array) -> Loss:
        """Compare what was predicted for the action taken with a target.

        Args:
            output_tm1: The output at `s_tm1`, through which gradients flow.
            a_tm1: Action taken there, int32 `[]`, in [0, A).
            target: A result of `target` or `constant_target`.

        Returns:
            The loss, the signed TD error and the priority.
        """
        ...


SPACINGS = ("linear", "symlog")
SCALAR_LOSSES = {"huber": optax.losses.huber_loss, "squared": optax.losses.l2_loss}


@dataclasses.dataclass(frozen=True)
class ScalarValue:
    """One number per action: the output is `[A]`, a target `[]`.

    Attributes:
        loss_name: "huber", quadratic within 1 of zero and linear outside, or "squared", half the square.

    Raises:
        InputTypeError: If `loss_name` is not text.
        InputValueError: If there is no such loss.

    References:
        Mnih et al., Human-level control through deep reinforcement learning, 2015 (errors clipped
        to [-1, 1], whose loss is "huber").
    """

    loss_name: str = "huber"

    def __post_init__(self) -> None:
        """Check the setting."""
        checks.one_of("loss", self.loss_name, SCALAR_LOSSES)

    def q(self, output: jax.Array) -> jax.Array:
        """Return the output, `[A]`."""
        chex.assert_rank(output, 1)
        return output

    def target(
        self, r_t: jax.Array, discount_t: jax.Array, bootstrap: Bootstrap, output_t: jax.Array
    ) -> jax.Array:
        """Return `td_target` of a transition, `[]`."""
        return td_target(r_t, discount_t, bootstrap, output_t)

    def constant_target(self, number: jax.Array) -> jax.Array:
        """Return the number, `[]`."""
        chex.assert_rank(number, 0)
        return jax.lax.stop_gradient(jnp.asarray(number))

    def loss(self, output_tm1: jax.Array, a_tm1: jax.Array, target: jax.Array) -> Loss:
        """Penalize the TD error; its size is the priority."""
        prediction = value_of_action(output_tm1, a_tm1)
        return _loss(SCALAR_LOSSES[self.loss_name](prediction, target), target - prediction)


@dataclasses.dataclass(frozen=True)
class CategoricalValue:
    """Probabilities of K fixed returns: the output is logits `[A, K]`, a target probabilities `[K]`.

    With `spacing="symlog"` the atoms are `symexp(x)` of equally spaced `x`, where
    `symexp(x) = sign(x) (exp(|x|) - 1)`: dense near zero and far apart where returns are large, so that
    one support serves returns of any size. Projections keep the mean on either. Logits of zero then
    stand for
    `p[k] ~ (1 + |atoms[k]|)^-2`, or a fresh network would start from values as far out as the atoms are.

    Attributes:
        num_atoms: Number of atoms K, >= 2.
        v_min: Return of the first atom; lower ones count as this.
        v_max: Return of the last atom; higher ones count as this.
        spacing: "linear", the same gap everywhere, or "symlog".

    Raises:
        InputTypeError: If a setting is not a number, or `num_atoms` not a whole one.
        InputValueError: If the atoms are not K different float32 numbers.

    References:
        Bellemare et al., A Distributional Perspective on Reinforcement Learning, 2017, section 4.
        Hafner et al., Mastering Diverse Domains through World Models, 2023, equations 9 and 10 (symlog).
    """

    num_atoms: int
    v_min: float
    v_max: float
    spacing: str = "linear"

    def __post_init__(self) -> None:
        """Check the settings."""
        checks.one_of("spacing", self.spacing, SPACINGS)
        num_atoms = checks.whole_number("num_atoms", self.num_atoms, minimum=2)
        object.__setattr__(self, "num_atoms", num_atoms)
        for name in ("v_min", "v_max"):
            object.__setattr__(self, name, _static_number(name, getattr(self, name), -math.inf))
        # A projection takes differences of atoms up to one beyond the ends.
        reach = 4 * max(abs(self.v_min), abs(self.v_max))
        if not (np.diff(self._grid()) > 0).all() or reach > float(np.finfo(np.float32).max):
            raise checks.InputValueError(
                f"v_min and v_max must leave room for {num_atoms} atoms in float32, got "
                f"v_min={self.v_min:g}, v_max={self.v_max:g}; "
                "for example CategoricalValue(51, v_min=-10, v_max=10)"
            )

    @property
    def atoms(self) -> jax.Array:
        """The returns that have a probability, `[K]`, increasing."""
        return jnp.asarray(self._grid())

    def probs(self, output: jax.Array) -> jax.Array:
        """Return the probability of each atom, `[..., K]`."""
        return jax.nn.softmax(self._logits(output))

    def q(self, output: jax.Array) -> jax.Array:
        """Return `sum_k probs(output[a])[k] * atoms[k]`, `[A]`."""
        chex.assert_shape(output, (None, self.num_atoms))
        return jnp.sum(self.probs(output) * self.atoms[None], axis=-1)

    def spread(self, output: jax.Array) -> jax.Array:
        """Return the standard deviation of the return of each action, `[A]`."""
        gap = self.atoms[None] - self.q(output)[:, None]
        return jnp.sqrt(jnp.sum(self.probs(output) * gap**2, axis=-1))

    def target(
        self, r_t: jax.Array, discount_t: jax.Array, bootstrap: Bootstrap, output_t: jax.Array
    ) -> jax.Array:
        """Project the mixture of the actions' distributions at `s_t`, `[K]`.

        Atom k of `sum_a probs_t[a] * probs(output_t[a])` moves to
        `r_t + bonus + discount_t * (atoms[k] + sum_a probs_t[a] * shift_t[a])`: with the mean shift,
        one set of atoms serves all actions, and the target's mean is the formula's.
        """
        chex.assert_shape(output_t, (None, self.num_atoms))
        probs = jnp.sum(bootstrap.probs_t[:, None] * self.probs(output_t), axis=0)
        shift = jnp.sum(bootstrap.probs_t * bootstrap.shift_t)
        atoms = r_t + bootstrap.bonus + discount_t * (self.atoms + shift)
        return jax.lax.stop_gradient(categorical_projection(atoms, probs, self.atoms))

    def constant_target(self, number: jax.Array) -> jax.Array:
        """Project a number that is certain, `[K]`."""
        atom = jnp.asarray(number, jnp.float32)[None]
        return jax.lax.stop_gradient(categorical_projection(atom, jnp.ones_like(atom), self.atoms))

    def loss(self, output_tm1: jax.Array, a_tm1: jax.Array, target: jax.Array) -> Loss:
        """Return the cross-entropy; the priority is the divergence of target from prediction.

        `loss = -sum_k target[k] * log(p[k])` and `priority = sum_k target[k] * log(target[k] / p[k])`
        with `p = probs(output_tm1[a_tm1])`.

        References:
            Bellemare et al., A Distributional Perspective on Reinforcement Learning, 2017,
            algorithm 1; Hessel et al., Rainbow, 2018 (the priority).
        """
        chex.assert_shape(output_tm1, (None, self.num_atoms))
        logits = self._logits(_of_action(output_tm1, a_tm1))
        cross_entropy = optax.losses.softmax_cross_entropy(logits, target)
        entropy = jnp.sum(jax.scipy.special.entr(target))
        td_error = jnp.sum((target - jax.nn.softmax(logits)) * self.atoms)
        # Rounding can take a divergence of zero below it, and powers of negative priorities are NaN.
        return _loss(cross_entropy, td_error, jnp.maximum(cross_entropy - entropy, 0))

    def _logits(self, output: jax.Array) -> jax.Array:
        if self.spacing == "linear":
            return output
        prior = -2 * np.log1p(np.abs(self._grid()))
        return output + prior.reshape((1,) * (output.ndim - 1) + (-1,))

    def _grid(self) -> np.ndarray:
        if self.spacing == "linear":
            return np.linspace(self.v_min, self.v_max, self.num_atoms).astype(np.float32)
        low, high = (np.sign(end) * np.log1p(abs(end)) for end in (self.v_min, self.v_max))
        even = np.linspace(low, high, self.num_atoms)
        return (np.sign(even) * np.expm1(np.abs(even))).astype(np.float32)


@dataclasses.dataclass(frozen=True)
class QuantileValue:
    """Quantiles of the return: the output is `Quantiles`, a target M equally likely returns, `[M]`.

    Attributes:
        kappa: Width of the smooth part of the loss, in units of q, >= 0.

    Raises:
        InputTypeError: If `kappa` is not a number.
        InputValueError: If `kappa` is negative.

    References:
        Dabney et al., Distributional Reinforcement Learning with Quantile Regression, 2018.
        Dabney et al., Implicit Quantile Networks, 2018.
    """

    kappa: float = 1.0

    def __post_init__(self) -> None:
        """Check the setting."""
        object.__setattr__(self, "kappa", _static_number("kappa", self.kappa, 0))

    def q(self, output: Quantiles) -> jax.Array:
        """Return `mean_i values[a, i]`, `[A]`."""
        chex.assert_rank([output.values, output.taus], [2, 1])
        return jnp.mean(output.values, axis=-1)

    def spread(self, output: Quantiles) -> jax.Array:
        """Return the standard deviation of the quantiles of each action, `[A]`."""
        return jnp.std(output.values, axis=-1)

    def target(
        self, r_t: jax.Array, discount_t: jax.Array, bootstrap: Bootstrap, output_t: Quantiles
    ) -> jax.Array:
        """Return `r_t + bonus + discount_t * sum_a probs_t[a] * (values[a, j] + shift_t[a])`, `[M]`.

        For one-hot probabilities this is the ordinary rule. Otherwise, also where greedy actions tie,
        it averages the actions' quantiles level by level instead of mixing their distributions; both
        have the same mean.
        """
        chex.assert_rank([output_t.values, output_t.taus], [2, 1])
        values = output_t.values + bootstrap.shift_t[:, None]
        mixed = jnp.sum(bootstrap.probs_t[:, None] * values, axis=0)
        return jax.lax.stop_gradient(r_t + bootstrap.bonus + discount_t * mixed)

    def constant_target(self, number: jax.Array) -> jax.Array:
        """Return the number as the only possible return, `[1]`."""
        chex.assert_rank(number, 0)
        return jax.lax.stop_gradient(jnp.asarray(number)[None])

    def loss(self, output_tm1: Quantiles, a_tm1: jax.Array, target: jax.Array) -> Loss:
        """Return the quantile Huber loss; the size of the TD error is the priority."""
        prediction = _of_action(output_tm1.values, a_tm1)
        loss = quantile_huber_loss(prediction, output_tm1.taus, target, self.kappa)
        return _loss(loss, jnp.mean(target) - jnp.mean(prediction))


def _of_action(output: jax.Array, a_tm1: jax.Array) -> jax.Array:
    """Pick the row of the action that was taken, `[K]`, out of `[A, K]`."""
    chex.assert_rank([output, a_tm1], [2, 0])
    return jax.vmap(value_of_action, in_axes=(1, None))(output, a_tm1)


def _loss(loss: jax.Array, td_error: jax.Array, priority: jax.Array | None = None) -> Loss:
    priority = jnp.abs(td_error) if priority is None else priority
    return Loss(loss, *jax.lax.stop_gradient((td_error, priority)))


def _static_number(name: str, value: Any, low: float) -> float:
    """Return a setting as a `float`, if it is a plain finite number of at least `low`."""
    if not isinstance(value, numbers.Real):
        raise checks.InputTypeError(
            f"{name} must be a plain number, as it shapes the program, got {value!r}; "
            f"for example {name}=1.0"
        )
    checks.in_range(name, value, low, math.inf)
    return float(value)
