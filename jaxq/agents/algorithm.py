"""What a recipe makes: settings, and the leaves that these settings have a use for."""

import dataclasses
from typing import Any

from jaxq import checks
from jaxq.agents.mixes import without_use
from jaxq.agents.settings import Settings
from jaxq.agents.table_settings import TableSettings
from jaxq.hparams import Hparams, leaf_number


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
    settings: Settings | TableSettings


_EPSILON = {"epsilon_start": 1.0, "epsilon_end": 0.05, "epsilon_steps": 20_000}
# Found by `benchmarks/defaults.py`.
_DEEP = {
    "learning_rate": 1e-3,
    "learning_rate_steps": 0,
    "discount": 0.99,
    **_EPSILON,
    "epsilon_steps": 10_000,
    "target_rate": 0.05,
    "max_gradient_norm": 10.0,
}
_TABLE = {
    "learning_rate": 1.0,
    "visit_exponent": 0.6,
    "discount": 0.99,
    "initial_value": 0.0,
    **_EPSILON,
}

# The leaves that belong to one value of one setting.
_CONDITIONAL: list[tuple[str, Any, dict[str, float]]] = [
    (
        "exploration",
        "boltzmann",
        {"temperature_start": 1.0, "temperature_end": 0.05, "temperature_steps": 20_000},
    ),
    ("exploration", "ucb", {"count_bonus": 1.0}),
    ("exploration", "ensemble", {"mask_probability": 0.5}),
    (
        "prioritized",
        True,
        {"priority_exponent": 0.6, "importance_start": 0.4, "importance_steps": 100_000},
    ),
    (
        "munchausen",
        True,
        {"munchausen_scale": 0.9, "munchausen_clip": -1.0, "munchausen_temperature": 0.03},
    ),
    ("conservative", True, {"conservatism": 0.1}),
    ("memory", "window", {"trace_decay": 0.65}),
    ("traces", True, {"trace_decay": 0.9}),
]


def fill(
    name: str,
    settings_type: type[Settings] | type[TableSettings],
    defaults: dict[str, Any],
    keywords: dict[str, Any],
) -> Algorithm:
    """Fill the settings and the leaves of a recipe.

    Args:
        name: The recipe's name.
        settings_type: Its kind of settings.
        defaults: What the recipe sets otherwise than the settings and leaves by themselves.
        keywords: What the user sets.

    Returns:
        The recipe.

    Raises:
        InputTypeError: If a keyword does not exist or has the wrong type.
        InputValueError: If a value is out of range, or two do not fit together.
    """
    known = [field.name for field in dataclasses.fields(settings_type)]
    merged = {**defaults, **keywords}
    settings = settings_type(**{key: value for key, value in merged.items() if key in known})
    leaves = _leaves(settings)
    if "target_interval" in keywords:
        # Who says how often copies are made means copies, as in the paper.
        merged = {**merged, "target_rate": keywords.get("target_rate", 1.0)}
    for key in keywords:
        if key not in known and key not in leaves:
            raise _no_keyword(name, key, settings, [*known, *leaves])
    _check_used(name, settings, [key for key in keywords if key in known])
    for key in leaves:
        leaves[key] = leaf_number(key, merged.get(key, leaves[key]))
    return Algorithm(name, Hparams(**leaves), settings)


def _check_used(name: str, settings: Settings | TableSettings, given: list[str]) -> None:
    """Check that settings have a use, unless they are given as they would be anyway."""
    if isinstance(settings, TableSettings):
        return
    reasons = without_use(settings)
    for key in given:
        value = getattr(settings, key)
        if key in reasons and value != getattr(Settings, key):
            raise checks.InputValueError(
                f"{name}() makes no use of {key}={value!r} as it is set up: it is for {reasons[key]}; "
                f"or leave out {key}"
            )


def _leaves(settings: Settings | TableSettings) -> dict[str, float]:
    """Return the leaves that settings have a use for, with what they are unless a recipe says."""
    deep = isinstance(settings, Settings)
    leaves = dict(_DEEP if deep else _TABLE)
    if deep and settings.network is None and settings.value != "categorical":
        leaves["initial_value"] = 0.0
    for setting, value, conditional in _CONDITIONAL:
        if getattr(settings, setting, None) == value:
            leaves |= conditional
    if settings.epsilon_schedule == "ladder":
        # Constant in time, and another one for each environment.
        del leaves["epsilon_steps"]
    return leaves


def _no_keyword(
    name: str, key: str, settings: Settings | TableSettings, choices: list[str]
) -> checks.InputError:
    """Say why a keyword is none of a recipe's, as it is set up."""
    if key == "epsilon_steps":
        return checks.InputValueError(
            f"{name}() makes no use of epsilon_steps as it is set up: a ladder of epsilons is constant "
            "in time; leave it out, or set epsilon_schedule='linear'"
        )
    for setting, value, conditional in _CONDITIONAL:
        if key in conditional and hasattr(settings, setting):
            message = f"{name}() has no keyword {key!r} by itself; it belongs to {setting}={value!r}"
            return checks.InputTypeError(message)
    return checks.InputTypeError(f"{name}() has no keyword {key!r}; {checks.nearest(key, choices)}")
