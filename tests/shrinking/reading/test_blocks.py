"""Blocks: what a picture is read from, files at their whole length, and columns of what was seen."""

import numpy as np
import pytest

from decoct.data.reading.decode import DecodeError, decode
from decoct.shrinking.reading.blocks import Making, allocate, bytes_of, images, joined, write_block


@pytest.fixture
def making(tmp_path):
    return Making(tmp_path, 5, (8, 4), None)


def test_a_block_fills_its_rows_and_no_other(making, picture):
    assert allocate(making) is False and allocate(making) is True
    data = [picture(1), b"nothing", picture(2)]
    seen = write_block(making, (1, data))
    assert seen[1] == "not an image" and seen[0][:3] == (12, 12, len(data[0])) and seen[0][4:] == ("PNG", False)
    for size in (8, 4):
        rows = np.load(making.folder / images(size))
        assert (rows[[0, 2, 4]] == 0).all()
        assert (rows[[1, 3]] == [decode(data[0], size, 3), decode(data[2], size, 3)]).all()


def test_files_of_another_length_are_made_again(making):
    allocate(making)
    with (making.folder / images(8)).open("r+b") as file:
        file.truncate(100)
    assert allocate(making) is False
    assert np.load(making.folder / images(8)).shape == (5, 3, 8, 8)


def test_places(tmp_path):
    file = tmp_path / "file"
    file.write_bytes(b"0123456789")
    assert bytes_of(str(file)) == b"0123456789" and bytes_of((str(file), 3, 4)) == b"3456" and bytes_of(b"x") == b"x"
    assert (bytes_of(np.eye(2, dtype=np.uint8)) == np.eye(2)).all()


@pytest.mark.parametrize(
    ("place", "why"),
    [
        ("nowhere", "no such file"),
        (".", "not a regular file"),
        (DecodeError("no picture"), "no picture"),
        ("a\0b", "no such file"),
    ],
)
def test_what_cannot_be_read(place, why):
    with pytest.raises(DecodeError, match=why):
        bytes_of(place)


def test_a_file_larger_than_any_picture(tmp_path):
    with (tmp_path / "huge.png").open("wb") as file:
        file.truncate(2**28 + 1)  # it takes no room
    with pytest.raises(DecodeError, match="more than any picture"):
        bytes_of(str(tmp_path / "huge.png"))


def test_pixels_are_equal_only_in_the_same_shape(making):
    allocate(making)
    flat = np.arange(24, dtype=np.uint8)
    first, second, third = write_block(making, (0, [flat.reshape(4, 6), flat.reshape(6, 4), flat.reshape(4, 6)]))
    assert first[3] == third[3] != second[3] and first[:3] == (6, 4, 24)


def test_columns_come_from_blocks_in_any_order():
    results = [(1, [[1, 2, 3, 2**64 - 1, "PNG", True]]), (0, ["bad", [4, 5, 6, 7, "JPEG", False]])]
    columns, bad = joined(iter(results), 2, 3)
    assert bad == {0: "bad"}
    assert columns["width"].tolist() == [0, 4, 1] and columns["content"].tolist() == [0, 7, 2**64 - 1]
    assert columns["format"].tolist() == ["", "JPEG", "PNG"] and columns["grey"].tolist() == [False, False, True]
