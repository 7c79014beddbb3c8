"""The page of a run: its numbers, and how it behaves in a real browser."""

import base64
import json
import re
import shutil

import numpy as np
import pytest
import worlds

import jaxq
from jaxq.cli import main
from jaxq.experiment.snapshots import NAME
from jaxq.view import run_data, view_page
from jaxq.view.episodes import Episodes
from jaxq.view.tables import notes_on_states

NONE = "\N{EN DASH}"


def trained(path, *arguments, **keywords):
    jaxq.Experiment(jaxq.configure(*arguments, **keywords), path).run()
    return path


@pytest.fixture(scope="module")
def grid_run(tmp_path_factory):
    path = tmp_path_factory.mktemp("view") / "grid"
    settings = {"agents": 4, "steps": 8_000, "segments": 4, "sweep": {"discount": [0.9, 0.99]}}
    return trained(path, "FrozenLake-v1", "q_learning", **settings)


@pytest.fixture(scope="module")
def catch_run(tmp_path_factory):
    path = tmp_path_factory.mktemp("view") / "catch"
    keywords = {"hidden_sizes": (8,), "batch_size": 8, "learning_starts": 64, "buffer_size": 500}
    settings = {"agents": 14, "steps": 600, "segments": 2, "keywords": keywords}
    return trained(path, "Catch-bsuite", "dqn", **settings)


@pytest.fixture(scope="module")
def many(tmp_path_factory):
    path = tmp_path_factory.mktemp("view") / "many"
    settings = {"agents": 40, "steps": 1_000, "segments": 5}
    return run_data(trained(path, "FrozenLake-v1", "q_learning", **settings))


@pytest.fixture(scope="module")
def maze_run(tmp_path_factory):
    path = tmp_path_factory.mktemp("view") / "maze"
    words = "train worlds:maze --algorithm q_learning --agents 2 --steps 4000 --segments 2"
    assert main([*words.split(), "--out", str(path)]) == 0
    return path


@pytest.fixture(scope="module")
def maze(maze_run):
    return run_data(maze_run, trust_imports=True)


@pytest.fixture(scope="module")
def grid(grid_run):
    return run_data(grid_run)


@pytest.fixture(scope="module")
def catch(catch_run):
    return run_data(catch_run)


def episodes(**changes):
    """Two steps of two episodes: the first ends, the second goes on."""
    fields = {
        "observation": np.zeros((2, 2, 1)),
        "action": np.array([[0, 1], [1, 0]]),
        "reward": np.array([[1.0, 2.0], [3.0, 4.0]]),
        "q": np.array([[[5.0, 0.0], [0.0, 6.0]], [[1.0, 2.0], [7.0, 0.0]]]),
        "terminated": np.array([[False, False], [True, False]]),
        "truncated": np.zeros((2, 2), bool),
        "played": np.ones((2, 2), bool),
    }
    return Episodes(**(fields | changes))


def test_returns_that_followed_by_hand():
    # 1 + 0.5 * 3, and 3; what follows an episode without an end is not known.
    assert np.array_equal(
        episodes().returns_that_followed(0.5), [[2.5, np.nan], [3.0, np.nan]], equal_nan=True
    )


def test_td_errors_by_hand():
    # 1 + 0.5 * 2 - 5 and 3 - 2; 2 + 0.5 * 7 - 6, and the last value is not known.
    expected = [[-3.0, -0.5], [1.0, np.nan]]
    assert np.array_equal(episodes().td_errors(0.5), expected, equal_nan=True)
    cut = episodes(truncated=np.array([[False, True], [False, False]]))
    assert np.isnan(cut.td_errors(0.5)[0, 1])


def test_values_of_a_grid_are_the_agents_and_the_exact_ones(grid, grid_run):
    table = grid["table"]
    assert table["world"]["cells"] == ["S...", ".C.C", "...C", "C..G"]
    assert table["world"]["actions"] == ["up", "right", "down", "left"]
    # gymnasium's lake counts left, down, right, up.
    order = [3, 2, 1, 0]
    assert [arrow["column"] for arrow in table["world"]["arrows"]] == order
    best = grid["ranked"][0]
    agent = jaxq.load(grid_run, which=best)
    np.testing.assert_allclose(
        table["agents"][str(best)], agent.q_values(np.arange(16))[:, order], rtol=1e-4, atol=1e-9
    )
    exact = jaxq.value_iteration(agent.env, discount=float(agent.hparams.discount))
    np.testing.assert_allclose(table["exact"][str(best)], exact[:, order], rtol=1e-4, atol=1e-9)


