"""Timed training of jaxq's DQN with the same hyperparameters as rejax_dqn.py.

python jaxq_dqn.py AGENTS STEPS [options] prints one JSON object, with one number per repeat:

- steps_per_second: env steps of all agents, the warm-up that fills the replay included
- training_steps_per_second: the same without the warm-up
- compile_seconds: what the first, short training took longer than a second one of the same length

A population that the memory refuses prints {"refused": reason}. With `--plain-vmap` agents are trained
by `jax.vmap` of a Trainer's methods.
"""

import argparse
import json
import time
from collections.abc import Callable

import jax

import jaxq
from jaxq.types import Environment

parser = argparse.ArgumentParser()
parser.add_argument("agents", type=int)
parser.add_argument("steps", type=int)
parser.add_argument("--hidden", type=int, nargs="+", default=[64, 64])
parser.add_argument("--buffer-size", type=int, default=10_000)
parser.add_argument("--learning-starts", type=int, default=1_000)
parser.add_argument("--train-interval", type=int, default=10)
parser.add_argument("--plain-vmap", action="store_true")
parser.add_argument("--repeats", type=int, default=1)
options = parser.parse_args()


def make_trainer(env: Environment) -> jaxq.Trainer:
    recipe = jaxq.dqn(
        hidden_sizes=tuple(options.hidden),
        num_envs=10,
        batch_size=128,
        train_interval=options.train_interval,
        buffer_size=options.buffer_size,
        learning_starts=options.learning_starts,
        target_interval=500,
        loss="squared",
        learning_rate=2.5e-4,
        epsilon_steps=options.steps // 10,
    )
    return jaxq.Trainer(env, recipe)


def make_learners(trainer: jaxq.Trainer) -> tuple[Callable, Callable]:
    """Return what makes the agents, and what trains them on."""
    if options.plain_vmap:
        init = jax.jit(lambda key: jax.vmap(trainer.init)(jax.random.split(key, options.agents)))
        return init, jax.jit(jax.vmap(trainer.run, in_axes=(0, None)))
    population = jaxq.Population(trainer, options.agents)
    return population.init, population.run


def clock(function: Callable, *arguments: object) -> tuple[float, tuple]:
    began = time.perf_counter()
    result = jax.block_until_ready(function(*arguments))
    return time.perf_counter() - began, result


def main() -> dict:
    env = jaxq.envs.make("CartPole-v1")  # imports gymnax, which the clock is not to count
    key, began = jax.random.key(0), time.perf_counter()
    trainer = make_trainer(env)
    try:
        init, run = make_learners(trainer)
    except jaxq.checks.InputValueError as error:
        return {"refused": str(error)}
    jax.block_until_ready(run(init(key), 10))
    first = time.perf_counter() - began
    again = clock(lambda: run(init(key), 10))[0]
    result = {"compile_seconds": first - again, "steps_per_second": [], "training_steps_per_second": []}
    training = options.steps - trainer.warmup_steps
    for _ in range(options.repeats):
        warming, state = clock(init, key)
        seconds = clock(run, state, training)[0]
        del state  # or the next repeat would hold three populations at once
        result["steps_per_second"].append(options.agents * options.steps / (warming + seconds))
        result["training_steps_per_second"].append(options.agents * training / seconds)
    return result


if __name__ == "__main__":
    print(json.dumps(main()))
