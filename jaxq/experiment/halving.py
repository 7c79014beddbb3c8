"""Successive halving: at each rung the worse half of the agents stops, and the better half trains on.

With S steps and R halvings that happens at the first segment ends at or after `S / 2^R, ..., S / 4` and
`S / 2`. How many agents train at any step follows from the configuration alone, which ones from the
returns; so a run that goes on where it was interrupted decides nothing again.

References:
    Karnin et al., 2013; Jamieson and Talwalkar, 2016.
"""

import dataclasses
import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import NamedSharding, PartitionSpec

from jaxq import checks
from jaxq.callbacks import Callback, Run
from jaxq.configuration.config import Config
from jaxq.engine import AgentState, Metrics, Population
from jaxq.engine.devices import memory_limit
from jaxq.engine.memory_use import check_fits
from jaxq.engine.spreading import default_chunk
from jaxq.progress import Progress


def num_active(config: Config, steps: int) -> int:
    """Number of agents that train beyond so many env steps of each."""
    passed = sum(rung <= steps for rung in _rungs(config.steps, config.halvings))
    return -(-config.agents // 2**passed)


def steps_left(config: Config, steps: int) -> int:
    """Remaining env steps of all agents, after so many of each."""
    rungs = _rungs(config.steps, config.halvings)
    ends = [steps, *[rung for rung in rungs if rung > steps], config.steps]
    return sum((end - begin) * num_active(config, begin) for begin, end in itertools.pairwise(ends))


def check_rungs(config: Config, warmup: int, segment: int) -> None:
    """Check that every halving has a segment end of its own, before the last one, in one process.

    Args:
        config: The configuration.
        warmup: Env steps of each agent that fill the replay.
        segment: Env steps of each agent in a segment.
    """
    if config.halvings and jax.process_count() > 1:
        # Those that train on would have to move, with all that they remember, from one to the other.
        raise checks.InputValueError(
            f"halvings need all agents in one process, and there are {jax.process_count()}; "
            "leave out halvings, or train in one process"
        )
    possible = [number for number in range(config.halvings + 1) if _fit(config, number, warmup, segment)]
    if config.halvings not in possible:
        raise checks.InputValueError(
            f"halvings must each have a segment end of its own, got {config.halvings} on {config.steps} "
            f"steps, of which {warmup} fill the replay, in segments of {segment}; "
            f"for example halvings={possible[-1]}, or more steps"
        )


def check_memory(config: Config, population: Population) -> None:
    """Check that the memory suffices for halving beside the population."""
    if not config.halvings:
        return
    use = population.memory()
    # Where they are put back, those that train on are there beside all agents before and after.
    use = use._replace(copies=use.copies + 1)
    check_fits(use, memory_limit(population.mesh), getattr(population.trainer.algorithm, "settings", {}))


def _rungs(steps: int, halvings: int) -> list[int]:
    """Return the env steps of each agent at which each halving is due."""
    return [-(-steps // 2**halving) for halving in range(halvings, 0, -1)]


def _fit(config: Config, halvings: int, warmup: int, segment: int) -> bool:
    rungs = _rungs(config.steps, halvings)
    ends = [warmup + max(-(-(rung - warmup) // segment), 1) * segment for rung in rungs]
    return len({*ends}) == halvings and all(end < config.steps for end in ends)


def halved(
    config: Config, steps: int, returns: np.ndarray, diverged: np.ndarray, stopped: np.ndarray
) -> np.ndarray:
    """Return which agents have stopped after a segment, bool `[N]`, those of before among them.

    Those go on that have the highest returns; of equal ones the seed decides, so that none of the
    combinations in a sweep is preferred. Agents that have diverged at some time, or finished no
    episode yet, come last.

    Args:
        config: The configuration.
        steps: Env steps of each agent so far.
        returns: Each agent's mean return over the episodes it finished last, `[N]`; NaN for none.
        diverged: Which agents have diverged at some time, bool `[N]`.
        stopped: Which agents did not train in the segment, bool `[N]`.
    """
    number = num_active(config, steps)
    if np.count_nonzero(~stopped) <= number:
        return stopped
    worst = diverged | ~np.isfinite(returns)
    lots = np.random.default_rng([config.seed, steps]).permutation(returns.size)
    # The last key counts first.
    order = np.lexsort((lots, np.where(worst, 0.0, -returns), worst, stopped))
    ranks = np.empty_like(order)
    ranks[order] = np.arange(order.size)
    return stopped | (ranks >= number)


class Halving(Callback):
    """Stops the worse half of the active agents at each rung."""

    def on_segment(self, run: Run, progress: Progress) -> None:
        """Update the stopped agents."""
        diverged, stopped = progress.mask(progress.diverged), progress.mask(progress.stopped)
        stopped = halved(run.config, progress.steps, progress.returns, diverged, stopped)
        run.progress = dataclasses.replace(progress, stopped=np.flatnonzero(stopped).tolist())


class ActiveSubset:
    """Trains the active agents of a population in a smaller population.

    On CPU results are bit-identical to those in the whole population.

    Args:
        population: All agents.
    """

    def __init__(self, population: Population) -> None:
        self._population = population
        self._subset = functools.lru_cache(maxsize=1)(self._smaller)

    def run(self, state: AgentState, num_steps: int, stopped: np.ndarray) -> tuple[AgentState, Metrics]:
        """Train all but the stopped agents, bool `[N]`, which keep their states and have NaN metrics."""
        if not stopped.any():
            return self._population.run(state, num_steps)
        kept = np.flatnonzero(~stopped)
        subset, take, put = self._subset(kept.size)
        # The last one again, to fill up.
        taken = np.pad(kept, (0, subset.size - kept.size), mode="edge")
        trained, metrics = subset.run(take(state, taken), num_steps)
        return put(state, trained, metrics, kept)

    def _smaller(self, size: int) -> tuple[Population, jax.stages.Wrapped, jax.stages.Wrapped]:
        """Make a population of so many agents, with gather and scatter."""
        trainer, mesh, chunk = self._population.trainer, self._population.mesh, self._population.chunk
        if trainer.agent.elementwise or mesh.devices.flat[0].platform != "cpu":
            # Elementwise numbers do not depend on the chunk, and elsewhere numbers depend on it anyhow.
            chunk = min(chunk, default_chunk(trainer, size, mesh))
        # Whole chunks on all devices: other sizes could not be spread over them.
        devices = mesh.size * chunk
        subset = Population(trainer, -(-size // devices) * devices, chunk=chunk, mesh=mesh)
        here, there = (
            jax.tree.map(lambda leaf: leaf.sharding, each.template)
            for each in (subset, self._population)
        )
        everywhere = NamedSharding(mesh, PartitionSpec())
        put = jax.jit(_put, out_shardings=(there, everywhere))
        return subset, jax.jit(_take, out_shardings=here), put


def _take(state: AgentState, kept: jax.Array) -> AgentState:
    agents = jax.tree.map(lambda leaf: _pick(leaf, kept), state._replace(steps=None))
    return agents._replace(steps=state.steps)


def _pick(leaf: jax.Array, kept: jax.Array) -> jax.Array:
    """Select rows, bit for bit."""
    if not jnp.issubdtype(leaf.dtype, jnp.floating):
        return leaf[kept]
    # Devices that do not have a row add a zero to it, which would take the sign off a negative zero.
    bits = jax.lax.bitcast_convert_type(leaf, jnp.dtype(f"uint{8 * leaf.dtype.itemsize}"))
    return jax.lax.bitcast_convert_type(bits[kept], leaf.dtype)


def _put(
    state: AgentState, trained: AgentState, metrics: Metrics, kept: jax.Array
) -> tuple[AgentState, Metrics]:
    agents = jax.tree.map(
        lambda leaf, new: leaf.at[kept].set(new[: kept.size]),
        state._replace(steps=None),
        trained._replace(steps=None),
    )
    size = state.key.shape[0]
    nothing = jax.tree.map(lambda leaf: jnp.full((size, *leaf.shape[1:]), jnp.nan), metrics)
    nothing = nothing._replace(episodes=jnp.zeros(size))
    metrics = jax.tree.map(lambda leaf, new: leaf.at[kept].set(new[: kept.size]), nothing, metrics)
    return agents._replace(steps=trained.steps), metrics
