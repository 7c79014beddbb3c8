"""What trackers log: rows of metrics, hyperparameters, and the version of the code.

Of the rows the first is the population's, the others, on request, those of its agents; NaN is left out.
"""

import dataclasses
import math
import os
import shutil
import subprocess
import tempfile
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

from jaxq.configuration.config import Config
from jaxq.progress import Progress

Row = dict[str, float]

# Of the metrics, those whose distribution over agents says how learning goes.
LEARNING = ("loss", "td_error", "q_value", "gradient_norm", "epsilon")


def segment_rows(progress: Progress, agents: bool) -> list[Row]:
    """Return the numbers of a segment."""
    columns = {"return": progress.returns, "episode_length": progress.metrics.episode_length}
    columns |= {name: getattr(progress.metrics, name) for name in LEARNING}
    population = {
        "steps_per_second": progress.steps_per_second,
        "return/iqm": progress.iqm,
        "return/interval_low": progress.interval.low,
        "return/interval_high": progress.interval.high,
        "return/agents_without": progress.without_return,
        **_distribution("return", progress.returns, ("min", "max")),
    }
    for name in LEARNING:
        population |= _distribution(name, columns[name], ("mean", "min", "max"))
    return _rows(population, columns if agents else None)


def evaluation_rows(evaluation: dict[str, Any], agents: bool) -> list[Row]:
    """Return the numbers of the final evaluation."""
    low, high = evaluation["interval"]
    population = {"iqm": evaluation["iqm"], "interval_low": low, "interval_high": high}
    population = {f"evaluation/{name}": value for name, value in population.items()}
    scores = np.mean(evaluation["returns"], axis=1, dtype=np.float64)
    return _rows(population, {"evaluation/return": scores} if agents else None)


def agent_hparams(described: dict[str, Any]) -> list[Row]:
    """Return each agent's hyperparameters, those that are swept or sampled included."""
    config = Config(**{field.name: described[field.name] for field in dataclasses.fields(Config)})
    varied = {name: values.tolist() for name, values in config.varied.items()}
    return [
        described["hparams"] | {name: values[agent] for name, values in varied.items()}
        for agent in range(config.agents)
    ]


def _rows(population: Row, columns: dict[str, Any] | None) -> list[Row]:
    """Return a population's row, and those of its agents out of columns `[N]`."""
    rows = [population]
    if columns is not None:
        lists = [np.asarray(column, np.float64).tolist() for column in columns.values()]
        rows += [dict(zip(columns, values, strict=True)) for values in zip(*lists, strict=True)]
    return [{name: value for name, value in row.items() if math.isfinite(value)} for row in rows]


def _distribution(name: str, column: Any, statistics: tuple[str, ...]) -> Row:
    column = np.asarray(column, np.float64)
    column = column[np.isfinite(column)]
    if not column.size:
        return {}
    return {f"{name}/{statistic}": float(getattr(np, statistic)(column)) for statistic in statistics}


def code_version() -> dict[str, str]:
    """Return the version of jaxq and, where the current directory is in a repository, its commit.

    The commit ends in `-dirty` where tracked files differ from it.
    """
    version = {"jaxq": metadata.version("jaxq")}
    places = "HEAD", "--show-toplevel", "--git-path", "index", "--git-path", "objects"
    try:
        commit, root, index, objects = _git(["rev-parse", *places], {}).stdout.splitlines()
        dirty = _is_dirty(commit, Path(root), Path(index), Path(objects).resolve())
    except (OSError, ValueError, subprocess.SubprocessError):
        return version
    return {**version, "commit": f"{commit}-dirty" if dirty else commit}


def _is_dirty(commit: str, root: Path, index: Path, objects: Path) -> bool:
    """Tell whether tracked files differ from a commit.

    A repository may be anybody's, and its configuration names programs that git would run to compare
    files, such as `core.fsmonitor` and filters. So git is shown the repository's objects and index, and
    none of its configuration.
    """
    with tempfile.TemporaryDirectory() as made:
        for name in ("objects", "refs"):
            Path(made, name).mkdir()
        Path(made, "HEAD").write_text(commit + "\n")
        shutil.copyfile(index, Path(made, "index"))
        shown = {
            "GIT_DIR": made,
            "GIT_WORK_TREE": str(root),
            "GIT_OBJECT_DIRECTORY": str(objects),
            "GIT_INDEX_FILE": str(Path(made, "index")),
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_CONFIG_GLOBAL": os.devnull,
            "GIT_NO_LAZY_FETCH": "1",
        }
        # Files that were only touched differ until the index, here a copy, has looked at them again.
        _git(["update-index", "-q", "--refresh", "--ignore-submodules"], shown, root)
        compared = _git(["diff-index", "--quiet", "--ignore-submodules=all", commit, "--"], shown, root)
        return compared.returncode == 1


def _git(
    words: list[str], environment: dict[str, str], directory: Path | None = None
) -> subprocess.CompletedProcess[str]:
    """Run git without what the user has set for it, such as configuration."""
    own = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    return subprocess.run(
        ["git", *words],
        env=own | environment,
        cwd=directory,
        capture_output=True,
        text=True,
        timeout=10,
        check=words[0] == "rev-parse",
    )
