"""Reports on a run that was really made, and comparisons with copies of it."""

import io
import json
import re
import shutil
from collections import Counter
from html.parser import HTMLParser
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image
from rich.console import Console

from jaxq import cli
from jaxq.configuration import configure
from jaxq.experiment import Experiment
from jaxq.experiment.ranking import outcome
from jaxq.reports import page, read_run
from jaxq.reports.curves import SHORT_FIRST

SWEEP = {"learning_rate": [0.1, 0.9], "discount": [0.9, 0.99]}


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    config = configure("FrozenLake-v1", "q_learning", agents=4, steps=20_000, sweep=SWEEP)
    out = tmp_path_factory.mktemp("runs") / "original"
    Experiment(config, out).run(report=False)
    return out


@pytest.fixture
def run(original, tmp_path):
    """A copy to read and to change."""
    return shutil.copytree(original, tmp_path / "run")


def change(file, **changes):
    file.write_text(json.dumps({**json.loads(file.read_text()), **changes}))


def with_scores(run, name, scores):
    """Copy a run, and give every agent one episode."""
    copy = shutil.copytree(run, run.parent / name)
    change(copy / "report" / "evaluation.json", returns=[[score] for score in scores])
    return copy


def written(directory):
    return (directory / "index.html").read_text(encoding="utf-8")


