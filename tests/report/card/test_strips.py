"""Ten small pictures of each of a few methods."""

import base64
import io

import numpy as np
import pytest
from PIL import Image

from decoct.report.card import strips as module
from decoct.report.card.strips import GAP, GROUND, LARGEST, METHODS, cut


def sheet(rows, columns, side, missing=()):
    """A sheet on which every picture is one colour of its own, and which colours these are."""
    pixels = np.full((rows * (side + GAP) + GAP, columns * (side + GAP) + GAP, 3), GROUND, dtype=np.uint8)
    for row in range(rows):
        for column in range(columns):
            if (row, column) not in missing:
                top, left = GAP + row * (side + GAP), GAP + column * (side + GAP)
                pixels[top : top + side, left : left + side] = (row, column, 7)
    return pixels


def decoded(uri):
    head, data = uri.split(",")
    with Image.open(io.BytesIO(base64.b64decode(data))) as picture:
        assert head == f"data:image/{picture.format.lower()};base64"
        return picture.format, np.asarray(picture.convert("RGB"))


def test_pictures_go_down_the_classes_and_then_across():
    found = cut(sheet(10, 5, 8), 8)
    assert [tuple(own[0, 0]) for own in found] == [(row, 0, 7) for row in range(10)]
    found = cut(sheet(3, 5, 8), 8)
    assert [tuple(own[3, 3]) for own in found] == [(i % 3, i // 3, 7) for i in range(10)]
    assert all(own.shape == (8, 8, 3) and (own == own[0, 0]).all() for own in found)


def test_a_class_without_a_picture_leaves_no_grey_one():
    found = cut(sheet(4, 2, 8, missing={(1, 0), (2, 1)}), 8)
    assert len(found) == 6 and all((own != GROUND).any() for own in found)


@pytest.mark.parametrize(
    ("side", "kind", "kept"), [(8, "PNG", 8), (32, "PNG", 32), (64, "JPEG", 64), (224, "JPEG", 64)]
)
def test_small_pictures_stay_as_they_are_and_large_ones_are_reduced(side, kind, kept):
    pixels = np.random.default_rng(0).integers(0, 255, (side, side, 3), dtype=np.uint8)
    found, own = decoded(module._uri(pixels))
    assert found == kind and own.shape == (kept, kept, 3) and kept <= LARGEST
    assert kind == "JPEG" or (own == pixels).all()


def test_strips_of_large_pictures_stay_below_the_weight_of_a_card():
    rng = np.random.default_rng(0)
    noise = rng.integers(0, 255, (224, 224, 3), dtype=np.uint8)  # no picture is worse to compress
    assert METHODS * 10 * len(module._uri(noise)) < 300_000


def test_random_and_the_best_are_shown_in_the_studys_order(told):
    summary, made = told("many")
    shown = [strip.method for strip in made.strips]
    assert len(shown) == METHODS and shown[0] == "random"
    best = sorted(summary.methods, key=lambda m: -max(a.interval.mean for a in summary.accuracies if a.method == m))
    assert set(shown[1:]) == {m for m in best if m != "random"} & set(best[: METHODS - 1])
    assert shown == [m for m in summary.methods if m in shown]


def test_the_smallest_set_with_ten_pictures_is_taken(told):
    assert told("usual")[1].pictured == "IPC 1, one per class"
    _, made = told("students")  # of two classes
    assert made.pictured == "IPC 10" and all(len(strip.pictures) == 10 for strip in made.strips)
    assert told("thousand")[1].pictured == "1 % of each class, one from each of ten classes"


def test_what_is_no_picture_is_left_out(builder):
    from decoct.report.card.content import card
    from decoct.report.read import frame
    from decoct.report.summary import summarise

    for path in builder.build().rglob("preview.png"):
        path.write_bytes(b"<svg onload=alert(1)>")
    made = card(summarise(frame.read(builder.folder)))
    assert made.strips == () and made.pictured == ""
