"""Lists beside a set: what stands in them, what no spreadsheet runs, and what can be read again."""

import csv

import numpy as np
import pytest
from tests.shrinking.pools import make_pool

from decoct.core.errors import UsageError
from decoct.shrinking.answer import Problem
from decoct.shrinking.written.lists import (
    Column,
    ordinal,
    read_list,
    reasons,
    rows_of,
    write_lists,
    write_problems,
)

PATHS = ["cat/ä, b.png", "=cmd|' /C calc'!A0", 'dog/"q"\n.png', "-1.png", "+dog/1.png", "test/1.png"]


@pytest.fixture
def pool(tmp_path):
    unreadable = [("dog/x.png", "=dog", "truncated, after 3 bytes")]
    labels, split = [0, 0, 1, 1, 1, 0], [0, 0, 0, 0, 0, 2]
    return make_pool(tmp_path / "pool", PATHS, labels, ["cat", "=dog"], split, unreadable=unreadable)


def rows(path):
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture
def written(tmp_path, pool):
    kept = np.array([4, 0, 2])
    copies = Problem("near_duplicates", (0, 1), (PATHS[0], PATHS[1]), ("cat", "cat"), "0.01 apart")
    why = reasons(pool, kept, "herding", [copies])
    score = Column("EL2N", "higher is harder", np.array([0.5, np.nan, 1 / 3, 0, 1, 2]))
    write_lists(tmp_path, pool, kept, why, [score], np.array([-1, 0, 4, 2, 2, 0]), [f"set/{k}.png" for k in kept])
    return rows(tmp_path / "kept.csv"), rows(tmp_path / "left_out.csv")


def test_each_image_stands_in_one_list_with_its_reason(written):
    kept, out = written
    assert [(row["path"], row["reason"], row["file"]) for row in kept] == [
        ("'+dog/1.png", "chosen 1st in its class by herding", "set/4.png"),
        (PATHS[0], "chosen 1st in its class by herding", "set/0.png"),
        (PATHS[2], "chosen 2nd in its class by herding", "set/2.png"),
    ]
    assert [(row["path"], row["split"], row["reason"]) for row in out] == [
        (f"'{PATHS[1]}", "train", f"near-duplicate of {PATHS[0]}"),
        ("'-1.png", "train", "not chosen"),
        ("test/1.png", "test", "test image"),
        ("dog/x.png", "", "unreadable: truncated, after 3 bytes"),
    ]


def test_scores_say_which_way_is_better_and_the_nearest_kept_image_is_named(written):
    kept, out = written
    assert [row["EL2N (higher is harder)"] for row in (*kept, *out)] == ["1", "0.5", "0.333333", "", "0", "2", ""]
    near = [row["nearest kept image"] for row in (*kept, *out)]
    assert near == [PATHS[2], "", "'+dog/1.png", PATHS[0], PATHS[2], PATHS[0], ""]


def test_no_spreadsheet_runs_a_cell(tmp_path, pool, written):
    write_problems(tmp_path, [Problem("outlier", (1,), (PATHS[1],), ("=dog",), "@far", 2.5)])
    for each in (*written[0], *written[1], *rows(tmp_path / "problems.csv")):
        for cell in each.values():
            assert not cell.startswith(("=", "+", "-", "@", "\t"))
    assert written[0][0]["class"] == "'=dog"


def test_problems_are_numbered_with_a_row_for_each_image(tmp_path):
    found = Problem("leak", (0, 5), ("a.png", "b.png"), ("cat", "dog"), "0.01 apart", 0.25)
    write_problems(tmp_path, [found, Problem("unreadable", (), ("c.png",), ("cat",), "no picture")])
    listed = [tuple(row.values()) for row in rows(tmp_path / "problems.csv")]
    assert listed == [
        ("1", "leak", "a.png", "cat", "0.01 apart", "0.25"),
        ("1", "leak", "b.png", "dog", "0.01 apart", "0.25"),
        ("2", "unreadable", "c.png", "cat", "no picture", "0"),
    ]


