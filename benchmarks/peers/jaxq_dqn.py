"""One timed training of jaxq's DQN with the same hyperparameters as rejax_dqn.py, warm-up included.

python jaxq_dqn.py AGENTS STEPS prints one JSON object: env steps of all agents per second. One agent is
trained by a Trainer, more by a Population, as a user would.
"""

import json
import sys
import time

import jaxq

jaxq.use_all_cores()

import jax  # noqa: E402

agents, steps = int(sys.argv[1]), int(sys.argv[2])
recipe = jaxq.dqn(
    hidden_sizes=(64, 64),
    num_envs=10,
    batch_size=128,
    train_interval=10,
    buffer_size=10_000,
    learning_starts=1_000,
    target_interval=500,
    loss="squared",
    learning_rate=2.5e-4,
    epsilon_steps=steps // 10,
)
trainer = jaxq.Trainer(jaxq.envs.make("CartPole-v1"), recipe)
learners = trainer if agents == 1 else jaxq.Population(trainer, agents)
key = jax.random.key(0)
jax.block_until_ready(learners.run(learners.init(key), 10))  # compiles
began = time.perf_counter()
jax.block_until_ready(learners.run(learners.init(key), steps - trainer.warmup_steps))
print(json.dumps({"steps_per_second": agents * steps / (time.perf_counter() - began)}))
