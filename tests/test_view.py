"""The interactive page: its numbers, its text, and how it behaves in a real browser."""

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from jaxq.cli import main
from jaxq.view import train_lesson, view_page

HERE = Path(__file__).parent


def figures(text):
    return [float(figure.replace(",", "")) for figure in re.findall(r"\d(?:[\d.e+]|,(?=\d))*", text)]


@pytest.fixture(scope="module")
def lesson():
    return train_lesson()


@pytest.fixture(scope="module")
def html(lesson):
    return view_page(lesson)


@pytest.fixture
def page(opened, html):
    return opened(html)


def test_numbers_in_the_page_are_the_engines(lesson, tmp_path):
    node = shutil.which("node")
    if node is None and not os.environ.get("CI"):
        pytest.skip("needs node, which this machine lacks")
    (tmp_path / "lesson.json").write_text(json.dumps(lesson))
    done = subprocess.run(
        [node, "--test", HERE / "view.test.mjs", HERE / "view_run.test.mjs"],
        env=os.environ | {"JAXQ_LESSON": str(tmp_path / "lesson.json")},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout


def test_the_lesson_learned_something(lesson):
    away = [
        max(abs(a - b) for a, b in zip(q, lesson["qStar"], strict=True)) for q in lesson["table"]["q"]
    ]
    assert away[0] == 1
    assert away[-1] < 0.2
    assert all(pair["right"] > pair["wrong"] + 1 for pair in lesson["mistakes"])


def test_the_page_is_one_file_that_asks_for_nothing(html):
    assert len(html) < 6e6
    assert "default-src 'none'" in html
    assert not re.search(r"""(src|href)=["']?(https?:|//)|@import|\bfetch\(|XMLHttpRequest""", html)
    script = html.split('<script type="module">')[1]
    assert not re.search(r"^(import|export) ", script, re.MULTILINE)


def test_figures_of_networks_are_those_of_the_results(html):
    results = (HERE.parent / "benchmarks" / "results" / "ablation.md").read_text()
    measured = {
        name: figures(cells)
        for name, cells in re.findall(r"^\| CartPole-v1, [^|]*\| ([^|]*) \|(.*)$", results, re.M)
    }
    table = html.split('<table id="ablation">')[1].split("</table>")[0]
    shown = {
        name.replace("Without", "without"): figures(re.sub("<[^>]*>", " ", cells))
        for name, cells in re.findall(r'<tr><th scope="row">(.*?)</th>(.*)</tr>', table)
    }
    assert list(shown) == ["DQN", "without target network", "without replay", "without both"]
    assert shown == {name: measured[name] for name in shown}
    assert all(len(row) == 9 for row in shown.values())


def test_names_with_html_are_text(lesson):
    name = "</script><img src=x onerror=alert(1)>"
    page = view_page(lesson | {"world": lesson["world"] | {"name": name}}, title=name)
    assert "<img src=x" not in page


def test_the_animation_shows_the_engines_numbers(page, lesson):
    _, _, r, _, _, old, new = next(row for row in lesson["table"]["updates"] if row[4])
    for _ in range(4):
        page.click("#bellman >> text=Forward")
    shown = {
        term: float(page.get_attribute(f'[data-term="{term}"]', "data-value"))
        for term in ("old", "r", "max", "new", "alpha")
    }
    expected = {"old": old, "r": r, "max": 0, "new": new, "alpha": lesson["table"]["alpha"]}
    assert shown == pytest.approx(expected, abs=1e-6)
    page.click("#bellman >> text=Back")
    assert page.inner_text('[data-term="new"]') == "?"


def test_sliders_and_retraining_work(page, lesson):
    page.focus("#snapshot")
    page.keyboard.press("End")
    assert f"{lesson['table']['steps'][-1]:,}" in page.inner_text("#training .status")
    page.keyboard.press("Home")
    assert "1.000" in page.inner_text("#training .status")
    page.focus("#alpha")
    page.keyboard.press("ArrowRight")
    page.click("#lab >> text=1,000 steps")
    assert page.inner_text("#lab-status").startswith("1,000 env steps")
    page.click("#lab >> text=Start over")
    assert page.inner_text("#lab-status").startswith("0 env steps")


def test_the_network_follows_the_state_and_one_update(page):
    before = page.inner_text("#bars")
    page.focus("#deep .cell.free >> nth=0")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    assert page.inner_text("#bars") != before
    page.click("text=Update once")
    assert "values moved with it" in page.inner_text("#effect")
    page.click("#tab-compare")
    assert page.is_visible("#compare")
    assert not page.is_visible("#deep")
    page.keyboard.press("ArrowRight")
    assert page.is_visible("#deep")


def test_the_quiz_explains_and_counts(page):
    for number in range(6):
        page.click(f"#quiz li >> nth={number} >> [data-right]")
    assert page.inner_text("#score").startswith("Score: 6 of 6")
    assert "Yes:" in page.inner_text("#quiz .reply >> nth=0")


@pytest.mark.parametrize("width", [375, 768, 1280])
def test_nothing_is_wider_than_the_window(page, width):
    page.set_viewport_size({"width": width, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth") == width


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_no_violation(page, scheme, violations):
    assert not violations(page, scheme)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ([], "a run directory or --lesson"),
        (["--lesson", "--out", "{tmp}"], "is a file"),
        (["--lesson", "--out", "{tmp}/none/view.html"], "does not exist"),
        (["--lesson", "--seed", "-1"], "seed must be"),
    ],
)
def test_bad_input_is_one_line(words, told, tmp_path, capsys):
    assert main(["view", *(word.format(tmp=tmp_path) for word in words)]) == 2
    error = capsys.readouterr().err
    assert told in error
    assert error.count("\n") == 1
