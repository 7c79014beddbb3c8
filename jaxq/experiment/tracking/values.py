"""The numbers that every tracker gets, under the names that it shows them by."""

import dataclasses
import math
from typing import Any

import numpy as np

from jaxq.experiment.config import Config
from jaxq.experiment.progress import Progress

# Of the metrics, those whose distribution over agents says how learning goes.
LEARNING = ("loss", "td_error", "q_value", "gradient_norm", "epsilon")


def population_values(progress: Progress) -> dict[str, float]:
    """Return the distribution over agents; what is not finite is left out."""
    values = {
        "steps_per_second": progress.steps_per_second,
        "return/iqm": progress.iqm,
        "return/interval_low": progress.interval.low,
        "return/interval_high": progress.interval.high,
        "return/agents_without": progress.without_return,
        **_distribution("return", progress.returns, ("min", "max")),
    }
    for name in LEARNING:
        values |= _distribution(name, getattr(progress.metrics, name), ("mean", "min", "max"))
    return _finite(values)


def agent_values(progress: Progress) -> list[dict[str, float]]:
    """Return each agent's own numbers; what is not finite is left out."""
    columns = {"return": progress.returns, "episode_length": progress.metrics.episode_length}
    columns |= {name: getattr(progress.metrics, name) for name in LEARNING}
    lists = {name: np.asarray(column, np.float64).tolist() for name, column in columns.items()}
    rows = zip(*lists.values(), strict=True)
    return [_finite(dict(zip(lists, row, strict=True))) for row in rows]


def evaluation_values(evaluation: dict[str, Any]) -> dict[str, float]:
    """Return the final evaluation of the population."""
    low, high = evaluation["interval"]
    return _finite(
        {
            "evaluation/iqm": evaluation["iqm"],
            "evaluation/interval_low": low,
            "evaluation/interval_high": high,
        }
    )


def agent_evaluations(evaluation: dict[str, Any]) -> list[dict[str, float]]:
    """Return the final evaluation of each agent."""
    scores = np.asarray(evaluation["returns"], np.float64).mean(axis=1).tolist()
    return [_finite({"evaluation/return": score}) for score in scores]


def agent_hparams(described: dict[str, Any]) -> list[dict[str, float]]:
    """Return each agent's hyperparameters, those that are swept or sampled included."""
    config = Config(**{field.name: described[field.name] for field in dataclasses.fields(Config)})
    varied = {name: values.tolist() for name, values in config.varied.items()}
    return [
        described["hparams"] | {name: values[agent] for name, values in varied.items()}
        for agent in range(config.agents)
    ]


def flat(described: dict[str, Any]) -> dict[str, Any]:
    """Write nested names as one, `{"a": {"b": 1}}` as `{"a.b": 1}`."""
    flattened = {}
    for name, value in described.items():
        inner = flat(value) if isinstance(value, dict) else {"": value}
        flattened |= {f"{name}.{key}" if key else name: part for key, part in inner.items()}
    return flattened


def _distribution(name: str, column: Any, statistics: tuple[str, ...]) -> dict[str, float]:
    column = np.asarray(column, np.float64)
    column = column[np.isfinite(column)]
    if not column.size:
        return {}
    return {f"{name}/{statistic}": float(getattr(np, statistic)(column)) for statistic in statistics}


def _finite(values: dict[str, float]) -> dict[str, float]:
    return {name: value for name, value in values.items() if math.isfinite(value)}
