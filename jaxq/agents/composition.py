"""Composing a deep recipe: keywords choose its components, and go to them."""

from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

from jaxq import checks
from jaxq.agents.algorithm import DeepQLearning
from jaxq.agents.auxiliary import Conservative
from jaxq.agents.bootstraps import Double, Greedy, Munchausen
from jaxq.agents.budgets import Budgets
from jaxq.agents.components import name_of
from jaxq.agents.experience import Replayed
from jaxq.agents.exploration import (
    Boltzmann,
    EpsilonGreedy,
    ThompsonSampling,
    UpperConfidenceBound,
)
from jaxq.agents.keywords import Keywords, Owner
from jaxq.agents.logged import Logged, Mixed
from jaxq.agents.network import EnsembleOf, Network
from jaxq.agents.optimizers import Optimizer
from jaxq.agents.representations import (
    BatchConstrained,
    Categorical,
    ImplicitQuantile,
    Preference,
    Priced,
    Quantile,
    Rescaled,
    Scalar,
)
from jaxq.agents.returns import Lambda, NStep, Sequences
from jaxq.agents.target_params import OnlineTarget, TargetNetwork
from jaxq.agents.update_schedule import UpdateSchedule
from jaxq.agents.window import Windowed
from jaxq.replay import (
    DatasetReplay,
    PrioritizedReplay,
    PrioritizedSequenceReplay,
    SequenceReplay,
    UniformReplay,
)

VALUES = {
    "scalar": Scalar,
    "rescaled": Rescaled,
    "categorical": Categorical,
    "quantile": Quantile,
    "implicit_quantile": ImplicitQuantile,
    "batch_constrained": BatchConstrained,
    "preference": Preference,
}
EXPLORATIONS = {
    "epsilon_greedy": EpsilonGreedy,
    "boltzmann": Boltzmann,
    "ucb": UpperConfidenceBound,
    "ensemble": ThompsonSampling,
}
MEMORIES = ("replay", "window")

SWITCHES = {
    "memory": "Whether it learns from a replay or from windows of what it did last.",
    "double": "Whether the online network chooses the action that the target network values.",
    "munchausen": "Whether targets follow a soft policy, with a bonus for what it makes likely.",
    "prioritized": "Whether transitions with large TD errors are drawn more often.",
    "conservative": "Whether a loss keeps the values of actions low that the data does not have.",
    "replay": "A replay of the user's own, or logged data.",
}
"""What keywords mean that choose components."""

_ACTING = "agents that act while they learn", "replay=jaxq.DatasetReplay(data, share=0.5)"

OWNERS = [
    Owner(Categorical, "distributions over atoms", "value='categorical'"),
    Owner(Quantile, "quantiles", "value='quantile' or value='implicit_quantile'"),
    Owner(ImplicitQuantile, "quantiles at random fractions", "value='implicit_quantile'"),
    Owner(
        Scalar,
        "values that are one number, as distributions have losses of their own",
        "value='scalar'",
    ),
    Owner(BatchConstrained, "values beside the behaviour's", "value='batch_constrained'"),
    Owner(UpperConfidenceBound(), "counts", "exploration='ucb'"),
    Owner(Boltzmann(), "probabilities by value", "exploration='boltzmann'"),
    Owner(EnsembleOf, "ensembles", "exploration='ensemble'"),
    Owner(Sequences, "recurrent agents", "recurrent_size=64"),
    Owner(NStep, "replays, as a window has lambda-returns: lambda_", "memory='replay'"),
    Owner(Lambda, "windows", "memory='window'"),
    Owner(TargetNetwork, "target networks, which a window has none of", "memory='replay'"),
    Owner(SimpleNamespace(leaves=PrioritizedReplay.leaves), "priorities", "prioritized=True"),
    Owner(Replayed(), *_ACTING),
    Owner(UpdateSchedule, *_ACTING),
    Owner(Munchausen, "Munchausen targets", "munchausen=True"),
    Owner(Conservative, "conservative values", "conservative=True"),
]
"""Whom keywords belong to that a recipe has no use for as it is set up."""


