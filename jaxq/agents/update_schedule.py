"""When agents with a network learn, in env steps."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import jax
import jax.numpy as jnp

from jaxq.agents.components import check_fields


@dataclass(frozen=True)
class UpdateSchedule:
    """How often an agent learns from how many environments.

    Attributes:
        num_envs: Environments E that one agent acts in side by side.
        learning_starts: Env steps of the agent that fill the replay before the first gradient step,
            rounded up to whole iterations.
        train_interval: Env steps of the agent per gradient step, whatever the number of environments.
    """

    num_envs: int = 10
    learning_starts: int = 1_000
    train_interval: int = 5

    def __post_init__(self) -> None:
        """Check the fields."""
        check_fields(self, learning_starts=0)


@dataclass(frozen=True)
class Iteration:
    """One iteration: some rows of all environments, and the gradient steps that belong to them.

    With E environments and a gradient step per k env steps, both only come out whole after lcm(E, k)
    env steps; counting in those, no ratio of the two is ever rounded. On a window it is the window.

    Attributes:
        steps: Env steps of the agent in one iteration.
        warmup_steps: Env steps before the first gradient step, whole iterations.
        train_interval: Env steps of the agent per gradient step.
    """

    steps: int
    warmup_steps: int
    train_interval: int

    @classmethod
    def of(cls, schedule: UpdateSchedule, window: int | None, rows_needed: int) -> "Iteration":
        """Work out the iteration of a schedule.

        Args:
            schedule: The schedule.
            window: Transitions of the window that is learned from; `None` for a replay.
            rows_needed: Steps of each environment that a replay must hold before anything is learned.
        """
        interval, starts = schedule.train_interval, schedule.learning_starts
        if window is not None:
            iteration = cls(window, 0, interval)
            return cls(window, iteration.whole(starts), interval)
        iteration = cls(math.lcm(schedule.num_envs, interval), 0, interval)
        needed = max(starts, rows_needed * schedule.num_envs)
        return cls(iteration.steps, iteration.whole(needed), interval)

    @property
    def updates(self) -> int:
        """Gradient steps in one iteration."""
        return self.steps // self.train_interval

    def whole(self, steps: int) -> int:
        """Round env steps up to whole iterations."""
        return -(-steps // self.steps) * self.steps

    def due(self, steps: jax.Array, number: jax.Array) -> Callable[[int], jax.Array]:
        """Return what tells whether something is due after one of the iteration's updates.

        Args:
            steps: Env steps of the agent, the iteration's included.
            number: Number of the update in the iteration, from 1.

        Returns:
            A function of an interval in env steps, to bool `[]`.
        """
        # The env step that this update stands for, counted from the first one learned.
        learned = steps - self.steps - self.warmup_steps
        step = learned + number * self.train_interval
        return lambda interval: step % interval < self.train_interval

    def numbered_keys(self, key: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Return the number, from 1, and the key of each of an iteration's updates."""
        return jnp.arange(1, self.updates + 1), jax.random.split(key, self.updates)
