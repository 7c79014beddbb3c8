"""Timed training of a recipe, by whichever version of jaxq is first on the path.

python jaxq_recipe.py ENVIRONMENT RECIPE AGENTS STEPS KEYWORDS, these as JSON, prints one JSON object:

- steps_per_second: env steps of all agents, without the warm-up that fills the replay
- compile_seconds: what the first, short training took longer than a second one of the same length
"""

import json
import sys
import time

import jax

import jaxq


def main(env_id: str, recipe: str, agents: int, steps: int, keywords: dict) -> dict[str, float]:
    env = jaxq.envs.make(env_id)  # imports gymnax, which the clock is not to count
    began = time.perf_counter()
    trainer = jaxq.Trainer(env, getattr(jaxq, recipe)(**keywords))
    population = jaxq.Population(trainer, agents)

    def train(num_steps: int) -> None:
        jax.block_until_ready(population.run(state, num_steps))

    state = population.init(jax.random.key(0))
    train(10)
    first, began = time.perf_counter() - began, time.perf_counter()
    population.init(jax.random.key(0))
    train(10)
    compiling = first - (time.perf_counter() - began)
    began = time.perf_counter()
    train(steps)
    return {
        "steps_per_second": agents * steps / (time.perf_counter() - began),
        "compile_seconds": compiling,
    }


if __name__ == "__main__":
    env_id, recipe, agents, steps, keywords = sys.argv[1:]
    print(json.dumps(main(env_id, recipe, int(agents), int(steps), json.loads(keywords))))
