"""The lesson's data: a table and a DQN trained on one grid world, as snapshots that a page can show."""

import base64
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import jaxq
from jaxq.envs.grids import from_map
from jaxq.envs.table import TableEnvironment
from jaxq.view.mistakes import measure_mistakes

MAP = (".....G", ".#.C..", ".#....", "S..C..")
DISCOUNT, ALPHA, EPSILON = 0.95, 0.2, 0.3
MAX_STEPS = 100
TABLE_STEPS, TABLE_SNAPSHOTS, EVENTS = 16_000, 56, 1_500
DQN_STEPS, DQN_SNAPSHOTS, DQN_WIDTH = 12_000, 40, 24
CAPACITY, BATCH, LEARNING_STARTS, TARGET_INTERVAL = 4_000, 32, 300, 350


def lesson_world(cliff_reward: float = -1.0) -> TableEnvironment:
    """Make the grid world of the lesson: a step costs 0.05, the goal pays 1, a pit costs 1.

    Episodes begin in any free cell: from the corner alone, the cells behind the goal are hardly visited,
    and their values stay far from Q* after 24,000 steps. A fall leads back to the corner.
    """
    grid = from_map(MAP, step_reward=-0.05, goal_reward=1.0, cliff_reward=cliff_reward)
    free = np.isin(grid.drawing.ravel(), [".", "S"])
    env = TableEnvironment(grid.outcomes, free / free.sum(), MAX_STEPS, "lesson")
    env.drawing = grid.drawing
    return env


def train_lesson(seed: int = 0) -> dict[str, Any]:
    """Train a table and a DQN on the lesson's grid world, and keep what the page shows of them.

    Args:
        seed: Seed of both; the same seed gives the same page on the same machine.

    Returns:
        Numbers, lists and texts, as JSON has them: the world, the exact Q*, snapshots of the table with
        the updates that led to them, snapshots of the network and of its target, and what common
        mistakes cost.
    """
    env = lesson_world()
    q_star = np.asarray(jaxq.value_iteration(env, discount=DISCOUNT))
    table_key, dqn_key, mistakes_key = jax.random.split(jax.random.key(seed), 3)
    return {
        "world": _world(env),
        "qStar": _rounded(q_star),
        "table": _train_table(env, table_key),
        "dqn": _train_dqn(env, dqn_key),
        "mistakes": measure_mistakes(lesson_world, mistakes_key),
    }


def _world(env: TableEnvironment) -> dict[str, Any]:
    """Describe a grid world: its drawing, and for each state and action the outcomes."""
    drawing, outcomes = env.drawing, env.outcomes
    return {
        "name": env.name,
        "rows": drawing.shape[0],
        "columns": drawing.shape[1],
        "cells": ["".join(row) for row in drawing],
        "actions": ["up", "right", "down", "left"],
        "discount": DISCOUNT,
        "maxSteps": int(env.params.max_steps_in_episode),
        "start": int(np.argmax(drawing.ravel() == "S")),
        "starts": np.flatnonzero(env.initial).tolist(),
        "next": outcomes.next_state[..., 0].tolist(),
        "reward": outcomes.reward[..., 0].tolist(),
        "end": outcomes.terminated[..., 0].astype(int).tolist(),
    }


def _train_table(env: TableEnvironment, key: jax.Array) -> dict[str, Any]:
    """Train a table step by step; every update is kept, so that the page shows what happened."""
    recipe = jaxq.q_learning(
        num_envs=1,
        learning_rate=ALPHA,
        visit_exponent=0.0,
        discount=DISCOUNT,
        epsilon_start=EPSILON,
        epsilon_end=EPSILON,
    )
    trainer = jaxq.Trainer(env, recipe)

    def step(state: Any, _: None) -> tuple[Any, tuple[jax.Array, jax.Array]]:
        after, _ = trainer.run(state, 1)
        entry = jnp.argmax((after.learner.visits - state.learner.visits)[0].ravel())
        return after, (entry, after.learner.q[0])

    start = trainer.init(key)
    _, (entries, q) = jax.jit(lambda state: jax.lax.scan(step, state, None, length=TABLE_STEPS))(start)
    q = np.concatenate([np.asarray(start.learner.q), np.asarray(q)])
    steps = _spread(TABLE_STEPS, TABLE_SNAPSHOTS)
    return {
        "alpha": ALPHA,
        "epsilon": EPSILON,
        "steps": steps,
        "q": [_rounded(q[step]) for step in steps],
        "updates": _updates(env, np.asarray(entries)[:EVENTS], q),
    }


