"""The idx reader, on files written here."""

import gzip
import struct

import numpy as np
import pytest

from decoct.core.errors import DecoctError
from decoct.data.sources.fashion_mnist import read_idx


def idx(array: np.ndarray) -> bytes:
    return bytes((0, 0, 8, array.ndim)) + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes()


IMAGES = np.random.default_rng(0).integers(0, 256, (3, 5, 4), dtype=np.uint8)


@pytest.mark.parametrize("ending", ["", ".gz"])
def test_round_trip(tmp_path, ending):
    path = tmp_path / f"images{ending}"
    path.write_bytes(gzip.compress(idx(IMAGES)) if ending else idx(IMAGES))
    assert (read_idx(path, 3) == IMAGES).all()


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "not an idx file"),
        (b"\x00\x00\x08", "not an idx file"),
        (idx(IMAGES)[:10], "not an idx file"),
        (idx(IMAGES[0]), "not an idx file of bytes in 3 dimensions"),
        (b"\x00\x00\x0d" + idx(IMAGES)[3:], "not an idx file"),
        (idx(IMAGES)[:-1], "states 60 bytes, it holds 59"),
        (idx(IMAGES) + b"x", "holds more"),
        (b"\x00\x00\x08\x03" + struct.pack(">3I", 2**31, 2**31, 2**31), "it holds 0"),
    ],
)
def test_damage_is_told(tmp_path, data, message):
    (tmp_path / "images").write_bytes(data)
    with pytest.raises(DecoctError, match=message):
        read_idx(tmp_path / "images", 3)


@pytest.mark.parametrize("data", [b"not gzip", gzip.compress(idx(IMAGES))[:-12]], ids=["none", "cut off"])
def test_damaged_gzip_is_told(tmp_path, data):
    (tmp_path / "images.gz").write_bytes(data)
    with pytest.raises(DecoctError, match=r"cannot read .*images\.gz"):
        read_idx(tmp_path / "images.gz", 3)
