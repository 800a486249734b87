"""Pictures into one file: order, what is left out, grey that stays grey, and the size where nobody says one."""

import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from decoct.core.errors import DecoctError
from decoct.data.reading.decode import DecodeError
from decoct.data.sources._shared.pictures import Picture, decode_pictures, shapes, usual_size

COLOURS = np.random.default_rng(0).integers(0, 256, (6, 8, 8, 3), dtype=np.uint8)


def png(pixels):
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


def entries(contents, splits=None):
    splits = splits or ["train"] * len(contents)
    return [Picture(s, i % 2, f"{s}/{i}", lambda c=c: c) for i, (c, s) in enumerate(zip(contents, splits, strict=True))]


def run(tmp_path, pictures, channels="auto", skip=False, said=None):
    progress = (lambda *_: None) if said is None else lambda *pair: said.append(pair)
    return decode_pictures(pictures, len(pictures), "the box", tmp_path, 8, channels, skip, progress)


def test_every_picture_stands_in_its_split_with_its_label_and_name(tmp_path):
    said = []
    splits = ["train", "test", "train", "val", "test", "train"]
    parts, skipped = run(tmp_path, entries([png(c) for c in COLOURS], splits), said=said)
    assert skipped == () and set(parts) == {"train", "test", "val"}
    for name, part in parts.items():
        rows = [i for i, split in enumerate(splits) if split == name]
        assert (np.concatenate(list(part.blocks())) == COLOURS[rows].transpose(0, 3, 1, 2)).all()
        assert part.labels.tolist() == [i % 2 for i in rows]
        assert part.files == tuple(f"{name}/{i}" for i in rows)
    assert said == [(i, 6) for i in range(1, 7)]


def test_channels(tmp_path):
    grey = [png(c[..., 0]) for c in COLOURS]
    assert run(tmp_path, entries(grey))[0]["train"].images.shape[1] == 1
    assert run(tmp_path, entries(grey), 3)[0]["train"].images.shape[1] == 3
    assert run(tmp_path, entries([*grey, png(COLOURS[0])]))[0]["train"].images.shape[1] == 3
    assert run(tmp_path, entries([png(COLOURS[0])]), 1)[0]["train"].images.shape[1] == 1


def test_what_does_not_decode(tmp_path):
    def refuse():
        raise DecodeError("no such file: x.png")

    pictures = [
        *entries([png(c) for c in COLOURS]),
        Picture("train", 0, "gone", refuse),
        Picture("train", 0, "bad", bytes),
    ]
    with pytest.raises(
        DecoctError, match=r"2 of 8 images in the box .*: bad \(empty file\); gone \(no such file: x\.png\)"
    ):
        run(tmp_path, pictures)
    parts, skipped = run(tmp_path, pictures, skip=True)
    assert skipped == ("bad", "gone") and len(parts["train"]) == 6


def test_a_split_of_which_nothing_is_left_is_never_passed_over(tmp_path):
    pictures = [*entries([png(c) for c in COLOURS]), Picture("test", 0, "test/1", bytes)]
    with pytest.raises(DecoctError, match="1 of 7 images"):
        run(tmp_path, pictures, skip=True)
    with pytest.raises(DecoctError, match="the box holds no pictures"):
        run(tmp_path, [])


SHAPES = st.tuples(st.integers(1, 200), st.integers(1, 200))


@given(SHAPES, st.integers(1, 50))
def test_pictures_of_one_small_size_keep_it(shape, count):
    size, said = usual_size([shape] * count)
    if 4 <= min(shape) <= 64:
        assert size == min(shape) and f"stay at {size} px" in said
        assert ("cropped" in said) == (shape[0] != shape[1])
    else:
        assert size == (64 if min(shape) > 64 else 32)


@given(st.lists(SHAPES, min_size=2).filter(lambda found: len(set(found)) > 1))
def test_pictures_of_many_sizes_get_the_larger_of_32_and_64_that_half_of_them_reach(found):
    size, said = usual_size(found)
    middle = sorted(map(min, found), reverse=True)[(len(found) + 1) // 2 - 1]  # half of them, rounded up, reach this
    assert size == (64 if middle >= 64 else 32)
    assert f"{size} × {size} px" in said
    assert usual_size(found[::-1]) == (size, said)


def test_where_no_picture_has_a_header_the_size_is_the_small_one():
    assert usual_size([])[0] == 32


def test_shapes_come_from_headers_and_skip_what_has_none():
    def refuse():
        raise DecodeError("no such file: x.png")

    wide = png(np.zeros((5, 9, 3), np.uint8))
    cut = wide[:60]  # the header stands, the pixels do not
    found = [*entries([wide, cut, b"", b"no picture"]), Picture("train", 0, "gone", refuse)]
    assert list(shapes(found)) == [(9, 5), (9, 5)]
