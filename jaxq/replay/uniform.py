"""Uniform replay: a ring of the last transitions of E environments, on the device.

The ring holds no position of its own. How many rows were ever written is the same for all agents of
a population, so it is passed in: unbatched under `vmap`, it leaves the write one slice update and
the ring in place, where a position per agent would make it a scatter.
"""

from dataclasses import dataclass

import jax
import jax.numpy as jnp

from jaxq.learning.returns import n_step_return
from jaxq.types import ObservationSpec, Sample, Transition


@dataclass(frozen=True)
class UniformReplay:
    """A ring of `num_rows` rows, each with one transition of each of the E environments.

    Attributes:
        num_rows: Rows R of the ring; the capacity is R * E transitions.
        num_envs: Environments E that write side by side.
        batch_size: Transitions B in a sample.
        n_step: Steps n that a sampled transition spans at most.
    """

    num_rows: int
    num_envs: int
    batch_size: int
    n_step: int = 1

    def init(self, spec: ObservationSpec) -> Transition:
        """Make an empty ring, every leaf `[R, E, ...]` in the type it is stored in."""
        rows = (self.num_rows, self.num_envs)
        return Transition(
            observation=jnp.zeros(rows + spec.shape, spec.dtype),
            action=jnp.zeros(rows, jnp.int32),
            reward=jnp.zeros(rows, jnp.float32),
            terminated=jnp.zeros(rows, bool),
            truncated=jnp.zeros(rows, bool),
            next_observation=jnp.zeros(rows + spec.shape, spec.dtype),
        )

    def add(self, ring: Transition, rows: Transition, rows_written: jax.Array) -> Transition:
        """Write T rows over the oldest ones.

        Args:
            ring: The ring, leaves `[R, E, ...]`.
            rows: What the environments did, leaves `[T, E, ...]`, where T divides R.
            rows_written: Rows written before, int32 `[]`, a multiple of T.

        Returns:
            The ring with the new rows.
        """
        position = rows_written % self.num_rows
        return jax.tree.map(
            lambda old, new: jax.lax.dynamic_update_slice_in_dim(old, new, position, axis=0),
            ring,
            rows,
        )

    def sample(
        self, key: jax.Array, ring: Transition, rows_written: jax.Array, discount: jax.Array
    ) -> Sample:
        """Draw B transitions of up to n steps, uniformly and with replacement.

        Every stored transition that has n - 1 later ones of its environment behind it is equally
        likely to begin a sample. So none reaches over the write head, from the newest row into the
        oldest; and none reaches over an episode's end, where its return stops.

        Args:
            key: PRNG key.
            ring: The ring, leaves `[R, E, ...]`.
            rows_written: Rows written so far, int32 `[]`, at least n.
            discount: gamma, `[]`, in [0, 1].

        Returns:
            The sample, leaves `[B, ...]`.
        """
        stored = jnp.minimum(rows_written, self.num_rows)
        starts = stored - self.n_step + 1
        draw = jax.random.randint(key, (self.batch_size,), 0, starts * self.num_envs)
        age, env = jnp.divmod(draw, self.num_envs)
        start = rows_written - stored + age
        window = (start[:, None] + jnp.arange(self.n_step)[None]) % self.num_rows
        steps = window, env[:, None]
        result = jax.vmap(n_step_return, in_axes=(0, 0, 0, None))(
            ring.reward[steps], ring.terminated[steps], ring.truncated[steps], discount
        )
        first, last = window[:, 0], (start + result.last) % self.num_rows
        return Sample(
            s_tm1=ring.observation[first, env],
            a_tm1=ring.action[first, env],
            r_t=result.r_t,
            discount_t=result.discount_t,
            s_t=ring.next_observation[last, env],
        )
