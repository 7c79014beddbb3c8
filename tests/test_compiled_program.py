"""What the compiler made of the training loop: replay and tables are written in place, never copied."""

import re

import jax
import jax.numpy as jnp
import pytest

import jaxq

pytestmark = pytest.mark.optimized

ROWS, ENVS, AGENTS, CHUNK = 730, 4, 6, 3  # so that no other array has the shape of a ring
PLACES = 48  # of what does not follow in the ring: one for each sixteen rows, and two more


def outside_entry(compiled):
    """The lines of a compiled program but for its entry, which runs once and holds no loop's body."""
    lines, inside = [], True
    for line in compiled.as_text().splitlines():
        if line and not line.startswith((" ", "}")):
            inside = not line.startswith("ENTRY")
        lines += [line] if inside else []
    return lines


def whole_rings(lines, operation):
    """Lines that make a whole ring, of one chunk or of all agents, by an operation."""
    shape = rf"\[({CHUNK}|{AGENTS}),({ROWS}|{PLACES}),{ENVS}[,\]]"
    return [line for line in lines if re.search(rf"= \w+{shape}\S* {operation}\(", line)]


@pytest.fixture(scope="module")
def lines(cartpole, small):
    trainer = jaxq.Trainer(cartpole, jaxq.dqn(**small(buffer_size=ROWS * ENVS)))
    mesh = jax.make_mesh((1,), ("agents",), devices=jax.devices()[:1])
    population = jaxq.Population(trainer, AGENTS, chunk=CHUNK, mesh=mesh)
    state = population.init(jax.random.key(0))
    assert state.memory.ring.final_observations.shape[:3] == (AGENTS, PLACES, ENVS)
    return outside_entry(population._run.lower(state, trainer.iterations(40)).compile())


def test_the_replay_is_written_by_slices(lines):
    assert whole_rings(lines, "dynamic-update-slice")
    assert not whole_rings(lines, "scatter")
    assert not [line for line in lines if " conditional(" in line]


@pytest.mark.parametrize("operation", ["copy", "select", "concatenate", "gather"])
def test_nothing_inside_the_loops_makes_a_ring_anew(lines, operation):
    assert not whole_rings(lines, operation)


@pytest.mark.parametrize("operation", ["copy", "select"])
def test_a_loop_that_makes_a_ring_anew_would_be_seen(operation):
    """The trap itself: a write under a condition, where the old ring is still read."""

    def step(i, ring):
        if operation == "select":
            return jnp.where(ring[0, 0, 0] > i, ring * 2, ring)
        new = jax.lax.dynamic_update_slice_in_dim(ring, ring[:, :1] + i, i, axis=1)
        return jax.lax.cond(ring.sum() > 0, lambda: new, lambda: ring)

    ring = jnp.ones((CHUNK, ROWS, ENVS))
    loop = jax.jit(lambda ring: jax.lax.fori_loop(0, 9, step, ring))
    assert whole_rings(outside_entry(loop.lower(ring).compile()), operation)


STATES = 59 * 47


@pytest.mark.parametrize(
    ("recipe", "keywords"),
    [
        ("q_learning", {"exploration": "ucb"}),
        ("double_q_learning", {}),
        ("expected_sarsa", {}),
        ("dyna_q", {}),
    ],
)
def test_tables_are_written_in_place(recipe, keywords):
    env = jaxq.envs.from_map(["S" + "." * 57 + "G"] + ["." * 59] * 46)
    trainer = jaxq.Trainer(env, getattr(jaxq, recipe)(num_envs=3, **keywords))
    population = jaxq.Population(trainer, 16, chunk=16)
    iterations = jax.ShapeDtypeStruct((), jnp.int32)
    compiled = population._run.lower(population.template, iterations).compile()
    table = rf"= \w+\[16,([12],)?{STATES},4\]\S* (\w+)\("
    made = {found[2] for line in outside_entry(compiled) if (found := re.search(table, line))}
    assert "scatter" in made
    assert not made & {"copy", "select", "concatenate", "gather", "pad"}
