"""Networks: torsos that turn observations into features, and heads that turn features into Q-values.

Every module takes a batch, `[B, ...]`, and keeps its weights in the collection `params` and nothing
anywhere else. They are written so that a `vmap` over the weights of many agents stays a batched matrix
product, which is what runs fast on every backend.

In reading order: a `Torso` makes features and a `Head` ends in values; `QNetwork`, `QuantileNetwork`,
`ImplicitQuantileNetwork` and `RecurrentQNetwork` put the two together; an `Ensemble` or a
`RecurrentEnsemble` holds several of one. `LinearHead` and `DuelingHead` are what a `flax.linen` module
of the user's own ends in.
"""

from jaxq.networks.constrained import (
    ConstrainedNetwork,
    ConstrainedValues,
    leave_out_unlikely,
    with_threshold,
)
from jaxq.networks.ensemble import Ensemble
from jaxq.networks.heads import DuelingHead, Head, LinearHead, with_initial_value
from jaxq.networks.noisy import NoisyDense
from jaxq.networks.q_network import (
    Features,
    ImplicitQuantileNetwork,
    QNetwork,
    QuantileNetwork,
    Quantiles,
)
from jaxq.networks.recurrent import GRU, RecurrentQNetwork
from jaxq.networks.recurrent_ensemble import RecurrentEnsemble
from jaxq.networks.torso import SlicedConv, Torso, encode

__all__ = [
    "GRU",
    "ConstrainedNetwork",
    "ConstrainedValues",
    "DuelingHead",
    "Ensemble",
    "Features",
    "Head",
    "ImplicitQuantileNetwork",
    "LinearHead",
    "NoisyDense",
    "QNetwork",
    "QuantileNetwork",
    "Quantiles",
    "RecurrentEnsemble",
    "RecurrentQNetwork",
    "SlicedConv",
    "Torso",
    "encode",
    "leave_out_unlikely",
    "with_initial_value",
    "with_threshold",
]
