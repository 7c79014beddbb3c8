"""How well incidents are handled: baselines, a table against optimal play, agents, logs.

Every policy plays whole episodes of `Incident-v0` with the same keys: what it recovers, how soon, at
what price, and what it violates. Agents are trained from 20 seeds, and keep to legal actions; baselines
play as many sets of episodes. Offline agents learn from one log of a baseline. On the small instance
tabular Q-learning is held against value iteration.

    python benchmarks/incident.py [--seeds 20] [--steps 100000] [--only dqn r2d2] [--tiny] [--write]

`incident_figures.py` draws what was kept.
"""

import argparse
import functools
import json
import time
from collections.abc import Callable
from typing import Any

import jaxq

jaxq.use_all_cores()

import incident_figures  # noqa: E402
import jax  # noqa: E402
import jax.numpy as jnp  # noqa: E402
import numpy as np  # noqa: E402
from incident_players import (  # noqa: E402
    BUDGETED,
    BUDGETS,
    COLUMNS,
    EPISODES,
    LIMIT,
    SERVICES,
    agent,
    baseline,
    behaviour,
    constrained,
    log,
    played,
)
from report import (  # noqa: E402
    RESULTS,
    computes_on,
    option_parser,
    processor,
    report,
    versions,
)

from jaxq.envs import Incident, IncidentTable, incident_params, incident_table, stack_frames  # noqa: E402
from jaxq.envs.incident.policies import POLICIES, omniscient_repairer  # noqa: E402

FRAMES, DISCOUNT = 4, 0.97
KEPT = RESULTS / "incident.json"  # means of each seed
DEEP = {"hidden_sizes": (64, 64), "learning_rate": 1e-3, "discount": DISCOUNT}
# Exploration costs many times the budget: a price that rises fast with it takes long to come down.
PRICE_STEP = 1e-4
LOGS = {"runbook": 0.2, "random legal": 1.0}  # by whom, and with which share of random actions
OFFLINE = ("behaviour_cloning", "conservative_dqn", "bcq")


