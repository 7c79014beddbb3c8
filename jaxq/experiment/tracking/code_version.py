"""Which code a run came from.

A repository may be anybody's, and its configuration names programs that git would run, such as
`core.fsmonitor` and filters. So the commit is read from its files, and git, which is asked whether files
differ from it, is shown the repository's objects and index and none of its configuration.
"""

import functools
import os
import re
import shutil
import subprocess
import tempfile
from importlib import metadata
from pathlib import Path
from typing import NamedTuple

_COMMIT = re.compile(r"[0-9a-f]{40}")
# A longer file is not what git wrote.
_LONGEST = 16 * 2**20


class _Repository(NamedTuple):
    """Where a repository's files are: what is checked out, what is its own, what worktrees share."""

    root: Path
    own: Path
    shared: Path


def code_version() -> dict[str, str]:
    """Return the version of jaxq and, where the current directory is in a repository, its commit.

    The commit ends in `-dirty` where files differ from it.
    """
    version = {"jaxq": metadata.version("jaxq")}
    try:
        repository = _repository(Path.cwd())
        commit = _commit(repository) if repository else None
    except (OSError, ValueError):
        return version
    if repository is None or commit is None:
        return version
    return {**version, "commit": f"{commit}-dirty" if _is_dirty(repository, commit) else commit}


def _repository(directory: Path) -> _Repository | None:
    for root in (directory, *directory.parents):
        own = root / ".git"
        if own.is_file():
            # Of a worktree and of a submodule it says where the files are.
            own = root / _read(own).removeprefix("gitdir:").strip()
        if own.is_dir():
            common = own / "commondir"
            return _Repository(root, own, own / _read(common).strip() if common.is_file() else own)
    return None


def _commit(repository: _Repository) -> str | None:
    head = _read(repository.own / "HEAD").strip()
    name = head.removeprefix("ref:").strip()
    if head.startswith("ref:"):
        if not name.startswith("refs/") or ".." in name.split("/"):
            return None
        head = _of_branch(repository, name)
    return head if _COMMIT.fullmatch(head) else None


def _of_branch(repository: _Repository, name: str) -> str:
    for place in (repository.own, repository.shared):
        if (place / name).is_file():
            return _read(place / name).strip()
    packed = repository.shared / "packed-refs"
    lines = _read(packed).splitlines() if packed.is_file() else []
    found = (line.partition(" ") for line in lines)
    return next((commit for commit, _, branch in found if branch == name), "")


def _is_dirty(repository: _Repository, commit: str) -> bool:
    """Ask git whether tracked files differ from a commit; where it cannot tell, they do not."""
    with tempfile.TemporaryDirectory() as made:
        for name in ("objects", "refs"):
            Path(made, name).mkdir()
        Path(made, "HEAD").write_text(commit + "\n")
        environment = {
            # Nothing of what the user has set for git, such as configuration, applies here.
            **{name: value for name, value in os.environ.items() if not name.startswith("GIT_")},
            "GIT_DIR": made,
            "GIT_WORK_TREE": str(repository.root.resolve()),
            "GIT_OBJECT_DIRECTORY": str((repository.shared / "objects").resolve()),
            "GIT_INDEX_FILE": str(Path(made, "index")),
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_CONFIG_GLOBAL": os.devnull,
            "GIT_NO_LAZY_FETCH": "1",
        }
        ask = ["git", "diff-index", "--quiet", "--ignore-submodules=all", commit, "--"]
        # Files that were only touched differ until the index, here a copy, has looked at them again.
        look = ["git", "update-index", "-q", "--refresh", "--ignore-submodules"]
        run = functools.partial(
            subprocess.run, env=environment, cwd=repository.root, capture_output=True, timeout=10
        )
        try:
            shutil.copyfile(repository.own / "index", Path(made, "index"))
            run(look)
            return run(ask).returncode == 1
        except (OSError, subprocess.SubprocessError):
            return False


def _read(path: Path) -> str:
    """Read a small text file."""
    if not path.is_file():
        raise FileNotFoundError(path)
    with path.open(encoding="utf-8") as file:
        return file.read(_LONGEST)
