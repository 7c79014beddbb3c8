"""Times flashbax's buffers; run with flashbax's own interpreter; see replay_loop.py.

python flashbax_replay.py flat|item|prioritized OBSERVATION CAPACITY AGENTS CALLS

`flat` keeps each observation once, and takes what follows it for what it led to, also where an episode
was cut off; `item` keeps what a step led to beside it. `prioritized` is flat.
"""

from typing import Any

import flashbax
import jax
import jax.numpy as jnp
from replay_loop import BATCH_SIZE, DISCOUNT, NUM_ENVS, PRIORITY_EXPONENT, Batch, Rows, Store, main

SMALLEST = 1e-6


def make(kind: str, capacity: int, shape: tuple, dtype: Any) -> Store:
    sizes = {"max_length": capacity, "min_length": BATCH_SIZE, "sample_batch_size": BATCH_SIZE}
    item = kind == "item"
    if item:
        buffer = flashbax.make_item_buffer(**sizes, add_batches=True)
    elif kind == "flat":
        buffer = flashbax.make_flat_buffer(**sizes, add_batch_size=NUM_ENVS)
    else:
        buffer = flashbax.make_prioritised_flat_buffer(
            **sizes,
            add_batch_size=NUM_ENVS,
            priority_exponent=PRIORITY_EXPONENT,
            device=jax.default_backend(),
        )

    def kept(rows: Rows) -> dict[str, jax.Array]:
        fields = {
            "observation": rows.observation,
            "action": rows.action,
            "reward": rows.reward,
            "terminated": rows.terminated,
        }
        return fields | {"next_observation": rows.next_observation} if item else fields

    def init() -> Any:
        observation, number = jnp.zeros(shape, dtype), jnp.float32(0)
        step = Rows(observation, jnp.int32(0), number, jnp.bool_(False), jnp.bool_(False), observation)
        return buffer.init(kept(step))

    def add(state: Any, rows: Rows, written: jax.Array) -> Any:
        return buffer.add(state, kept(rows))

    def learn(state: Any, key: jax.Array, written: jax.Array) -> tuple[Any, Batch]:
        sample = buffer.sample(state, key)
        first = sample.experience if item else sample.experience.first
        following = first["next_observation"] if item else sample.experience.second["observation"]
        weight: Any = ()
        if kind == "prioritized":
            # The weights of Schaul et al., and the reward in the place of the TD error.
            weight = (sample.probabilities.min() / sample.probabilities) ** 0.4
            priorities = jnp.abs(first["reward"]) + SMALLEST
            state = buffer.set_priorities(state, sample.indices, priorities)
        discount = DISCOUNT * (1 - first["terminated"])
        values = first["observation"], first["action"], first["reward"], discount, following, weight
        return state, Batch(*values)

    return Store(init, add, learn)


if __name__ == "__main__":
    main(make)
