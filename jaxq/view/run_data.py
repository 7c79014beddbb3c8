"""A run's data: its agents, what they are worth, and how they play, as the page shows it."""

import base64
import io
import shlex
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import jax
import numpy as np

from jaxq.checks import InputValueError
from jaxq.envs import LoggedEnvironment
from jaxq.experiment.directory import is_sweep, with_runs
from jaxq.hparams import leaves_of
from jaxq.reports.drawings import painter
from jaxq.reports.runs import Run, read_run
from jaxq.statistics import bootstrap_interval, iqm
from jaxq.trained.loading import LoadedPopulation, load_population
from jaxq.view.costs import cost_data, step_costs
from jaxq.view.episodes import Episodes, Player
from jaxq.view.numbers import evenly, number, numbers
from jaxq.view.replays import replay_data
from jaxq.view.snapshots import kept_snapshots
from jaxq.view.tables import notes_on_states, table_data

PLAYED_AGENTS = 12
"""Agents that the page can play; of more, those spread evenly from the best to the worst."""
EPISODES, MAX_STEPS, FRAMES = 8, 500, 100
POINTS = 300
"""Points of a scatter plot or values of a histogram, for each agent."""
MOST_CURVES, MOST_SEGMENTS = 64, 200
MOST_NAMED = 8
"""Groups of a sweep that a message names."""
FRAME_BYTES = 2_500_000
REPLAY_BYTES = 256 * 2**20


def run_data(directory: Path, trust_imports: bool = False) -> dict[str, Any]:
    """Collect what the page shows of a run, finished or running.

    Args:
        directory: A run directory.
        trust_imports: Whether to import what the directory holds by import path.

    Returns:
        Numbers, lists and texts, as JSON has them.

    Raises:
        InputValueError: If it is no run directory, holds a sweep of several runs, or nothing yet.
    """
    _check_no_sweep(directory)
    run = read_run(directory)
    try:
        population = load_population(directory, trust_imports=trust_imports, replay_bytes=REPLAY_BYTES)
    except InputValueError as error:
        # What was written while training can be shown all the same.
        return _described(run, run.scores, [str(error)]) | _without_agents(run)
    scores = population.returns if run.returns is None else run.scores
    if isinstance(population.trainer.env, LoggedEnvironment):
        note = "These agents learned from a log alone, which cannot be played."
        return _described(run, scores, [*population.warnings, note]) | _without_agents(run)
    snapshots, notes = kept_snapshots(directory, population)
    chosen = _spread_over(scores, () if snapshots is None else snapshots.agents)
    table = table_data(population, chosen, snapshots)
    notes = [*population.warnings, *notes, *notes_on_states(population.trainer)]
    return {
        **_described(run, scores, notes),
        "steps": population.steps,
        "leaves": _leaves(population),
        "actions": _action_names(population, table),
        "ranked": chosen,
        # A map shows where the agent is better than pictures do.
        "agents": _play(population, chosen, pictures=table is None or table["world"] is None),
        "table": table,
        "replays": replay_data(population, chosen),
    }


def _check_no_sweep(directory: Path) -> None:
    """Name the groups of a sweep, each of which has a page of its own."""
    if not is_sweep(directory):
        return
    ready = [path for path, _ in with_runs([directory])]
    names = [path.name for path in ready[:MOST_NAMED]]
    more = f" and {len(ready) - MOST_NAMED} more" if len(ready) > MOST_NAMED else ""
    raise InputValueError(
        f"{directory} holds a sweep of several runs, and a page shows one; its groups with results are "
        f"{', '.join(names)}{more}; for example: jaxq view {shlex.quote(str(ready[0]))}"
    )


def _described(run: Run, scores: np.ndarray, warnings: list[str]) -> dict[str, Any]:
    """Return what needs no checkpoint."""
    return {
        "kind": "run",
        "name": run.name,
        "environment": run.config.environment,
        "algorithm": run.config.algorithm,
        "planned": run.config.steps,
        "finished": run.returns is not None,
        "scoredBy": run.scored_by,
        "summary": _summary(scores),
        "notes": [*run.notes, *warnings],
        "settings": _settings(run),
        "scores": numbers(scores),
        "diverged": run.diverged,
        "curves": _curves(run, scores),
        "costs": cost_data(run.costs),
    }


def _without_agents(run: Run) -> dict[str, Any]:
    steps = run.config.steps if run.history is None else int(run.history.steps[-1])
    nothing = {"leaves": {}, "actions": [], "ranked": [], "agents": {}, "table": None, "replays": None}
    return {"steps": steps, **nothing}


def _summary(scores: np.ndarray) -> dict[str, Any]:
    if not np.isfinite(scores).any():
        return {"iqm": None, "interval": None}
    return {"iqm": number(iqm(scores)), "interval": numbers(bootstrap_interval(scores))}


def _spread_over(scores: np.ndarray, besides: Iterable[int]) -> list[int]:
    """Choose agents from the best to the worst, both included, and some besides."""
    ranked = np.argsort(-np.nan_to_num(scores, nan=-np.inf), kind="stable")
    places = np.round(np.linspace(0, len(ranked) - 1, min(PLAYED_AGENTS, len(ranked)))).astype(int)
    chosen = {*ranked[places].tolist(), *map(int, besides)}
    return [agent for agent in ranked.tolist() if agent in chosen]


