"""Tuning: how many agents are best trained side by side on this machine, measured and remembered."""

import dataclasses
import hashlib
import json
import statistics
import time
from collections.abc import Iterable
from importlib import metadata

import jax

from jaxq import checks
from jaxq.configuration.objects import plain_settings
from jaxq.engine import AgentState, Population, Trainer
from jaxq.engine.devices import num_workers
from jaxq.experiment.distributed import broadcast_from_primary, is_primary
from jaxq.storage import access
from jaxq.storage.json_values import json_of
from jaxq.storage.machine_cache import machine_directory, machine_path

SECONDS = 1.0
REPEATS = 3


@dataclasses.dataclass(frozen=True)
class Tuning:
    """What was measured.

    Attributes:
        speeds: Env steps of all agents per second, by the chunk.
        default: The chunk that is taken without measuring.
    """

    speeds: dict[int, float]
    default: int

    @property
    def best(self) -> int:
        """The fastest chunk."""
        return max(self.speeds, key=self.speeds.__getitem__)


def tune(
    population: Population, chunks: Iterable[int] | None = None, *, seconds: float = SECONDS
) -> Tuning:
    """Measure which chunk trains a population fastest on this machine.

    Every chunk trains the same agents for about `seconds`, three times in turn, after it was compiled
    and run once; what counts is the median. Programs of another chunk may round differently, so the
    same seed gives the same numbers only with the same chunk.

    Args:
        population: The agents, on the devices that they are to run on.
        chunks: What to try; the default, and the powers of two up to the first that takes all that one
            device has, if not given. What does not fit the memory is left out.
        seconds: Time that one measurement is to take, > 0.

    Returns:
        The speeds; `jaxq.Population(trainer, size, chunk=tuning.best)` makes use of them.

    Raises:
        InputTypeError: If `population` is something else, or a chunk no whole number.
        InputValueError: If a number is not positive, or nothing that is to be tried fits the memory.

    Example:
        >>> import jaxq
        >>> trainer = jaxq.Trainer(jaxq.envs.make("FrozenLake-v1"), jaxq.q_learning())
        >>> population = jaxq.Population(trainer, size=32)
        >>> jaxq.tune(population, chunks=[16, 32], seconds=0.01).best in (16, 32)
        True
    """
    if not isinstance(population, Population):
        raise checks.InputTypeError(
            f"tune takes a jaxq.Population, got {type(population).__name__}; "
            "for example jaxq.tune(jaxq.Population(trainer, size=256))"
        )
    checks.one_number("seconds", seconds, 0, 3600, open_low=True)
    trainer, size, mesh = population.trainer, population.size, population.mesh
    default = Population(trainer, size, mesh=mesh).chunk
    tried = _candidates(default, -(-size // num_workers(mesh))) if chunks is None else chunks
    if not isinstance(tried, Iterable):
        raise checks.InputTypeError(f"chunks must hold sizes to try, got {chunks!r}; chunks=[1, 2, 4]")
    tried = [checks.whole_number("chunk", chunk) for chunk in tried]
    if not tried:
        raise checks.InputValueError("chunks must hold at least one, got none; chunks=[1, 2, 4]")
    populations = _fitting(population, tried)
    # All of them train the same agents from the same state, so only one is held.
    state = population.init(jax.random.key(0))
    lengths = {chunk: _length(each, state, seconds) for chunk, each in populations.items()}
    speeds: dict[int, list[float]] = {chunk: [] for chunk in populations}
    for _ in range(REPEATS):
        for chunk, each in populations.items():
            speeds[chunk].append(size * lengths[chunk] / _seconds(each, state, lengths[chunk]))
    return Tuning({chunk: statistics.median(found) for chunk, found in speeds.items()}, default)


def _fitting(population: Population, chunks: list[int]) -> dict[int, Population]:
    """Make the population with every chunk that fits the memory, if any does."""
    populations, refused = {}, None
    for chunk in chunks:
        try:
            populations[chunk] = Population(
                population.trainer, population.size, chunk=chunk, mesh=population.mesh
            )
        except checks.InputValueError as error:
            refused = error
    if not populations:
        raise refused
    return populations


def _candidates(default: int, share: int) -> list[int]:
    """Return the default and the powers of two, up to the first that takes a core's whole share."""
    powers = [2**power for power in range((share - 1).bit_length() + 1)]
    return sorted({default, *powers})


def _length(population: Population, state: AgentState, seconds: float) -> int:
    """Return the env steps of each agent that take about so many seconds, after compiling."""
    length = population.trainer.iteration_steps
    population.run(state, length)
    while (took := _seconds(population, state, length)) < seconds / 2:
        length *= 8 if took < seconds / 16 else 2
    return length


def _seconds(population: Population, state: AgentState, length: int) -> float:
    began = time.perf_counter()
    jax.block_until_ready(population.run(state, length))
    return time.perf_counter() - began


def remember(population: Population, chunk: int) -> bool:
    """Remember the best chunk for such a population on this machine.

    Args:
        population: The agents.
        chunk: The chunk.

    Returns:
        Whether there is a place to write it to.
    """
    directory = machine_directory("chunks")
    if directory is None:
        return False
    text = json.dumps({"chunk": chunk}) + "\n"
    access.replace(directory / _file_name(population.trainer, population.size), text)
    return True


def remembered(trainer: Trainer, agents: int) -> int | None:
    """Return the chunk that was found to be best for such a population, if any was.

    Processes of one run, which may be on machines that remember different things, take what the first
    one does.

    Args:
        trainer: Trains one agent.
        agents: Number of agents.
    """
    found = broadcast_from_primary(str(_read(trainer, agents) or "") if is_primary() else "")
    return int(found) if found else None


def _read(trainer: Trainer, agents: int) -> int | None:
    directory = machine_path("chunks")
    if directory is None:
        return None
    try:
        file = directory / _file_name(trainer, agents)
        found = json_of(file, access.read_text(file))
        return checks.whole_number("chunk", found["chunk"])
    except (OSError, ValueError, KeyError, TypeError):
        # What cannot be read was not remembered; the default serves as well.
        return None


def _file_name(trainer: Trainer, agents: int) -> str:
    """Name what the best chunk depends on: the program, how many agents a device has, the versions."""
    parts = {
        "environment": trainer.env.name,
        "settings": plain_settings(trainer.algorithm),
        "share": -(-agents // jax.device_count()),
        "devices": [device.device_kind for device in jax.devices()],
        "versions": [metadata.version(name) for name in ("jaxq", "jax", "jaxlib")],
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:32] + ".json"