def test_what_is_not_legal_has_no_value(maze):
    table = maze["table"]
    assert table["world"]["actions"] == ["up", "right", "down", "left"]
    legal = worlds.maze().legal[:, [arrow["column"] for arrow in table["world"]["arrows"]]]
    assert legal[0].tolist() == [False, True, True, False]
    for agent in map(str, maze["ranked"]):
        for values in (table["agents"][agent], table["exact"][agent]):
            assert [[value is not None for value in row] for row in values] == legal.tolist()
        # Of the start, right is better than down, which leads away from the goal.
        assert max(value for value in table["agents"][agent][0] if value is not None) < 0


def test_agents_are_ranked_and_their_leaves_told(grid):
    scores = [grid["scores"][agent] for agent in grid["ranked"]]
    assert scores == sorted(scores, reverse=True)
    assert sorted(set(grid["leaves"]["discount"])) == [0.9, 0.99]


def test_of_many_agents_some_are_played(catch):
    assert len(catch["scores"]) == 14
    assert len(catch["agents"]) == 12
    best, worst = catch["ranked"][0], catch["ranked"][-1]
    assert catch["scores"][best] == max(catch["scores"])
    assert catch["scores"][worst] == min(catch["scores"])
    episode = catch["agents"][str(best)]
    assert len(episode["q"]) == len(episode["action"]) == 9  # Catch takes nine steps
    assert episode["frames"]["images"][0].startswith("data:image/webp;base64,")
    for q, action in zip(episode["q"], episode["action"], strict=True):
        assert q[action] == max(q)


def test_the_replay_is_summed_up(catch):
    replay = catch["replays"][str(catch["ranked"][0])]
    assert replay["filled"] <= replay["capacity"] == 500
    assert sum(replay["actions"]) == replay["filled"]
    assert replay["terminated"] + replay["cut"] == pytest.approx(replay["filled"] / 9, abs=8)
    assert set(replay["rewards"]) <= {-1.0, 0.0, 1.0}


def test_a_run_without_a_checkpoint_shows_its_curves(grid_run, tmp_path):
    path = tmp_path / "run"
    shutil.copytree(grid_run, path)
    shutil.rmtree(path / "checkpoints")
    (path / "report" / "evaluation.json").unlink()
    data = run_data(path)
    assert data["agents"] == {}
    assert len(data["curves"]["steps"]) == 4
    assert any("checkpoint" in note for note in data["notes"])
    assert "still training" in view_page(data)


def without_drawing():
    """Two states, as arrays."""
    return jaxq.envs.from_table(np.ones((2, 3, 2)) / 2, rewards=np.eye(2, 3), name="pair")


@pytest.mark.parametrize(
    ("env", "told"),
    [
        (lambda: jaxq.envs.make("FrozenLake-v1"), []),
        (lambda: jaxq.envs.make("Cliff-grid"), []),
        (lambda: jaxq.envs.make("WindyGrid-grid"), []),
        (without_drawing, ["No grid to draw: the values of all states are listed."]),
        (
            lambda: jaxq.envs.from_map(["S" + "." * 599, "." * 599 + "G"]),
            ["1,200 states are too many to list, more than 600: values are those along episodes."],
        ),
    ],
)
def test_what_is_not_shown_of_states_is_told(env, told):
    assert notes_on_states(jaxq.Trainer(env(), jaxq.q_learning())) == told


def test_snapshots_are_those_of_the_run(grid, grid_run):
    kept = grid["table"]["snapshots"]
    assert kept["steps"] == [0, 2_000, 4_000, 6_000, 8_000]
    assert sorted(kept["agents"], key=int) == [str(agent) for agent in sorted(grid["ranked"])]
    for agent, rows in kept["agents"].items():
        q = np.frombuffer(base64.b64decode(rows["q"]), "<f4").reshape(5, 16, 4)
        assert not q[0].any()
        np.testing.assert_allclose(q[-1], grid["table"]["agents"][agent], rtol=1e-4, atol=1e-9)
        visits = np.frombuffer(base64.b64decode(rows["visits"]), "<f4").reshape(5, 16)
        assert visits.sum(axis=1).tolist() == kept["steps"]
    assert grid["table"]["world"]["entering"]["15"] == 1.0
    assert grid["table"]["world"]["entering"]["5"] == 0.0


