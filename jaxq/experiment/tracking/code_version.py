"""The version of the code that a run came from."""

import os
import shutil
import subprocess
import tempfile
from importlib import metadata
from pathlib import Path


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
