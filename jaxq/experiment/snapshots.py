"""Snapshots: what all states of a small table were worth while a run trained, in a file of the run."""

import io
import zipfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxq import checks
from jaxq.agents.protocol import first_input
from jaxq.agents.table_agent import TableLearner
from jaxq.callbacks import Callback, Run
from jaxq.engine import Trainer
from jaxq.envs.table import TableEnvironment
from jaxq.experiment.distributed import gathered, is_primary
from jaxq.progress import Progress
from jaxq.storage import access

MOST_STATES = 600
"""States up to which the values of all of them are looked at."""
MOST_SNAPSHOTS, MOST_AGENTS, MOST_BYTES = 60, 4, 2_000_000
"""Most snapshots of most agents, and most bytes of all their numbers together."""
NAME = "snapshots.npz"
_ENOUGH, _LEAST = 40, 4
"""Snapshots for which there must be room before another agent is taken, and at all."""
_READ_BYTES = 4 * MOST_BYTES
_FIELDS = ("steps", "agents", "q", "visits")


class Snapshots(NamedTuple):
    """Values of all states at T moments of training, of n agents.

    Attributes:
        steps: Env steps of each agent at these moments, increasing, int64 `[T]`.
        agents: Numbers of the agents, increasing, int64 `[n]`.
        q: Action values, float32 `[T, n, S, A]`.
        visits: How often each state was updated, uint32 `[T, n, S]`; all zero where it is not counted.
    """

    steps: np.ndarray
    agents: np.ndarray
    q: np.ndarray
    visits: np.ndarray

    def until(self, steps: int) -> "Snapshots":
        """Return those of no more than so many env steps."""
        return self._at(self.steps <= steps)

    def thinned(self, most: int) -> "Snapshots":
        """Return at most so many, the first and the last included, close together at the beginning."""
        # Most changes at the beginning. Whoever is nearest to its neighbours leaves.
        kept, place = [*range(len(self.steps))], self.steps**0.4
        while len(kept) > max(most, 2):
            gaps = place[kept[2:]] - place[kept[:-2]]
            del kept[1 + int(np.argmin(gaps))]
        return self._at(kept)

    def followed_by(self, steps: int, q: np.ndarray, visits: np.ndarray) -> "Snapshots":
        """Return them with one more moment."""
        after = np.append(self.steps, steps)
        rows = np.concatenate([self.q, q[None]]), np.concatenate([self.visits, visits[None]])
        return Snapshots(after, self.agents, *rows)

    def packed(self) -> bytes:
        """Return what a file of them holds: arrays without pickles."""
        stream = io.BytesIO()
        np.savez(stream, **self._asdict())
        return stream.getvalue()

    def _at(self, moments: Any) -> "Snapshots":
        return Snapshots(self.steps[moments], self.agents, self.q[moments], self.visits[moments])


def read_snapshots(file: Path, num_agents: int, shape: tuple[int, int]) -> Snapshots | None:
    """Read the snapshots of a run, which is not trusted.

    Args:
        file: The file.
        num_agents: Agents N of the run.
        shape: States and actions `(S, A)` of its environment.

    Returns:
        What `Snapshots.packed` wrote; `None` if there is no file.

    Raises:
        InputValueError: If it is a link, or holds anything else.
    """
    try:
        with access.open_to_read(file) as stream:
            content = stream.read(_READ_BYTES + 1)
        found = Snapshots(**_arrays(content))
    except FileNotFoundError:
        return None
    except checks.InputError:
        raise
    except Exception:
        # Bytes that somebody else wrote fail in as many ways as there are readers below.
        raise _damaged(file, "it is damaged") from None
    if not _whole(found, num_agents, shape):
        raise _damaged(file, f"it is not of {num_agents} agents with values {list(shape)}")
    return found


def values_of_states(trainer: Trainer, learner: Any) -> jax.Array:
    """Return what an agent's actions are worth in all states of a table, `[S, A]`.

    Args:
        trainer: Trains it, in an environment that is a table.
        learner: What it has learned.
    """
    states = jnp.arange(trainer.env.num_states, dtype=trainer.env.observation_spec.dtype)
    inputs = first_input(states, trainer.agent.initial_carry(states.size))
    return trainer.agent.q_values(learner, inputs)[0]


