"""The commands of logged data: `jaxq collect`, and off-policy evaluation by `jaxq ope`."""

import json
from argparse import Namespace
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from jaxq import checks, dataset
from jaxq.cli.arguments import TRUST_IMPORTS, command
from jaxq.cli.messages import warn
from jaxq.cli.training import prepare
from jaxq.hparams import leaves_of


@command(TRUST_IMPORTS, steps=10000, epsilon=0.1, seed=0)
def collect(args: Namespace) -> None:
    """Let a trained agent act in its environment, and log what it does.

    DIR: A run directory.
    --out DATA!: An NPZ or Parquet file to write; it must not exist yet.
    --steps N: Steps at least; episodes that run then are played to their end.
    --epsilon E: Probability of a random action; without any, what the agent never does cannot be judged
        later.
    --agent I: Number of the agent; by default the one with the best return while training.
    --seed S: Seed of the episodes.
    """
    if args.out.exists():
        raise checks.InputValueError(f"--out {args.out} exists already; choose another name")
    dataset.check_path(args.out)
    checks.whole_number("seed", args.seed, minimum=0)
    plan, run = _trained(args)
    import jax

    from jaxq.engine import collect as play

    index = _best(run.progress.returns) if args.agent is None else args.agent
    agent = plan.population.agent(run.state, index)
    key = jax.random.key(args.seed)
    data = play(plan.population.trainer, agent, key, args.steps, args.epsilon)
    dataset.save(data, args.out)
    print(dataset.describe(data))
    print(f"agent {index} wrote {args.out}")


@command(TRUST_IMPORTS, epsilon=0.0)
def ope(args: Namespace) -> None:
    """Off-policy evaluation: estimate from logged data what a run's agents are worth, best first.

    DIR: A run directory.
    --data DATA!: An NPZ or Parquet file of logged transitions, whole episodes.
    --estimator per_decision_importance|weighted_importance|fitted_q|doubly_robust: By default
        weighted_importance where the data has the behaviour's probabilities, else fitted_q.
    --agent I: Number of one agent; by default all of them.
    --epsilon E: Probability of a random action of the agent that is evaluated.
    --discount GAMMA: By default each agent's own.
    --json: Print one JSON object.
    """
    data = dataset.load(args.data)
    known = data.behaviour_probability is not None
    estimator = args.estimator or ("weighted_importance" if known else "fitted_q")
    plan, run = _trained(args)
    from jaxq import ope as off_policy

    checks.one_of("estimator", estimator, off_policy.ESTIMATORS)
    numbers = range(plan.config.agents) if args.agent is None else [args.agent]
    policies = off_policy.policies_of(plan.population.trainer)
    found = []
    for index in numbers:
        agent = plan.population.agent(run.state, index)
        own = leaves_of(agent.hparams).get("discount", 1.0)
        discount = float(own) if args.discount is None else args.discount
        policy = policies(agent, args.epsilon)
        evaluation = off_policy.evaluate(data, policy, discount, estimators=[estimator])
        estimate = evaluation.estimates[estimator]._asdict()
        values = {name: _finite(estimate[name]) for name in ("value", "low", "high")}
        worth = _finite(evaluation.effective_episodes)
        found.append({"agent": index, "discount": discount, **values, "effective_episodes": worth})
    found.sort(key=lambda row: (row["value"] is None, -(row["value"] or 0)))
    if args.json:
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


def _trained(args: Namespace) -> tuple[Any, Any]:
    """Return what a run trained, and where its newest checkpoint that can be used is."""
    prepare()
    from jaxq.experiment.evaluating import instead, trained

    plan, run, skipped = trained(args.dir, args.trust_imports)
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
