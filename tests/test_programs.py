"""What is kept between runs for a machine."""

import os

from jaxq.storage.machine_cache import prune


def test_of_too_many_programs_those_used_last_stay(tmp_path):
    for number, name in enumerate(["oldest", "older", "newer", "newest"]):
        (tmp_path / name).write_bytes(bytes(100))
        os.utime(tmp_path / name, (number, 0))
    # Reading one makes it newer.
    os.utime(tmp_path / "oldest", (9, 0))
    prune(tmp_path, 250)
    assert {path.name for path in tmp_path.iterdir()} == {"oldest", "newest"}
    prune(tmp_path, 250)
    assert len([*tmp_path.iterdir()]) == 2


def test_what_cannot_be_removed_stays(tmp_path):
    (tmp_path / "directory").mkdir()
    prune(tmp_path, 0)
    assert (tmp_path / "directory").exists()
