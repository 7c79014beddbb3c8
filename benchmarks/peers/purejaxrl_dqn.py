"""Timed training of PureJaxRL's DQN, from a clone that the user has; run with an interpreter of its own.

python purejaxrl_dqn.py AGENTS STEPS --checkout DIR [options] prints one JSON object: env steps of all
agents per second, warm-up included, one number per repeat; the seconds that compiling took; the commit;
and what was patched for it to run with current packages. Its network has layers of 120 and 84.
"""

import argparse
import importlib.util
import json
import subprocess
import sys
import time
import types
from pathlib import Path

import jax

parser = argparse.ArgumentParser()
parser.add_argument("agents", type=int)
parser.add_argument("steps", type=int)
parser.add_argument("--checkout", type=Path, required=True, help="a clone of luchris429/purejaxrl")
parser.add_argument("--learning-starts", type=int, default=1_000)
parser.add_argument("--repeats", type=int, default=1)
options = parser.parse_args()

patched = []
if importlib.util.find_spec("wandb") is None:
    # Imported at its top, and used only where training is logged.
    sys.modules["wandb"] = types.ModuleType("wandb")
    patched.append("wandb is absent")
if not hasattr(jax, "tree_map"):
    jax.tree_map = jax.tree.map
    patched.append("jax.tree_map is jax.tree.map")

source = options.checkout / "purejaxrl" / "dqn.py"
if not source.is_file():
    sys.exit(f"--checkout must be a clone of luchris429/purejaxrl with purejaxrl/dqn.py, got {source}")
spec = importlib.util.spec_from_file_location("purejaxrl_dqn", source)
dqn = importlib.util.module_from_spec(spec)
spec.loader.exec_module(dqn)

config = {
    "NUM_ENVS": 10,
    "BUFFER_SIZE": 10_000,
    "BUFFER_BATCH_SIZE": 128,
    "TOTAL_TIMESTEPS": options.steps,
    "EPSILON_START": 1.0,
    "EPSILON_FINISH": 0.05,
    "EPSILON_ANNEAL_TIME": options.steps // 10,
    "TARGET_UPDATE_INTERVAL": 500,
    "LR": 2.5e-4,
    "LEARNING_STARTS": options.learning_starts,
    "TRAINING_INTERVAL": 10,
    "LR_LINEAR_DECAY": False,
    "GAMMA": 0.99,
    "TAU": 1.0,
    "ENV_NAME": "CartPole-v1",
}
began = time.perf_counter()
keys = jax.random.split(jax.random.PRNGKey(0), options.agents)
train = jax.jit(jax.vmap(dqn.make_train(config))).lower(keys).compile()
commit = subprocess.run(
    ["git", "-c", "core.fsmonitor=", "-C", options.checkout, "rev-parse", "HEAD"],
    capture_output=True,
    text=True,
)
result = {
    "compile_seconds": time.perf_counter() - began,
    "steps_per_second": [],
    "commit": commit.stdout.strip() or "unknown",
    "patched": patched,
}
for _ in range(options.repeats):
    began = time.perf_counter()
    jax.block_until_ready(train(keys))
    seconds = time.perf_counter() - began
    result["steps_per_second"].append(options.agents * options.steps / seconds)
print(json.dumps(result))
