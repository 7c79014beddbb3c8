"""Checkpoints: what is read back, what is kept, and what is refused."""

import hashlib
import json
import os
import pickle
import shutil

import jax
import numpy as np
import pytest
from test_contract import same

import jaxq
from jaxq.experiment.checkpoints import Checkpoints
from jaxq.storage.stored_arrays import DamagedError, read_manifest, write_manifest


@pytest.fixture(scope="module")
def population(cartpole, small):
    return jaxq.Population(jaxq.Trainer(cartpole, jaxq.dqn(**small(prioritized=True))), 3)


@pytest.fixture(scope="module")
def state(population):
    return population.run(population.init(jax.random.key(0)), 80)[0]


@pytest.fixture(scope="module")
def written(tmp_path_factory, state):
    """A directory with two checkpoints."""
    path = tmp_path_factory.mktemp("run") / "checkpoints"
    checkpoints = Checkpoints(path)
    for steps in (100, 200):
        assert checkpoints.save(state, steps, float("nan"), {"seconds": steps / 100}) is None
    assert checkpoints.close() is None
    return path


@pytest.fixture
def directory(written, tmp_path):
    return shutil.copytree(written, tmp_path / "checkpoints")


def newest_files(directory):
    return sorted(path for path in (directory / "0000000200").rglob("*") if path.is_file())


def test_everything_is_read_back(directory, population, state):
    saved = Checkpoints(directory).restore(population.template)
    same(saved.state, state)
    assert jax.tree.structure(saved.state) == jax.tree.structure(state)
    assert saved.facts["steps"] == 200
    assert saved.facts["seconds"] == 2.0
    assert saved.passed_over == []
    same(population.run(saved.state, 40), population.run(state, 40))


def test_where_nothing_was_written_there_is_nothing(tmp_path, population):
    assert Checkpoints(tmp_path / "none").restore(population.template) is None


def test_the_newest_ones_and_the_best_are_kept(tmp_path, state):
    checkpoints = Checkpoints(tmp_path, keep=2)
    for steps, score in ((1, 0.0), (2, 9.0), (3, float("nan")), (4, 1.0), (5, 2.0)):
        assert checkpoints.save(state, steps, score, {}) is None
    checkpoints.close()
    assert sorted(int(path.name) for path in tmp_path.iterdir()) == [2, 4, 5]


def test_a_damaged_one_does_not_count_as_the_newest(directory, state):
    flip(directory / "0000000200" / "manifest.json")
    checkpoints = Checkpoints(directory, keep=1)
    assert checkpoints.save(state, 150, float("nan"), {}) is None
    assert checkpoints.close() is None
    assert "0000000150" in {path.name for path in directory.iterdir()}


def test_what_was_left_unfinished_is_passed_by(directory, population):
    shutil.copytree(directory / "0000000200", directory / ".unfinished")
    assert Checkpoints(directory).restore(population.template).facts["steps"] == 200


