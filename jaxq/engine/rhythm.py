"""Rhythm: when agents with a network learn, in env steps."""

import math

import jax
import jax.numpy as jnp

from jaxq.agents import Settings


class Rhythm:
    """When what happens, in env steps of one agent.

    With E environments and a gradient step per k env steps, both only come out whole after lcm(E, k)
    env steps; counting in those, no ratio of the two is ever rounded.

    Attributes:
        iteration_steps: Env steps in one iteration.
        updates: Gradient steps in one iteration.
        warmup_steps: Env steps that fill the memory before the first update, whole iterations.
        ring_rows: Steps of each environment that a ring holds, whole iterations.
    """

    def __init__(self, settings: Settings) -> None:
        window = settings.memory == "window"
        self._settings = settings
        self.iteration_steps = (
            settings.buffer_size if window else math.lcm(settings.num_envs, settings.train_interval)
        )
        self.updates = self.iteration_steps // settings.train_interval
        needed = 0 if window else settings.rows_needed * settings.num_envs
        self.warmup_steps = self.whole_iterations(max(settings.learning_starts, needed))

        self.ring_rows = self.whole_iterations(settings.buffer_size) // settings.num_envs

    def whole_iterations(self, steps: int) -> int:
        """Round env steps up to whole iterations."""
        return -(-steps // self.iteration_steps) * self.iteration_steps

    def numbered_keys(self, key: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Return the number, from 1, and the key of each of an iteration's updates."""
        return jnp.arange(1, self.updates + 1), jax.random.split(key, self.updates)

    def target_due(self, steps: jax.Array, number: jax.Array) -> jax.Array:
        """Tell whether the target network follows after one of the iteration's updates.

        Args:
            steps: Env steps of the agent, the iteration's included.
            number: Number of the update in the iteration, from 1.
        """
        settings = self._settings
        # The env step that this update stands for, counted from the first one learned.
        learned = steps - self.iteration_steps - self.warmup_steps
        step = learned + number * settings.train_interval
        return step % settings.target_interval < settings.train_interval
