"""Columns, splits and labels of a data set of the hub, and errors that say what to do."""

from itertools import permutations

import numpy as np
import pytest

from decoct.core.errors import DecoctError
from decoct.data.reading.decode import DecodeError
from decoct.data.sources._shared import hub_columns as module
from decoct.data.sources._shared.hub_columns import classes, columns, numbers, picture, roles, trouble, unlabelled

datasets = pytest.importorskip("datasets")
IMAGE, CLASS = datasets.Image(), datasets.ClassLabel(names=["a", "b"])
TEXT, WHOLE = datasets.Value("string"), datasets.Value("int64")


def test_the_only_image_and_the_only_class_are_found_by_type():
    features = {"id": WHOLE, "picture": IMAGE, "caption": TEXT, "kind": CLASS}
    assert columns(features, None, None) == ("picture", "kind")
    assert columns(features, None, "caption") == ("picture", "caption")


@pytest.mark.parametrize(
    ("features", "asked", "message"),
    [
        (
            {"image": IMAGE, "mask": IMAGE, "y": CLASS},
            {},
            r"which column is the image\? 2 of type Image: image, mask\nset",
        ),
        ({"y": CLASS}, {}, r"which column is the image\? none is marked"),
        ({"image": IMAGE, "fine": CLASS, "coarse": CLASS}, {}, r"which column is the label\? 2 .*: fine, coarse"),
        (
            {"image": IMAGE, "text": TEXT},
            {},
            r'is the label\? none .*\nset label = "…" to one of image .*text \(string\)',
        ),
        ({"image": IMAGE, "y": CLASS}, {"label": "z"}, r"no column 'z': set label to one of image .*, y \(int64\)"),
        ({"image": IMAGE, "y": CLASS}, {"image": "img"}, r"no column 'img': set image"),
    ],
)
def test_columns_that_are_not_clear(features, asked, message):
    with pytest.raises(DecoctError, match=message):
        columns(features, asked.get("image"), asked.get("label"))


@pytest.mark.parametrize(
    ("splits", "asked", "want"),
    [
        (["train", "test"], {}, {"train": "train", "test": "test"}),
        (["train", "validation", "test"], {}, {"train": "train", "val": "validation", "test": "test"}),
        (["train", "validation"], {}, {"train": "train", "test": "validation"}),
        (["training", "dev", "extra"], {}, {"train": "training", "test": "dev"}),
        (["train"], {}, {"train": "train"}),
        (["full"], {}, {"train": "full"}),
        (["a", "b"], {"train": "a"}, {"train": "a"}),
        (["a", "b", "val"], {"train": "a", "test": "b"}, {"train": "a", "test": "b", "val": "val"}),
        (["train", "test", "validation"], {"test": "validation"}, {"train": "train", "test": "validation"}),
    ],
)
def test_which_split_is_what(splits, asked, want):
    for order in permutations(splits):
        assert roles(order, **asked) == want


@pytest.mark.parametrize(
    ("splits", "asked", "message"),
    [
        (["a", "b"], {}, r'set train = "…" to one of a, b'),
        ([], {}, "one of none"),
        (["train"], {"test": "test"}, "no split 'test' with labels, only train"),
        (["test", "x"], {}, "to be trained on"),
    ],
)
def test_splits_that_are_not_clear(splits, asked, message):
    with pytest.raises(DecoctError, match=message):
        roles(splits, **asked)


def test_classes_by_type_of_the_column():
    values = {"train": ["dog", "cat", "dog"], "test": ["eel"]}
    assert classes(TEXT, values) == ("cat", "dog", "eel")
    assert classes(CLASS, {"train": [1, 0]}) == ("a", "b")
    assert classes(WHOLE, {"train": [0, 2], "test": [1]}) == ("0", "1", "2")
    for feature in (datasets.Value("float32"), datasets.Value("bool"), datasets.List(WHOLE)):
        with pytest.raises(DecoctError, match="a label is a ClassLabel, a string or a whole number, not"):
            classes(feature, {"train": [1.0]})


def test_labels_as_numbers():
    assert numbers(["b", "a"], ("a", "b"), "train").tolist() == [1, 0]
    assert numbers([1, 0], ("a", "b"), "train").dtype == np.int64
    for value in (2, -1, None, "c"):
        with pytest.raises(DecoctError, match=f"row 1 of split 'train' has the label {value}, which is none of the 2"):
            numbers([0, value, 1], ("a", "b"), "train")


def test_a_split_without_labels_is_one_where_all_are_missing():
    assert unlabelled([-1, -1, None]) and unlabelled([])
    assert not unlabelled([-1, 0])


def test_pictures_are_bytes_or_files(tmp_path, monkeypatch):
    (tmp_path / "a.png").write_bytes(b"abc")
    assert picture({"bytes": b"xyz", "path": "/nowhere"}) == b"xyz"
    assert picture({"bytes": None, "path": str(tmp_path / "a.png")}) == b"abc"
    for cell in (None, {"bytes": None, "path": None}, {"bytes": None, "path": "https://x.org/a.png"}):
        with pytest.raises(DecodeError, match=r"no picture|no such file"):
            picture(cell)
    with pytest.raises(DecodeError, match="no such file: zero"):
        picture({"bytes": None, "path": "/dev/zero"})
    monkeypatch.setattr(module, "MOST_BYTES", 2)
    with pytest.raises(DecodeError, match="more than 2 bytes"):
        picture({"bytes": None, "path": str(tmp_path / "a.png")})


class ConnectTimeout(type("TransportError", (Exception,), {})):
    """As the hub client's network library has it."""


MISSING = datasets.exceptions.DatasetNotFoundError


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (MISSING("Dataset 'o/n' is a gated dataset on the Hub."), r"agree on .*o/n, then log in with 'hf auth login'"),
        (MISSING("Dataset 'o/n' doesn't exist on the Hub"), r"no data set 'o/n', or it is private\n.*log in"),
        (MISSING("Revision 'x' doesn't exist for"), "leave out revision"),
        (ConnectionError("Couldn't reach 'o/n'"), r"cannot reach the hub for 'o/n'.*\n.*hub:FOLDER .*HF_HOME"),
        (ConnectTimeout("slow"), "cannot reach the hub"),
        (OSError("Not enough disk space. Needed: 155 GB"), r"155 GB\nset HF_HOME to a folder on a larger disk"),
        (RuntimeError("Dataset scripts are no longer supported, but found n.py"), 'never run\nset revision = "refs/'),
        (ValueError("Config name is missing.\nPlease pick one among: ['x', 'y']"), r"set subset = \"…\"\n.*'x', 'y'"),
        (ValueError("something else\nlong"), r"cannot load 'o/n': ValueError: something else$"),
        (ValueError(), r"cannot load 'o/n': ValueError"),
    ],
)
def test_errors_say_what_to_do(error, message):
    found = str(trouble(error, "o/n"))
    assert len(found.splitlines()) <= 3
    with pytest.raises(DecoctError, match=message):
        raise trouble(error, "o/n")