def flip(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def cut(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


@pytest.mark.parametrize("damage", [flip, cut, os.remove])
def test_any_damaged_file_is_named_and_the_checkpoint_before_is_used(
    directory, population, state, damage
):
    largest = max(newest_files(directory), key=lambda path: path.stat().st_size)
    damage(largest)
    saved = Checkpoints(directory).restore(population.template)
    assert saved.facts["steps"] == 100
    assert "0000000200" in saved.passed_over[0]
    assert largest.name in saved.passed_over[0]
    same(saved.state, state)


def test_a_manifest_cut_in_the_middle_is_found(directory, population):
    cut(directory / "0000000200" / "manifest.json")
    saved = Checkpoints(directory).restore(population.template)
    assert saved.facts["steps"] == 100
    assert "manifest.json" in saved.passed_over[0]


def test_not_one_bit_of_a_manifest_changes_unnoticed(directory, population):
    manifest = directory / "0000000200" / "manifest.json"
    content = manifest.read_bytes()
    read_manifest(manifest.parent)
    for bit in range(0, 8 * len(content), 41):
        changed = bytearray(content)
        changed[bit // 8] ^= 1 << bit % 8
        manifest.write_bytes(changed)
        with pytest.raises(DamagedError):
            read_manifest(manifest.parent)
    # 2.0 seconds become 3.0.
    manifest.write_bytes(content.replace(b'"seconds": 2.0', b'"seconds": 3.0'))
    refused(directory, population, "manifest.json is not what was written")


def test_if_all_are_damaged_all_reasons_are_given(directory, population):
    for name in ("0000000100", "0000000200"):
        flip(max((directory / name).rglob("*"), key=lambda path: path.stat().st_size))
    with pytest.raises(jaxq.InputError, match=r"0000000200 cannot be used.*0000000100 cannot be used"):
        Checkpoints(directory).restore(population.template)


def edit(checkpoint, change):
    """Change a manifest, and its checksum so that it fits."""
    manifest = checkpoint / "manifest.json"
    described = json.loads(manifest.read_text())
    del described["sha256"]
    change(described)
    digest = hashlib.sha256(json.dumps(described, indent=1).encode()).hexdigest()
    manifest.write_text(json.dumps({**described, "sha256": digest}, indent=1) + "\n")


def refused(directory, population, words):
    saved = Checkpoints(directory).restore(population.template)
    assert saved.facts["steps"] == 100
    assert words in saved.passed_over[0]


def test_another_format_is_refused(directory, population):
    edit(directory / "0000000200", lambda described: described.update(format=99))
    refused(directory, population, "format 99")


def test_a_path_that_leaves_the_directory_is_refused(directory, population, tmp_path):
    (tmp_path / "outside").write_text("secret")
    entry = {"bytes": 6, "sha256": "0"}
    edit(directory / "0000000200", lambda described: described["files"].update({"../../outside": entry}))
    refused(directory, population, "'../../outside' is missing")


def test_a_link_out_of_the_directory_is_refused(directory, population, tmp_path):
    victim = newest_files(directory)[-1]
    shutil.copy(victim, tmp_path / "copy")
    victim.unlink()
    victim.symlink_to(tmp_path / "copy")
    refused(directory, population, "not a plain file")


class Payload:
    def __reduce__(self):
        return os.mkdir, ("executed",)


def test_a_pickle_is_not_opened(directory, population, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (directory / "0000000200" / "state" / "state.pkl").write_bytes(pickle.dumps(Payload()))
    refused(directory, population, "'state/state.pkl' is not listed")
    # Not even one that is listed, in the place of an array.
    largest = max(newest_files(directory), key=lambda path: path.stat().st_size)
    (directory / "0000000200" / "state" / "state.pkl").unlink()
    largest.write_bytes(pickle.dumps(Payload()))
    manifest = directory / "0000000200" / "manifest.json"
    facts = {"steps": 200, "score": None}
    manifest.unlink()
    write_manifest(directory / "0000000200", facts)
    saved = Checkpoints(directory).restore(population.template)
    assert saved.facts["steps"] == 100
    assert not (tmp_path / "executed").exists()


# What orbax leaves behind where one of its arrays cannot be read.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_arrays_of_another_shape_are_refused_before_they_are_read(
    directory, population, cartpole, small
):
    """So a shape that is declared huge is not even allocated."""
    trainer = jaxq.Trainer(cartpole, jaxq.dqn(**small(prioritized=True)))
    with pytest.raises(jaxq.InputError, match=r"\[3.* where .*\[4.* is expected"):
        Checkpoints(directory).restore(jaxq.Population(trainer, 4).template)
    _declare_huge(directory / "0000000200")
    refused(directory, population, "0000000200 cannot be used")


def _declare_huge(checkpoint):
    """Let the arrays' own descriptions claim more than any machine has."""
    import tensorstore

    store = tensorstore.KvStore.open({"driver": "ocdbt", "base": f"file://{checkpoint}/state/"}).result()
    for key in store.list().result():
        if key.endswith(b".zarray"):
            described = json.loads(store.read(key).result().value)
            described["shape"] = [2**40 for _ in described["shape"]]
            described["chunks"] = described["shape"]
            store.write(key, json.dumps(described).encode()).result()
    (checkpoint / "manifest.json").unlink()
    write_manifest(checkpoint, {"steps": 200, "score": None})


def test_a_checkpoint_that_cannot_be_written_is_said_and_nothing_is_left(tmp_path, state):
    (tmp_path / "checkpoints").write_text("a file where the directory should be")
    checkpoints = Checkpoints(tmp_path / "checkpoints")
    checkpoints.save(state, 1, 0.0, {})
    assert "0000000001 could not be written" in checkpoints.close()


def test_training_may_go_on_while_it_is_written(tmp_path, population, state):
    checkpoints = Checkpoints(tmp_path)
    checkpoints.save(state, 1, 0.0, {})
    population.run(state, 40)
    checkpoints.close()
    same(checkpoints.restore(population.template).state, state)
    assert np.all(np.isfinite(jax.device_get(state.actors.observation)))
