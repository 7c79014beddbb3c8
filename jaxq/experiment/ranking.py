"""The combinations of a sweep from the best to the worst, and one sentence that says what came out."""

import math
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from jaxq.configuration.config import Config
from jaxq.configuration.objects import name_of
from jaxq.statistics import Interval, bootstrap_interval, iqm

# More than these are counted, not named.
_MOST_NAMED = 3


class Ranked(NamedTuple):
    """One combination of hyperparameters, and how its agents score.

    Attributes:
        group: Name of its group in a sweep over what is static; empty where there is one group.
        environment: What its scores are of.
        values: What was swept, by name.
        scores: Score of each of its agents, `[n]`; NaN for none.
        iqm: Their interquartile mean.
        interval: Its 95% bootstrap interval.
        agents: Which agents of their run they are.
    """

    group: str
    environment: str
    values: dict[str, float]
    scores: np.ndarray
    iqm: float
    interval: Interval
    agents: slice

    @property
    def name(self) -> str:
        """What tells it from the others."""
        texts = [f"{name} {value:g}" for name, value in self.values.items()]
        return ", ".join([self.group, *texts] if self.group else texts)

    def overlaps(self, other: "Ranked") -> bool:
        """Tell whether the intervals of two combinations have a part in common."""
        return self.interval.low <= other.interval.high and other.interval.low <= self.interval.high


def ranked(runs: Iterable[tuple[str, Config, np.ndarray]]) -> list[Ranked]:
    """Rank the combinations of all groups, the best first; those without a score come last.

    Args:
        runs: Each group's name, what was trained, and the score of each agent, `[N]`.

    Returns:
        The combinations, those on one environment together.
    """
    found = []
    for group, config, scores in runs:
        combinations = config.combinations
        size = scores.size // len(combinations)
        for place, values in enumerate(combinations):
            agents = slice(place * size, (place + 1) * size)
            part = scores[agents]
            summed = iqm(part), bootstrap_interval(part)
            found.append(Ranked(group, name_of(config.environment), values, part, *summed, agents))
    places = {name: place for place, name in enumerate(dict.fromkeys(row.environment for row in found))}
    return sorted(found, key=lambda row: (places[row.environment], -np.nan_to_num(row.iqm, nan=-np.inf)))


def outcome(ranking: list[Ranked]) -> str:
    """Say which combination scored best, and which others may be as good: a sentence per environment."""
    environments = dict.fromkeys(row.environment for row in ranking)
    sentences = []
    for environment in environments:
        rows = [row for row in ranking if row.environment == environment]
        sentences.append(f"On {environment}: " * (len(environments) > 1) + _sentence(rows))
    return " ".join(sentences)


def _sentence(rows: list[Ranked]) -> str:
    best, *others = rows
    if math.isnan(best.iqm):
        return "No agent has a score."
    score = f"{number(best.iqm)} {interval_text(best.interval)}".removesuffix(" -")
    if not others:
        who = best.name or f"{np.isfinite(best.scores).sum():,} agents"
        return f"{who} scored {score} in the interquartile mean."
    said = f"{best.name} scored best: {score}"
    if math.isnan(best.interval.low):
        return f"{said}; with so few agents each there is no interval, and it may be chance."
    near = [row for row in others if best.overlaps(row)]
    if not near:
        return f"{said}; its interval overlaps no other."
    if len(near) > _MOST_NAMED:
        which = "all others" if len(near) == len(others) else f"those of {len(near)} others"
        return f"{said}; its interval overlaps {which}."
    only_values = not best.group and len(best.values) == 1
    if only_values:
        listed = " and ".join(f"{value:g}" for row in near for value in row.values.values())
    else:
        listed = "; ".join(row.name for row in near)
    return f"{said}; its interval overlaps {'that' if len(near) == 1 else 'those'} of {listed}."


def number(value: float, digits: int = 4) -> str:
    """Write a number, or a dash where there is none."""
    if not math.isfinite(value):
        return "-"
    return f"{value:,.1f}" if abs(value) >= 1000 else f"{value:.{digits}g}"


def interval_text(interval: Interval, digits: int = 4) -> str:
    """Write an interval, or a dash where there is none."""
    if math.isnan(interval.low):
        return "-"
    return f"[{number(interval.low, digits)}, {number(interval.high, digits)}]"
