"""Other groups are another pool of the same files."""

import numpy as np
import pytest

from decoct.core.errors import DecoctError
from decoct.shrinking.pool import open_pool
from decoct.shrinking.reading.groups import merge_groups
from decoct.shrinking.reading.originals import original
from decoct.shrinking.reading.read import read_pool
from decoct.shrinking.reading.regroup import regroup


def test_the_same_images_in_other_groups(tmp_path, grow, pack, picture):
    files = {
        f"{i}.{end}": picture(i) if end == "png" else b"ab"[i % 2 :][:1] for i in range(6) for end in ("png", "cls")
    }
    pool = read_pool(pack(tmp_path / "s.tar", files), tmp_path / "pools")
    groups = merge_groups(pool.groups, np.array([[0, 5], [2, 3]]))
    other = regroup(pool, groups)
    assert other.groups.tolist() == [0, 1, 2, 2, 3, 0] and pool.groups.tolist() == [0, 1, 2, 3, 4, 5]
    assert (
        other.digest != pool.digest and other.folder != pool.folder and open_pool(other.folder).digest == other.digest
    )
    for name in ("labels", "split", "width", "height", "bytes", "content", "images"):
        assert (getattr(other, name) == getattr(pool, name)).all()
    assert other.paths == pool.paths and original(other, 3) == original(pool, 3)
    assert (other.folder / "images.npy").stat().st_ino == (pool.folder / "images.npy").stat().st_ino
    assert regroup(pool, groups).folder == other.folder and regroup(pool, pool.groups) is pool
    assert regroup(other, np.arange(6)).digest == pool.digest


def test_a_file_system_without_hard_links(tmp_path, grow, monkeypatch):
    pool = read_pool(grow({"cat": 2, "dog": 2}), tmp_path / "pools")

    def refused(file, beside):
        raise OSError

    monkeypatch.setattr("decoct.shrinking.reading.regroup.os.link", refused)
    other = regroup(pool, np.array([0, 0, 1, 1]))
    assert (other.images == pool.images).all() and other.folder.joinpath("images.npy").stat().st_nlink == 1


def test_pictures_of_python_are_found_from_there_too(tmp_path):
    rng = np.random.default_rng(0)
    data = [(rng.integers(0, 256, (8, 8, 3), dtype=np.uint8), i % 2) for i in range(4)]
    pool = read_pool(data, tmp_path)
    other = regroup(regroup(pool, np.array([0, 0, 1, 1])), np.array([0, 1, 1, 1]))
    assert original(other, 2) == original(pool, 2)


def test_a_full_disk(tmp_path, grow, monkeypatch):
    pool = read_pool(grow({"cat": 2, "dog": 2}), tmp_path / "pools")

    def full(*args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("decoct.shrinking.reading.regroup.keep_pool", full)
    with pytest.raises(DecoctError, match="No space left on device"):
        regroup(pool, np.array([0, 0, 1, 1]))
