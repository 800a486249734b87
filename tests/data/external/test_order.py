"""Class order: by name where there are names, by index where they fit, refused where both or neither can be meant."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from decoct.core.errors import DecoctError
from decoct.data.external.order import BY_INDEX, BY_NAME, folders, in_order, matched

NAMES = ("cat", "dog", "eel")


@given(st.permutations(NAMES), st.lists(st.integers(0, 2), min_size=1, max_size=9))
def test_names_decide_whatever_their_order(order, labels):
    found, place, told = in_order(np.array(labels), order, NAMES)
    assert [NAMES[c] for c in found] == [order[c] for c in labels]
    assert [NAMES[c] for c in place] == list(order)
    assert told == BY_NAME


def test_labels_that_are_names_may_leave_classes_out():
    assert in_order(["eel", "cat", "eel"], None, NAMES)[0].tolist() == [2, 0, 2]
    with pytest.raises(DecoctError, match="no class 'cow'"):
        in_order(["eel", "cow"], None, NAMES)


def test_bare_indices_are_taken_as_the_data_s_order_and_say_so():
    found, place, told = in_order(np.array([2, 0, 1, 0], np.int32), None, NAMES)
    assert found.dtype == np.int64 and found.tolist() == [2, 0, 1, 0]
    assert place is None and told == BY_INDEX


@pytest.mark.parametrize(
    ("labels", "names", "said"),
    [
        ([0, 1], None, "2 numbers from 0 to 1, the data have 3 classes"),
        ([1, 2, 3], None, "from 1 to 3"),
        ([0, 1, -1], None, "from -1 to 1"),
        ([0, 1, 3], NAMES, "labels run from 0 to 3; the file names 3 classes"),
        ([0.5, 1, 2], None, "whole numbers"),
        ([np.nan, 1, 2], None, "whole numbers"),
        ([[0, 1], [1, 0]], None, r"\[2, 2\]"),
        ([0, 1, 2], ("cat", "dog", "fox"), "missing: eel; unknown: fox"),
        ([0, 1, 2], ("cat", "dog", "dog"), "'dog' twice"),
        ([], None, "empty"),
    ],
)
def test_labels_that_do_not_fit_are_refused(labels, names, said):
    with pytest.raises(DecoctError, match=said):
        in_order(np.array(labels), names, NAMES)


@pytest.mark.parametrize("named", [("0", "1", "2"), ("00002", "00000", "00001"), ("1", "00", "002")])
def test_folders_may_be_numbers_padded_or_not(named):
    assert folders(named, NAMES) == ([int(name) for name in named], BY_INDEX)


def test_folders_that_are_names_of_classes_are_names_even_where_they_are_numbers():
    assert folders(("2", "1", "3"), ("1", "2", "3")) == ([1, 0, 2], BY_NAME)


@pytest.mark.parametrize(
    ("named", "classes", "said"),
    [
        (("0", "1", "2"), ("1", "2", "3"), "as names or as numbers of classes: '1' is a class"),
        (("1", "2", "3"), NAMES, "3 numbers from 1 to 3, the data have 3 classes: number them from 0 to 2"),
        (("0", "00", "1"), NAMES, "3 numbers from 0 to 1"),
        (("0", "1"), NAMES, "2 numbers from 0 to 1, the data have 3"),
        (("cat", "dog", "2"), NAMES, "missing: eel; unknown: 2"),
        (("²", "0", "1"), NAMES, "unknown: 0, 1, ²"),
    ],
)
def test_folders_that_can_be_meant_twice_or_not_at_all_are_refused(named, classes, said):
    with pytest.raises(DecoctError, match=said):
        folders(named, classes)


def test_imagenet_s_classes_go_by_either_of_their_names():
    ids, english = ("n01440764", "n01443537"), ("tench, Tinca tinca", "goldfish, Carassius auratus")
    assert matched(english[::-1], ids) == [1, 0]
    assert folders(english, ids) == ([0, 1], BY_NAME)
    assert in_order([english[1]], None, ids)[0].tolist() == [1]
    with pytest.raises(DecoctError, match="unknown: hammerhead"):
        matched(("tench, Tinca tinca", "hammerhead"), ids)