def compose(name: str, defaults: Mapping[str, Any], given: Mapping[str, Any]) -> DeepQLearning:
    """Fill the slots of a deep recipe.

    Args:
        name: The recipe's name.
        defaults: What the recipe sets otherwise than the components by themselves.
        given: What the user sets: fields and leaves of components, keywords that choose one, and
            components themselves.

    Returns:
        The recipe.

    Raises:
        InputTypeError: If a keyword does not exist or has the wrong type.
        InputValueError: If a value is out of range, has no use, or two do not fit together.
    """
    keywords = Keywords(name, defaults, given)
    network = _network(keywords)
    value = keywords.choose("value", VALUES, "scalar")
    budgets = Budgets.of(keywords.take("budgets", {}))
    if network.is_own and not getattr(value, "is_number", True):
        raise checks.InputValueError(
            "distributions as value build the head, and network=... brings its own; "
            "leave out one of the two, or give the network's first part as torso",
            keywords=["value", "network"],
        )
    value = value if budgets is None else _priced(value, budgets)
    exploration = keywords.choose("exploration", EXPLORATIONS, "epsilon_greedy")
    window = checks.one_of("memory", keywords.take("memory", "replay"), MEMORIES) == "window"
    parts = {
        "network": network,
        "value": value,
        "bootstrap": _bootstrap(keywords),
        "returns": Lambda() if window else keywords.make(NStep),
        "target": _target(keywords, window),
        "experience": _windowed(keywords) if window else _replayed(keywords, network),
        "sequences": keywords.make(Sequences) if network.recurrent_size else None,
        "ensemble": _ensemble(keywords, exploration),
        "exploration": exploration,
        "auxiliary": _auxiliary(keywords),
        "optimizer": keywords.make(Optimizer),
        "budgets": budgets,
    }
    parts["schedule"] = _schedule(keywords, parts["experience"])
    keywords.check_used(OWNERS)
    algorithm = DeepQLearning(name=name, **parts)
    check_epsilon_steps(keywords, algorithm.leaves)
    vars(algorithm).update(
        hparams=keywords.hparams(algorithm.leaves, OWNERS), settings=keywords.settings
    )
    return algorithm


def _priced(value: Any, budgets: Budgets) -> Priced:
    if type(value) is not Scalar:
        raise checks.InputValueError(
            "budgets weigh values that are one number against costs, so value must be 'scalar', got "
            f"{name_of(value)}; leave out value, or budgets",
            keywords=["value", "budgets"],
        )
    return Priced(value.loss, len(budgets.starting))


def _network(keywords: Keywords) -> Network:
    own = next((name for name in ("network", "torso") if keywords.values.get(name) is not None), None)
    sizes = keywords.given.get("hidden_sizes", Network.hidden_sizes)
    if own and sizes != Network.hidden_sizes:
        raise checks.InputValueError(
            f"{keywords.name}() makes no use of hidden_sizes={sizes!r} as it is set up: it is for the "
            f"layers that are built here; leave out {own}, which brings its own; or leave out "
            "hidden_sizes",
            keywords=["hidden_sizes"],
        )
    return keywords.make(Network)


def _bootstrap(keywords: Keywords) -> Any:
    double, munchausen = keywords.flag("double"), keywords.flag("munchausen")
    rule = keywords.take("bootstrap", None)
    if rule is not None:
        if keywords.given.get("double") or keywords.given.get("munchausen"):
            raise checks.InputValueError(
                "bootstrap=... is the rule, and double and munchausen choose one; leave out one of them",
                keywords=["double", "munchausen", "bootstrap"],
            )
        return rule
    if double and munchausen:
        raise checks.InputValueError(
            "a Munchausen target follows its own soft policy: there is no maximum for double to split; "
            "leave them out, or set double=False where the recipe has it",
            keywords=["double", "munchausen"],
        )
    return Munchausen() if munchausen else Double() if double else Greedy()


