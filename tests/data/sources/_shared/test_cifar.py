"""What both CIFAR sets share: every layout gives the same data, and no damage passes for data."""

import pickle

import numpy as np
import pytest

from decoct.core.errors import DecoctError
from decoct.data.sources._shared.cifar import parse


def records(n: int, kinds: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 10, (n, kinds + 3072), dtype=np.uint8)


@pytest.mark.parametrize("kinds", [("class",), ("coarse", "fine")])
def test_a_binary_record_is_labels_then_red_green_blue_row_by_row(kinds):
    table = records(4, len(kinds))
    batch = parse("binary", table.tobytes(), "b", kinds)
    for i, kind in enumerate(kinds):
        assert batch.labels[kind].tolist() == table[:, i].tolist()
    for channel, y, x in ((0, 0, 0), (0, 0, 5), (0, 3, 0), (1, 0, 0), (2, 31, 31)):
        place = len(kinds) + channel * 1024 + y * 32 + x
        assert (batch.images[:, channel, y, x] == table[:, place]).all()


@pytest.mark.parametrize("kinds", [("class",), ("coarse", "fine")])
def test_both_versions_say_the_same(kinds):
    table = records(5, len(kinds))
    keys = ["labels"] if len(kinds) == 1 else ["coarse_labels", "fine_labels"]
    said = {key: table[:, i].tolist() for i, key in enumerate(keys)} | {"data": table[:, len(kinds) :]}
    binary, python = parse("binary", table.tobytes(), "b", kinds), parse("python", pickle.dumps(said, 2), "p", kinds)
    assert (binary.images == python.images).all()
    assert all((binary.labels[kind] == python.labels[kind]).all() for kind in kinds)


@pytest.mark.parametrize("data", [b"", b"\0" * 3072, b"\0" * (2 * 3073 - 1)])
def test_a_binary_batch_cut_within_an_image(data):
    with pytest.raises(DecoctError, match=r"b is damaged: .* not a whole number of images of 3,073 bytes"):
        parse("binary", data, "b", ("class",))


PIXELS = np.zeros((2, 3072), dtype=np.uint8)


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ({"labels": [1, 2]}, "not an array of images"),
        ({"data": PIXELS[:, 1:].copy(), "labels": [1, 2]}, "not an array of images of 3,072 bytes"),
        ({"data": PIXELS[0], "labels": [1, 2]}, "not an array of images"),
        ({"data": PIXELS}, "not a list of whole numbers"),
        ({"data": PIXELS, "labels": [1]}, "1 labels for 2 images"),
        ({"data": PIXELS, "labels": ["1", "2"]}, "not a list of whole numbers"),
        ({"data": PIXELS, "labels": [1, True]}, "not a list of whole numbers"),
        ({"data": PIXELS, "labels": [1, 2**70]}, "not a list of whole numbers"),
        ({"data": PIXELS, "fine_labels": [1, 2]}, "not a list of whole numbers"),
    ],
)
def test_a_python_batch_that_does_not_fit(said, message):
    with pytest.raises(DecoctError, match=f"p is damaged: .*{message}"):
        parse("python", pickle.dumps(said, 2), "p", ("class",))
