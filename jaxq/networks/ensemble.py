"""Ensembles: several networks of one architecture, each with a fixed random prior."""

from typing import Any

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
            keys = jax.random.split(key, self.num_members)
            return jax.vmap(lambda key: _params(member.init(key, observation)))(keys)

        def values(params: PyTree, rngs: dict[str, jax.Array]) -> Any:
            return member.apply({"params": params}, observation, rngs=rngs)

        rngs = {}
        if self.has_rng("noise"):
            rngs = {"noise": jax.random.split(self.make_rng("noise"), self.num_members)}
        rngs |= {name: self.make_rng(name) for name in ("quantiles",) if self.has_rng(name)}
        keys = {"noise": 0, "quantiles": None}
        axes = {name: keys[name] for name in rngs}
        output = jax.vmap(values, in_axes=(0, axes))(self.param(MEMBERS, initial), rngs)
        self._check(output)
        if not self.prior_scale:
            return output
        # Noise is what members learn; fractions are those that they are asked for.
        fixed = {name: key for name, key in rngs.items() if name != "noise"}
        prior = jax.vmap(values, in_axes=(0, None))(self.param(PRIORS, initial), fixed)
        return _plus(output, self.prior_scale, jax.lax.stop_gradient(prior))

    def _check(self, output: Any) -> None:
        values = output.values if isinstance(output, Quantiles) else output
        if getattr(values, "ndim", None) not in (3, 4):
            raise checks.InputValueError(
                "a member of an ensemble must give action values [B, A], logits [B, A, K] or quantiles, "
                f"got {jax.tree.map(lambda leaf: list(leaf.shape[1:]), output)}; for example "
                "QNetwork(torso, LinearHead(num_actions))"
            )


def _plus(output: Any, scale: float, prior: Any) -> Any:
    """Add a prior: to values, to logits, or to quantiles, whose fractions stay."""
    if isinstance(output, Quantiles):
        return Quantiles(output.values + scale * prior.values, output.taus)
    return output + scale * prior


def _params(variables: PyTree) -> PyTree:
    others = sorted(set(variables) - {"params"})
    if others:
        raise checks.InputValueError(
            f"a member of an ensemble may have params only, got also {others}; "
            "for example nn.LayerNorm() in place of nn.BatchNorm()"
        )
    return variables["params"]