def _target(keywords: Keywords, window: bool) -> Any:
    target = keywords.take("target", None)
    if target is not None:
        return target
    if window:
        return OnlineTarget()
    if "target_interval" in keywords.given:
        # Who says how often copies are made means copies, as in the paper.
        keywords.values["target_rate"] = keywords.given.get("target_rate", 1.0)
    return keywords.make(TargetNetwork)


def _windowed(keywords: Keywords) -> Windowed:
    if keywords.flag("prioritized") or keywords.take("replay", None) is not None:
        raise checks.InputValueError(
            "a window is learned from as a whole, so there is nothing to prioritize or replay; "
            "leave out prioritized and replay, or use memory='replay'",
            keywords=["memory", "prioritized", "replay"],
        )
    return keywords.make(Windowed)


def _replayed(keywords: Keywords, network: Network) -> Replayed | Logged | Mixed:
    prioritized, replay = keywords.flag("prioritized"), keywords.take("replay", None)
    data = replay if isinstance(replay, DatasetReplay) else None
    if data is not None and data.share == 1:
        if prioritized:
            raise checks.InputValueError(
                "logged data is drawn from uniformly; leave out prioritized, or set prioritized=False "
                "where the recipe has it",
                keywords=["prioritized"],
            )
        return keywords.make(Logged, data=data)
    if data is not None:
        replay = None
    if replay is not None:
        if keywords.given.get("prioritized"):
            raise checks.InputValueError(
                "replay=... is the replay, and prioritized chooses one; leave out one of them",
                keywords=["prioritized", "replay"],
            )
    elif network.recurrent_size:
        replay = PrioritizedSequenceReplay if prioritized else SequenceReplay
    else:
        replay = PrioritizedReplay if prioritized else UniformReplay
    strided = network.recurrent_size > 0 and "stride" in getattr(replay, "__dataclass_fields__", ())
    replayed = keywords.make(Replayed, replay=replay, strided=strided)
    return replayed if data is None else Mixed(replayed, data)


def _schedule(keywords: Keywords, experience: Any) -> UpdateSchedule:
    if not isinstance(experience, Logged):
        return keywords.make(UpdateSchedule)
    # Nothing has to be collected before it learns, and no environment is acted in.
    return keywords.make(UpdateSchedule, num_envs=1, learning_starts=0)


def _ensemble(keywords: Keywords, exploration: Any) -> EnsembleOf | None:
    asked = {"ensemble_size", "prior_scale"} & keywords.given.keys()
    if asked == {"prior_scale"} and not isinstance(exploration, ThompsonSampling):
        return None
    if asked or isinstance(exploration, ThompsonSampling):
        return keywords.make(EnsembleOf)
    return None


def _auxiliary(keywords: Keywords) -> tuple[Any, ...]:
    losses = keywords.take("auxiliary", ())
    if not isinstance(losses, tuple | list):
        raise checks.InputTypeError(
            f"auxiliary must be a list of losses, got {losses!r}; for example auxiliary=[my_loss]",
            keywords=["auxiliary"],
        )
    conservative = (Conservative(),) if keywords.flag("conservative") else ()
    return (*conservative, *losses)


def check_epsilon_steps(keywords: Keywords, leaves: Mapping[str, Any]) -> None:
    """Refuse the length of a schedule that is constant in time."""
    if "epsilon_steps" in keywords.given and "epsilon_start" in leaves and "epsilon_steps" not in leaves:
        raise checks.InputValueError(
            f"{keywords.name}() makes no use of epsilon_steps as it is set up: a ladder of epsilons is "
            "constant in time; leave it out, or set epsilon_schedule='linear'",
            keywords=["epsilon_steps"],
        )
