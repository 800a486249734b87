"""Python data sets: every kind of picture and label, class folders of torchvision's, and what is no data set."""

import io

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import Subset
from torchvision.datasets import ImageFolder

from decoct.core.errors import DecoctError, UsageError
from decoct.data.reading.decode import DecodeError
from decoct.shrinking.pool import TEST, TRAIN
from decoct.shrinking.reading import read
from decoct.shrinking.reading.originals import original, original_path
from decoct.shrinking.reading.read import read_pool
from decoct.shrinking.reading.sources import mapped

RNG = np.random.default_rng(0)
HWC = RNG.integers(0, 256, (6, 9, 3), dtype=np.uint8)
GREY = RNG.integers(0, 256, (6, 9), dtype=np.uint8)


class Listed:
    """A data set of what is in a list."""

    def __init__(self, items, classes=None):
        self.items, self.asked = items, []
        if classes:
            self.classes = classes

    def __len__(self):
        return len(self.items)

    def __getitem__(self, i):
        self.asked.append(i)
        if isinstance(self.items[i], Exception):
            raise self.items[i]
        return self.items[i]


def squares(count, labels, side=8, seed=0):
    rng = np.random.default_rng(seed)
    return [
        (Image.fromarray(rng.integers(0, 256, (side, side, 3), dtype=np.uint8)), labels[i % len(labels)])
        for i in range(count)
    ]


@pytest.mark.parametrize(
    ("picture", "expected"),
    [
        (Image.fromarray(HWC), HWC),
        (Image.fromarray(GREY), GREY),
        (HWC, HWC),
        (GREY, GREY),
        (GREY[:, :, None], GREY),
        (HWC.transpose(2, 0, 1), HWC),
        (torch.from_numpy(HWC).permute(2, 0, 1), HWC),
        (torch.from_numpy(HWC).permute(2, 0, 1).float() / 255, HWC),
        (GREY[None].astype(np.float64) / 255, GREY),
        (np.concatenate([HWC, np.zeros((6, 9, 1), dtype=np.uint8)], 2), np.full_like(HWC, 255)),
    ],
)
def test_pixels_of_every_kind(picture, expected):
    made = mapped.pixels(picture)
    assert made.dtype == np.uint8 and made.shape == expected.shape and (made == expected).all()


@pytest.mark.parametrize(
    ("picture", "message"),
    [
        (HWC.astype(np.int64), "not int64"),
        (HWC / 100.0, "leave Normalize out"),
        (np.full((3, 3), np.nan), "leave Normalize out"),
        (np.zeros((5, 6, 7), dtype=np.uint8), r"\(5, 6, 7\)"),
        ("picture.png", r"not str"),
    ],
)
def test_what_is_no_picture(picture, message):
    with pytest.raises(DecodeError, match=message):
        mapped.pixels(picture)


def test_a_data_set_becomes_a_pool_asked_for_once_in_order(tmp_path, monkeypatch):
    data = Listed(squares(70, [1, 0, 2]), classes=["zebra", "ape", "newt"])
    pool = read_pool(data, tmp_path)
    assert data.asked == [0, *range(70)]  # the first tells the size
    assert pool.class_names == ("ape", "newt", "zebra") and pool.paths[3] == "train/3" and pool.source == "Listed"
    for row in range(70):
        assert (pool.images[row] == np.asarray(data.items[row][0]).transpose(2, 0, 1)).all()
        assert pool.class_names[pool.labels[row]] == ["ape", "zebra", "newt"][row % 3]
    data_, ending = original(pool, 7)
    assert ending == ".png" and original_path(pool, 7) is None
    assert (np.asarray(Image.open(io.BytesIO(data_))) == np.asarray(data.items[7][0])).all()
    monkeypatch.setattr(read, "write_block", lambda made, block: pytest.fail("decoded again"))
    assert read_pool(data, tmp_path).folder == pool.folder


def test_the_same_content_is_kept_once(tmp_path):
    first, second = (read_pool(Listed(squares(9, ["a", "b"])), tmp_path) for _ in range(2))
    assert first.folder == second.folder and len(list(tmp_path.iterdir())) == 1