def trained(recipe: str, seeds: int, steps: int, frames: int = 1, **keywords: Any) -> np.ndarray:
    """Train agents in the simulator, and play."""
    exploring = {"epsilon_steps": steps // 4, "epsilon_end": 0.02}
    env = jaxq.envs.make("Incident-v0", services=SERVICES)
    env = env if frames == 1 else stack_frames(env, frames)
    return learned(env, getattr(jaxq, recipe)(**{**DEEP, **exploring, **keywords}), seeds, steps, frames)


def offline(recipe: str, rule: str, seeds: int, steps: int) -> np.ndarray:
    """Train agents on a baseline's log alone, and play."""
    data = log(POLICIES[rule], LOGS[rule], steps)
    algorithm = getattr(jaxq, recipe)(**DEEP, replay=jaxq.DatasetReplay(data))
    return learned(jaxq.envs.make("Incident-v0", services=SERVICES), algorithm, seeds, steps)


def learned(env: Any, algorithm: Any, seeds: int, steps: int, frames: int = 1) -> np.ndarray:
    trainer = jaxq.Trainer(env, algorithm)
    population = jaxq.Population(trainer, seeds)
    state, _ = population.run(population.init(jax.random.key(0)), steps)
    return played(functools.partial(agent, trainer), state.learner, seeds, frames)


def cell(values: np.ndarray, digits: str = ".2f") -> str:
    """Write a mean over seeds with its 95% interval."""
    values = values[np.isfinite(values)]
    if not values.size:
        return "-"
    half = 1.96 * values.std(ddof=1) / np.sqrt(len(values)) if len(values) > 1 else 0.0
    return f"{values.mean():{digits}} ± {half:{digits}}"


def small(seeds: int, steps: int) -> list[str]:
    """Train a table on the small instance, and value what it does exactly."""
    table = incident_table(2)
    env, start = table.env, table.env.initial
    best = start @ jaxq.value_iteration(env, DISCOUNT).max(axis=1)

    def value(policy: np.ndarray) -> float:
        q = jaxq.policy_evaluation(env, policy, DISCOUNT)
        return start @ (policy * q).sum(axis=1)

    values = np.array([value(jaxq.greedy_policy(q)) for q in tables(env, seeds, steps)])
    always = {
        "omniscient repairer": omniscient_actions(table),
        "never act": np.zeros(env.num_states, int),
    }
    others = {name: value(np.eye(env.num_actions)[actions]) for name, actions in always.items()}
    loss = 100 * (best - values) / abs(best)
    return [
        f"The small instance ({env.num_states:,} states, discount {DISCOUNT}), exact values of what the",
        "policies are worth at the start:",
        "",
        "| policy | value | below the optimum |",
        "| --- | ---: | ---: |",
        f"| optimal play, by value iteration | {best:.4f} | |",
        f"| q_learning, {steps:,} env steps, {seeds} seeds | {cell(values, '.4f')} | "
        f"{loss.mean():.2f}%, at most {loss.max():.2f}%; {int((loss <= 2).sum())} within 2% |",
        *(
            f"| {name} | {number:.4f} | {100 * (best - number) / abs(best):.2f}% |"
            for name, number in others.items()
        ),
    ]


def tables(env: Any, seeds: int, steps: int) -> list[np.ndarray]:
    """Train tables from so many seeds, and return their values `[S, A]`."""
    exploring = {"epsilon_start": 1.0, "epsilon_end": 0.3, "epsilon_steps": steps // 2}
    trainer = jaxq.Trainer(env, jaxq.q_learning(discount=DISCOUNT, num_envs=64, **exploring))
    population = jaxq.Population(trainer, seeds)
    state, _ = population.run(population.init(jax.random.key(0)), steps)
    numbers = jnp.arange(env.num_states)
    return [np.asarray(trainer.q_values(population.agent(state, i), numbers)) for i in range(seeds)]


def omniscient_actions(table: IncidentTable) -> np.ndarray:
    """What the omniscient repairer does in each state, `[S]`."""
    params = jax.tree.map(jnp.asarray, table.params)
    policy, raw = omniscient_repairer(params), Incident(2)
    act = jax.jit(jax.vmap(lambda state: policy(None, state, raw.legal_actions(state, params))))
    return np.append(act(jax.tree.map(jnp.asarray, table.states)), 0)


def baselines(seeds: int) -> dict[str, Callable[[], np.ndarray]]:
    """Return what measures those who learn nothing."""
    params = jax.tree.map(jnp.asarray, incident_params(SERVICES))
    players = {name: baseline(policy) for name, policy in POLICIES.items()}
    for rule, epsilon in LOGS.items():
        players[f"log of {rule}, {epsilon:.0%} random"] = behaviour(POLICIES[rule], epsilon)
    players["omniscient repairer"] = baseline(omniscient_repairer(params), knows_state=True)
    return {name: functools.partial(rules, player, seeds) for name, player in players.items()}


def rules(player: Any, seeds: int) -> np.ndarray:
    return played(lambda _: player, jnp.zeros(seeds), seeds)


def contenders(seeds: int, steps: int) -> dict[str, Callable[[], np.ndarray]]:
    """Return what measures each of the rows."""
    online = functools.partial(trained, seeds=seeds, steps=steps)
    rows = baselines(seeds)
    rows["dqn"] = functools.partial(online, "dqn")
    rows[f"dqn, {FRAMES} frames"] = functools.partial(online, "dqn", frames=FRAMES)
    rows["rainbow"] = functools.partial(online, "rainbow")
    rows["r2d2"] = functools.partial(online, "r2d2")
    for budget in BUDGETS:
        within = {"budgets": {BUDGETED: budget}, "multiplier_learning_rate": PRICE_STEP}
        rows[constrained(budget)] = functools.partial(online, "constrained_dqn", **within)
    for rule in LOGS:
        for recipe in OFFLINE:
            row = functools.partial(offline, recipe, rule, seeds, steps)
            rows[f"{recipe}, from the log of {rule}"] = row
    return rows


def measure(options: argparse.Namespace, measures: dict[str, Callable[[], Any]]) -> dict[str, Any]:
    """Measure what is asked for, and keep every row as soon as it is there."""
    kept = json.loads(KEPT.read_text()) if options.only is not None or options.resume else {}
    names = list(measures) if options.only is None else options.only
    for name in [name for name in names if options.only is not None or name not in kept]:
        began = time.perf_counter()
        seeds = np.asarray(measures[name]()).tolist()
        kept[name] = {"steps": options.steps, "seeds": seeds, "machine": computes_on()}
        print(f"{name}: {time.perf_counter() - began:.0f} s", flush=True)
        if options.write:
            KEPT.write_text(json.dumps(kept) + "\n")
    return kept


def machines(kept: dict[str, Any]) -> list[str]:
    """Say what was measured on other machines than this one."""
    others: dict[str, list[str]] = {}
    for name, row in kept.items():
        others.setdefault(row["machine"], []).append(name)
    others.pop(processor(), None)
    return [f"on {machine}: {', '.join(names)}" for machine, names in others.items()]


def budget_lines(kept: dict[str, Any]) -> list[str]:
    """Say how many seeds kept within each budget."""
    lines = []
    for budget in [budget for budget in BUDGETS if constrained(budget) in kept]:
        spent = np.array(kept[constrained(budget)]["seeds"])[:, COLUMNS.index(BUDGETED)]
        lines.append(
            f"Within a budget of {budget:g} {BUDGETED} an episode: {int((spent <= budget).sum())} of "
            f"{len(spent)} seeds, which spend {cell(spent)}."
        )
    return lines


def main() -> None:
    parser = option_parser(__doc__, tiny=True)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--steps", type=int, default=100_000, help="env steps of a deep agent")
    parser.add_argument("--table-steps", type=int, default=20_000_000, help="env steps of a table")
    parser.add_argument("--only", nargs="*", help="measure these, and take the rest as it was kept")
    parser.add_argument("--resume", action="store_true", help="measure only what was not kept")
    options = parser.parse_args()
    if options.tiny:
        options.seeds, options.steps, options.table_steps = 2, 2_000, 20_000
    measures = contenders(options.seeds, options.steps)
    measures["small"] = lambda: small(options.seeds, options.table_steps)
    kept = measure(options, measures)
    table = [
        "| policy | env steps | " + " | ".join(name.replace("_", " ") for name in COLUMNS) + " |",
        "| --- |" + " ---: |" * (1 + len(COLUMNS)),
    ]
    for name in [name for name in measures if name in kept and name != "small"]:
        cells = " | ".join(cell(np.array(column)) for column in zip(*kept[name]["seeds"], strict=True))
        steps = "" if name in baselines(options.seeds) else f"{kept[name]['steps']:,}"
        table.append(f"| {name} | {steps} | {cells} |")
    table += ["", *budget_lines(kept), "", *kept.get("small", {}).get("seeds", [])]
    method = [
        f"`Incident-v0` with {SERVICES} services: means over whole episodes of at most {LIMIT} steps,",
        f"{EPISODES} for each of {options.seeds} seeds, with the 95% interval of the mean over seeds.",
        "Costs are steps of an episode in which each was 1, the price is summed over an episode, and",
        "steps to recovery are those of episodes that recovered.",
        f"Agents have hidden layers of {DEEP['hidden_sizes']}, discount {DISCOUNT}, and act greedily.",
        "Logs hold as many env steps as agents were trained for; those that learn from one never act in",
        "the meantime. Rows with illegal actions were measured before agents kept to legal ones.",
    ]
    measured_with = [*machines(kept), versions("jaxq", "jax", "flax", "gymnax")]
    report(__file__, "Incidents", method, measured_with, table, options.write)
    if options.write:
        incident_figures.write(kept)


if __name__ == "__main__":
    main()