def test_snapshots_of_what_is_not_legal_are_empty(maze):
    rows = maze["table"]["snapshots"]["agents"]["0"]
    q = np.frombuffer(base64.b64decode(rows["q"]), "<f4").reshape(3, 6, 4)
    legal = worlds.maze().legal[:, [arrow["column"] for arrow in maze["table"]["world"]["arrows"]]]
    assert (np.isfinite(q) == legal).all()


def test_snapshots_that_are_damaged_are_told(grid_run, tmp_path):
    path = tmp_path / "run"
    shutil.copytree(grid_run, path)
    (path / NAME).write_bytes(b"nothing")
    data = run_data(path)
    assert data["table"]["snapshots"] is None
    assert any("holds no snapshots of this run" in note for note in data["notes"])


def test_agents_with_snapshots_are_among_those_shown(many):
    assert len(many["scores"]) == 40
    kept = [0, 13, 26, 39]
    assert sorted(map(int, many["table"]["snapshots"]["agents"])) == kept
    assert {*kept} <= {*many["ranked"]}
    assert 12 <= len(many["ranked"]) <= 16
    scores = [many["scores"][agent] for agent in many["ranked"]]
    assert scores == sorted(scores, reverse=True)


def test_states_that_cannot_be_counted_are_told(catch, grid):
    assert catch["table"] is None
    assert catch["notes"][-1].startswith("States that cannot be counted are not listed")
    assert not any("states" in note.lower() for note in grid["notes"])


@pytest.mark.parametrize("run", ["grid", "catch"])
def test_the_page_is_small_and_asks_for_nothing(run, request):
    html = view_page(request.getfixturevalue(run))
    assert len(html) < 6e6
    assert "default-src 'none'" in html


def test_names_with_html_are_text(grid):
    name = "</script><img src=x onerror=alert(1)>"
    page = view_page(grid | {"name": name, "notes": [name], "environment": name}, title=name)
    assert "<img src=x" not in page


def test_choosing_an_agent_changes_what_is_shown(opened, grid):
    page = opened(view_page(grid))
    worst = grid["ranked"][-1]
    before = page.inner_text("#episode")
    page.select_option("#agent", str(worst))
    assert f"Agent {worst}" in page.inner_text("#population .status")
    assert page.inner_text("#episode") != before
    page.click(f'[data-agent="{grid["ranked"][0]}"]')
    assert page.inner_text("#episode") == before


def test_training_is_slid_over_and_played(opened, grid):
    page = opened(view_page(grid))
    status, first = "#training .status", "#training .grid .cell >> nth=0 >> text >> nth=0"
    assert "after 8,000 env steps" in page.inner_text(status)
    last = page.text_content(first)
    page.focus("#snapshot")
    page.keyboard.press("Home")
    assert "after 0 env steps" in page.inner_text(status)
    assert "11 states not updated yet" in page.inner_text(status)
    assert page.text_content(first) == ".00"
    page.select_option('[aria-label="Speed of training"]', "4")
    page.click("#training >> text=Play")
    page.wait_for_selector(f'{status}:has-text("after 8,000 env steps")')
    assert page.text_content(first) == last
    page.click("#training .cell >> nth=0")
    assert re.search(r"updated [\d,]+ times", page.inner_text("#training .gridbox .readout"))


def test_agents_without_snapshots_show_their_last_table(opened, many):
    page = opened(view_page(many))
    kept = many["table"]["snapshots"]["agents"]
    without = next(agent for agent in many["ranked"] if str(agent) not in kept)
    page.select_option("#agent", str(without))
    assert "No snapshots were kept of this agent" in page.inner_text("#training .note")
    assert page.locator("#snapshot").count() == 0
    page.click("#training >> text=agent 26")
    assert "Agent 26" in page.inner_text("#population .status")
    assert page.evaluate("document.activeElement.id") == "snapshot"


def test_a_run_without_snapshots_shows_its_last_table(opened, grid):
    page = opened(view_page(grid | {"table": grid["table"] | {"snapshots": None}}))
    assert "kept no snapshots while it trained" in page.inner_text("#training .note")
    assert "after 8,000 env steps" in page.inner_text("#training .status")
    assert page.locator("#training .grid").count() == 1


