"""What the compiler made of the training loop: the replay is written in place and never copied."""

import itertools
import re

import jax
import pytest

import jaxq

ROWS, ENVS, AGENTS = 730, 4, 6


@pytest.fixture(scope="module")
def computations(cartpole, small):
    """The optimized program as {name: lines}, for a ring whose size nothing else has."""
    keywords = small(buffer_size=ROWS * ENVS)
    trainer = jaxq.Trainer(cartpole, jaxq.dqn(**keywords))
    mesh = jax.make_mesh((1,), ("agents",), devices=jax.devices()[:1])
    population = jaxq.Population(trainer, AGENTS, chunk=3, mesh=mesh)
    state = population.init(jax.random.key(0))
    text = (
        population._run.func.lower(*population._run.args, state, trainer.iterations(40))
        .compile()
        .as_text()
    )
    found, name = {}, ""
    for line in text.splitlines():
        if line and not line.startswith((" ", "}")) and line.endswith("{"):
            name = line.split()[0].removeprefix("%")
        found.setdefault(name, []).append(line)
    return found


def all_lines(computations):
    return list(itertools.chain.from_iterable(computations.values()))


def whole_rings(lines, operation):
    """Lines that make a whole ring, of one chunk or of all agents, by an operation."""
    shape = rf"\[(3|{AGENTS}),{ROWS},{ENVS}[,\]]"
    return [line for line in lines if re.search(rf"= \w+{shape}\S* {operation}\(", line)]


def loops(computations):
    """The loops that carry a ring, each with the lines of its body."""
    bodies = set(re.findall(r"body=%?([\w.\-]+)", "\n".join(all_lines(computations))))
    ring = rf",{ROWS},{ENVS}[,\]]"
    return {name: computations[name] for name in bodies if re.search(ring, "".join(computations[name]))}


def test_the_loops_carry_the_replay(computations):
    assert len(loops(computations)) >= 2  # over chunks, and over iterations


def test_no_loop_copies_the_replay(computations):
    for name, lines in loops(computations).items():
        assert not whole_rings(lines, "copy"), name
        assert not whole_rings(lines, "select"), name


def test_the_replay_is_written_by_slices(computations):
    lines = all_lines(computations)
    assert whole_rings(lines, "dynamic-update-slice")
    assert not whole_rings(lines, "scatter")
    assert not [line for line in lines if " conditional(" in line]
