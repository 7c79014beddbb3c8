"""Times jaxq's replays; see replay_loop.py.

python jaxq_replay.py uniform|prioritized OBSERVATION CAPACITY AGENTS CALLS
"""

from types import SimpleNamespace
from typing import Any

import jax
import jax.numpy as jnp
from replay_loop import BATCH_SIZE, DISCOUNT, NUM_ENVS, PRIORITY_EXPONENT, Batch, Rows, Store, main

from jaxq.replay import PrioritizedReplay, UniformReplay
from jaxq.types import ObservationSpec, Transition


def make(kind: str, capacity: int, shape: tuple, dtype: Any) -> Store:
    replay = {"uniform": UniformReplay, "prioritized": PrioritizedReplay}[kind](
        ObservationSpec(shape, jnp.dtype(dtype)), capacity // NUM_ENVS, NUM_ENVS, BATCH_SIZE
    )
    hparams = SimpleNamespace(
        discount=jnp.float32(DISCOUNT),
        priority_exponent=jnp.float32(PRIORITY_EXPONENT),
        importance=jnp.float32(0.4),
    )

    def add(memory: Any, rows: Rows, written: jax.Array) -> Any:
        return replay.add(memory, jax.tree.map(lambda leaf: leaf[None], Transition(*rows)), written)

    def learn(memory: Any, key: jax.Array, written: jax.Array) -> tuple[Any, Batch]:
        runs = replay.sample(key, memory, written, hparams)
        # The reward stands in for the TD error.
        priorities = replay.reprioritize(memory.priorities, runs, runs.reward[:, 0], hparams)
        steps = runs.observation, runs.action, runs.reward, runs.discount, runs.next_observation
        batch = Batch(*[leaf[:, 0] for leaf in steps], runs.weight * runs.mask[:, 0])
        return memory._replace(priorities=priorities), batch

    return Store(replay.init, add, learn)


if __name__ == "__main__":
    main(make)
