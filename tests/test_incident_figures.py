"""Figures of the incident benchmark: they are there, small, and of what was kept."""

import json
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "benchmarks" / "results"


@pytest.fixture(scope="module")
def figures():
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(ROOT / "benchmarks")
        import incident_figures
    return incident_figures


@pytest.fixture(scope="module")
def rows():
    return json.loads((RESULTS / "incident.json").read_text())


def test_means_and_intervals_are_those_of_the_table(figures, rows):
    kept, table = figures.Kept(rows), (RESULTS / "incident.md").read_text()
    for name in rows:
        (line,) = re.findall(rf"^\| {re.escape(name)} \|.*$", table, re.MULTILINE)
        cells = [cell.strip() for cell in line.split("|")[3:-1]]
        for column, cell in zip(figures.COLUMNS, cells, strict=True):
            mean, half = kept.mean(name, column)
            assert f"{mean:.2f} ± {half:.2f}" == cell


def test_every_figure_is_drawn_and_kept(figures, rows):
    for name, figure in figures.FIGURES.items():
        assert figure(figures.Kept(rows)).axes
        assert 0 < (RESULTS / f"incident_{name}.png").stat().st_size < 150_000


def test_what_was_not_measured_is_left_out(figures, rows):
    some = figures.Kept({name: rows[name] for name in ("runbook", "dqn")})
    for figure in (figures.recovery, figures.price, figures.violations, figures.budget):
        assert figure(some).axes
