"""Time per agent that solves CartPole-v1, against Stable-Baselines3 and SBX.

Ours trains 64 agents side by side with the preset's settings; the peers one agent in a process, with the
RL zoo's. An agent has solved it when its mean return over 32 greedy episodes after training is at least
475. All are run in turn, each in a process and with versions of its own.

    python benchmarks/solving.py [--repeats 3] [--agents 64] [--peer-venvs DIR] [--write]
"""

import sys
from pathlib import Path
from typing import Any, NamedTuple

from peer_venvs import measure, python_of, versions_of
from report import option_parser, report, spread, versions

SOLVED = 475
STEPS, PEER_STEPS = 100_000, 50_000


class Peer(NamedTuple):
    """Its name in Python, its virtual environment, and the packages that its versions are told of."""

    library: str
    venv: str
    packages: tuple[str, ...]


PEERS = {
    "Stable-Baselines3": Peer(
        "stable_baselines3", "stable-baselines3", ("stable-baselines3", "torch", "gymnasium")
    ),
    "SBX": Peer("sbx", "sbx", ("sbx-rl", "jax", "torch", "gymnasium")),
}
OURS = "jaxq"

Runs = list[dict[str, Any]]


def solved(runs: Runs) -> int:
    return sum(score >= SOLVED for run in runs for score in run["scores"])


def per_solved(runs: Runs, compiling: bool) -> str:
    """Divide the seconds of all runs by the number of agents that solved it in any of them."""
    seconds = sum(run["seconds"] + compiling * run["compile_seconds"] for run in runs)
    return f"{seconds / solved(runs):,.2f}" if solved(runs) else "none solved"


def table(results: dict[str, Runs], steps: dict[str, int]) -> list[str]:
    lines = [
        "| | agents in a run | env steps each | solved | seconds of a run | seconds per solved agent "
        "| with compilation |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for name, runs in results.items():
        agents = len(runs[0]["scores"])
        cells = [
            name,
            str(agents),
            f"{steps[name]:,}",
            f"{solved(runs)} of {agents * len(runs)}",
            spread([run["seconds"] for run in runs], ",.1f"),
            per_solved(runs, compiling=False),
            per_solved(runs, compiling=True),
        ]
        lines.append("| " + " | ".join(cells) + " |")
    return lines


def main() -> None:
    parser = option_parser(__doc__, repeats=3, tiny=True)
    parser.add_argument("--agents", type=int, default=64)
    names = " and ".join(peer.venv for peer in PEERS.values())
    parser.add_argument("--peer-venvs", type=Path, help=f"where the virtual environments {names} are")
    options = parser.parse_args()
    venvs = options.peer_venvs
    pythons = {name: python_of(peer.venv, venvs and venvs / peer.venv) for name, peer in PEERS.items()}
    steps = {OURS: STEPS} | dict.fromkeys(PEERS, PEER_STEPS)
    if options.tiny:
        steps = dict.fromkeys(steps, 2_000)
    results: dict[str, Runs] = {name: [] for name in steps}
    for seed in range(options.repeats):
        ours = measure(sys.executable, "jaxq_solving.py", options.agents, steps[OURS], seed)
        results[OURS].append(ours)
        for name, peer in PEERS.items():
            measured = measure(pythons[name], "stable_baselines.py", peer.library, steps[name], seed)
            results[name].append(measured)
        for name, runs in results.items():
            seconds, number = runs[-1]["seconds"], solved(runs[-1:])
            print(f"seed {seed}: {name} {seconds:.1f} s, {number} solved", flush=True)
    method = [
        "CartPole-v1. An agent has solved it when its mean return over 32 greedy episodes after",
        f"training is at least {SOLVED}. Seconds per solved agent are those of all {options.repeats}",
        "runs, evaluation left out, divided by the agents that solved it; in the last column with",
        'compilation. jaxq: `jaxq.preset("CartPole-v1")`, all agents side by side on all cores.',
        "Stable-Baselines3 and SBX: DQN with the RL zoo's settings for CartPole-v1, one agent in a run;",
        "torch on one thread, on which networks this small are trained fastest, JAX with its default",
        "threads. As many runs as there are cores, side by side, would at best take that part of the",
        "time per agent. Seconds of a run: median of the runs, smallest and largest in brackets.",
    ]
    measured_with = [
        f"jaxq: {versions('jaxq', 'jax', 'flax', 'gymnax')}",
        *(f"{name}: {versions_of(pythons[name], *peer.packages)}" for name, peer in PEERS.items()),
    ]
    report(__file__, "Solving CartPole", method, measured_with, table(results, steps), options.write)


if __name__ == "__main__":
    main()
