"""The classic mistakes: DQN without what makes it work, on CartPole.

python benchmarks/ablation.py [--agents 20] [--steps 100000] [--write]
"""

import argparse
from pathlib import Path

import jaxq

jaxq.use_all_cores()

import jax  # noqa: E402
import numpy as np  # noqa: E402
from machine import processor, versions  # noqa: E402
from matplotlib.figure import Figure  # noqa: E402

RESULTS = Path(__file__).parent / "results"
ENVIRONMENT = "CartPole-v1"
SEGMENTS = 40
# Each gradient step then learns from the ten transitions of one step of all environments, once.
_NO_REPLAY = {
    "memory": "window",
    "trace_decay": 0.0,
    "buffer_size": 10,
    "batch_size": 10,
    "train_interval": 10,
    "learning_starts": 0,
}
_NO_TARGET = {"target_interval": 1, "target_rate": 1.0}
MISTAKES = {
    "DQN": {},
    "without target network": _NO_TARGET,
    "without replay": _NO_REPLAY,
    "without both": {**_NO_REPLAY, **_NO_TARGET},
    "too little exploration": {"epsilon_start": 0.01, "epsilon_end": 0.01},
}
_BASE = {"learning_rate": 1e-3, "hidden_sizes": (120, 84), "epsilon_steps": 10_000}


def curve(keywords: dict, agents: int, steps: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Train, and return steps, greedy scores `[segments, N]` and mean values `[segments, N]`."""
    trainer = jaxq.Trainer(jaxq.envs.make(ENVIRONMENT), jaxq.dqn(**{**_BASE, **keywords}))
    population = jaxq.Population(trainer, agents)
    state = population.init(jax.random.key(0))
    at, scores, values = [], [], []
    while int(state.steps) < steps:
        state, metrics = population.run(state, steps // SEGMENTS)
        returns = population.evaluate(state, jax.random.key(1), num_episodes=10)
        at.append(int(state.steps))
        scores.append(np.mean(returns, axis=1))
        values.append(np.asarray(metrics.q_value))
    return np.array(at), np.stack(scores), np.stack(values)


def draw(curves: dict[str, tuple], path: Path) -> None:
    """Draw greedy returns and learned values against env steps."""
    figure = Figure(figsize=(9, 3.6), dpi=150, layout="constrained")
    left, right = figure.subplots(1, 2)
    for name, (at, scores, values) in curves.items():
        line = left.plot(at, [jaxq.iqm(row) for row in scores], label=name)[0]
        intervals = np.array([jaxq.bootstrap_interval(row, resamples=500) for row in scores])
        left.fill_between(at, *intervals.T, alpha=0.15, linewidth=0)
        right.plot(at, np.median(values, axis=1), color=line.get_color())
    right.axhline(100, color="0.5", linestyle=":", linewidth=1)
    right.set_yscale("log")
    left.set_ylabel("greedy return, IQM over agents")
    right.set_ylabel("mean value of actions, median over agents")
    right.set_title("no discounted return exceeds 100", fontsize=9)
    for axes in (left, right):
        axes.set_xlabel("env steps of each agent")
    left.legend(fontsize=7, frameon=False)
    figure.savefig(path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--agents", type=int, default=20)
    parser.add_argument("--steps", type=int, default=100_000)
    parser.add_argument("--write", action="store_true", help="write results/ablation.md and .png")
    options = parser.parse_args()
    lines = [
        "# Ablation: the classic mistakes",
        "",
        f"{ENVIRONMENT}, {options.agents} agents, {options.steps:,} env steps, DQN with one piece taken",
        "away. Greedy score over the last quarter of training and at its worst moment there, as",
        "interquartile mean over agents with its 95% bootstrap interval; the value that the agents",
        "believe their actions to have, where no discounted return exceeds 100.",
        "Made by `python benchmarks/ablation.py --write`.",
        "",
        f"- machine: {processor()}",
        f"- {versions('jaxq', 'jax', 'flax', 'gymnax')}",
        "",
        "![Returns and values without what makes DQN work](ablation.png)",
        "",
        "| | score, last quarter | worst moment | agents over 475 at the end | median value |",
        "| --- | ---: | ---: | ---: | ---: |",
    ]
    curves = {}
    for name, keywords in MISTAKES.items():
        curves[name] = at, scores, values = curve(keywords, options.agents, options.steps)
        late = scores[3 * len(at) // 4 :]
        cells = []
        for row in late.mean(axis=0), late.min(axis=0):
            low, high = jaxq.bootstrap_interval(row)
            cells.append(f"{jaxq.iqm(row):.0f} [{low:.0f}, {high:.0f}]")
        solved = f"{(scores[-1] >= 475).sum()} of {options.agents}"
        lines.append(f"| {name} | {' | '.join(cells)} | {solved} | {np.median(values[-1]):,.0f} |")
        print(lines[-1], flush=True)
    print("\n".join(lines))
    if options.write:
        (RESULTS / "ablation.md").write_text("\n".join(lines) + "\n")
        draw(curves, RESULTS / "ablation.png")


if __name__ == "__main__":
    main()