class Page(HTMLParser):
    """What is on a page: its tags, its texts, and where its images come from."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.texts, self.sources = Counter(), [], []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.tags[tag] += 1
        self.sources += [value for name, value in attributes if name in ("src", "href", "srcset")]
        assert not [name for name, _ in attributes if name.startswith("on")]

    def handle_data(self, data):
        self.texts.append(data.strip())


@pytest.fixture(scope="module")
def small():
    return configure("FrozenLake-v1", "q_learning", agents=2, steps=1_000, segments=2)


def test_a_run_draws_its_report_at_its_end(small, tmp_path):
    said = io.StringIO()
    Experiment(small, tmp_path / "run").run(Console(file=said, width=200))
    assert "q_learning on FrozenLake-v1" in written(tmp_path / "run" / "report")
    lines = said.getvalue().splitlines()
    assert lines.index("evaluating") < lines.index("drawing the report")
    assert f"report: {tmp_path / 'run' / 'report' / 'index.html'}" in lines


def test_a_run_without_a_report_is_asked_for_by_a_word(tmp_path, capsys):
    words = "train FrozenLake-v1 --algorithm q_learning --agents 2 --steps 1000 --no-report --out"
    assert cli.main([*words.split(), str(tmp_path / "run")]) == 0
    assert "drawing" not in capsys.readouterr().out
    assert [file.name for file in (tmp_path / "run" / "report").iterdir()] == ["evaluation.json"]


def test_what_fails_while_reporting_loses_nothing(small, tmp_path, monkeypatch):
    def fail(*_):
        raise RuntimeError("no ink")

    monkeypatch.setattr("jaxq.reports.write_report", fail)
    said = io.StringIO()
    returns = Experiment(small, tmp_path / "run").run(Console(file=said, width=200))
    assert "warning: the report was not drawn (no ink)" in said.getvalue()
    evaluation = json.loads((tmp_path / "run" / "report" / "evaluation.json").read_text())
    assert np.array_equal(evaluation["returns"], returns)


def test_a_sweep_draws_a_report_on_all_groups(tmp_path):
    words = "train FrozenLake-v1 --agents 4 --steps 1000 --sweep algorithm=q_learning,sarsa --out"
    assert cli.main([*words.split(), str(tmp_path / "sweep")]) == 0
    assert "2 runs" in Page(written(tmp_path / "sweep" / "report")).texts
    for group in ("algorithm=q_learning", "algorithm=sarsa"):
        assert (tmp_path / "sweep" / group / "report" / "index.html").exists()


FIGURES = ("learning_curves", "performance_profiles", "throughput", "sweep", "parallel")


def test_a_report_on_one_run(run, capsys):
    assert cli.main(["report", str(run)]) == 0
    assert str(run / "report" / "index.html") in capsys.readouterr().out
    found = Page(written(run / "report"))
    assert all(source.startswith("data:image/gif;base64,") for source in found.sources)
    evaluation = json.loads((run / "report" / "evaluation.json").read_text())
    scores = np.mean(evaluation["returns"], axis=1)
    best = found.texts.index("agent")
    assert found.texts[best + 1] == str(np.argmax(scores))
    swept = read_run(run).config.combinations[np.argmax(scores)]
    assert found.texts[found.texts.index("discount (swept)") + 1] == f"{swept['discount']:g}"
    assert "No agent diverged." in found.texts
    # A second time it is written anew.
    assert cli.main(["report", str(run)]) == 0


def test_a_sweep_leads_with_its_combinations_and_says_what_came_out(run):
    assert cli.main(["report", str(run)]) == 0
    texts = Page(written(run / "report")).texts
    ranking = read_run(run).ranking
    assert outcome(ranking) in texts
    assert texts.index(outcome(ranking)) < texts.index("Scores") < texts.index("Learning curves")
    place = texts.index("IQM")
    for row in ranking:
        place = texts.index(f"{row.iqm:.4g}", place)
    # Nothing is said of all combinations together.
    assert f"{np.median(read_run(run).scores):.4g} [" not in written(run / "report")


def test_a_learning_curve_says_why_it_may_start_high(run):
    assert cli.main(["report", str(run)]) == 0
    assert SHORT_FIRST in Page(written(run / "report")).texts


def test_only_settings_that_apply_are_listed(run):
    change(run / "config.json", settings={"rule": "greedy", "double": False, "planning_steps": 0})
    assert cli.main(["report", str(run)]) == 0
    text = written(run / "report")
    agent = text[text.index("Best agent") : text.index("Divergences")]
    assert "rule" in agent
    assert not {"double", "planning_steps"} & {*re.findall(r"\w+", agent)}


def test_figures_are_svg_with_text_in_the_page_and_beside_it(run):
    assert cli.main(["report", str(run)]) == 0
    found = Page(written(run / "report"))
    assert found.tags["svg"] >= len(FIGURES)
    assert found.tags["img"] <= 1  # the episode
    for name in FIGURES:
        drawn = ElementTree.parse(run / "report" / f"{name}.svg").getroot()
        assert drawn.tag == "{http://www.w3.org/2000/svg}svg"
        assert "var(" not in (run / "report" / f"{name}.svg").read_text()
    assert (run / "report" / "index.html").stat().st_size < 2_000_000


def test_only_the_script_and_the_style_of_the_page_may_run(run):
    assert cli.main(["report", str(run)]) == 0
    text = written(run / "report")
    (script,) = re.findall("<script>(.*?)</script>", text, re.DOTALL)
    (style,) = re.findall("<style>(.*?)</style>", text, re.DOTALL)
    policy = re.search('Content-Security-Policy" content="(.*?)"', text)[1]
    assert policy.startswith("default-src 'none'; ")
    assert f"script-src {page.digest(script)};" in policy
    assert f"style-src {page.digest(style)};" in policy
    assert "unsafe" not in policy


def test_agents_are_filtered_on_the_axes(run, opened):
    assert cli.main(["report", str(run)]) == 0
    shown = opened(written(run / "report"))
    lines = shown.locator("svg.parallel polyline")
    assert lines.count() == 4
    hold = shown.locator('svg.parallel .hold[data-axis="0"]')
    hold.scroll_into_view_if_needed()
    box = hold.bounding_box()
    middle = box["x"] + box["width"] / 2
    shown.mouse.move(middle, box["y"] + 1)
    shown.mouse.down()
    shown.mouse.move(middle, box["y"] + box["height"] / 3, steps=3)
    shown.mouse.up()
    assert shown.locator("svg.parallel polyline.out").count() == 2
    assert "2 of 4 agents" in shown.locator(".count").inner_text()
    hold.click()
    assert shown.locator("svg.parallel polyline.out").count() == 0


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_of_figures_follows_the_theme(run, opened, scheme):
    assert cli.main(["report", str(run)]) == 0
    shown = opened(written(run / "report"))
    shown.emulate_media(color_scheme=scheme)

    def colors():
        return [
            shown.locator(what).first.evaluate(f"element => getComputedStyle(element).{which}")
            for what, which in (("svg.figure text", "fill"), ("body", "backgroundColor"))
        ]

    before = colors()
    shown.locator("#theme").click()
    assert all(old != new for old, new in zip(before, colors(), strict=True))
    shown.set_viewport_size({"width": 390, "height": 800})
    assert shown.evaluate("document.documentElement.scrollWidth") == 390


def test_a_report_on_several_runs(run, capsys):
    other = with_scores(run, "other", [1000, 1001, 1002, 1003])
    assert cli.main(["report", str(run), str(other)]) == 2
    assert "--out" in capsys.readouterr().err
    out = run.parent / "both"
    words = ["report", str(run), str(other), "--out", str(out)]
    assert cli.main(words) == 0
    texts = Page(written(out)).texts
    place = texts.index("other", texts.index("P(better)"))
    assert texts[place + 1 : place + 4] == ["run", "1", "[1, 1] *"]
    assert (out / "improvement.svg").exists()
    assert {"Run: run", "Run: other"} <= set(texts)
    assert cli.main(words) == 2
    assert "not empty" in capsys.readouterr().err


@pytest.mark.parametrize(("names", "image"), [(1, True), (0, False)])
def test_a_sweep_of_one_name_and_of_none(run, names, image):
    change(run / "config.json", sweep={"discount": [0.9, 0.99]} if names else {})
    assert cli.main(["report", str(run)]) == 0
    assert (run / "report" / "sweep.svg").exists() == image
    assert ("Scores over what varies between agents." in Page(written(run / "report")).texts) == image


def test_comparing(run, capsys):
    low, tied = with_scores(run, "low", [1, 2, 3, 4]), with_scores(run, "tied", [2, 2, 3, None])
    high = with_scores(run, "high", [11, 12, 13, 14])
    paths = [str(path) for path in (low, tied, high)]
    assert cli.main(["compare", *paths, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [entry["name"] for entry in found["runs"]] == ["low", "tied", "high"]
    assert [entry["agents"] for entry in found["runs"]] == [4, 3, 4]
    assert found["runs"][0]["iqm"] == 2.5
    tie, gain = found["pairs"]
    # Of 2, 2 and 3 over 1, 2, 3 and 4: 1.5 + 1.5 + 2.5 of 12 pairs.
    assert tie["probability_of_improvement"] == pytest.approx(5.5 / 12)
    assert not tie["probability_significant"]
    assert (gain["run"], gain["over"]) == ("high", "low")
    assert gain["probability_of_improvement"] == 1
    assert gain["probability_interval"] == [1, 1]
    assert gain["iqm_difference"] == 10
    assert gain["difference_interval"][0] < 10 < gain["difference_interval"][1]
    assert gain["difference_significant"]
    assert gain["p_value"] == pytest.approx(2 / 70)  # two of the orders of eight scores in two fours
    assert gain["p_value_holm"] == pytest.approx(4 / 70)
    assert "1 of 4 agents" in " ".join(found["notes"])
    assert cli.main(["compare", *paths, "--all-pairs"]) == 0
    shown = capsys.readouterr().out
    assert all(pair in shown for pair in ("2 over 1", "3 over 1", "3 over 2"))


def test_runs_on_different_environments_are_no_fair_comparison(run, capsys):
    other = with_scores(run, "other", [1, 2, 3, 4])
    change(other / "config.json", environment="Acrobot-v1")
    assert cli.main(["compare", str(run), str(other)]) == 0
    assert "different environments" in capsys.readouterr().out


def test_unequal_steps_are_no_fair_comparison(run, capsys):
    assert cli.main(["compare", str(run), str(with_scores(run, "same", [1, 2, 3, 4]))]) == 0
    assert "different numbers" not in capsys.readouterr().out
    other = with_scores(run, "shorter", [1, 2, 3, 4])
    lines = (other / "metrics.jsonl").read_text().splitlines()
    (other / "metrics.jsonl").write_text("\n".join(lines[:10]) + "\n")
    steps = json.loads(lines[9])["steps"]
    assert cli.main(["compare", str(run), str(other), "--json"]) == 0
    (note,) = [note for note in json.loads(capsys.readouterr().out)["notes"] if "different" in note]
    assert f"run 20,000, shorter {steps:,}" in note


def test_an_unfinished_run_is_reported_as_far_as_it_is(run, capsys):
    (run / "report" / "evaluation.json").unlink()
    metrics = run / "metrics.jsonl"
    lines = metrics.read_text().splitlines()
    metrics.write_text("\n".join(lines[:-1]) + "\n" + lines[-1][:40])
    assert cli.main(["report", str(run)]) == 0
    output = capsys.readouterr().out
    assert "not finished" in output
    assert "cut off" in output
    assert "scores are of return while training." in written(run / "report")
    rows = [json.loads(line) for line in lines[:-1]]
    found = read_run(run)
    assert found.history.steps[-1] == rows[-1]["steps"]
    for agent, score in enumerate(found.scores):
        seen = [row["agents"]["episode_return"][agent] for row in rows]
        assert score == [value for value in seen if value is not None][-1]


def test_a_run_that_was_resumed_goes_on_from_its_checkpoint(run):
    metrics = run / "metrics.jsonl"
    lines = metrics.read_text().splitlines()
    metrics.write_text("\n".join([*lines, *lines[20:]]) + "\n")
    steps = read_run(run).history.steps
    assert steps.tolist() == [json.loads(line)["steps"] for line in lines]


def test_agents_that_diverged_are_named(run):
    change(run / "report" / "evaluation.json", diverged=[2])
    assert read_run(run).diverged == [2]
    assert cli.main(["report", str(run)]) == 0
    assert any(text.startswith("1 of 4 agents") for text in Page(written(run / "report")).texts)


def test_losses_that_are_not_finite_tell_of_divergence_too(run):
    lines = (run / "metrics.jsonl").read_text().splitlines()
    row = json.loads(lines[-1])
    row["agents"]["loss"][1] = None
    (run / "metrics.jsonl").write_text("\n".join([*lines[:-1], json.dumps(row)]))
    assert read_run(run).diverged == [1]


def test_agents_without_a_score_are_left_out_and_counted(run, capsys):
    nothing = with_scores(run, "nothing", [None] * 4)
    some = with_scores(run, "some", [1.0, None, 3.0, None])
    assert cli.main(["report", str(nothing)]) == 0
    assert "No agent has a score." in Page(written(nothing / "report")).texts
    assert cli.main(["report", str(some)]) == 0
    left_out = "2 of 4 episodes given up; 2 of 4 agents without a score, left out of the IQM."
    few = "The 95% interval of 2 agents covers the true IQM less often than it says"
    assert left_out in written(some / "report")
    assert few in written(some / "report")
    capsys.readouterr()
    assert cli.main(["compare", str(nothing), str(some), "--json"]) == 0
    warnings = json.loads(capsys.readouterr().out)["warnings"]
    assert f"some: {left_out}" in warnings
    assert any(few in warning for warning in warnings)


NASTY = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "$\\foo$",
    "_&amp;",
    "[red]\ud800",
)


def test_texts_are_shown_and_never_run(run, capsys):
    other = with_scores(run, "$[bold]_", [1, 2, 3, 4])
    changes = {
        "environment": NASTY[0],
        "algorithm": NASTY[1],
        "sweep": {NASTY[2]: [1.0, 2.0], NASTY[3]: [1.0, 2.0]},
        "settings": {text: text for text in NASTY},
    }
    for path in (run, other):
        change(path / "config.json", **changes)
    for name in NASTY[0], NASTY[4]:
        change(run / "config.json", sweep={name: [1.0, 2.0]})
        assert cli.main(["report", str(run)]) == 0
        assert name.replace("\ud800", "?") in Page(written(run / "report")).texts
    assert cli.main(["report", str(run), str(other), "--out", str(run.parent / "out")]) == 0
    found = Page(written(run.parent / "out"))
    assert found.tags["script"] == 1  # the page's own
    assert not {"bold", "red"} & {*found.tags}
    assert all(source.startswith("data:") for source in found.sources)
    assert {text.replace("\ud800", "?") for text in NASTY} <= set(found.texts)
    assert cli.main(["compare", str(run), str(other)]) == 0
    assert "$[bold]_" in capsys.readouterr().out


def test_what_is_put_on_a_page_is_escaped():
    assert page.table(["<a>"], [["&"]]).count("<a>") == 0
    assert "&lt;a&gt;" in page.page("<a>", "<a>", [page.paragraph("<a>")], [page.note("<a>")])
    assert page.escaped(page.escaped("<a>")) == "&lt;a&gt;"


def test_an_episode_is_shown_if_it_is_a_picture(run):
    path = run / "report" / "episode.gif"
    path.write_bytes(b"<svg>")
    assert cli.main(["report", str(run)]) == 0
    assert "image/gif" not in written(run / "report")
    Image.new("RGB", (2, 2)).save(path)
    assert cli.main(["report", str(run)]) == 0
    assert "data:image/gif;base64," in written(run / "report")


def test_large_episodes_are_left_out_so_that_a_page_stays_small(run):
    path = run / "report" / "episode.gif"
    Image.new("RGB", (2, 2)).save(path)
    path.write_bytes(path.read_bytes() + bytes(1_500_000))
    assert cli.main(["report", str(run)]) == 0
    assert "image/gif" not in written(run / "report")
    assert (run / "report" / "index.html").stat().st_size < 2_000_000


def test_of_a_configuration_that_is_long_the_beginning_is_shown(run):
    change(run / "config.json", sampled={"learning_rate": [0.123456] * 5_000})
    assert cli.main(["report", str(run), "--no-watch"]) == 0
    assert "characters)" in written(run / "report")
    assert written(run / "report").count("0.123456") < 200


def replace(name, text):
    def spoil(run):
        (run / name).write_bytes(text if isinstance(text, bytes) else text.encode())

    return spoil


def config(**changes):
    return lambda run: change(run / "config.json", **changes)


def evaluation(**changes):
    return lambda run: change(run / "report" / "evaluation.json", **changes)


def row(**changes):
    def spoil(run):
        first, *rest = (run / "metrics.jsonl").read_text().splitlines()
        changed = json.dumps({**json.loads(first), **changes})
        (run / "metrics.jsonl").write_text("\n".join([changed, *rest]))

    return spoil


def remove(*names):
    return lambda run: [(run / name).unlink() for name in names]


SPOILED = {
    "no directory": (shutil.rmtree, "no directory"),
    "no configuration": (remove("config.json"), "no run directory"),
    "nothing yet": (remove("metrics.jsonl", "report/evaluation.json"), "no results yet"),
    "empty configuration": (replace("config.json", ""), "config.json: no JSON"),
    "no text": (replace("config.json", b"\xff\xfe\x00"), "config.json is no text"),
    "deep": (replace("config.json", "[" * 100_000), "config.json: no JSON"),
    "a list": (replace("config.json", "[]"), "names with values, got []"),
    "no agents": (config(agents=0), "agents must be at least 1"),
    "agents' text": (config(agents="four"), "agents must be a whole number"),
    "many agents": (config(agents=8), "numbers"),
    "steps": (config(steps=None), "steps must be"),
    "environment": (config(environment=["CartPole-v1"]), "environment must be a name"),
    "sweep": (config(sweep=[1, 2]), "names with values"),
    "sweep's values": (config(sweep={"discount": ["<b>"]}), "discount must be a list of numbers"),
    "sweep's nothing": (config(sweep={"discount": []}), "finite numbers"),
    "sweep's size": (config(sweep={"discount": [0.1, 0.2, 0.3]}), "multiple of the 3"),
    "metrics": (replace("metrics.jsonl", "{\n{}\n"), "line 1: no JSON"),
    "metrics' list": (row(agents=[]), "line 1: expected names with values"),
    "metrics' agents": (row(agents={"episode_return": [1.0]}), "list of 4 numbers"),
    "metrics' names": (row(agents={}), "episode_return"),
    "metrics' steps": (row(steps="1"), "[steps, seconds"),
    "metrics' null": (row(steps=None), "steps must be a whole number"),
    "metrics' huge": (row(seconds=10**400), "list of 3 numbers"),
    "evaluation": (replace("report/evaluation.json", "{"), "evaluation.json: no JSON"),
    "evaluation's agents": (evaluation(returns=[[1.0]]), "one list for each"),
    "evaluation's lengths": (evaluation(returns=[[1.0], [1.0], [1.0], []]), "list of 1 numbers"),
    "evaluation's episodes": (evaluation(returns=[[]] * 4), "at least one number"),
    "evaluation's text": (evaluation(returns=[["1"]] * 4), "list of 1 numbers"),
    "evaluation's truth": (evaluation(returns=[[True]] * 4), "list of 1 numbers"),
    "divergence": (evaluation(diverged=[7]), "numbers of agents"),
    "divergence's type": (evaluation(diverged="all"), "list of numbers"),
}


@pytest.mark.parametrize("case", SPOILED)
def test_what_cannot_be_read_is_one_line_and_exit_code_2(run, case, capsys):
    spoil, message = SPOILED[case]
    spoil(run)
    assert cli.main(["report", str(run)]) == 2
    output = capsys.readouterr()
    assert output.out == ""
    (line,) = output.err.splitlines()
    assert message in line
    assert not (run / "report" / "index.html").exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("report", "DIR"),
        ("compare", "two"),
        ("compare {run}", "two"),
        ("report {run} --out /dev/null/x", ""),
    ],
)
def test_words_that_are_missing_or_wrong(run, words, message, capsys):
    assert cli.main(words.format(run=run).split()) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert message in line
