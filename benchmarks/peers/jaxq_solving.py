"""Timed training of a population of jaxq's DQN agents with the preset for CartPole-v1.

python jaxq_solving.py AGENTS STEPS SEED prints one JSON object: seconds of training, warm-up included
and compilation left out; seconds that compiling took besides; and each agent's greedy score.
"""

import json
import sys
import time

import jax
import numpy as np

import jaxq

agents, steps, seed = (int(argument) for argument in sys.argv[1:])
EPISODES = 32
env = jaxq.envs.make("CartPole-v1")
steps, keywords = jaxq.preset("CartPole-v1", steps)


def train(population: jaxq.Population, num_steps: int) -> tuple[float, jaxq.engine.AgentState]:
    began = time.perf_counter()
    state = population.init(jax.random.key(seed))
    state, _ = jax.block_until_ready(population.run(state, num_steps))
    return time.perf_counter() - began, state


began = time.perf_counter()
population = jaxq.Population(jaxq.Trainer(env, jaxq.dqn(**keywords)), agents)
train(population, 1)
compiling = time.perf_counter() - began - train(population, 1)[0]
seconds, state = train(population, steps - population.trainer.warmup_steps)
returns = population.evaluate(state, jax.random.key(1_000 + seed), num_episodes=EPISODES)
scores = np.mean(returns, axis=1).tolist()
print(json.dumps({"seconds": seconds, "compile_seconds": compiling, "scores": scores}))
