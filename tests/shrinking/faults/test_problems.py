"""What is wrong with a pool: each fault is planted, and the messages count images."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.shrinking.pictures import drawings, noisy, pool_of

from decoct.core.errors import UsageError
from decoct.shrinking.answer import Problem
from decoct.shrinking.faults.problems import check, groups_of, tell
from decoct.shrinking.pool import TEST, TRAIN, VAL

CLASSES = ["cat", "dog"]


@pytest.fixture
def faulty(tmp_path):
    """Rows: 0–4 good; 5, 6 copies of 0 (6 in test); 7 a copy of 1 as a dog; 8 nearly 2, larger; 9 nearly 3, in val."""
    good = drawings(5)
    images = [*good, good[0], good[0], good[1], noisy(good[2]), noisy(good[3], levels=1)]
    size = np.full(10, 100)
    size[8] = 200
    return pool_of(
        tmp_path,
        images,
        labels=[0, 0, 0, 1, 1, 0, 0, 1, 0, 0],
        split=[TRAIN] * 6 + [TEST, TRAIN, TRAIN, VAL],
        width=size,
        height=size,
        class_names=CLASSES,
        unreadable=[("cat/x.png", "cat", "truncated")],
        extensions=[["0004.png", "JPEG", ".png"], [1, "GIF"]],
    )


def test_each_fault_is_found_and_nothing_else(faulty):
    found = [(each.kind, each.rows) for each in check(faulty)]
    assert found == [
        ("unreadable", ()),
        ("extension", (4,)),
        ("extension", (1,)),
        ("leak", (0, 6, 5)),
        ("leak", (3, 9)),
        ("two_labels", (1, 7)),
        ("exact_duplicates", (0, 5, 6)),
        ("exact_duplicates", (1, 7)),
        ("near_duplicates", (3, 9)),  # 1 level of noise
        ("near_duplicates", (8, 2)),  # 3 levels
    ]


def test_what_is_said_of_them(faulty):
    problems = check(faulty)
    by_kind = {each.kind: each for each in reversed(problems)}
    assert by_kind["unreadable"] == Problem("unreadable", (), ("cat/x.png",), ("cat",), "truncated")
    assert by_kind["extension"].detail == "holds JPEG" and by_kind["extension"].paths == ("0004.png",)
    assert by_kind["exact_duplicates"].detail == "equal files"
    assert by_kind["two_labels"].labels == ("cat", "dog")
    assert by_kind["leak"].detail == "in train and test"
    assert [each.detail for each in problems if each.kind == "leak"][1] == "in train and val, nearly equal"
    assert ["across" in each.detail for each in problems if each.kind == "near_duplicates"] == [True, False]
    assert tell(problems) == (
        "1 file cannot be read; first: cat/x.png (truncated)",
        "2 files whose name says another format than the content; first: 0004.png (holds JPEG)",
        "5 images in 2 groups of duplicates stand in more than one split, a leak; "
        "first: 0000.png and 0006.png (in train and test)",
        "2 images in 1 group of equal pictures have different labels; first: 0001.png and 0007.png (cat, dog)",
        "5 exact duplicates in 2 groups, 1 of them across classes (3 could go); "
        "first: 0000.png and 0005.png (equal files)",
        f"4 near-duplicates in 2 groups, 1 of them across classes (2 could go); "
        f"first: 0003.png and 0009.png ({by_kind['near_duplicates'].detail})",
    )


def test_equal_pixels_in_other_files_are_told_as_such(tmp_path):
    (problem,) = check(pool_of(tmp_path, np.repeat(drawings(1), 2, 0), content=[1, 2]))
    assert (problem.kind, problem.detail) == ("exact_duplicates", "equal pixels in different files")


def test_copies_of_a_near_duplicate_leak_with_it(tmp_path):
    """0 and 1 are equal and in train; 2, nearly equal and larger, is in test: all three are one leak."""
    image = drawings(1)[0]
    images = [image, image, noisy(image)]
    pool = pool_of(tmp_path, images, split=[TRAIN, TRAIN, TEST], width=[64, 64, 96], height=[64, 64, 96])
    kinds = {each.kind: each.rows for each in check(pool)}
    assert kinds == {"exact_duplicates": (0, 1), "near_duplicates": (2, 0), "leak": (2, 0, 1)}
    assert len(set(groups_of(check(pool), pool.groups).tolist())) == 1


@pytest.mark.parametrize(
    ("images", "kinds"),
    [
        (drawings(1), []),
        (np.repeat(drawings(1), 50, 0), ["exact_duplicates"]),
        (np.full((50, 3, 32, 32), 255), ["exact_duplicates"]),
        (np.arange(50)[:, None, None, None] * 5 * np.ones((1, 1, 28, 28)), []),
        (drawings(50, channels=1), []),
    ],
    ids=["one image", "all equal", "all white", "all flat, of different greys", "grey"],
)
def test_odd_pools(tmp_path, images, kinds):
    pool = pool_of(tmp_path, images)
    problems = check(pool)
    assert [each.kind for each in problems] == kinds
    assert [len(each.rows) for each in problems] == [50] * len(kinds)
    assert groups_of(problems, pool.groups).tolist() == ([0] * 50 if kinds else list(range(len(pool))))


def test_zero_looks_for_no_near_duplicates_and_other_limits_are_refused(tmp_path):
    pool = pool_of(tmp_path, [drawings(1)[0], noisy(drawings(1)[0])])
    assert check(pool, near=0) == ()
    assert [each.kind for each in check(pool)] == ["near_duplicates"]
    for near in (-0.1, 1.5, np.nan):
        with pytest.raises(UsageError, match="from 0"):
            check(pool, near=near)


@given(
    st.integers(1, 12).flatmap(
        lambda n: st.tuples(
            st.lists(st.integers(0, n - 1), min_size=n, max_size=n),
            st.lists(st.lists(st.integers(0, n - 1), min_size=1, max_size=4, unique=True), max_size=5),
        )
    )
)
def test_groups_are_merged_as_a_naive_flood_does(drawn):
    given_groups, chains = drawn
    groups = np.unique(given_groups, return_inverse=True)[1]
    problems = [Problem("near_duplicates", tuple(rows), (), (), "") for rows in chains]
    problems.append(Problem("outlier", tuple(range(len(groups))), (), (), ""))  # says nothing of groups
    expected = groups.tolist()
    for _ in expected:
        for rows in chains:
            for group in {expected[row] for row in rows}:
                expected = [expected[rows[0]] if each == group else each for each in expected]
    merged = groups_of(problems, groups)
    assert merged.dtype == np.int64 and set(merged.tolist()) == set(range(merged.max() + 1))
    assert [[a == b for b in merged] for a in merged] == [[a == b for b in expected] for a in expected]


def test_nothing_is_told_of_what_was_not_found():
    assert tell(()) == ()
    issue = Problem("label_issue", (3,), ("a.png",), ("cat",), "suggested: dog", 0.9)
    outlier = Problem("outlier", (4,), ("b.png",), ("dog",), "far", 9.0)
    assert tell((outlier, issue, issue)) == (
        "2 label issues; first: a.png (suggested: dog)",
        "1 outlier; first: b.png (far)",
    )
