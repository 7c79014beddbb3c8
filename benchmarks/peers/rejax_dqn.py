"""Timed training of rejax's DQN; run with rejax's own interpreter.

python rejax_dqn.py AGENTS STEPS [options] prints one JSON object: env steps of all agents per second,
warm-up included, one number per repeat, and the seconds that compiling took. Its network for DQN always
has two layers of 64.
"""

import argparse
import json
import time

import jax
import rejax

parser = argparse.ArgumentParser()
parser.add_argument("agents", type=int)
parser.add_argument("steps", type=int)
parser.add_argument("--buffer-size", type=int, default=10_000)
parser.add_argument("--learning-starts", type=int, default=1_000)
parser.add_argument("--repeats", type=int, default=1)
options = parser.parse_args()
began = time.perf_counter()
algorithm = (
    rejax.get_algo("dqn")
    .create(
        env="CartPole-v1",
        agent_kwargs={"activation": "relu"},
        num_envs=10,
        batch_size=128,
        num_epochs=1,
        buffer_size=options.buffer_size,
        fill_buffer=options.learning_starts,
        target_update_freq=500,
        polyak=0.0,
        ddqn=False,
        learning_rate=2.5e-4,
        max_grad_norm=10.0,
        total_timesteps=options.steps,
        eval_freq=options.steps,
        skip_initial_evaluation=True,
    )
    .replace(eval_callback=lambda algorithm, state, key: ())
)
train = jax.jit(jax.vmap(algorithm.train))
keys = jax.random.split(jax.random.PRNGKey(0), options.agents)
compiled = train.lower(keys).compile()
result = {"compile_seconds": time.perf_counter() - began, "steps_per_second": []}
for _ in range(options.repeats):
    began = time.perf_counter()
    jax.block_until_ready(compiled(keys))
    seconds = time.perf_counter() - began
    result["steps_per_second"].append(options.agents * options.steps / seconds)
print(json.dumps(result))
