"""Groups against a naive closure over pairs; names by column and by expression; what is refused."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from decoct.core.errors import UsageError
from decoct.shrinking.reading.groups import merge_groups, named, numbered, together

PATHS = ["cat/p1_a.png", "cat/p1_b.png", "dog/p2_a.png", "dog/other.png"]


def closed(count: int, links: list[tuple[int, int]]) -> list[int]:
    """Groups by spreading the least number until nothing changes, then numbered by first appearance."""
    least, changed = list(range(count)), True
    while changed:
        changed = False
        for a, b in links:
            low = min(least[a], least[b])
            changed |= (least[a], least[b]) != (low, low)
            least[a] = least[b] = low
    first: dict[int, int] = {}
    return [first.setdefault(group, len(first)) for group in least]


@given(groups=st.lists(st.integers(0, 9), max_size=25), data=st.data())
def test_merged_groups_are_the_closure(groups, data):
    row = st.integers(0, len(groups) - 1)
    pairs = data.draw(st.lists(st.tuples(row, row), max_size=12)) if groups else []
    same = [(i, groups.index(group)) for i, group in enumerate(groups)]
    merged = merge_groups(np.array(groups, dtype=np.int64), np.array(pairs, dtype=np.int64))
    assert merged.tolist() == closed(len(groups), same + pairs)


@given(
    rows=st.lists(st.tuples(st.integers(0, 5), st.one_of(st.none(), st.sampled_from("abcd"))), max_size=20),
)
def test_equal_files_and_given_names_are_joined(rows):
    content = [c for c, _ in rows]
    names = [name for _, name in rows]
    same = [(i, content.index(c)) for i, c in enumerate(content)]
    same += [(i, names.index(name)) for i, name in enumerate(names) if name is not None]
    assert together(np.array(content, dtype=np.uint64), names).tolist() == closed(len(rows), same)


def test_groups_are_numbered_by_first_appearance():
    assert numbered(np.array([7, 3, 7, 9])).tolist() == [0, 1, 0, 2]


def test_without_names_only_equal_files_are_together():
    assert together(np.array([5, 8, 5], dtype=np.uint64), None).tolist() == [0, 1, 0]


def test_the_first_group_of_an_expression_names_the_group():
    assert named(r"/(p\d)_", PATHS, {}) == ["p1", "p1", "p2", None]


def test_without_one_the_whole_match_does():
    assert named(r"p\d", PATHS, {}) == ["p1", "p1", "p2", None]


def test_a_column_goes_before_an_expression_and_its_empty_values_are_alone():
    assert named("Patient", PATHS, {"patient": ["x", "", "x", "y"]}) == ["x", None, "x", "y"]


def test_the_column_group_is_used_unasked():
    assert named(None, PATHS, {"group": ["1", "1", "2", "2"]}) == ["1", "1", "2", "2"]
    assert named(None, PATHS, {"site": ["1", "1", "2", "2"]}) is None


@pytest.mark.parametrize(
    ("asked", "columns", "message"),
    [
        ("(", {}, r"'\(' is no regular expression"),
        (r"video\d", {}, "matches no path, such as cat/p1_a.png"),
        ("patent", {"patient": [""] * 4}, "no such column, only patient"),
    ],
)
def test_what_names_no_groups_is_refused(asked, columns, message):
    with pytest.raises(UsageError, match=message):
        named(asked, PATHS, columns)