class TableSnapshots(Callback):
    """Keeps what a few agents, spread over the population, think of all states of a small table.

    Agents without action values, and environments that are no tables or large ones, are left alone.

    Args:
        warn: Takes the reason why snapshots could not be written.
    """

    def __init__(self, warn: Callable[[str], None]) -> None:
        self._warn = warn
        self._kept: Snapshots | None = None
        self._writes = is_primary()

    def on_start(self, run: Run) -> None:
        """Go on with the snapshots of a run that is resumed, or take the first."""
        trainer = run.population.trainer
        env = trainer.env
        if not isinstance(env, TableEnvironment) or env.num_states > MOST_STATES:
            return
        shape = env.num_states, env.num_actions
        agents, self._most = _room(run.config.agents, shape)
        self._values = jax.jit(lambda learner: _values(trainer, learner, agents))
        if self._most < _LEAST or not _can_be_asked(self._values, run.state.learner):
            return
        nothing = np.zeros((0, len(agents), *shape), np.float32)
        empty = Snapshots(np.zeros(0, int), agents, nothing, nothing[..., 0].astype(np.uint32))
        self._kept = self._before(run, empty).until(run.steps)
        self._take(run)

    def on_segment(self, run: Run, progress: Progress) -> None:
        """Take one more."""
        self._take(run)

    def _before(self, run: Run, empty: Snapshots) -> Snapshots:
        """Return what an earlier part of the run has kept."""
        if not self._writes or not run.steps:
            return empty
        shape = empty.q.shape[2:]
        try:
            found = read_snapshots(run.directory / NAME, run.config.agents, shape)
        except checks.InputValueError as error:
            self._warn(f"{error}; snapshots begin anew")
            return empty
        same = found is not None and np.array_equal(found.agents, empty.agents)
        return found if same else empty

    def _take(self, run: Run) -> None:
        if self._kept is None:
            return
        # All processes of a run work it out together.
        q, visits = gathered(self._values(run.state.learner))
        if not self._writes or run.steps in self._kept.steps:
            return
        self._kept = self._kept.followed_by(run.steps, q, visits).thinned(self._most)
        try:
            access.replace(run.directory / NAME, self._kept.packed())
        except OSError as error:
            self._warn(f"{NAME} could not be written: {error.strerror or error}")
            self._writes = False


def _room(num_agents: int, shape: tuple[int, int]) -> tuple[np.ndarray, int]:
    """Say which agents are looked at, and how many snapshots of them there is room for."""
    states, actions = shape
    each = 4 * states * (actions + 1)
    count = int(np.clip(MOST_BYTES // (_ENOUGH * each), 1, min(MOST_AGENTS, num_agents)))
    agents = np.unique(np.round(np.linspace(0, num_agents - 1, count)).astype(int))
    return agents, min(MOST_BYTES // (count * each), MOST_SNAPSHOTS)


def _can_be_asked(values: Callable, learner: Any) -> bool:
    try:
        jax.eval_shape(values, learner)
    except Exception:
        # It has no values, or is an agent of the user's own that is not made for all states at once:
        # neither is a reason to end a run.
        return False
    return True


def _values(trainer: Trainer, learner: Any, agents: np.ndarray) -> tuple[jax.Array, jax.Array]:
    """Return action values `[n, S, A]` and visits `[n, S]` of some of the agents."""
    some = jax.tree.map(lambda leaf: leaf[agents], learner)
    q = jax.vmap(partial(values_of_states, trainer))(some)
    visits = jnp.zeros(q.shape[:2])
    if isinstance(some, TableLearner):
        visits = some.visits.sum(axis=(1, 3))
    return q.astype(jnp.float32), visits.astype(jnp.uint32)


def _arrays(content: bytes) -> dict[str, np.ndarray]:
    """Read the arrays of a file, if they are no larger than what a run writes."""
    with zipfile.ZipFile(io.BytesIO(content)) as file:
        if sum(entry.file_size for entry in file.infolist()) > _READ_BYTES:
            raise ValueError
    with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
        if {*arrays.files} != {*_FIELDS}:
            raise ValueError
        return {name: arrays[name] for name in _FIELDS}


def _whole(found: Snapshots, num_agents: int, shape: tuple[int, int]) -> bool:
    """Tell whether arrays fit together, and to the run."""
    if not all(isinstance(array, np.ndarray) for array in found):
        return False
    kinds = [array.dtype.kind for array in found]
    rows, count = found.steps.shape, found.agents.shape
    if kinds != ["i", "i", "f", "u"] or not len(rows) == len(count) == 1 or not rows[0] or not count[0]:
        return False
    shapes = found.q.shape, found.visits.shape
    ordered = (np.diff(found.steps) > 0).all() and (np.diff(found.agents) > 0).all()
    inside = found.steps[0] >= 0 and found.agents[0] >= 0 and found.agents[-1] < num_agents
    return bool(shapes == ((*rows, *count, *shape), (*rows, *count, shape[0])) and ordered and inside)


def _damaged(file: Path, why: str) -> checks.InputValueError:
    return checks.InputValueError(f"{file} holds no snapshots of this run: {why}")
