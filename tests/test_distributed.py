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


def start(cores, out, cache, *words):
    """Run the command line in a process that sees some of the cores, so that it has as many devices."""
    command = ["train", "CartPole-v1", "--agents", "5", "--set", "hidden_sizes=8", *words]
    # Others are given up sooner than a user's would be, who may have a slow network.
    program = (
        f"import os, sys; os.sched_setaffinity(0, {cores}); from jaxq.cli import main; "
        "from jaxq.experiment import distributed; distributed.HEARTBEAT_SECONDS = 10; "
        f"sys.exit(main({[*command, '--out', str(out)]}))"
    )
    return subprocess.Popen(
        [sys.executable, "-c", program],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "XDG_CACHE_HOME": str(cache)},
    )


def start_two(out, cache, steps, *words):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    together = ["--steps", str(steps), "--coordinator", f"127.0.0.1:{port}", "--num-processes", "2"]
    together += words
    return [
        start([core], out, cache, *together, "--process-id", str(number))
        for number, core in enumerate(CORES)
    ]


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("cache")


def results(out):
    rows = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    evaluation = json.loads((out / "report" / "evaluation.json").read_text())
    return [(row["steps"], row["agents"]) for row in rows], evaluation["returns"]


def test_a_sweep_over_what_shapes_the_program_is_refused(tmp_path, cache):
    words = ["--agents", "4", "--sweep", "batch_size=32,64"]
    processes = start_two(tmp_path / "two", cache, 2_000, *words)
    outputs = [process.communicate(timeout=300) for process in processes]
    assert [process.returncode for process in processes] == [2, 2], outputs
    for _, error in outputs:
        assert "runs in one process; leave out --distributed" in error
    assert not (tmp_path / "two").exists()


def test_two_processes_give_the_numbers_of_one(tmp_path, cache):
    processes = start_two(tmp_path / "two", cache, 2_000)
    outputs = [process.communicate(timeout=300) for process in processes]
    assert [process.returncode for process in processes] == [0, 0], outputs
    # The first one shows and writes, and the other one keeps quiet.
    assert "Greedy evaluation" in outputs[0][0]
    assert "IQM" not in outputs[1][0]
    alone = start(CORES, tmp_path / "one", cache, "--steps", "2000")
    alone.communicate(timeout=300)
    assert alone.returncode == 0
    assert str(results(tmp_path / "one")) == str(results(tmp_path / "two"))


def test_halvings_in_two_processes_are_refused(tmp_path, cache):
    processes = start_two(tmp_path / "run", cache, 2_000, "--halvings", "1")
    for process in processes:
        _, error = process.communicate(timeout=300)
        assert process.returncode == 2
        assert "halvings need all agents in one process, and there are 2" in error
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("victim", [0, 1])
def test_when_a_process_dies_the_other_one_stops_and_says_why(tmp_path, cache, victim):
    processes = start_two(tmp_path / "run", cache, 100_000_000, "--segments", "10000")
    metrics = tmp_path / "run" / "metrics.jsonl"
    deadline = time.monotonic() + 300
    while not (metrics.exists() and metrics.stat().st_size) and time.monotonic() < deadline:
        assert [process.poll() for process in processes] == [None, None]
        time.sleep(0.2)
    processes[victim].send_signal(signal.SIGKILL)
    _, error = processes[1 - victim].communicate(timeout=120)
    processes[victim].communicate()
    assert processes[1 - victim].returncode not in (0, None)
    assert "another process of this run stopped" in error or "another task died" in error


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
    process = start(CORES, tmp_path / "run", cache, *words)
    _, error = process.communicate(timeout=120)
    assert process.returncode == 2
    (line,) = error.splitlines()
    assert message in line
