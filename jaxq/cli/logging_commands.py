"""The commands of logged data: `jaxq collect`, and off-policy evaluation by `jaxq ope`."""

import dataclasses
import json
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import tyro
from rich.console import Console
from rich.table import Table

from jaxq import checks, dataset
from jaxq.cli.commands import Processes
from jaxq.cli.messages import warn
from jaxq.cli.training import prepare
from jaxq.hparams import leaves_of


@dataclasses.dataclass(frozen=True)
class Collect:
    """Let a trained agent act in its environment, and log what it does."""

    directory: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="DIR")]
    """A run directory."""
    out: Annotated[Path, tyro.conf.arg(metavar="DATA")]
    """An NPZ or Parquet file to write; it must not exist yet."""
    steps: Annotated[int, tyro.conf.arg(metavar="N")] = 10_000
    """Steps at least; episodes that run then are played to their end."""
    epsilon: Annotated[float, tyro.conf.arg(metavar="E")] = 0.1
    """Probability of a random action; without any, what the agent never does cannot be judged later."""
    agent: Annotated[int | None, tyro.conf.arg(metavar="I")] = None
    """Number of the agent; by default the one with the best return while training."""
    seed: Annotated[int, tyro.conf.arg(metavar="S")] = 0
    """Seed of the episodes."""
    trust_imports: bool = False
    """Import what the directory names by import path, which runs those modules."""


@dataclasses.dataclass(frozen=True)
class Ope:
    """Off-policy evaluation: estimate from logged data what a run's agents are worth, best first."""

    directory: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="DIR")]
    """A run directory."""
    data: Annotated[Path, tyro.conf.arg(metavar="DATA")]
    """An NPZ or Parquet file of logged transitions, whole episodes."""
    estimator: Annotated[
        str | None,
        tyro.conf.arg(metavar="per_decision_importance|weighted_importance|fitted_q|doubly_robust"),
    ] = None
    """By default weighted_importance where the data has the behaviour's probabilities, else fitted_q."""
    agent: Annotated[int | None, tyro.conf.arg(metavar="I")] = None
    """Number of one agent; by default all of them."""
    epsilon: Annotated[float, tyro.conf.arg(metavar="E")] = 0.0
    """Probability of a random action of the agent that is evaluated."""
    discount: Annotated[float | None, tyro.conf.arg(metavar="GAMMA")] = None
    """By default each agent's own."""
    json: bool = False
    """Print one JSON object."""
    trust_imports: bool = False
    """Import what the directory names by import path, which runs those modules."""


def collect(command: Collect) -> None:
    """Write a log."""
    if command.out.exists():
        raise checks.InputValueError(f"--out {command.out} exists already; choose another name")
    dataset.check_path(command.out)
    checks.whole_number("seed", command.seed, minimum=0)
    plan, run = _trained(command)
    import jax

    from jaxq.engine import collect as play

    index = _best(run.progress.returns) if command.agent is None else command.agent
    agent = plan.population.agent(run.state, index)
    key = jax.random.key(command.seed)
    data = play(plan.population.trainer, agent, key, command.steps, command.epsilon)
    dataset.save(data, command.out)
    print(dataset.describe(data))
    print(f"agent {index} wrote {command.out}")


def ope(command: Ope) -> None:
    """Print estimates."""
    data = dataset.load(command.data)
    known = data.behaviour_probability is not None
    estimator = command.estimator or ("weighted_importance" if known else "fitted_q")
    plan, run = _trained(command)
    from jaxq import ope as off_policy

    checks.one_of("estimator", estimator, off_policy.ESTIMATORS)
    numbers = range(plan.config.agents) if command.agent is None else [command.agent]
    policies = off_policy.policies_of(plan.population.trainer)
    found = []
    for index in numbers:
        agent = plan.population.agent(run.state, index)
        own = leaves_of(agent.hparams).get("discount", 1.0)
        discount = float(own) if command.discount is None else command.discount
        policy = policies(agent, command.epsilon)
        evaluation = off_policy.evaluate(data, policy, discount, estimators=[estimator])
        estimate = evaluation.estimates[estimator]._asdict()
        values = {name: _finite(estimate[name]) for name in ("value", "low", "high")}
        worth = _finite(evaluation.effective_episodes)
        found.append({"agent": index, "discount": discount, **values, "effective_episodes": worth})
    found.sort(key=lambda row: (row["value"] is None, -(row["value"] or 0)))
    if command.json:
        print(json.dumps({"estimator": estimator, "agents": found}, allow_nan=False))
    else:
        Console().print(_table(estimator, found))


def _table(estimator: str, found: list[dict[str, Any]]) -> Table:
    table = Table("agent", "discounted return (95% interval)", "worth, episodes", title=estimator)
    for row in found:
        value, low, high, worth = (
            "none" if row[name] is None else f"{row[name]:.4g}"
            for name in ("value", "low", "high", "effective_episodes")
        )
        table.add_row(str(row["agent"]), f"{value} ({low} to {high})", worth)
    return table


def _trained(command: Collect | Ope) -> tuple[Any, Any]:
    """Return what a run trained, and where its newest checkpoint that can be used is."""
    prepare(Processes())
    from jaxq.experiment.evaluating import instead, trained

    plan, run, skipped = trained(command.directory, command.trust_imports)
    for reason in skipped:
        warn(instead(reason, run.steps))
    return plan, run


def _best(returns: np.ndarray) -> int:
    if not np.isfinite(returns).any():
        raise checks.InputValueError(
            "no agent has finished an episode while training, so none is best; name one: --agent 0"
        )
    return int(np.nanargmax(returns))


def _finite(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