def _settings(run: Run) -> list[list[str]]:
    """List what was set, by name."""
    keywords = run.written.get("keywords")
    named = keywords if isinstance(keywords, dict) else {}
    return [[str(name), str(value)[:80]] for name, value in sorted(named.items())]


def _leaves(population: LoadedPopulation) -> dict[str, list[float | None]]:
    """Return the hyperparameters that differ between agents, each `[N]`."""
    found = {}
    for name, leaf in leaves_of(population.learned.hparams).items():
        values = np.asarray(leaf)
        if values.ndim == 1 and np.unique(values).size > 1:
            found[name] = numbers(values)
    return found


def _curves(run: Run, scores: np.ndarray) -> dict[str, Any] | None:
    """Return learning curves: the quartiles of all agents, and lines of some of them."""
    if run.history is None:
        return None
    rows = evenly(len(run.history.steps), MOST_SEGMENTS)
    returns = run.history.returns[rows]
    none = np.full(3, np.nan)
    quartiles = [
        np.nanquantile(row, (0.25, 0.5, 0.75)) if np.isfinite(row).any() else none for row in returns
    ]
    low, middle, high = np.transpose(quartiles)
    return {
        "steps": run.history.steps[rows].tolist(),
        "low": numbers(low),
        "median": numbers(middle),
        "high": numbers(high),
        "agents": {str(agent): numbers(returns[:, agent]) for agent in evenly(len(scores), MOST_CURVES)},
    }


def _action_names(population: LoadedPopulation, table: dict[str, Any] | None) -> list[str]:
    """Name the actions as the environment or the map does, or by their numbers."""
    env = population.trainer.env
    if table is not None and table["world"] is not None and table["world"]["arrows"]:
        arrows = sorted(table["world"]["arrows"], key=lambda arrow: arrow["column"])
        return [arrow["name"] for arrow in arrows]
    names = getattr(env, "action_names", None)
    return [str(name) for name in names] if names else [f"action {a}" for a in range(env.num_actions)]


def _play(population: LoadedPopulation, agents: list[int], pictures: bool) -> dict[str, Any]:
    """Play each agent's episodes, and keep the first, with pictures of what it saw."""
    player = Player(population.trainer, EPISODES, MAX_STEPS)
    key = jax.random.key(population.config.seed)
    played, left = {}, FRAME_BYTES * pictures
    for index in agents:
        learned = population.agent(index).learned
        discount = float(leaves_of(learned.hparams).get("discount", 1.0))
        episodes = player(learned, key)
        frames = _frames(population, episodes, left)
        left -= sum(len(frame) for frame in frames["images"])
        costs = step_costs(episodes, population.trainer.env.cost_names)
        shown = _episode(episodes, discount) | _values(episodes, discount)
        played[str(index)] = shown | {"frames": frames, "costs": costs}
    return played


def _episode(episodes: Episodes, discount: float) -> dict[str, Any]:
    """Return the first episode step by step."""
    length = int(episodes.played[:, 0].sum())
    q = None if episodes.q is None else episodes.q[:length, 0]
    observation = episodes.observation[:length, 0].reshape(length, -1)
    return {
        "discount": discount,
        "reward": numbers(episodes.reward[:length, 0]),
        "action": episodes.action[:length, 0].tolist(),
        "ended": bool(episodes.terminated[:length, 0].any() | episodes.truncated[:length, 0].any()),
        "q": None if q is None else [numbers(row) for row in q],
        "td": None if q is None else numbers(episodes.td_errors(discount)[:length, 0]),
        "observation": [numbers(row) for row in observation] if observation.shape[1] <= 16 else None,
        "returns": numbers(np.where(episodes.played, episodes.reward, 0).sum(axis=0)),
    }


def _values(episodes: Episodes, discount: float) -> dict[str, Any]:
    """Return what was expected against what came, gaps between actions, and TD errors, of all steps."""
    if episodes.q is None:
        return {"expected": None, "gaps": None, "errors": None}
    followed = episodes.returns_that_followed(discount)
    known = np.isfinite(followed)
    pairs = np.stack([episodes.q.max(axis=2)[known], followed[known]], axis=1)
    errors = episodes.td_errors(discount)
    ranked = np.sort(episodes.q[episodes.played], axis=1)
    gaps = ranked[:, -1] - ranked[:, -2] if ranked.shape[1] > 1 else np.zeros(0)
    gaps, errors = gaps[np.isfinite(gaps)], errors[np.isfinite(errors)]
    return {
        "expected": [numbers(pair) for pair in pairs[evenly(len(pairs), POINTS)]],
        "gaps": numbers(gaps[evenly(gaps.size, POINTS)]),
        "errors": numbers(errors[evenly(errors.size, POINTS)]),
    }


def _frames(population: LoadedPopulation, episodes: Episodes, room: int) -> dict[str, Any]:
    """Draw the first episode, every few steps, as long as there is room."""
    drawn, length = painter(population.trainer.env), int(episodes.played[:, 0].sum())
    every = -(-length // FRAMES)
    images: list[str] = []
    if drawn is None or not length or room <= 0:
        return {"every": 1, "images": images}
    for observation in episodes.observation[:length:every, 0]:
        data = io.BytesIO()
        drawn.paint(observation).save(data, format="WEBP", quality=60, method=2)
        images.append("data:image/webp;base64," + base64.b64encode(data.getvalue()).decode())
        room -= len(images[-1])
        if room < 0:
            return {"every": 1, "images": []}
    return {"every": every, "images": images}
