"""Originals are the very bytes, whatever their name; what is gone is said."""

import numpy as np
import pytest

from decoct.core.errors import DecoctError
from decoct.shrinking.reading.originals import original, original_path
from decoct.shrinking.reading.read import read_pool


def test_a_folder_s_files(tmp_path, grow):
    root = grow({"cat": 2, "dog": 2}, ending="jpg")
    (root / "dog" / "001.jpg").rename(root / "dog" / "001.PNG")
    pool = read_pool(root, tmp_path / "pools")
    for row, path in enumerate(pool.paths):
        assert original_path(pool, row) == root / path
        assert original(pool, row) == ((root / path).read_bytes(), root.joinpath(path).suffix)
    (root / "cat" / "000.jpg").unlink()
    with pytest.raises(DecoctError, match=r"cannot read .*cat/000\.jpg: No such file"):
        original(pool, 0)


def test_the_extension_of_bytes_is_their_format_s(tmp_path, pack, grow):
    root = grow({"cat": 1, "dog": 1}, ending="jpg")
    files = {}
    for name in ("cat", "dog"):
        files |= {f"{name}.png": (root / name / "000.jpg").read_bytes(), f"{name}.cls": name.encode()}
    pool = read_pool(pack(tmp_path / "s.tar", files), tmp_path / "pools")
    assert original(pool, 1) == ((root / "dog" / "000.jpg").read_bytes(), ".jpg")
    assert pool.facts["extensions"] == [[0, "JPEG"], [1, "JPEG"]]


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda places: places[:0], "are damaged"),
        (lambda places: places + 2**40, "are damaged"),
        (lambda places: places * [1, 1, 2**50], r"s\.tar is shorter than it was"),
    ],
)
def test_damaged_places_are_told(tmp_path, pack, grow, damage, said):
    root = grow({"cat": 1, "dog": 1}, ending="jpg")
    files = {}
    for name in ("cat", "dog"):
        files |= {f"{name}.jpg": (root / name / "000.jpg").read_bytes(), f"{name}.cls": name.encode()}
    pool = read_pool(pack(tmp_path / "s.tar", files), tmp_path / "pools")
    places = np.load(pool.folder / "places.npy")
    (pool.folder / "places.npy").unlink()
    np.save(pool.folder / "places.npy", damage(places))
    with pytest.raises(DecoctError, match=said):
        original(pool, 1)
    (pool.folder / "places.npy").write_bytes(b"none")
    with pytest.raises(DecoctError, match=r"are damaged.*; remove that folder"):
        original(pool, 1)
