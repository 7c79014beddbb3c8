"""Scores that the presets reach: interquartile mean over seeds with its 95% bootstrap interval.

python benchmarks/learning.py [--write]
"""

import argparse
from pathlib import Path

import jaxq

jaxq.use_all_cores()

import jax  # noqa: E402
import numpy as np  # noqa: E402
from machine import processor, versions  # noqa: E402

EPISODES = 32
# Agents, and what others have published: CleanRL's DQN in JAX on CartPole and Acrobot after 500,000
# env steps, and on MountainCar its DQN.
CASES = {
    "CartPole-v1": (32, "498.4"),
    "Acrobot-v1": (16, "-88.9"),
    "MountainCar-v0": (16, "-188.9"),
}


def row(id: str, agents: int, published: str) -> str:
    """Train a population with the preset, and write its scores as one line of the table."""
    steps, keywords = jaxq.preset(id)
    trainer = jaxq.Trainer(jaxq.envs.make(id), jaxq.dqn(**keywords))
    population = jaxq.Population(trainer, agents)
    state = population.init(jax.random.key(0))
    state, _ = population.run(state, steps - trainer.warmup_steps)
    returns = population.evaluate(state, jax.random.key(1), num_episodes=EPISODES)
    scores = np.mean(returns, axis=1)
    low, high = jaxq.bootstrap_interval(scores)
    return (
        f"| {id} | {steps:,} | {agents} | {jaxq.iqm(scores):.1f} [{low:.1f}, {high:.1f}] "
        f"| {scores.min():.1f} | {scores.max():.1f} | {published} |"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--write", action="store_true", help="write results/learning.md")
    options = parser.parse_args()
    lines = [
        "# Learning",
        "",
        "`jaxq.dqn` with `jaxq.preset`, seeds from `jax.random.key(0)`. The score of an agent is its",
        f"mean return over {EPISODES} whole greedy episodes at the end of training; the table has the",
        "interquartile mean over agents with its 95% bootstrap interval. Published: CleanRL's DQN after",
        "500,000 env steps.",
        "Made by `python benchmarks/learning.py --write`.",
        "",
        f"- machine: {processor()}",
        f"- {versions('jaxq', 'jax', 'flax', 'optax', 'gymnax')}",
        "",
        "| environment | env steps | agents | IQM | worst | best | published |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for id, (agents, published) in CASES.items():
        lines.append(row(id, agents, published))
        print(lines[-1], flush=True)
    if options.write:
        (Path(__file__).parent / "results" / "learning.md").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
