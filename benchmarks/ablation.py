"""The classic mistakes: DQN without what makes it work.

python benchmarks/ablation.py [--agents 20] [--write]
"""

from typing import Any, NamedTuple

import jax
import numpy as np
from matplotlib.figure import Figure
from report import RESULTS, option_parser, report, versions

import jaxq

SEGMENTS = 40
# Each gradient step then learns from the ten transitions of one step of all environments, once.
_NO_REPLAY = {
    "memory": "window",
    "lambda_": 0.0,
    "buffer_size": 10,
    "batch_size": 10,
    "train_interval": 10,
    "learning_starts": 0,
}
_NO_TARGET = {"target_interval": 1, "target_rate": 1.0}
_LITTLE_EXPLORATION = {"epsilon_start": 0.01, "epsilon_end": 0.01}
_CART_POLE = {"learning_rate": 1e-3, "hidden_sizes": (120, 84), "epsilon_steps": 10_000}


class Study(NamedTuple):
    """An environment, how to train on it, the score that counts as solved, and what may be left out."""

    steps: int
    keywords: dict[str, Any]
    solved: float
    mistakes: dict[str, dict[str, Any]]


# A pole is kept up or dropped without any exploration; the treasure in the deep sea has to be found.
STUDIES = {
    "CartPole-v1": Study(
        100_000,
        _CART_POLE,
        475.0,
        {
            "DQN": {},
            "without target network": _NO_TARGET,
            "without replay": _NO_REPLAY,
            "without both": {**_NO_REPLAY, **_NO_TARGET},
            "too little exploration": _LITTLE_EXPLORATION,
        },
    ),
    "DeepSea-bsuite": Study(
        *jaxq.preset("DeepSea-bsuite"),
        0.9,
        {"DQN": {}, "too little exploration": _LITTLE_EXPLORATION},
    ),
}


class Curve(NamedTuple):
    """Env steps `[T]`, greedy scores `[T, N]` and mean values of actions `[T, N]`."""

    steps: np.ndarray
    scores: np.ndarray
    values: np.ndarray

    def row(self, solved: float) -> str:
        """Say how training ended: over its last quarter, at the worst moment there, at the end."""
        late = self.scores[3 * len(self.steps) // 4 :]
        cells = []
        for scores in late.mean(axis=0), late.min(axis=0):
            low, high = jaxq.bootstrap_interval(scores)
            cells.append(f"{jaxq.iqm(scores):.3g} [{low:.3g}, {high:.3g}]")
        cells.append(f"{(self.scores[-1] > solved).sum()} of {self.scores.shape[1]}")
        return " | ".join([*cells, f"{np.median(self.values[-1]):,.3g}"])


def train(environment: str, steps: int, keywords: dict[str, Any], agents: int) -> Curve:
    """Train DQN agents, and look at them after each segment."""
    trainer = jaxq.Trainer(jaxq.envs.make(environment), jaxq.dqn(**keywords))
    population = jaxq.Population(trainer, agents)
    state = population.init(jax.random.key(0))
    at, scores, values = [], [], []
    while int(state.steps) < steps:
        state, metrics = population.run(state, steps // SEGMENTS)
        returns = population.evaluate(state, jax.random.key(1), num_episodes=10)
        at.append(int(state.steps))
        scores.append(np.mean(returns, axis=1))
        values.append(np.asarray(metrics.q_value))
    return Curve(np.array(at), np.stack(scores), np.stack(values))


def draw(curves: dict[str, dict[str, Curve]]) -> Figure:
    """Draw greedy returns on both environments, and the values learned on CartPole."""
    figure = Figure(figsize=(12, 3.6), dpi=150, layout="constrained")
    panels = figure.subplots(1, 3)
    for axes, (environment, mistakes) in zip(panels[::2], curves.items(), strict=True):
        for name, curve in mistakes.items():
            color = f"C{list(curves['CartPole-v1']).index(name)}"
            middle = [jaxq.iqm(scores) for scores in curve.scores]
            intervals = [jaxq.bootstrap_interval(scores, resamples=500) for scores in curve.scores]
            axes.plot(curve.steps, middle, label=name, color=color)
            axes.fill_between(curve.steps, *np.array(intervals).T, alpha=0.15, linewidth=0, color=color)
        axes.set_title(environment, fontsize=9)
        axes.set_ylabel("greedy return, IQM over agents")
        axes.legend(fontsize=7, frameon=False)
    for curve in curves["CartPole-v1"].values():
        panels[1].plot(curve.steps, np.median(curve.values, axis=1))
    panels[1].axhline(100, color="0.5", linestyle=":", linewidth=1)
    panels[1].set_yscale("log")
    panels[1].set_title("CartPole-v1: no discounted return exceeds 100", fontsize=9)
    panels[1].set_ylabel("mean value of actions, median over agents")
    for axes in panels:
        axes.set_xlabel("env steps of each agent")
    return figure


def main() -> None:
    parser = option_parser(__doc__)
    parser.add_argument("--agents", type=int, default=20)
    options = parser.parse_args()
    table = [
        "![Returns and values without what makes DQN work](ablation.png)",
        "",
        "| | | score, last quarter | worst moment | agents solving it at the end | median value |",
        "| --- | --- | ---: | ---: | ---: | ---: |",
    ]
    curves: dict[str, dict[str, Curve]] = {}
    for environment, study in STUDIES.items():
        curves[environment] = {}
        for name, mistake in study.mistakes.items():
            keywords = {**study.keywords, **mistake}
            curve = train(environment, study.steps, keywords, options.agents)
            curves[environment][name] = curve
            table.append(
                f"| {environment}, {study.steps:,} env steps | {name} | {curve.row(study.solved)} |"
            )
            print(table[-1], flush=True)
    method = [
        f"{options.agents} agents, DQN with one piece taken away. Greedy score over the last quarter of",
        "training and at its worst moment there, as interquartile mean over agents with its 95%",
        "bootstrap interval; the value that the agents believe their actions to have.",
        "On CartPole no discounted return exceeds 100, and an agent solves it above 475; on DeepSea",
        "no return exceeds 1, which takes eight right actions in a row.",
    ]
    measured_with = [versions("jaxq", "jax", "flax", "gymnax")]
    report(__file__, "Ablation: the classic mistakes", method, measured_with, table, options.write)
    if options.write:
        draw(curves).savefig(RESULTS / "ablation.png")


if __name__ == "__main__":
    main()
