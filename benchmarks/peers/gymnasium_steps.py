"""Env steps per second of gymnasium's vector environments under a random policy.

python gymnasium_steps.py sync|vector_entry_point ENVIRONMENT ENVIRONMENTS STEPS prints one JSON object:
env steps of all environments per second. `sync` steps one environment after another;
`vector_entry_point` is the environment's own version in numpy for many at once, where it has one.
"""

import json
import sys
import time

import gymnasium
import numpy as np

mode, name, count, steps = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
envs = gymnasium.make_vec(name, num_envs=count, vectorization_mode=mode)
random = np.random.default_rng(0)
num_actions = envs.single_action_space.n
envs.reset(seed=0)
began = time.perf_counter()
for _ in range(steps):
    envs.step(random.integers(num_actions, size=count))
print(json.dumps({"steps_per_second": count * steps / (time.perf_counter() - began)}))