def test_a_kept_list_names_the_same_images_again(tmp_path, pool, written):
    assert rows_of(pool, read_list(tmp_path / "kept.csv")).tolist() == [4, 0, 2]


def test_of_copies_that_are_for_training_the_image_that_stays_is_named_or_the_leak(pool):
    labels = ("cat",) * 6
    near = Problem("near_duplicates", (0, 1, 2, 5), tuple(PATHS[r] for r in (0, 1, 2, 5)), labels[:4], "")
    exact = Problem("exact_duplicates", (1, 2), (PATHS[1], PATHS[2]), labels[:2], "")
    leak = Problem("leak", (3, 5), (PATHS[3], PATHS[5]), labels[:2], "")
    outlier = Problem("outlier", (4,), (PATHS[4],), labels[:1], "")
    assert reasons(pool, np.array([], int), "herding", [leak, exact, near, outlier]) == [
        "not chosen",
        f"near-duplicate of {PATHS[0]}",
        f"exact duplicate of {PATHS[1]}",
        f"leak: the same picture as {PATHS[5]}",
        "not chosen",
        "test image",
    ]
    assert reasons(pool, np.array([3]), "herding", [leak])[3] == "chosen 1st in its class by herding"


def test_images_of_an_earlier_list_are_named_so_and_not_counted(pool):
    why = reasons(pool, np.array([4, 2, 3]), "k_means", earlier=np.array([4]))
    assert why[4] == "kept from an earlier list"
    assert (why[2], why[3]) == ("chosen 1st in its class by k_means", "chosen 2nd in its class by k_means")
    assert reasons(pool, np.array([4]), "random", ordered=False)[4] == "chosen by random"


def test_a_text_of_paths_is_a_list_too(tmp_path, pool, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "keep.txt").write_bytes(f"\ufeff{PATHS[0]}\r\n\r\n./-1.png\nphotos/+dog/1.png\n{PATHS[0]}\n".encode())
    assert rows_of(pool, read_list(tmp_path / "keep.txt")).tolist() == [0, 3, 4]
    assert rows_of(pool, [str(tmp_path / "photos" / "-1.png")]).tolist() == [3]


def test_a_path_that_stands_for_two_images_keeps_both_that_are_for_training(tmp_path):
    pool = make_pool(tmp_path, ["1.png", "1.png", "1.png"], [0, 1, 0], ["a", "b"], [0, 0, 2])
    assert rows_of(pool, ["1.png"]).tolist() == [0, 1]


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("cat/a, b.png", r"not in photos\. Did you mean 'cat/ä, b.png'\?"),
        ("elsewhere/1.png", r"Did you mean '(\+dog|test)/1.png'\?"),
        ("zzz", r"A path there is cat/ä, b.png"),
        ("test/1.png", "is a test image"),
    ],
)
def test_an_unknown_path_or_a_test_image_is_an_error(pool, path, said):
    with pytest.raises(UsageError, match=said):
        rows_of(pool, [PATHS[0], path])


def test_a_list_that_cannot_be_read_or_is_empty_is_an_error(tmp_path):
    (tmp_path / "empty.csv").write_text("path,class\n\n")
    (tmp_path / "picture.png").write_bytes(b"\x89PNG\xff\xfe")
    for name, said in [("none.csv", "No such file"), ("picture.png", "no text in UTF-8"), ("empty.csv", "no image")]:
        with pytest.raises(UsageError, match=said):
            read_list(tmp_path / name)


@pytest.mark.parametrize(("n", "said"), [(1, "1st"), (2, "2nd"), (3, "3rd"), (4, "4th"), (11, "11th"), (112, "112th")])
def test_ordinals(n, said):
    assert ordinal(n) == said
    assert ordinal(n + 1000) == f"1,{n:03d}{said.lstrip('0123456789')}"
