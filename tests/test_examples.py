import os
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = sorted((Path(__file__).parents[1] / "examples").glob("*.py"))


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_runs_and_prints_its_result(path, tmp_path):
    """As a reader runs it, in a process of its own; what it writes goes to another directory."""
    result = subprocess.run(
        [sys.executable, "-W", "error", path],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
        # Compiled fast rather than well, as all tests are.
        env={**os.environ, "JAX_DISABLE_MOST_OPTIMIZATIONS": "true"},
    )
    assert result.returncode == 0, result.stderr
    assert result.stdout.strip()
    assert "nan" not in result.stdout.lower()
    assert f"python examples/{path.name}" in path.read_text()


def test_there_are_examples():
    assert len(EXAMPLES) >= 4
