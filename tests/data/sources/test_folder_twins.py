"""Pictures with two labels are counted, and a pair of them is named."""

import warnings
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from decoct.data.sources.folder import TwoLabels, tell_two_labels

SET = Path("/data/pets")


def test_what_stands_under_two_classes_is_counted_and_a_pair_named():
    train = {"cat": {"cat/1.png": "x", "cat/2.png": "y"}, "dog": {"dog/1.png": "z", "dog/2.png": "y"}}
    said = "^in /data/pets, 1 picture stands under two classes, byte for byte, such as cat/2.png and dog/2.png: remove"
    with pytest.warns(TwoLabels, match=said):
        tell_two_labels(SET, [train])
    test = {"cat": {"test/cat/9.png": "z"}, "dog": {"test/dog/8.png": "z"}}
    with pytest.warns(TwoLabels, match="2 pictures stand under two classes"):
        tell_two_labels(SET, [train, test])


@given(
    st.dictionaries(st.sampled_from("abc"), st.dictionaries(st.text(max_size=3), st.sampled_from("xyz")), max_size=3)
)
def test_as_many_are_counted_as_have_more_than_one_class(classes):
    kinds = {sha: {name for name, files in classes.items() if sha in files.values()} for sha in "xyz"}
    several = sum(len(names) > 1 for names in kinds.values())
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        tell_two_labels(SET, [classes])
    assert [str(one.message).split()[2] for one in told] == ([str(several)] if several else [])
