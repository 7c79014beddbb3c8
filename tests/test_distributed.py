"""Two processes on the loopback, brought together by JAX's own runtime."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

import jaxq
from jaxq import cli
from jaxq.experiment import distributed

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


def free_port():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def joining(coordinator, number, total=2):
    """Begin to join in this process, up to where JAX would be started; return what is said."""
    words = "--coordinator", coordinator, "--num-processes", str(total), "--process-id", str(number)
    return cli.main(["train", "CartPole-v1", *words])


@pytest.mark.parametrize(
    "coordinator",
    ["here", "here:", ":1", "here:0", "here:70000", "here:99999999", "here:-1", "here:+1", "here: 1",
     "[::1:1", "::1:1", "[::1]", "[here]:1", "[:::]:1", "here:\uff11\uff12", "here:1\u00b2", "a b:1",
     "h\n:1", "\u00e9:1"],
)  # fmt: skip
def test_what_is_no_address_is_refused(coordinator, capsys):
    assert joining(coordinator, 1) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "must be host:port with a port from 1 to 65535" in line


@pytest.mark.parametrize("number", [0, 1])
@pytest.mark.parametrize("host", ["no-such-host.invalid", "." * 300, "a" * 100 + ".invalid"])
def test_a_host_that_does_not_exist_is_said_before_jax_is_started(host, number, capsys):
    assert joining(f"{host}:8476", number) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "cannot be found" in line


@pytest.mark.parametrize("listening", [False, True])
def test_a_coordinator_that_does_not_answer_is_given_up_after_a_while(listening, monkeypatch, capsys):
    monkeypatch.setattr(distributed, "JOIN_SECONDS", 0.5)
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1] if listening else free_port()
        began = time.monotonic()
        assert joining(f"127.0.0.1:{port}", 1) == 1
        assert time.monotonic() - began < 5
    (line,) = capsys.readouterr().err.splitlines()
    assert f"process 0 did not answer within 0.5 s: coordinator 127.0.0.1:{port}" in line


def test_the_first_process_names_those_that_did_not_come(monkeypatch, capsys):
    monkeypatch.setattr(distributed, "JOIN_SECONDS", 0.5)
    assert joining(f"127.0.0.1:{free_port()}", 0, total=3) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert "processes [1, 2] of 3 did not come within 0.5 s" in line


def test_the_first_process_needs_a_free_port_of_its_own(capsys):
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        for host in ("127.0.0.1", "192.0.2.1"):
            assert joining(f"{host}:{port}", 0) == 2
            (line,) = capsys.readouterr().err.splitlines()
            assert "process 0 cannot wait at coordinator" in line


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]"])
def test_processes_meet_also_where_others_knock(host):
    address = distributed.Address.read(f"{host}:{free_port()}")
    with ThreadPoolExecutor() as threads:
        waiting = [threads.submit(distributed.meet, address, 3, number, 20.0) for number in (0, 1)]
        with pytest.raises(jaxq.InputError, match="another num_processes than 4"):
            distributed.meet(address, 4, 3, 20.0)
        with socket.create_connection((address.host, address.port)) as stranger:
            stranger.sendall(b"GET / HTTP/1.1\r\n")
        assert distributed.meet(address, 3, 2, 20.0) is None
        assert [future.result() for future in waiting] == [None, None]


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
