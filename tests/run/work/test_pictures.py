"""The sheet of a set, pixel by pixel: a row a class, images in their order, mid-grey between."""

import numpy as np
import pytest

from decoct.run.work.pictures import grid


def pixels(images, labels, classes, **options):
    return np.asarray(grid(np.asarray(images), np.asarray(labels, dtype=np.int64), classes, **options))


def flat(*values, dtype=np.uint8):
    """Grey images of 2 × 1 pixels, (value, value + 1)."""
    return np.array([[[[v, v + 1]]] for v in values], dtype=dtype)


def test_rows_are_classes_and_images_keep_their_order():
    g = 128
    sheet = pixels(flat(10, 20, 30), [1, 0, 1], 2)
    assert sheet.tolist() == [
        [g, g, g, g, g, g, g],
        [g, 20, 21, g, g, g, g],
        [g, g, g, g, g, g, g],
        [g, 10, 11, g, 30, 31, g],
        [g, g, g, g, g, g, g],
    ]


def test_a_class_without_an_image_has_an_empty_row():
    sheet = pixels(flat(10, 20), [0, 2], 3)
    assert sheet.shape == (7, 4)
    assert (sheet[2:5] == 128).all()
    assert sheet[5].tolist() == [128, 20, 21, 128]


def test_colours_keep_their_channels():
    image = np.arange(12, dtype=np.uint8).reshape(1, 3, 2, 2)
    sheet = pixels(image, [0], 1)
    assert sheet.shape == (4, 4, 3)
    assert np.array_equal(sheet[1:3, 1:3], image[0].transpose(1, 2, 0))
    assert (np.delete(sheet.reshape(16, 3), [5, 6, 9, 10], axis=0) == 128).all()


@pytest.mark.parametrize(
    ("value", "shown"), [(0.0, 0), (1.0, 255), (-0.5, 0), (1.5, 255), (0.5, 128), (100.4 / 255, 100)]
)
def test_floats_are_scaled_rounded_and_clipped(value, shown):
    sheet = pixels(np.full((1, 1, 1, 1), value, dtype=np.float32), [0], 1)
    assert sheet[1, 1] == shown


def test_no_more_than_the_first_images_of_the_first_classes():
    images = flat(*range(0, 24, 2))
    labels = [0, 1, 2] * 4
    sheet = pixels(images, labels, 3, most=2)
    assert sheet.shape == (5, 7)
    assert sheet[[1, 3]][:, [1, 4]].tolist() == [[0, 6], [2, 8]]
    many = np.zeros((400, 1, 3, 3), dtype=np.uint8)
    assert pixels(many, np.arange(400) % 20, 20).shape == (41, 41)


@pytest.mark.parametrize("kind", [np.uint8, np.float32])
def test_only_the_images_that_are_shown_are_read(kind):
    class Counted:
        def __init__(self, images):
            self.images, self.shape, self.dtype, self.read = images, images.shape, images.dtype, []

        def __getitem__(self, at):
            self.read.append(int(at))
            return self.images[at]

    images = Counted(np.zeros((400, 1, 3, 3), dtype=kind))
    grid(images, np.arange(400) % 20, 20, most=2)
    assert images.read == [0, 20, 1, 21]
    grid(images, np.array([1, 0, 1]), 2, picks=np.array([7, 300, 5]))
    assert images.read[4:] == [300, 7, 5]


def test_picks_are_shown_as_if_they_were_a_set_of_their_own():
    images, picks, labels = flat(*range(0, 40, 2)), np.array([7, 3, 7, 0]), [1, 0, 0, 1]
    assert np.array_equal(pixels(images, labels, 2, picks=picks), pixels(images[picks], labels, 2))
