"""Sampled hyperparameters: what each agent draws, and where it shows."""

import json
import shutil
from xml.etree import ElementTree

import numpy as np
import pytest
import scipy.stats

import jaxq
from jaxq import cli
from jaxq.configuration import read_config
from jaxq.experiment.plan import describe, prepare
from jaxq.reports import read_run
from jaxq.tracking.logged import agent_hparams

RATES = "loguniform:1e-3:1"
SAMPLE = {"learning_rate": RATES, "epsilon_end": "uniform:0.1:0.5"}
# With u = numpy.random.default_rng([seed, *name]).random(4): 1e-3 * 1000^u, and 0.1 + 0.4 u.
GOLDEN = {
    "learning_rate": [0.749418216931173, 0.001800846403649897, 0.001592849958481378, 0.0162499878813458],
    "epsilon_end": [0.3870992338795283, 0.3441222183656523, 0.4803152421513122, 0.4986976215493786],
}


def configured(agents=6, sample=None, **others):
    return jaxq.configure(
        "FrozenLake-v1",
        "q_learning",
        agents=agents,
        steps=600,
        segments=6,
        sample=SAMPLE if sample is None else sample,
        **others,
    )


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A run of a sweep and two samples."""
    directory = tmp_path_factory.mktemp("runs") / "run"
    words = (
        "train FrozenLake-v1 --algorithm q_learning --agents 6 --steps 600 --segments 6 "
        "--sweep discount=0.9,0.99 --sample learning_rate=loguniform:1e-3:1 epsilon_end=uniform:0.1:0.5"
    )
    assert cli.main([*words.split(), "--out", str(directory)]) == 0
    return directory


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (RATES, scipy.stats.loguniform(1e-3, 1)),
        ("uniform:0.1:0.5", scipy.stats.uniform(0.1, 0.4)),
    ],
)
def test_draws_have_their_distribution(text, expected):
    drawn = configured(agents=4_000, sample={"learning_rate": text}).varied["learning_rate"]
    assert scipy.stats.kstest(drawn, expected.cdf).pvalue > 0.05


def test_draws_are_those_of_the_seed_and_the_name():
    few, many = configured().varied, configured(agents=60).varied
    for name, values in few.items():
        np.testing.assert_array_equal(values, many[name][:6])
        alone = configured(sample={name: SAMPLE[name]}).varied
        np.testing.assert_array_equal(values, alone[name])
        assert not np.isin(values, configured(seed=1).varied[name]).any()
    # Two leaves of one distribution have values of their own.
    same = configured(sample={"learning_rate": RATES, "epsilon_end": RATES}).varied
    assert not np.isin(same["learning_rate"], same["epsilon_end"]).any()


def test_a_description_holds_every_agent_s_values():
    described = describe(prepare(configured(agents=4, keywords={"discount": 0.9})))
    np.testing.assert_allclose(
        described["sampled"]["learning_rate"], GOLDEN["learning_rate"], rtol=1e-12
    )
    np.testing.assert_allclose(described["sampled"]["epsilon_end"], GOLDEN["epsilon_end"], rtol=1e-12)
    assert described["sample"] == SAMPLE
    assert described["hparams"]["discount"] == 0.9
    assert not {*SAMPLE} & {*described["hparams"]}
    rows = agent_hparams(described)
    assert [row["learning_rate"] for row in rows] == described["sampled"]["learning_rate"]
    assert {row["discount"] for row in rows} == {0.9}


def test_the_agents_train_with_what_they_drew():
    config = configured(sweep={"discount": [0.9, 0.99]})
    hparams = prepare(config).hparams
    for name, values in config.varied.items():
        np.testing.assert_array_equal(getattr(hparams, name), values.astype(np.float32))
    assert config.varied["discount"].tolist() == [0.9] * 3 + [0.99] * 3
    np.testing.assert_array_equal(config.varied["learning_rate"], configured().varied["learning_rate"])


def test_a_run_shows_what_its_best_agent_drew(trained, capsys):
    evaluation = json.loads((trained / "report" / "evaluation.json").read_text())
    best = int(np.argmax(np.mean(evaluation["returns"], axis=1)))
    run = read_run(trained)
    rate = run.config.varied["learning_rate"][best]
    written = json.loads((trained / "config.json").read_text())
    assert rate == written["sampled"]["learning_rate"][best]
    assert cli.main(["evaluate", str(trained)]) == 0
    assert f"agent: {best}, discount=" in capsys.readouterr().out
    assert cli.main(["report", str(trained)]) == 0
    page = (trained / "report" / "index.html").read_text()
    assert f"<td>learning_rate (sampled)</td><td>{rate:g}</td>" in page
    assert (trained / "report" / "parallel.svg").exists()


@pytest.mark.parametrize("names", [["learning_rate"], ["learning_rate", "epsilon_end"]])
def test_scores_are_drawn_over_one_or_two_samples(trained, tmp_path, names):
    run = shutil.copytree(trained, tmp_path / "run")
    sample = {name: SAMPLE[name] for name in names}
    written = {**json.loads((run / "config.json").read_text()), "sweep": {}, "sample": sample}
    (run / "config.json").write_text(json.dumps(written))
    for image in (run / "report").glob("*.svg"):
        image.unlink()
    assert cli.main(["report", str(run)]) == 0
    drawn = ElementTree.parse(run / "report" / "sweep.svg").getroot()
    titles = [title.text for title in drawn.iter("{http://www.w3.org/2000/svg}title")]
    agents = {title.partition(":")[0] for title in titles if title.startswith("agent ")}
    assert agents == {f"agent {agent}" for agent in range(read_run(run).config.agents)}
    # Of one name alone the same picture would be drawn twice.
    assert (run / "report" / "parallel.svg").exists() == (len(names) == 2)


def test_the_configuration_of_a_run_draws_the_same_again(trained):
    again = read_config(trained / "config.json", {})
    written = json.loads((trained / "config.json").read_text())["sampled"]
    assert {name: values.tolist() for name, values in again.sampled.items()} == written


def test_a_configuration_from_before_there_were_samples_can_be_read(trained, tmp_path):
    written = json.loads((trained / "config.json").read_text())
    for name in ("sample", "sampled", "halvings"):
        written.pop(name, None)
    (tmp_path / "config.json").write_text(json.dumps(written))
    config = read_config(tmp_path / "config.json", {})
    assert config.sample == {}
    assert config.sweep == {"discount": [0.9, 0.99]}


def test_samples_from_toml(tmp_path):
    lines = 'environment = "CartPole-v1"', "[sample]", f'learning_rate = "{RATES}"'
    (tmp_path / "run.toml").write_text("\n".join(lines))
    assert read_config(tmp_path / "run.toml", {}).sample == {"learning_rate": RATES}
    given = {"sample": {"discount": "uniform:0.9:0.99"}}
    assert [*read_config(tmp_path / "run.toml", given).sample] == ["learning_rate", "discount"]


MISTAKES = {
    "loguniform:1e-2:1e-4": "for example learning_rate=loguniform:0.0001:0.01",
    "loguniform:1:1": "for example learning_rate=1",
    "loguniform:0:1": "loguniform begins above 0",
    "uniform:0:1": "learning_rate must be a finite float32 above 0, got 0",
    "uniform:1:1e39": "got inf",
    "uniform:1:inf": "takes two numbers",
    "uniform:1": "takes two numbers",
    "uniform:1:2:3": "takes two numbers",
    "normal:0:1": "unknown distribution of learning_rate 'normal'",
}


@pytest.mark.parametrize("text", MISTAKES)
def test_what_cannot_be_drawn_from_is_refused(text):
    with pytest.raises(jaxq.InputError, match="learning_rate") as caught:
        configured(sample={"learning_rate": text})
    assert MISTAKES[text] in str(caught.value)


def test_what_is_no_text_is_refused():
    with pytest.raises(jaxq.InputError, match="takes a distribution for each name"):
        configured(sample={"learning_rate": 0.1})
    with pytest.raises(jaxq.InputError, match="sample must hold values by their names"):
        configured(sample=[RATES])


def test_all_mistakes_in_samples_are_told_at_once():
    with pytest.raises(jaxq.InputError) as caught:
        configured(
            keywords={"epsilon_end": 0.1},
            sweep={"learning_rate": [0.1]},
            sample={**SAMPLE, "discount": "uniform:0:2", "omega": "uniform:0:1"},
        )
    message = str(caught.value)
    assert message.startswith("4 mistakes: ")
    for words in (
        "epsilon_end is both set and sampled",
        "learning_rate is both swept and sampled",
        "discount must be a number in [0, 1], got 2",
        "'omega' cannot vary",
    ):
        assert words in message


def test_a_report_on_a_spoiled_sample_is_one_line(trained, capsys):
    written = json.loads((trained / "config.json").read_text())
    for sample in ([1], {"a": 1}, {"a": "uniform:\n:2"}):
        (trained / "config.json").write_text(json.dumps({**written, "sample": sample}))
        assert cli.main(["report", str(trained)]) == 2
        assert capsys.readouterr().err.count("\n") == 1
    (trained / "config.json").write_text(json.dumps(written))
