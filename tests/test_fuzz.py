"""Whatever is typed or written into a file: one line and exit code 2, never a traceback."""

import contextlib
import string

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import jaxq
from jaxq import cli
from jaxq.agents import ALGORITHMS, leaf_names
from jaxq.configuration.groups import check_name

STATIC = ["algorithm", "environment", "hidden_sizes", "batch_size", "optimizer", "double"]
NAMES = [
    *sorted(leaf_names()),
    *("hidden_sizes", "num_envs", "buffer_size", "batch_size", "n_step", "double", "value", "network"),
    *("train_interval", "optimizer", "prioritized", "recurrent_size", "memory", "exploration"),
]
ENVIRONMENTS = ["CartPole-v1", "FrozenLake-v1", "Pendulum-v1", "Catch-bsuite", "CartPole", "-1", ""]
OPTIONS = ["--algorithm", "--agents", "--steps", "--seed", "--segments", "--on-divergence", "--config"]
OPTIONS += ["--halvings"]

words = st.text(string.printable, max_size=12)
values = st.one_of(
    st.integers(-(10**12), 10**12).map(str),
    st.floats().map(str),
    st.sampled_from(
        ["true", "1,2", "(1,)", "nan", "", "{}", "[[]]", "1e400", "None", "'", "__import__"]
    ),
    st.sampled_from(
        ["uniform:0:1", "loguniform:1e-4:1e-2", "loguniform:0:1", "uniform:1", "uniform:1:0"]
    ),
    words,
)
swept = st.lists(values | st.sampled_from(["64x64", "0x4", "dqn", "c51"]), min_size=1, max_size=3)
static = st.builds("{}={}".format, st.sampled_from(STATIC) | words, swept.map(",".join))
assignments = st.builds("{}={}".format, st.sampled_from(NAMES) | words, values)
arguments = st.one_of(
    st.tuples(st.sampled_from(OPTIONS), values | st.sampled_from([*ALGORITHMS])),
    st.tuples(st.sampled_from(["--set", "--sweep", "--sample"]), assignments),
    st.tuples(st.just("--sweep"), static),
    st.tuples(words),
)


@pytest.fixture(scope="module")
def taken(tmp_path_factory):
    """A directory that exists: what has no mistake in it fails at that, before it would train."""
    return tmp_path_factory.mktemp("taken")


@settings(
    max_examples=500,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(environment=st.sampled_from(ENVIRONMENTS) | words, rest=st.lists(arguments, max_size=4))
def test_the_command_line(taken, capsys, environment, rest):
    typed = [word for group in rest for word in group if word not in ("-h", "--help")]
    assert cli.main(["train", environment, *typed, "--out", str(taken)]) == 2
    error = capsys.readouterr().err
    assert error.startswith("jaxq: error: ")
    assert error.count("\n") == 1, error


names = st.sampled_from(NAMES)
plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | words,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=2),
    max_leaves=4,
)
FIELDS = ["agents", "steps", "seed", "segments", "chunk", "checkpoint_minutes", "on_divergence"]
FIELDS += ["halvings"]


@settings(max_examples=300, deadline=None, derandomize=True, database=None)
@given(
    environment=st.sampled_from(ENVIRONMENTS) | plain,
    algorithm=st.sampled_from([*ALGORITHMS]) | plain,
    others=st.dictionaries(st.sampled_from(FIELDS), plain, max_size=3),
    keywords=st.dictionaries(names, plain, max_size=3) | plain,
    sweep=st.dictionaries(names, plain, max_size=2) | plain,
    sample=st.dictionaries(names, values | plain, max_size=2) | plain,
)
def test_a_configuration(environment, algorithm, others, keywords, sweep, sample):
    with contextlib.suppress(jaxq.InputError):
        tables = {"keywords": keywords, "sweep": sweep, "sample": sample}
        config = jaxq.configure(environment, algorithm, **tables, **others)
        assert isinstance(config, jaxq.Config)


@settings(max_examples=200, deadline=None, derandomize=True, database=None)
@given(
    fields=st.fixed_dictionaries(
        {
            "environment": st.none() | st.sampled_from(ENVIRONMENTS),
            "agents": st.none() | st.integers(-1, 64) | plain,
            "keywords": st.none() | st.dictionaries(names, plain, max_size=2) | plain,
            "sweep": st.dictionaries(
                st.sampled_from(STATIC) | names, st.lists(plain, max_size=3) | plain, max_size=3
            )
            | plain,
        }
    )
)
def test_the_groups_of_a_sweep(fields):
    with contextlib.suppress(jaxq.InputError):
        for name, config in jaxq.configure_sweep(**fields).items():
            assert isinstance(config, jaxq.Config)
            check_name(name)
