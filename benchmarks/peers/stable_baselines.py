"""Timed training of one DQN agent of Stable-Baselines3 or SBX on CartPole-v1, as the RL zoo does it.

python stable_baselines.py stable_baselines3|sbx STEPS SEED prints what jaxq_solving.py does; run with
the peer's own interpreter. What SBX compiles is compiled by training another agent first, until after
its first gradient steps; Stable-Baselines3 compiles nothing.
"""

import importlib
import json
import sys
import time
from typing import Any

import gymnasium
import torch
from stable_baselines3.common.evaluation import evaluate_policy
from stable_baselines3.common.monitor import Monitor

library, steps, seed = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
EPISODES = 32
LEARNING_STARTS, TRAIN_FREQ = 1_000, 256
# Threads that wait for each other make each gradient step of a network this small slower, and many times
# so beside other work.
torch.set_num_threads(1)
DQN = importlib.import_module(library).DQN


def train(num_steps: int) -> tuple[float, Any]:
    began = time.perf_counter()
    model = DQN(
        "MlpPolicy",
        gymnasium.make("CartPole-v1"),
        learning_rate=2.3e-3,
        batch_size=64,
        buffer_size=100_000,
        learning_starts=LEARNING_STARTS,
        gamma=0.99,
        target_update_interval=10,
        train_freq=TRAIN_FREQ,
        gradient_steps=128,
        exploration_fraction=0.16,
        exploration_final_eps=0.04,
        policy_kwargs={"net_arch": [256, 256]},
        seed=seed,
        device="cpu",
    )
    model.learn(num_steps)
    return time.perf_counter() - began, model


compiling = 0.0
if library == "sbx":
    short = LEARNING_STARTS + 2 * TRAIN_FREQ
    compiling = train(short)[0] - train(short)[0]
seconds, model = train(steps)
env = Monitor(gymnasium.make("CartPole-v1"))
env.reset(seed=1_000 + seed)
score, _ = evaluate_policy(model, env, n_eval_episodes=EPISODES, deterministic=True)
print(json.dumps({"seconds": seconds, "compile_seconds": compiling, "scores": [float(score)]}))
