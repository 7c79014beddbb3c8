"""Rows of metrics for trackers: one row for each of their runs.

The first row is the population's, the others, on request, those of its agents; NaN is left out.
"""

import dataclasses
import math
from typing import Any

import numpy as np

from jaxq.experiment.config import Config
from jaxq.experiment.progress import Progress

Row = dict[str, float]

# Of the metrics, those whose distribution over agents says how learning goes.
LEARNING = ("loss", "td_error", "q_value", "gradient_norm", "epsilon")


def segment_rows(progress: Progress, agents: bool) -> list[Row]:
    """Return the numbers of a segment."""
    columns = {"return": progress.returns, "episode_length": progress.metrics.episode_length}
    columns |= {name: getattr(progress.metrics, name) for name in LEARNING}
    population = {
        "steps_per_second": progress.steps_per_second,
        "return/iqm": progress.iqm,
        "return/interval_low": progress.interval.low,
        "return/interval_high": progress.interval.high,
        "return/agents_without": progress.without_return,
        **_distribution("return", progress.returns, ("min", "max")),
    }
    for name in LEARNING:
        population |= _distribution(name, columns[name], ("mean", "min", "max"))
    return _rows(population, columns if agents else None)


def evaluation_rows(evaluation: dict[str, Any], agents: bool) -> list[Row]:
    """Return the numbers of the final evaluation."""
    low, high = evaluation["interval"]
    population = {"iqm": evaluation["iqm"], "interval_low": low, "interval_high": high}
    population = {f"evaluation/{name}": value for name, value in population.items()}
    scores = np.mean(evaluation["returns"], axis=1, dtype=np.float64)
    return _rows(population, {"evaluation/return": scores} if agents else None)


def agent_hparams(described: dict[str, Any]) -> list[Row]:
    """Return each agent's hyperparameters, those that are swept or sampled included."""
    config = Config(**{field.name: described[field.name] for field in dataclasses.fields(Config)})
    varied = {name: values.tolist() for name, values in config.varied.items()}
    return [
        described["hparams"] | {name: values[agent] for name, values in varied.items()}
        for agent in range(config.agents)
    ]


def _rows(population: Row, columns: dict[str, Any] | None) -> list[Row]:
    """Return a population's row, and those of its agents out of columns `[N]`."""
    rows = [population]
    if columns is not None:
        lists = [np.asarray(column, np.float64).tolist() for column in columns.values()]
        rows += [dict(zip(columns, values, strict=True)) for values in zip(*lists, strict=True)]
    return [{name: value for name, value in row.items() if math.isfinite(value)} for row in rows]


def _distribution(name: str, column: Any, statistics: tuple[str, ...]) -> Row:
    column = np.asarray(column, np.float64)
    column = column[np.isfinite(column)]
    if not column.size:
        return {}
    return {f"{name}/{statistic}": float(getattr(np, statistic)(column)) for statistic in statistics}
