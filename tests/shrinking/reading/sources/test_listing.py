"""Classes by name, states of files, and words for splits."""

import os

import numpy as np
import pytest

from decoct.core.errors import DecoctError
from decoct.shrinking.pool import TEST, TRAIN, VAL
from decoct.shrinking.reading.sources.listing import by_name, check_classes, split_named, state_of


def test_names_are_in_order_and_numbers_by_value():
    names, labels = by_name(["b", "a", "b"], also=["c"])
    assert names == ("a", "b", "c") and labels.tolist() == [1, 0, 1]
    assert by_name(["10", "9", "010"])[0] == ("9", "010", "10")
    assert by_name(["10", "9", "x"])[0] == ("10", "9", "x")


def test_every_split_has_every_class_or_no_image_at_all():
    labels, split = np.array([0, 1, 0, 1]), np.array([TRAIN, TRAIN, TEST, TEST], dtype=np.int8)
    check_classes("ab", labels, split, "photos")
    with pytest.raises(DecoctError, match="photos: class 'a' has no images in test"):
        check_classes("ab", labels[[0, 1, 3]], split[[0, 1, 3]], "photos")
    with pytest.raises(DecoctError, match="cannot be learnt"):
        check_classes("ab", labels[[0, 2, 3]], split[[0, 2, 3]], "photos")
    with pytest.raises(DecoctError, match="photos has no train split"):
        check_classes("ab", labels[2:], split[2:], "photos")
    with pytest.raises(DecoctError, match="photos holds no classes"):
        check_classes((), labels[:0], split[:0], "photos")


def test_words_for_splits():
    assert [split_named(word) for word in ("Train", "validation", "dev", " test ")] == [TRAIN, VAL, VAL, TEST]
    assert split_named("held") is None


def test_a_state_follows_size_time_and_presence(tmp_path):
    file = tmp_path / "a"
    states = [state_of([str(file)])]
    file.write_bytes(b"1")
    states.append(state_of([str(file)]))
    os.utime(file, (1, 1))
    states.append(state_of([str(file)]))
    states.append(state_of([str(file)], "more"))
    assert len(set(states)) == 4 and state_of([str(file)], "more") == states[-1]