def test_splits_match_by_name(tmp_path):
    train = Listed(squares(6, [0, 1]), classes=["a", "b"])
    test = Listed(squares(4, [0, 1], seed=1), classes=["b", "a"])
    pool = read_pool({"train": train, "test": test}, tmp_path)
    assert pool.split.tolist() == [TRAIN] * 6 + [TEST] * 4 and pool.labels[6:].tolist() == [1, 0, 1, 0]
    image = Image.open(io.BytesIO(original(pool, 7)[0]))
    assert (np.asarray(image) == np.asarray(test.items[1][0])).all()
    with pytest.raises(DecoctError, match="class 'b' has no images in test"):
        read_pool({"train": train, "test": Subset(test, [1, 3])}, tmp_path)


@pytest.mark.parametrize("labels", [[0, 3], ["x", "y"], [np.int64(0), np.int64(3)], [torch.tensor(0), torch.tensor(3)]])
def test_labels_of_every_kind(tmp_path, labels):
    assert read_pool(Listed(squares(4, labels)), tmp_path).class_names in (("0", "3"), ("x", "y"))


def test_items_that_fail_are_left_out_and_told(tmp_path):
    items = squares(6, ["a", "b"])
    items[2] = ValueError("bad luck")
    items[3] = (np.zeros((4, 4, 3)) - 1, "b")
    pool = read_pool(Listed(items), tmp_path)
    assert [(path, why) for path, _, why in pool.unreadable] == [
        ("train/2", "ValueError: bad luck"),
        ("train/3", "floating-point pixels are from 0 to 1: leave Normalize out of its transform"),
    ]
    assert pool.labels.tolist() == [0, 1, 0, 1]


def test_items_with_names(tmp_path):
    items = [{"index": i, "img": picture, "label": label} for i, (picture, label) in enumerate(squares(4, ["a", "b"]))]
    pool = read_pool(items, tmp_path)
    assert pool.class_names == ("a", "b") and original(pool, 3)[1] == ".png"
    assert (pool.images[3] == np.asarray(items[3]["img"]).transpose(2, 0, 1)).all()
    with pytest.raises(DecoctError, match="an item has index, not image and label"):
        read_pool([{"index": 0}, {"index": 1}], tmp_path)


def test_originals_are_as_given_and_gone_with_their_process(tmp_path, monkeypatch):
    alpha = Image.fromarray(RNG.integers(0, 256, (8, 8, 4), dtype=np.uint8))
    pool = read_pool(Listed([(alpha, 0), (GREY, 1)]), tmp_path)
    again = Image.open(io.BytesIO(original(pool, 0)[0]))
    assert again.mode == "RGBA" and (np.asarray(again) == np.asarray(alpha)).all()
    monkeypatch.setattr(mapped, "_HELD", {})
    with pytest.raises(DecoctError, match="a Python data set that this process does not have"):
        original(pool, 0)


def test_class_folders_of_torchvision_are_read_as_files(tmp_path, grow):
    root = grow({"cat": 3, "dog": 3})
    data = ImageFolder(str(root), transform=lambda image: pytest.fail("it is not asked"))
    pool = read_pool(data, tmp_path / "pools")
    assert original_path(pool, 4) == root / "dog" / "001.png" and pool.class_names == ("cat", "dog")
    half = read_pool(Subset(data, [5, 0]), tmp_path / "pools")
    assert [original_path(half, row) for row in range(2)] == [root / "dog" / "002.png", root / "cat" / "000.png"]
    assert half.labels.tolist() == [1, 0]


@pytest.mark.parametrize(
    ("source", "kind", "message"),
    [
        (3, UsageError, "int is no map-style data set"),
        (iter([]), UsageError, "no map-style data set"),
        ({"training set": Listed([])}, UsageError, "'training set' is no split"),
        (Listed([]), DecoctError, "Listed is empty"),
        (Listed([(GREY, 0.5), (GREY, 1)]), DecoctError, "a label is a whole number or a word, not float"),
        (Listed([(GREY, [1, 0]), (GREY, 1)]), DecoctError, "not list"),
        (Listed(squares(3, [0])), DecoctError, "only one class, '0'"),
    ],
)
def test_what_cannot_be_read(tmp_path, source, kind, message):
    with pytest.raises(kind, match=message):
        read_pool(source, tmp_path)
