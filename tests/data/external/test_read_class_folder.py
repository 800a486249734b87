"""A class folder of pictures as a set: exact where it was exported, refused where it does not fit."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image

from decoct.core.condensed import RATE, WEIGHTS, Condensed
from decoct.core.errors import DecoctError
from decoct.core.record import Provenance
from decoct.data.external.read import read_class_folder
from decoct.data.reading.decode import decode
from decoct.data.reading.tree import StrayLinks

NAMES = ("cat", "dog", "eel")


def make(images, labels, names=NAMES):
    return Condensed(np.array(labels, dtype=np.int64), names, Provenance(method="m"), images=images)


@pytest.fixture
def exported(tmp_path):
    images = np.random.default_rng(0).integers(0, 256, (3, 1, 8, 8), dtype=np.uint8)
    make(images, [0, 1, 2]).export(tmp_path / "set")
    return tmp_path / "set"


@settings(max_examples=25, deadline=None)
@given(
    st.data(),
    st.sampled_from([1, 3]),
    st.integers(4, 12),
    st.lists(st.integers(0, 2), max_size=12),
    st.sampled_from([NAMES, ("b", "a", "c"), ("..", "/etc", "a/b"), ("0_x", "x", "1_x"), ("A", "a", "á")]),
)
def test_what_was_exported_is_read_bit_for_bit(tmp_path_factory, data, channels, size, labels, names):
    labels = [*labels, data.draw(st.integers(0, 2))]  # a set may leave a class without an image
    images = data.draw(arrays(np.uint8, (len(labels), channels, size, size)))
    folder = tmp_path_factory.mktemp("sets") / "set"
    make(images, labels, names).export(folder)
    found = read_class_folder(folder, names, (channels, size, size))
    order = np.argsort(labels, kind="stable")  # class by class, in order within a class
    np.testing.assert_array_equal(found.images, images[order])
    np.testing.assert_array_equal(found.labels, np.array(labels)[order])
    assert found.class_names == names


@settings(max_examples=25, deadline=None)
@given(
    arrays(np.float32, 6, elements=st.floats(0, allow_infinity=False, width=32)).filter(np.any),
    st.permutations(range(6)),
)
def test_weights_are_read_with_their_images_bit_for_bit(tmp_path_factory, weights, order):
    labels, images = np.array([0, 0, 0, 1, 2, 2])[order], np.arange(6, dtype=np.uint8).repeat(4).reshape(6, 1, 2, 2)
    folder = tmp_path_factory.mktemp("sets") / "set"
    replace(make(images, labels), weights=weights).export(folder)
    found = read_class_folder(folder, NAMES, (1, 2, 2))
    assert found.weights.dtype == np.float32
    assert found.weights.tobytes() == weights[found.images[:, 0, 0, 0]].tobytes()


def test_a_learnt_rate_is_read_with_the_pictures(tmp_path):
    replace(make(np.zeros((3, 1, 2, 2), np.uint8), [0, 1, 2]), rate=0.1 + 0.2).export(tmp_path / "set")
    assert read_class_folder(tmp_path / "set", NAMES, (1, 2, 2)).rate == 0.1 + 0.2


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("{", "holds no rate .*: mend or remove it"),
        ('{"rate": "fast"}', "holds no rate"),
        ('{"rate": NaN}', "the learnt rate is nan"),
        ('{"rate": -1}', "the learnt rate is -1"),
    ],
)
def test_a_rate_that_is_none_is_refused(exported, content, said):
    (exported / RATE).write_text(content)
    with pytest.raises(DecoctError, match=said):
        read_class_folder(exported, NAMES, (1, 8, 8))


def test_pictures_without_weights_count_alike(exported):
    assert read_class_folder(exported, NAMES, (1, 8, 8)).weights is None


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("file,weight\ncat/00000.png,1\ndog/00000.png,2\n", "no weight of eel/00000.png: add it, or remove the file"),
        ("file,weight\ncat/00000.png,much\n", "no file and weight a row .*: mend or remove it"),
        ("cat/00000.png,1\n", "no weight of cat/00000.png"),
        ("file,weight\ncat/00000.png\n", "no file and weight a row"),
        ("", "no weight of cat/00000.png"),
        ("file,weight\ncat/00000.png,1\ndog/00000.png,-1\neel/00000.png,1\n", "a weight is -1"),
        ("file,weight\ncat/00000.png,1\ndog/00000.png,nan\neel/00000.png,1\n", "not finite"),
    ],
)
def test_weights_that_do_not_fit_are_refused(exported, content, said):
    (exported / WEIGHTS).write_text(content)
    with pytest.raises(DecoctError, match=said):
        read_class_folder(exported, NAMES, (1, 8, 8))


def test_weights_that_are_no_text_are_refused(exported):
    (exported / WEIGHTS).write_bytes(b"\xff\xfe\x00")
    with pytest.raises(DecoctError, match="mend or remove it"):
        read_class_folder(exported, NAMES, (1, 8, 8))


def test_it_is_called_as_its_folder_and_picks_nothing(exported):
    found = read_class_folder(exported, NAMES, (1, 8, 8))
    assert found.provenance == Provenance(method="set")
    assert not found.member and found.labels.dtype == np.int64


def test_pictures_of_another_size_are_treated_as_the_data_were(tmp_path):
    rng = np.random.default_rng(0)
    for name in NAMES:
        (tmp_path / name).mkdir()
        Image.fromarray(rng.integers(0, 256, (20, 31, 3), dtype=np.uint8)).save(tmp_path / name / "p.png")
    found = read_class_folder(tmp_path, NAMES, (1, 8, 8))
    for image, name in zip(found.images, NAMES, strict=True):
        np.testing.assert_array_equal(image, decode((tmp_path / name / "p.png").read_bytes(), 8, 1))


def test_the_order_of_the_classes_is_the_data_s(exported):
    found = read_class_folder(exported, ("eel", "cat", "dog"), (1, 8, 8))
    straight = read_class_folder(exported, NAMES, (1, 8, 8))
    np.testing.assert_array_equal(found.images, straight.images[[2, 0, 1]])
    assert found.labels.tolist() == [0, 1, 2]


@pytest.mark.parametrize("names", [("cat", "dog"), ("cat", "dog", "eel", "fox"), ("cat", "dog", "fox")])
def test_other_classes_are_named(exported, names):
    with pytest.raises(DecoctError) as error:
        read_class_folder(exported, names, (1, 8, 8))
    assert all(name in str(error.value) for name in set(names) ^ set(NAMES))
    assert len(str(error.value).splitlines()) <= 3


@pytest.mark.parametrize("content", [b"", b"no picture"])
def test_a_damaged_picture_is_named(exported, content):
    (exported / "dog" / "00000.png").write_bytes(content)
    with pytest.raises(DecoctError, match=r"dog/00000\.png"):
        read_class_folder(exported, NAMES, (1, 8, 8))


def test_a_link_to_another_class_brings_no_picture(exported):
    (exported / "dog" / "up").symlink_to("..")
    with pytest.warns(StrayLinks, match="1 link leads to other class folders and is left out: dog/up -> "):
        assert read_class_folder(exported, NAMES, (1, 8, 8)).labels.tolist() == [0, 1, 2]


def test_no_picture_of_any_class(exported):
    for name in NAMES:
        (exported / name / "00000.png").unlink()
    with pytest.raises(DecoctError, match=r"class 'cat' .* has no pictures"):
        read_class_folder(exported, NAMES, (1, 8, 8))


def test_a_class_whose_folder_is_missing(exported):
    (exported / "dog" / "00000.png").unlink()
    (exported / "dog").rmdir()
    with pytest.raises(DecoctError, match="missing: dog"):
        read_class_folder(exported, NAMES, (1, 8, 8))


def test_a_folder_that_is_empty_or_not_there(tmp_path):
    for folder in (tmp_path, tmp_path / "none"):
        with pytest.raises(DecoctError, match=str(folder)):
            read_class_folder(folder, NAMES, (1, 8, 8))
