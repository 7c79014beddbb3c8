"""What is wrong with the keywords, the sweep and the sample of an algorithm, all of it at once."""

import math
from collections.abc import Callable
from typing import Any

from jaxq import agents, checks
from jaxq.agents import Agent, Algorithm
from jaxq.experiment.objects import make_algorithm
from jaxq.experiment.sampling import Distribution
from jaxq.hparams import Hparams, check_may_vary, leaf_number


def check_recipe(
    algorithm: str | Algorithm | Agent,
    keywords: dict[str, Any],
    sweep: dict[str, list[float]],
    sample: dict[str, str],
    errors: checks.ErrorCollector,
) -> None:
    """Check keywords, sweep and sample against an algorithm, and note all that is wrong with any.

    Args:
        algorithm: Name of a recipe, or an object, which takes no keywords.
        keywords: Keywords of the recipe.
        sweep: Values of the leaves that are swept.
        sample: Distributions of the leaves that are sampled.
        errors: Where to note it.
    """
    if isinstance(algorithm, str):
        make = agents.recipe(algorithm)
        found, keywords = _wrong(make, dict(keywords))
        errors.found += found
        if _reason(make, keywords) is not None:
            return
        hparams = make(**keywords).hparams
    else:
        with errors.collect():
            make_algorithm(algorithm, keywords)
        hparams = algorithm.hparams
    for name, values in sweep.items():
        with errors.collect():
            check_may_vary(name, hparams)
            for value in values:
                _check_leaf(name, value, hparams)
    for name, text in sample.items():
        with errors.collect():
            check_may_vary(name, hparams)
            distribution = Distribution.read(name, text)
            _check_leaf(name, distribution.low, hparams)
            _check_leaf(name, distribution.high, hparams)


def _check_leaf(name: str, value: Any, hparams: Hparams) -> None:
    declared = hparams.declared[name]
    if declared is None:
        # An agent of the user's own need not say in which range a leaf is.
        checks.one_number(name, value, -math.inf, math.inf)
    else:
        leaf_number(name, value, declared)


def _wrong(make: Callable, keywords: dict[str, Any]) -> tuple[list[checks.InputError], dict[str, Any]]:
    """Return all that is wrong with keywords, and those that are left when it is out of the way."""
    reason = _reason(make, keywords)
    if reason is None:
        return [], keywords
    others = [{key: keywords[key] for key in keywords if key != name} for name in keywords]
    rests = [rest for rest in others if str(_reason(make, rest)) != str(reason)]
    if not rests:
        return [reason], keywords
    # Of numbers that do not fit each other, that one is wrong without which the least else is: with
    # another one gone its default would only be what does not fit.
    found, left = min((_wrong(make, rest) for rest in rests), key=lambda wrong: len(wrong[0]))
    return [reason, *found], left


def _reason(make: Callable, keywords: dict[str, Any]) -> checks.InputError | None:
    try:
        make(**keywords)
    except checks.InputError as error:
        return error
    return None
