"""Checkpoints: the whole state of a population, written in the background.

A checkpoint is written to a temporary directory, listed with checksums, and renamed when it is complete;
so a checkpoint with its final name is complete, or its damage is detected.
"""

import contextlib
import errno
import os
import re
import shutil
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from importlib import metadata
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

from jaxq import checks
from jaxq.engine import AgentState
from jaxq.experiment.distributed import barrier, is_primary
from jaxq.storage import access
from jaxq.storage.stored_arrays import (
    DamagedError,
    checkpointer,
    plain,
    read_arrays,
    read_manifest,
    verify,
    write_manifest,
)
from jaxq.types import PyTree

_UNFINISHED = ".unfinished"
_NAME = re.compile(r"\d{10}")
_STATE = "state"
VERSIONS = ("jaxq", "jax", "orbax-checkpoint")


class Saved(NamedTuple):
    """Content of a checkpoint.

    Attributes:
        state: The population, or the parts of it that were asked for.
        facts: Values stored beside it, as JSON has them.
        passed_over: Reasons why newer checkpoints are unusable.
    """

    state: PyTree
    facts: dict[str, Any]
    passed_over: list[str]


class Checkpoints:
    """The checkpoints of one run: the newest ones, and the one with the best score.

    Args:
        path: Their directory.
        keep: How many of the newest are kept.
    """

    def __init__(self, path: Path, keep: int = 2) -> None:
        access.check_real(path)
        self._path = path.absolute()
        self._keep = keep
        self._writer = ThreadPoolExecutor(max_workers=1, thread_name_prefix="checkpoint")
        self._writing: Future | None = None
        self._copy: PyTree = None
        # What it writes with takes seconds to import; meanwhile the training is compiled.
        self._writer.submit(checkpointer)

    def at(self, steps: int) -> Path | None:
        """Directory of the checkpoint after so many steps, if there is one."""
        path = self._path / checkpoint_name(steps)
        return path if path.is_dir() else None

    def save(self, state: AgentState, steps: int, score: float, facts: dict[str, Any]) -> str | None:
        """Start writing a checkpoint; return the error of the previous one, or `None`.

        Args:
            state: The population; training may go on meanwhile.
            steps: Env steps of each agent so far, by which the checkpoint is named.
            score: The higher, the better; NaN for none.
            facts: Values to store beside it, as JSON has them.
        """
        failed, arrays = self.wait(), plain(state)
        versions = {name: metadata.version(name) for name in VERSIONS}
        score = None if np.isnan(score) else score
        facts = {"steps": steps, "score": score, "versions": versions, **facts}
        if jax.process_count() > 1:
            # All write their parts, and meet on the way.
            self._writing = Future()
            self._writing.set_result(self._write(arrays, facts))
            return failed
        # A copy, as the arrays may be given to the next segment; made in the memory of the last one, as
        # training waits and memory that was never touched takes several times as long.
        if self._copy is None:
            self._copy = jax.tree.map(lambda leaf: np.empty(leaf.shape, leaf.dtype), arrays)
        jax.tree.map(_copy_into, self._copy, arrays)
        self._writing = self._writer.submit(self._write, self._copy, facts)
        return failed

    def wait(self) -> str | None:
        """Wait for the checkpoint being written; return its error, or `None`."""
        writing, self._writing = self._writing, None
        return writing.result() if writing else None

    def close(self) -> str | None:
        """Wait, and end the background thread."""
        failed = self.wait()
        self._writer.shutdown()
        return failed

    def restore(
        self,
        like: AgentState | dict[str, PyTree],
        check: Callable[[dict[str, Any]], Any] | None = None,
    ) -> Saved | None:
        """Read the newest undamaged checkpoint, or return `None` if none was ever written.

        Args:
            like: Shapes, types and shardings of the population, such as `Population.template`; or
                shapes and types of parts of it by name, which are read to numpy.
            check: Raises `DamagedError` if what was kept beside the state is not what there should be.

        Raises:
            InputValueError: If there are some, and none of them can be used; the cause is what is wrong
                with the newest.
        """
        passed_over: list[str] = []
        newest: Exception | None = None
        for path in reversed(_complete(self._path)):
            try:
                facts = verify(path)
                if check is not None:
                    check(facts)
                return Saved(read_arrays(path / _STATE, like), facts, passed_over)
            except (DamagedError, OSError) as error:
                passed_over.append(f"checkpoint {path.name} cannot be used: {error}")
                newest = newest or error
        if not passed_over:
            return None
        raise checks.InputValueError(
            f"{self._path} has no checkpoint to go on from; {'; '.join(passed_over)}; "
            "start again in another directory"
        ) from newest

    def _write(self, tree: PyTree, facts: dict[str, Any]) -> str | None:
        unfinished, path = self._path / _UNFINISHED, self._path / checkpoint_name(facts["steps"])
        # Whatever goes wrong, training must go on, and the reason be told; nothing is half renamed.
        try:
            if is_primary():
                access.remove(unfinished)
                unfinished.mkdir(parents=True)
                _check_space(unfinished, tree)
            barrier("checkpoint begins")
            checkpointer().save(unfinished / _STATE, tree)
            if is_primary():
                write_manifest(unfinished, facts)
                access.remove(path)
                os.rename(unfinished, path)
                self._prune(path)
            barrier("checkpoint is written")
        except Exception as error:
            if is_primary():
                access.remove(unfinished)
            reason = getattr(error, "strerror", None) or str(error).strip().splitlines()[0]
            return f"checkpoint {path.name} could not be written: {reason}"
        return None

    def _prune(self, written: Path) -> None:
        """Retain the newest checkpoints and the best one."""
        # Those that would be after this one are damaged, or the run would have gone on from them.
        complete = [path for path in _complete(self._path) if path.name <= written.name]
        best = max(complete, key=_score)
        for path in complete[: -self._keep]:
            if path != best:
                access.remove(path)


def newest_steps(path: Path) -> int:
    """Env steps of the newest checkpoint below a path, damaged or not; 0 for none."""
    return max((int(checkpoint.name) for checkpoint in _complete(path)), default=0)


def checkpoint_name(steps: int) -> str:
    """Name of the checkpoint after so many env steps of each agent."""
    return f"{steps:010d}"


def _complete(path: Path) -> list[Path]:
    """Return the checkpoints below a path, the newest one last."""
    entries = path.iterdir() if path.is_dir() else ()
    return sorted(entry for entry in entries if _NAME.fullmatch(entry.name))


def _check_space(directory: Path, tree: PyTree) -> None:
    # Before a thread of the library runs into it, each of which would have its say.
    needed = sum(leaf.nbytes for leaf in jax.tree.leaves(tree))
    if shutil.disk_usage(directory).free < needed:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(directory))


def _copy_into(memory: np.ndarray, leaf: jax.Array) -> None:
    """Copy an array that may be spread over the devices, each part once."""
    for part in leaf.addressable_shards:
        if part.replica_id == 0:
            memory[part.index] = part.data


def _score(path: Path) -> float:
    with contextlib.suppress(DamagedError):
        score = read_manifest(path).get("score")
        return score if isinstance(score, int | float) else -np.inf
    return -np.inf
