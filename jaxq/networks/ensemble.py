"""Ensembles: several networks of one architecture, each with a fixed random prior."""

from collections.abc import Callable
from typing import Any, NamedTuple

import flax.linen as nn
import jax

from jaxq import checks
from jaxq.learning import Quantiles
from jaxq.types import PyTree

MEMBERS, PRIORS = "members", "priors"


class Ensemble(nn.Module):
    """K independent networks, each with a random prior network that is never trained.

    `q_k(s) = f_k(s) + prior_scale * stop_gradient(p_k(s))`

    Where members agree on the data, they still differ elsewhere by their priors, which is what makes
    their disagreement an uncertainty. The weights are `members` and `priors`, with a leading member
    axis `[K, ...]`; gradients with respect to the priors are exactly zero.

    Attributes:
        member: The architecture, a module from `[B, ...]` to action values `[B, A]`, or to what
            represents them.
        num_members: Number of members K.
        prior_scale: What the priors count for; 0 leaves them out.

    Raises:
        InputTypeError: If `member` is no module.
        InputValueError: If it gives anything but those, or has variables other than
            `params`.

    References:
        Osband et al., Deep Exploration via Bootstrapped DQN, 2016.
        Osband et al., Randomized Prior Functions for Deep Reinforcement Learning, 2018.
    """

    member: nn.Module
    num_members: int
    prior_scale: float = 0.0

    def __post_init__(self) -> None:
        """Check the arguments."""
        if not isinstance(self.member, nn.Module):
            raise checks.InputTypeError(
                f"member must be a flax.linen module, got {self.member!r}; "
                "for example QNetwork(Torso(env.observation_spec, (64,)), LinearHead(num_actions))"
            )
        self.num_members = checks.whole_number("num_members", self.num_members)
        checks.in_range("prior_scale", self.prior_scale, 0, float("inf"))
        super().__post_init__()

    @nn.compact
    def __call__(self, observation: jax.Array) -> Any:
        """Map observations `[B, ...]` to what members give, with K in front, such as `[K, B, A]`."""
        # Weights of an unbound copy are passed by hand: a second use of the bound member would
        # silently share its weights with the first, and the priors would be the members themselves.
        member = self.member.clone(parent=None)

        def initial(key: jax.Array) -> PyTree:
            return fresh_weights(lambda key: member.init(key, observation), key, self.num_members)

        def values(params: PyTree, rngs: dict[str, jax.Array]) -> Any:
            return member.apply({"params": params}, observation, rngs=rngs)

        streams = random_streams(self, self.num_members)
        output = jax.vmap(values, in_axes=(0, streams.axes))(
            self.param(MEMBERS, initial), streams.members
        )
        self._check(output)
        if not self.prior_scale:
            return output
        prior = jax.vmap(values, in_axes=(0, None))(self.param(PRIORS, initial), streams.priors)
        return plus(output, self.prior_scale, jax.lax.stop_gradient(prior))

    def _check(self, output: Any) -> None:
        values = output.values if isinstance(output, Quantiles) else output
        if getattr(values, "ndim", None) not in (3, 4):
            raise checks.InputValueError(
                "a member of an ensemble must give action values [B, A], logits [B, A, K] or quantiles, "
                f"got {jax.tree.map(lambda leaf: list(leaf.shape[1:]), output)}; for example "
                "QNetwork(torso, LinearHead(num_actions))"
            )


class Streams(NamedTuple):
    """Keys of the random numbers that networks draw, by what they are for.

    Attributes:
        members: Those of the members.
        axes: Which of these have a leading member axis.
        priors: Those of the priors: noise is what members learn, fractions are what both are asked for.
    """

    members: dict[str, jax.Array]
    axes: dict[str, int | None]
    priors: dict[str, jax.Array]


def random_streams(module: nn.Module, num_members: int) -> Streams:
    """Return the keys that a module of K members was given for them."""
    priors = {name: module.make_rng(name) for name in ("quantiles",) if module.has_rng(name)}
    members, axes = dict(priors), dict.fromkeys(priors)
    if module.has_rng("noise"):
        members["noise"] = jax.random.split(module.make_rng("noise"), num_members)
        axes["noise"] = 0
    return Streams(members, axes, priors)


def plus(output: Any, scale: float, prior: Any) -> Any:
    """Add a prior: to values, to logits, or to quantiles, whose fractions stay."""
    if isinstance(output, Quantiles):
        return Quantiles(output.values + scale * prior.values, output.taus)
    return output + scale * prior


def fresh_weights(init: Callable[[jax.Array], PyTree], key: jax.Array, num_members: int) -> PyTree:
    """Return the weights of K networks, leaves `[K, ...]`.

    Args:
        init: Makes the variables of one, given a PRNG key.
        key: PRNG key of all.
        num_members: K.

    Raises:
        InputValueError: If they have variables other than `params`.
    """
    return jax.vmap(lambda key: _params(init(key)))(jax.random.split(key, num_members))


def _params(variables: PyTree) -> PyTree:
    others = sorted(set(variables) - {"params"})
    if others:
        raise checks.InputValueError(
            f"a member of an ensemble may have params only, got also {others}; "
            "for example nn.LayerNorm() in place of nn.BatchNorm()"
        )
    return variables["params"]
