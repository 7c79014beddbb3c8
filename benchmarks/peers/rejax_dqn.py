"""One timed training of rejax's DQN; run by throughput.py with rejax's own interpreter.

python rejax_dqn.py AGENTS STEPS prints one JSON object: env steps of all agents per second.
Its network for DQN always has two layers of 64.
"""

import json
import sys
import time

import jax
import rejax

agents, steps = int(sys.argv[1]), int(sys.argv[2])
algorithm = (
    rejax.get_algo("dqn")
    .create(
        env="CartPole-v1",
        agent_kwargs={"activation": "relu"},
        num_envs=10,
        batch_size=128,
        num_epochs=1,
        buffer_size=10_000,
        fill_buffer=1_000,
        target_update_freq=500,
        polyak=0.0,
        ddqn=False,
        learning_rate=2.5e-4,
        max_grad_norm=10.0,
        total_timesteps=steps,
        eval_freq=steps,
        skip_initial_evaluation=True,
    )
    .replace(eval_callback=lambda algorithm, state, key: ())
)
train = jax.jit(jax.vmap(algorithm.train))
keys = jax.random.split(jax.random.PRNGKey(0), agents)
compiled = train.lower(keys).compile()
began = time.perf_counter()
jax.block_until_ready(compiled(keys))
print(json.dumps({"steps_per_second": agents * steps / (time.perf_counter() - began)}))
