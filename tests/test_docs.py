"""The README and the manual: their Python runs, their commands parse, their names and figures exist."""

import dataclasses
import functools
import re
import shlex
import warnings
from pathlib import Path

import pytest

import jaxq
from jaxq import cli
from jaxq.cli import entry

ROOT = Path(__file__).parents[1]
MANUAL = sorted((ROOT / "docs").rglob("*.md"))
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *MANUAL]
# A fence with its language, what else stands behind that, and the block.
FENCE = re.compile(r"^```(\w+)([^\n]*)\n(.*?)^```", re.DOTALL | re.MULTILINE)
# What a reader sees above a block that is not run.
NOT_RUN = 'title="Not run by the tests: '
# Numbers of steps and the like; smaller ones show as well that a block runs.
LARGE = re.compile(r"\b\d{1,3}(_\d{3})+\b")
COMMAND = re.compile(r"(?:^|&& )(?:\.venv/bin/)?jaxq ([^&|\n]*)")


def name(path):
    return path.relative_to(ROOT).as_posix()


def blocks(path, *languages):
    return [
        (rest, text) for language, rest, text in FENCE.findall(path.read_text()) if language in languages
    ]


def python_blocks(path):
    return [text for rest, text in blocks(path, "python") if NOT_RUN not in rest]


def small(text):
    """Make a block's large numbers small."""
    return LARGE.sub(lambda match: str(min(int(match[0]), 1_000)), text)


WITH_PYTHON = [path for path in PAGES if python_blocks(path)]


@pytest.mark.parametrize("path", WITH_PYTHON, ids=name)
def test_the_python_of_a_page_runs(path, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    # Runs this short end no episode at times.
    warnings.filterwarnings("ignore", category=RuntimeWarning)
    text = "\n".join(small(text) for text in python_blocks(path))
    exec(compile(text, name(path), "exec"), {"__name__": "page"})


def commands():
    for path in PAGES:
        for _, text in blocks(path, "bash", "console", "sh"):
            for words in COMMAND.findall(text.replace("\\\n", " ")):
                yield pytest.param(words, id=f"{name(path)}: {words.strip()}")


@pytest.mark.parametrize("words", [*commands()])
def test_a_command_parses(words, monkeypatch, capsys):
    parsed = []
    for name, command in entry.COMMANDS.items():
        run = functools.wraps(command.run)(lambda args: parsed.append(args))
        monkeypatch.setitem(entry.COMMANDS, name, dataclasses.replace(command, run=run))
    assert cli.main(shlex.split(words, comments=True)) == 0, capsys.readouterr().err
    assert len(parsed) == 1


def test_every_command_is_in_the_reference():
    page = (ROOT / "docs" / "reference" / "command-line.md").read_text()
    for command in entry.COMMANDS:
        assert f"`jaxq {command}" in page


def test_every_public_name_is_in_the_reference():
    pages = "".join(path.read_text() for path in (ROOT / "docs" / "reference").glob("*.md"))
    listed = set(re.findall(r"^::: jaxq\.(\w+)$", pages, re.MULTILINE))
    assert listed == set(jaxq.__all__)


def test_every_recipe_has_a_row():
    page = (ROOT / "docs" / "how-to" / "recipes.md").read_text()
    from jaxq.agents import ALGORITHMS

    assert {recipe for recipe in ALGORITHMS if f"`{recipe}`" not in page} == set()


@pytest.mark.parametrize("path", PAGES, ids=name)
def test_links_lead_to_files(path):
    text = FENCE.sub("", path.read_text())
    targets = re.findall(r"\]\(([^)]+)\)|^\[[^\]]+\]: (\S+)$", text, re.MULTILINE)
    for target in (one or other for one, other in targets):
        if not target.startswith(("http", "#")):
            assert (path.parent / target.partition("#")[0]).exists(), target


@pytest.mark.parametrize("path", PAGES, ids=name)
def test_lines_are_short(path):
    assert [line for line in path.read_text().splitlines() if len(line) > 120] == []


def test_the_readme_is_one_page():
    assert len((ROOT / "README.md").read_text().splitlines()) <= 150


def test_figures_of_the_readme_stand_in_the_results():
    text = (ROOT / "README.md").read_text()
    links = dict(re.findall(r"^\[(\w+)\]: (benchmarks/results/\S+)$", text, re.MULTILINE))
    rows = re.findall(r"^\| \[[^\]]+\]\[(\w+)\].*$", text, re.MULTILINE)
    assert len(rows) >= 5
    for row in re.finditer(r"^\| \[[^\]]+\]\[(\w+)\].*$", text, re.MULTILINE):
        result = (ROOT / links[row[1]]).read_text()
        for figure in re.findall(r"\*\*([\d.,]+)\*\*", row[0]):
            assert re.search(rf"(?<![\d.,]){re.escape(figure)}(?![\d]|[.,]\d)", result), (figure, row[1])


@pytest.mark.parametrize("name", ["training.svg", "lesson.gif"])
def test_pictures_are_small(name):
    assert (ROOT / "docs" / name).stat().st_size < 2_000_000


def test_the_version_is_told_in_one_place():
    assert f'__version__ = "{jaxq.__version__}"' in (ROOT / "jaxq" / "__init__.py").read_text()
    assert not re.search(r"^version = \"", (ROOT / "pyproject.toml").read_text(), re.MULTILINE)