def test_the_episode_is_stepped_by_keyboard(opened, catch):
    page = opened(view_page(catch))
    page.focus("#step")
    page.keyboard.press("End")
    assert "the episode ends here" in page.inner_text("#episode .status")
    page.keyboard.press("ArrowLeft")
    assert "step 7 of 8" in page.inner_text("#episode .status")
    assert page.get_attribute("#episode img", "alt") == "What the agent sees at step 7"
    page.click("#episode >> text=Play")
    page.wait_for_selector('#episode .status:has-text("the episode ends here")')


def test_the_heat_map_is_sorted(opened, grid):
    page = opened(view_page(grid))
    page.click("#states >> text=best")
    shown = [float(text) for text in page.locator("#states td:nth-child(6)").all_inner_texts()]
    assert shown == sorted(shown, reverse=True)
    assert page.get_attribute("#states th:nth-child(6)", "aria-sort") == "descending"


def test_what_is_not_legal_has_no_arrow_and_is_not_the_best(opened, maze):
    page = opened(view_page(maze))
    agent = str(maze["ranked"][0])
    for place, values in (("states", "exact"), ("episode", "agents")):
        # The wall and the goal have no arrows anyway.
        illegal = sum(row.count(None) for row in maze["table"][values][agent][:4])
        assert page.locator(f"#{place} .grid text:text-is('{NONE}')").count() == illegal
        assert page.locator(f"#{place} .grid path[fill=none]").count() == illegal
        assert page.locator(f"#{place} .grid path.greedy").count() == 4
        assert page.locator(f"#{place} .grid path.greedy[fill=none]").count() == 0
    start = page.locator("#states tbody tr >> nth=0").locator("td").all_inner_texts()
    assert [text == NONE for text in start] == [True, False, False, True, False, False]
    assert start[4] == start[1]  # the best is to go right
    page.click("#states >> text=up")
    up = page.locator("#states td:nth-child(2)").all_inner_texts()
    assert [text == NONE for text in up] == [False] * 3 + [True] * 3
    assert float(page.inner_text("#states .status strong")) < 0.5


def test_names_with_html_are_text_in_the_browser(opened, catch):
    name = "<b>bold</b>"
    page = opened(view_page(catch | {"name": name, "notes": [name]}))
    assert page.inner_text("#notes") == name
    assert page.locator("#notes b").count() == 0


@pytest.mark.parametrize("run", ["grid", "catch"])
@pytest.mark.parametrize("width", [375, 768, 1280])
def test_nothing_is_wider_than_the_window(opened, request, run, width):
    page = opened(view_page(request.getfixturevalue(run)))
    page.set_viewport_size({"width": width, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth") == width


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("run", ["grid", "catch"])
def test_axe_finds_no_violation(opened, request, run, scheme, violations):
    page = opened(view_page(request.getfixturevalue(run)))
    assert not violations(page, scheme)


def test_the_command_line_writes_the_page(catch_run, tmp_path, capsys):
    file = tmp_path / "page.html"
    assert main(["view", str(catch_run), "--out", str(file), "--no-open"]) == 0
    assert "written to" in capsys.readouterr().out
    data = file.read_text().split('id="data">')[1].split("</script>")[0]
    assert json.loads(data)["environment"] == "Catch-bsuite"


def test_of_a_sweep_the_groups_are_named(tmp_path, capsys):
    sweep = tmp_path / "a sweep"
    words = "train FrozenLake-v1 --agents 2 --steps 200 --sweep algorithm=q_learning,sarsa"
    assert main([*words.split(), "--out", str(sweep)]) == 0
    capsys.readouterr()
    assert main(["view", str(sweep), "--no-open"]) == 2
    error = capsys.readouterr().err
    assert "are algorithm=q_learning, algorithm=sarsa;" in error
    assert f"jaxq view '{sweep}/algorithm=q_learning'" in error
    assert error.count("\n") == 1
    shutil.rmtree(sweep / "algorithm=q_learning")
    with pytest.raises(jaxq.InputError, match=r"with results are algorithm=sarsa;"):
        run_data(sweep)
    shutil.rmtree(sweep / "algorithm=sarsa")
    with pytest.raises(jaxq.InputError, match="holds no results yet, of 2 groups"):
        run_data(sweep)


@pytest.mark.parametrize(
    ("words", "told"),
    [(["{run}", "--lesson"], "a run directory or --lesson"), (["{run}/none"], "is no directory")],
)
def test_bad_input_is_one_line(words, told, catch_run, capsys):
    assert main(["view", *(word.format(run=catch_run) for word in words)]) == 2
    error = capsys.readouterr().err
    assert told in error
    assert error.count("\n") == 1