def _updates(env: TableEnvironment, entries: np.ndarray, q: np.ndarray) -> list[list[float]]:
    """List the first updates: state, action, reward, next state, end, and the value before and after."""
    outcomes, rows = env.outcomes, []
    for number, entry in enumerate(entries):
        pair = np.unravel_index(entry, q.shape[1:])
        outcome = (*pair, 0)
        old, new = q[number][pair], q[number + 1][pair]
        world = outcomes.reward[outcome], outcomes.next_state[outcome], outcomes.terminated[outcome]
        rows.append([*map(int, pair), float(world[0]), *map(int, world[1:]), *_rounded([old, new])])
    return rows


def _train_dqn(env: TableEnvironment, key: jax.Array) -> dict[str, Any]:
    """Train a DQN in equal parts, and keep its network, its target and what lies in the replay."""
    recipe = jaxq.dqn(
        num_envs=1,
        hidden_sizes=(DQN_WIDTH, DQN_WIDTH),
        buffer_size=CAPACITY,
        batch_size=BATCH,
        learning_starts=LEARNING_STARTS,
        train_interval=1,
        target_interval=TARGET_INTERVAL,
        learning_rate=1e-3,
        discount=DISCOUNT,
        epsilon_end=0.1,
        epsilon_steps=4_000,
    )
    trainer = jaxq.Trainer(env, recipe)
    part = DQN_STEPS // DQN_SNAPSHOTS

    def advance(state: Any, _: None) -> tuple[Any, tuple]:
        state, metrics = trainer.run(state, part)
        q = trainer.q_values(state, jnp.arange(env.num_states))
        return state, (
            state.learner.params,
            state.learner.target_params,
            q,
            state.steps,
            metrics.epsilon,
        )

    start = trainer.init(key)
    first = start.learner.params, start.learner.target_params
    last, seen = jax.jit(lambda state: jax.lax.scan(advance, state, None, length=DQN_SNAPSHOTS))(start)
    params, target, q, steps, epsilon = jax.tree.map(np.asarray, seen)
    snapshots = range(DQN_SNAPSHOTS)
    ring = last.memory.ring
    return {
        "layers": [env.num_states, DQN_WIDTH, DQN_WIDTH, env.num_actions],
        "learningRate": 1e-3,
        "capacity": CAPACITY,
        "batch": BATCH,
        "learningStarts": LEARNING_STARTS,
        "targetInterval": TARGET_INTERVAL,
        "steps": [0, *steps.tolist()],
        "epsilon": [1.0, *_rounded(epsilon)],
        "params": [_packed(first[0]), *(_packed(_at(params, i)) for i in snapshots)],
        "target": [_packed(first[1]), *(_packed(_at(target, i)) for i in snapshots)],
        "q": _rounded(q[-1]),
        "replay": _replay(ring),
    }


def _replay(ring: Any, count: int = 240) -> list[list[int]]:
    """List states and actions of the newest transitions that lie side by side in the replay."""
    observation, action = np.asarray(ring.observation)[:, 0], np.asarray(ring.action)[:, 0]
    return [[int(s), int(a)] for s, a in zip(observation[-count:], action[-count:], strict=True)]


def _at(tree: Any, index: int) -> Any:
    return jax.tree.map(lambda leaf: leaf[index], tree)


def _packed(variables: Any) -> str:
    """Pack weights `[in, out]` and biases layer by layer, float32 little-endian, as base64."""
    params = variables["params"]
    layers = [params["torso"]["Dense_0"], params["torso"]["Dense_1"], params["head"]["action_values"]]
    flat = [np.asarray(layer[name], "<f4").ravel() for layer in layers for name in ("kernel", "bias")]
    return base64.b64encode(np.concatenate(flat).tobytes()).decode()


def _spread(last: int, count: int) -> list[int]:
    """Choose steps from 0 to the last, close together where most changes: at the beginning."""
    share = np.linspace(0, 1, count) ** 2.5
    return sorted({round(float(place) * last) for place in share} | set(range(0, 40, 8)))


def _rounded(values: Any) -> list[float]:
    """Return numbers with what float32 holds of them, in one row."""
    return [float(f"{value:.8g}") for value in np.ravel(values)]
