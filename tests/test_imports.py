"""Imports run one way."""

import ast
from pathlib import Path

import pytest

import jaxq

ROOT = Path(jaxq.__file__).parent
# What reads and writes runs.
AT_THE_EDGE = ("storage", "configuration", "progress", "callbacks", "tracking", "experiment", "trained")
# Each layer may import those before it; inside a layer, what stands to the left.
LAYERS = [
    ["interruption", "precision", "checks", "types", "hparams", "statistics", "cost_statistics"],
    ["kernels", "dataset_checks", "dataset_minari", "dataset"],
    ["learning", "envs", "networks", "replay"],
    ["agents", "presets", "dynamic_programming", "constrained_mdps"],
    ["engine"],
    ["planning"],
    ["fitted_q", "logged_episodes", "ope"],
    ["storage"],
    ["configuration"],
    ["progress", "callbacks", "tracking"],
    ["experiment"],
    ["trained"],
    ["reports"],
    ["view"],
    ["cli"],
]
ORDER = [module for layer in LAYERS for module in layer]
FILES = sorted(path for path in ROOT.rglob("*.py") if path != ROOT / "__init__.py")
# A run writes its own report at its end: inside a function, as the report is about what the run wrote.
WRITE_REPORTS = {"experiment/display.py"}
OUTSIDE = {"pathlib", "socket", "urllib", "http", "time", "datetime", "shutil", "tempfile"}


def imported(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        if isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def home(path: Path) -> str:
    return path.relative_to(ROOT).parts[0].removesuffix(".py")


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_run_one_way(path):
    position = ORDER.index(home(path))
    for name in imported(path):
        parts = name.split(".")
        if parts[1:2] == ["reports"] and path.relative_to(ROOT).as_posix() in WRITE_REPORTS:
            continue
        if parts[0] == "jaxq" and len(parts) > 1 and parts[1] in ORDER:
            assert ORDER.index(parts[1]) <= position, f"{path.name} imports {name}"


@pytest.mark.parametrize("name", sorted(WRITE_REPORTS))
def test_reports_are_imported_only_where_a_run_writes_its_own(name):
    at_the_top = ast.parse((ROOT / name).read_text()).body
    modules = {node.module for node in at_the_top if isinstance(node, ast.ImportFrom)}
    assert not {module for module in modules if module.startswith("jaxq.reports")}


@pytest.mark.parametrize(
    "path",
    [path for path in FILES if home(path) not in ("dataset", *AT_THE_EDGE, "reports", "view", "cli")],
    ids=lambda path: str(path.relative_to(ROOT)),
)
def test_the_core_touches_no_files_clocks_or_network(path):
    roots = {name.split(".")[0] for name in imported(path)}
    # The registry only names the error that a download of gymnax's ends in; how much memory a container
    # may use stands in a file.
    allowed = {"registry.py": {"urllib"}, "devices.py": {"pathlib"}}.get(path.name, set())
    assert not roots & OUTSIDE - allowed
    assert "open(" not in path.read_text()
