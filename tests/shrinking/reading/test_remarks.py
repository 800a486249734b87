"""Extensions that lie, and classes that are small."""

import numpy as np

from decoct.shrinking.reading.remarks import misnamed, small_classes


def test_formats_that_share_an_extension_do_not_lie():
    formats = np.array(["MPO", "JPEG", "", "DIB", "PNG", "WEBP"])
    assert misnamed(["a.jpg", "b.JPEG", "c.png", "d.bmp", "train/7", "e.png"], formats) == [(5, "WEBP")]


def test_small_classes_are_counted_and_some_are_named():
    assert small_classes("ab", np.array([0, 0, 0, 1, 1, 1])) == []
    assert small_classes("ab", np.array([0, 0, 0, 1])) == ["1 class has only 1 image(s): b"]
    assert small_classes("abcde", np.array([0, 1, 2, 2, 3, 4, 4, 4])) == [
        "4 classes have only one or two images: a, b, c …"
    ]
