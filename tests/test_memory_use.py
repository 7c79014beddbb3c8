"""What memory a population takes, said before anything is compiled."""

from types import SimpleNamespace

import jax
import jax.numpy as jnp
import pytest

import jaxq
from jaxq import cli
from jaxq.engine import spreading
from jaxq.engine.devices import _container_memory, memory_limit
from jaxq.engine.memory_use import MemoryUse, check_fits, num_bytes, readable
from jaxq.engine.spreading import Spread, default_chunk, spread_memory

MIB = 2**20
TOO_LARGE = pytest.mark.xfail(
    jax.__version_info__ >= (0, 11), reason="JAX takes less from 0.11 on than is estimated", strict=True
)


def analysis_of(population):
    """What XLA says of the memory that training takes on one device."""
    trainer, size = population.trainer, population.size
    agents = jax.tree.map(
        lambda leaf: jax.ShapeDtypeStruct((size, *leaf.shape), leaf.dtype),
        trainer.template._replace(steps=None),
    )
    state = agents._replace(steps=jax.ShapeDtypeStruct((), jnp.int32))
    return population._run.lower(state, jnp.int32(1)).compile().memory_analysis()


def compiled_bytes(population):
    """Arguments, results and what is between, of all workers; what lies in one place counts once."""
    analysis, spread = analysis_of(population), population._spread
    per_worker = (
        analysis.argument_size_in_bytes
        + analysis.output_size_in_bytes
        + analysis.temp_size_in_bytes
        - analysis.alias_size_in_bytes
    )
    # Threads work on shares of what is given, which are put together again.
    around = (
        (2 - population.donate) * num_bytes(population.template)
        if spread.threads and spread.threads.in_shares
        else 0
    )
    return around + spread.workers * per_worker


def all_devices():
    return jax.make_mesh((jax.device_count(),), ("agents",))


@pytest.mark.optimized
@pytest.mark.parametrize("mesh", [all_devices, lambda: None], ids=["devices", "threads"])
@pytest.mark.parametrize(
    ("id", "algorithm", "size"),
    [
        ("CartPole-v1", jaxq.dqn(), 32),
        pytest.param("CartPole-v1", jaxq.pqn(), 64, marks=TOO_LARGE),
        ("Breakout-MinAtar", jaxq.dqn(buffer_size=50_000, hidden_sizes=(128,)), 4),
        ("FrozenLake-v1", jaxq.q_learning(), 2_048),
    ],
    ids=["dqn", "pqn", "image", "table"],
)
def test_the_estimate_is_near_what_the_compiler_says(id, algorithm, size, mesh):
    trainer = jaxq.Trainer(jaxq.envs.make(id), algorithm)
    population = jaxq.Population(trainer, size, mesh=mesh())
    assert population.memory().total == pytest.approx(compiled_bytes(population), rel=0.15)


@pytest.mark.optimized
def test_a_state_that_is_donated_is_held_once(cartpole):
    trainer = jaxq.Trainer(cartpole, jaxq.dqn())
    kept, donated = (
        jaxq.Population(trainer, 32, mesh=all_devices(), donate=donate) for donate in (False, True)
    )
    assert donated.memory().total == pytest.approx(compiled_bytes(donated), rel=0.15)
    assert compiled_bytes(donated) < 0.6 * compiled_bytes(kept)


def test_agents_that_do_not_fill_the_devices_are_held_more_often(cartpole, small):
    trainer = jaxq.Trainer(cartpole, jaxq.dqn(**small()))
    even = jaxq.Population(trainer, 4 * jax.device_count(), mesh=all_devices())
    uneven = jaxq.Population(trainer, even.size - 1, mesh=all_devices())
    state, _ = uneven.run(uneven.init(jax.random.key(0)), 8)
    held = sum(
        part.data.nbytes for leaf in jax.tree.leaves(state.memory) for part in leaf.addressable_shards
    )
    assert held == jax.device_count() * uneven.size * uneven.memory().replay
    assert uneven.memory().copies == 1 + 2 * jax.device_count()
    assert even.memory().copies == 2


def test_boards_are_remembered_as_bits_and_once(small):
    env = jaxq.envs.make("Breakout-MinAtar")
    population = jaxq.Population(jaxq.Trainer(env, jaxq.dqn(**small(buffer_size=100_000))), 1)
    # Of 400 booleans 50 bytes, and ten for what was done; and places for episodes cut off.
    assert 59 < population.memory().replay / 100_000 < 64


def test_the_parts_are_those_of_one_agent(cartpole, small):
    use = jaxq.Population(jaxq.Trainer(cartpole, jaxq.dqn(**small())), 3).memory()
    weights = 4 * (4 * 16 + 16 + 16 * 2 + 2)
    assert use.parameters == 2 * weights
    assert use.optimizer == pytest.approx(2 * weights, abs=8)
    assert use.agents >= 3
    assert use.total > 2 * use.agents * use.agent
    assert "per agent (replay" in str(use)


SETTINGS = {"hidden_sizes": (100, 50), "buffer_size": 10_000}


def use(**parts):
    return MemoryUse(
        **{"replay": 6 * MIB, "parameters": 2 * MIB, "optimizer": 2 * MIB, "environments": 0}
        | {"agents": 10, "copies": 2, "working": 0}
        | parts
    )


def test_what_fits_is_let_through():
    check_fits(use(), 200 * MIB, SETTINGS)
    check_fits(use(), None, SETTINGS)


def test_what_does_not_fit_is_refused_with_what_would():
    with pytest.raises(ValueError, match="10 agents take 10 MiB per agent") as error:
        check_fits(use(), 160 * MIB, SETTINGS)
    said = str(error.value)
    assert "there are 160 MiB" in said
    assert "what would fit: 8 agents, or" in said
    # Two MiB less of each agent: a third of the replay, or half of the learner.
    assert "buffer_size=6666" in said
    assert "hidden_sizes=(50, 25)" in said


