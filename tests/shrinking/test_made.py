import io
import zipfile

import numpy as np
import pytest

from decoct.core.errors import DecoctError
from decoct.shrinking.made import Made, load, ordered


def made(seed=0, n=4):
    rng = np.random.default_rng(seed)
    return Made(rng.integers(0, 256, (n, 3, 4, 4), dtype=np.uint8), np.arange(n) % 2, 12.5)


def test_a_set_is_kept_and_comes_back_as_it_was(tmp_path):
    one = made()
    one.save(tmp_path / "set.npz")
    again = load(tmp_path / "set.npz")
    assert np.array_equal(again.images, one.images) and again.images.dtype == np.uint8
    assert np.array_equal(again.labels, one.labels) and again.seconds == 12.5 and again.digest == one.digest
    assert [path.name for path in tmp_path.iterdir()] == ["set.npz"]


def test_its_digest_is_that_of_pixels_and_labels_and_not_of_the_time():
    one = made()
    assert Made(one.images, one.labels, 99.0).digest == one.digest
    others = [Made(one.images, one.labels[::-1].copy(), 0.0), Made(255 - one.images, one.labels, 0.0), made(1)]
    assert len({one.digest, *(each.digest for each in others)}) == 4


def member(header):
    """An archive whose images have so much of a header, and 8 bytes."""
    with zipfile.ZipFile(file := io.BytesIO(), "w") as archive:
        archive.writestr("images.npy", b"\x93NUMPY\1\0" + len(header).to_bytes(2, "little") + header + bytes(8))
    return file.getvalue()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"no zip",
        b"PK\x03\x04 and no more",
        member(b"{"),
        member(b"{'descr': '|u1', 'fortran_order': False, 'shape': (1125899906842624,)}"),
    ],
    # An archive has the time in it, and workers must agree on names.
    ids=["empty", "no zip", "cut off", "header without an end", "header of a petabyte"],
)
def test_a_damaged_file_is_told(tmp_path, content):
    (tmp_path / "set.npz").write_bytes(content)
    with pytest.raises(DecoctError, match="damaged"):
        load(tmp_path / "set.npz")


def test_students_see_rows_in_order_and_made_images_as_they_are():
    one = made()
    assert ordered(np.array([3, 1, 2])).tolist() == [1, 2, 3] and ordered(one) is one
