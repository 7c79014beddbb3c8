"""Two processes on the loopback, brought together by JAX's own runtime."""

import json
import os
import signal
import socket
import subprocess
import sys
import time

import pytest

CORES = sorted(os.sched_getaffinity(0))[:2] if hasattr(os, "sched_getaffinity") else []
pytestmark = pytest.mark.skipif(len(CORES) < 2, reason="needs two cores to give each process one")


TRAIN = "train", "CartPole-v1", "--agents", "5", "--set", "hidden_sizes=8"


def start(cores, cache, *words):
    """Run the command line in a process that sees some of the cores, so that it has as many devices."""
    # Others are given up sooner than a user's would be, who may have a slow network.
    program = (
        f"import os, sys; os.sched_setaffinity(0, {cores}); from jaxq.cli import main; "
        "from jaxq.experiment import distributed; distributed.HEARTBEAT_SECONDS = 10; "
        f"sys.exit(main({[str(word) for word in words]}))"
    )
    return subprocess.Popen(
        [sys.executable, "-c", program],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "XDG_CACHE_HOME": str(cache)},
    )


def start_two(cache, *words):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    together = *words, "--coordinator", f"127.0.0.1:{port}", "--num-processes", "2"
    return [start([core], cache, *together, "--process-id", number) for number, core in enumerate(CORES)]


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("cache")


def finish(*processes):
    outputs = [process.communicate(timeout=300) for process in processes]
    assert [process.returncode for process in processes] == [0] * len(processes), outputs
    return outputs


def results(out):
    rows = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    evaluation = json.loads((out / "report" / "evaluation.json").read_text())
    return str([(row["steps"], row["agents"]) for row in rows]), evaluation["returns"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--sweep", "batch_size=32,64"], "runs in one process; leave out --distributed"),
        (["--halvings", "1"], "halvings need all agents in one process, and there are 2"),
    ],
)
def test_what_takes_all_agents_in_one_process_is_refused(tmp_path, cache, words, message):
    words = [*TRAIN, "--agents", "4", "--steps", "2000", *words]
    for process in start_two(cache, *words, "--out", tmp_path / "two"):
        _, error = process.communicate(timeout=300)
        assert process.returncode == 2
        assert message in error
    assert not (tmp_path / "two").exists()


def test_two_processes_give_the_numbers_of_one_and_go_on_with_them(tmp_path, cache):
    one, two = tmp_path / "one", tmp_path / "two"
    words = *TRAIN, "--steps", "2000", "--segments", "4", "--out"
    outputs = finish(*start_two(cache, *words, two))
    # The first one shows and writes, and the other one keeps quiet.
    assert "Greedy evaluation" in outputs[0][0]
    assert "IQM" not in outputs[1][0]
    finish(start(CORES, cache, *words, one))
    assert results(one) == results(two)
    outputs = finish(*start_two(cache, "resume", two, "--steps", "3000"))
    assert "going on from 2,000 of 3,000 steps" in outputs[0][0]
    finish(start(CORES, cache, "resume", one, "--steps", "3000"))
    assert results(one) == results(two)
    # What two processes wrote, one reads.
    evaluated = start(CORES, cache, "evaluate", two, "--json")
    ((evaluation, _),) = finish(evaluated)
    assert json.loads(evaluation)["returns"] == results(two)[1]


@pytest.mark.parametrize("victim", [0, 1])
def test_when_a_process_dies_the_other_one_stops_and_says_why_and_the_run_goes_on(
    tmp_path, cache, victim
):
    run, words = tmp_path / "run", ["--steps", 2_000_000, "--segments", 200, "--checkpoint-segments", 1]
    processes = start_two(cache, *TRAIN, *words, "--out", run)
    deadline = time.monotonic() + 300
    while not saved(run) and time.monotonic() < deadline:
        assert [process.poll() for process in processes] == [None, None]
        time.sleep(0.2)
    processes[victim].send_signal(signal.SIGKILL)
    _, error = processes[1 - victim].communicate(timeout=120)
    processes[victim].communicate()
    assert processes[1 - victim].returncode not in (0, None)
    assert "another process of this run stopped" in error or "another task died" in error
    steps = saved(run)[-1] + 1_000
    finish(start(CORES, cache, "resume", run, "--steps", steps))
    rows = [json.loads(line)["steps"] for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert rows == sorted({*rows})
    assert rows[-1] == steps


def saved(run):
    """Return the env steps after which there are checkpoints."""
    return sorted(int(path.name) for path in run.glob("checkpoints/[0-9]*"))


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--distributed"], "found no cluster to join"),
        (["--coordinator", "127.0.0.1:1"], "go together"),
        (["--coordinator", "here", "--num-processes", "2", "--process-id", "0"], "host:port"),
        (["--coordinator", "127.0.0.1:1", "--num-processes", "2", "--process-id", "2"], "below"),
    ],
)
def test_a_mistake_is_one_line_and_exit_code_2(tmp_path, cache, words, message):
    process = start(CORES, cache, *TRAIN, *words)
    _, error = process.communicate(timeout=120)
    assert process.returncode == 2
    (line,) = error.splitlines()
    assert message in line