def test_more_agents_may_take_less():
    with pytest.raises(ValueError, match="what would fit: 10 agents, which fill the devices evenly"):
        check_fits(use(copies=5), 300 * MIB, SETTINGS)


def test_only_what_helps_is_proposed():
    with pytest.raises(ValueError, match=r"what would fit: 1 agents$"):
        check_fits(use(), 20 * MIB, SETTINGS)
    with pytest.raises(ValueError, match=r"there are 1 MiB$"):
        check_fits(use(), MIB, SETTINGS)


def test_a_population_too_large_for_the_machine_is_refused_at_once(cartpole):
    trainer = jaxq.Trainer(cartpole, jaxq.dqn())
    with pytest.raises(ValueError, match="what would fit") as error:
        jaxq.Population(trainer, 2**30)
    fits = int(str(error.value).split("what would fit: ")[1].split()[0])
    jaxq.Population(trainer, fits - fits % 64)


@TOO_LARGE
@pytest.mark.optimized
def test_an_episode_takes_no_more_than_is_estimated(cartpole):
    trainer = jaxq.Trainer(cartpole, jaxq.dqn())
    key = jax.eval_shape(lambda: jax.random.key(0))
    compiled = trainer._evaluate.lower(trainer.template, key, 1_000, 100).compile()
    analysis = compiled.memory_analysis()
    taken = analysis.temp_size_in_bytes + analysis.output_size_in_bytes
    assert taken < 1_000 * trainer.episode_bytes < 2.5 * taken


def test_an_evaluation_too_large_for_the_machine_is_refused_with_what_would_fit(cartpole, small):
    trainer = jaxq.Trainer(cartpole, jaxq.dqn(**small()))
    population = jaxq.Population(trainer, 3)
    for what, agents in (trainer, 1), (population, 3):
        with pytest.raises(ValueError, match=f"1000000000 episodes of each of {agents} agents take"):
            what.evaluate(what.template, jax.random.key(0), 10**9)
    with pytest.raises(ValueError, match="what would fit") as error:
        population.check_episodes(10**9)
    fits = int(str(error.value).split("what would fit: ")[1].split()[0])
    population.check_episodes(fits)
    with pytest.raises(ValueError, match=f"what would fit: {fits} episodes"):
        population.check_episodes(fits + 1)


def test_many_episodes_of_a_file_are_refused_before_anything_trains(tmp_path, capsys):
    file = tmp_path / "run.toml"
    file.write_text('environment = "CartPole-v1"\nevaluation_episodes = 1_000_000_000\n')
    assert cli.main(["train", "--config", str(file), "--out", str(tmp_path / "run")]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "1000000000 episodes of each of 8 agents take" in line
    assert "what would fit" in line
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("files", "limit"),
    [
        ({}, None),
        ({"memory.max": "max\n"}, None),
        ({"memory.max": "1048576\n"}, MIB),
        ({"memory/memory.limit_in_bytes": "2097152\n", "memory.max": "max"}, 2 * MIB),
        # A job of a cluster has a group of its own, inside another with a limit too.
        (
            {"cgroup": "0::/jobs/job_1\n", "jobs/memory.max": "2097152", "jobs/job_1/memory.max": "max"},
            2 * MIB,
        ),
        ({"cgroup": "4:memory:/job\n", "memory/job/memory.limit_in_bytes": "1048576"}, MIB),
    ],
)
def test_a_container_may_allow_less_than_the_machine_has(tmp_path, files, limit):
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    assert _container_memory(tmp_path, tmp_path / "cgroup") == limit


@pytest.mark.parametrize(("kind", "limit"), [("TPU v5 lite", 2 * 15.75 * 2**30), ("another", None)])
def test_devices_that_are_only_compiled_for_cannot_be_asked(kind, limit):
    def memory_stats():
        raise jax.errors.JaxRuntimeError("MemoryStats is only supported for addressable PjRt devices.")

    device = SimpleNamespace(platform="tpu", device_kind=kind, memory_stats=memory_stats)
    mesh = SimpleNamespace(local_devices=[device, device], size=2)
    assert memory_limit(mesh) == limit


def test_an_accelerator_parts_agents_that_do_not_fit_at_once(cartpole, small, monkeypatch):
    trainer = jaxq.Trainer(cartpole, jaxq.dqn(**small(batch_size=200)))
    device = SimpleNamespace(platform="tpu")
    mesh = SimpleNamespace(devices=SimpleNamespace(flat=[device, device]), size=2)

    def memory(chunk):
        use = spread_memory(trainer, Spread(1_200, chunk, mesh), donate=False)
        return use._replace(working=spreading.ACCELERATOR_MARGIN * use.working).total

    for chunk, limit in (600, None), (600, memory(600)), (300, memory(600) - 1), (120, memory(120)):
        monkeypatch.setattr(spreading, "memory_limit", lambda _, limit=limit: limit)
        assert default_chunk(trainer, 1_200, mesh, donate=False) == chunk
    # What does not fit in any part is left whole, and refused.
    monkeypatch.setattr(spreading, "memory_limit", lambda _: memory(1) - 1)
    assert default_chunk(trainer, 1_200, mesh, donate=False) == 600


@pytest.mark.parametrize(
    ("number", "text"), [(12, "12 bytes"), (2048, "2 KiB"), (3 * MIB, "3 MiB"), (2**41, "2,048 GiB")]
)
def test_bytes_are_written_with_their_unit(number, text):
    assert readable(number) == text
